"""How arrays are arranged that enter a network, and that come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brian2eprop.ml.graph import Names, Values, names_in


@dataclass(frozen=True)
class Ports:
    """The inputs and the outputs of a network.

    Parameters
    ----------
    inputs, outputs : str, list or dict of str
        Names of stages: one, several in order, or several by the names that their arrays have.
    """

    inputs: Names
    outputs: Names

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return names_in(self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return names_in(self.outputs)

    def samples(self, x: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Values]:
        """Samples for each input.

        Parameters
        ----------
        x : array, or list or dict of arrays, shape (samples, *shape of the input)
            As the inputs are arranged; several may be given by the names of their layers as well.
        shapes : dict
            Shapes of the inputs.

        Returns
        -------
        dict
            Numbers by name of the input, as many for each.

        Raises
        ------
        ValueError
            If they are arranged otherwise, have another shape, or differ in number.
        """
        given = _by_name(self.inputs, x, "samples", "input")
        found = {name: _numbers(name, each, shapes[name]) for name, each in given.items()}
        counts = {name: len(each) for name, each in found.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"There are {counts} samples of the inputs; give as many of each.")
        return found

    def classes(self, y: Any, n: int, what: str) -> dict[str, Any]:
        """The class of each sample, by name of the output.

        Parameters
        ----------
        y : array of int, or list or dict of them, shape (samples,)
            As the outputs are arranged.
        n : int
            Number of samples.
        what : str
            Who asks, for messages.

        Raises
        ------
        ValueError
            If they are arranged otherwise, or are not as many whole numbers.
        """
        found = {}
        for name, each in self.by_output(y, "classes").items():
            classes = np.asarray(each)
            if classes.shape == (n, 1):  # as Keras's own data sets have them
                classes = classes.reshape(n)
            found[name] = classes
            if classes.shape != (n,) or classes.dtype.kind not in "iu":
                raise ValueError(
                    f"{what}: y has the shape {classes.shape} and the type {classes.dtype}; "
                    f"give {n} whole numbers, the class of each sample (of "
                    "shares or of one-hot classes y.argmax(axis=1))."
                )
        return found

    def by_output(self, given: Any, what: str = "values") -> dict[str, Any]:
        """What is arranged as the outputs, by name of the output.

        Raises
        ------
        ValueError
            If it is arranged otherwise.
        """
        return _by_name(self.outputs, given, what, "output")

    def arranged(self, found: Mapping[str, Any]) -> Any:
        """What belongs to the outputs, arranged as they are.

        Parameters
        ----------
        found : dict
            By name of the output.
        """
        if isinstance(self.outputs, str):
            return found[self.outputs]
        if isinstance(self.outputs, Mapping):
            return {key: found[name] for key, name in self.outputs.items()}
        return [found[name] for name in self.outputs]


def number_of(samples: Mapping[str, Values]) -> int:
    """How many samples there are, of each input as many."""
    return len(next(iter(samples.values())))


def _by_name(names: Names, given: Any, what: str, port: str) -> dict[str, Any]:
    if isinstance(names, str):
        return {names: given}
    keyed = dict(names) if isinstance(names, Mapping) else {}
    keyed |= {name: name for name in names_in(names) if name not in keyed}
    if isinstance(given, Mapping):
        found = {keyed[key]: each for key, each in given.items() if key in keyed}
        if len(found) == len(given) == len(names):
            return found
    elif isinstance(given, Sequence) and not isinstance(given, str) and len(given) == len(names):
        return dict(zip(names_in(names), given, strict=True))
    raise ValueError(
        f"The network has several {port}s, {', '.join(names_in(names))}; give {what} for each, in "
        f"a list in this order or in a dict by their names."
    )


def _numbers(name: str, given: Any, shape: tuple[int, ...]) -> Values:
    try:
        samples = np.asarray(given)
    except ValueError:
        samples = np.array("")
    if samples.dtype.kind not in "biuf" or samples.shape[1:] != shape or not samples.size:
        raise ValueError(
            f"The samples have the shape {samples.shape} and the type {samples.dtype}; the "
            f"input '{name}' takes numbers of the shape (samples, {', '.join(map(str, shape))})."
        )
    if not np.isfinite(samples).all():
        raise ValueError(
            f"The samples of the input '{name}' have numbers that are not finite; replace them."
        )
    return samples.astype(float)
