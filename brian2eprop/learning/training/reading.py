"""Reading checkpoints: nothing is believed that a file says of itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, NoReturn

import numpy as np

from brian2eprop import archives
from brian2eprop.errors import CheckpointError
from brian2eprop.learning.settings import KIND, difference
from brian2eprop.learning.training.checkpoint import (
    ARRAY,
    EARLIER,
    FORMAT,
    LOAD_INTO,
    PAIRS,
    Form,
    Layout,
    State,
    Values,
)
from brian2eprop.learning.training.optimiser import Optimiser
from brian2eprop.learning.training.position import Position, generator_of
from brian2eprop.learning.training.schedules import made_again
from brian2eprop.learning.training.state_reading import read_callbacks, read_count, read_history


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[File]:
    """A checkpoint to be read; what is wrong with it is said in one way.

    Parameters
    ----------
    path : path
        The file.

    Yields
    ------
    File
        Its contents.

    Raises
    ------
    CheckpointError
        If the file is damaged or is no checkpoint.
    OSError
        If it cannot be opened.
    """
    with archives.opened(path, FORMAT) as archive:
        yield File(archive)


class File:
    """An open checkpoint, which is believed nothing: what is read is bounded by what must be.

    Parameters
    ----------
    archive : Archive
        Its members.
    """

    def __init__(self, archive: archives.Archive) -> None:
        self._archive = archive
        self.state = _read_state(archive.state)

    def check(
        self,
        settings: Mapping[str, Any],
        connectivity: Mapping[str, str],
        values: Mapping[str, str],
    ) -> None:
        """Check that it belongs to this training.

        Parameters
        ----------
        settings : mapping of str to object
            What optimiser, network, rule, loss and regularisers are made with here.
        connectivity : mapping of str to str
            The hash of each connectivity here.
        values : mapping of str to str
            The hash of each variable here that is not trained.

        Raises
        ------
        CheckpointError
            If it is of another network, connectivity, rule, loss or kind of optimiser.
        """
        for name in sorted(self.state.connectivity.keys() | connectivity.keys()):
            then, now = self.state.connectivity.get(name), connectivity.get(name)
            if then != now and "" in (then, now):
                self._refuse(
                    f"the synapses '{name}' are rewired {'there' if then == '' else 'here'} only",
                    "Give this Trainer the rewiring of the one that saved it.",
                )
            if then != now:
                self._refuse(
                    f"it was saved with other synapses of '{name}'",
                    "Connect them as they were, for example with the same seed.",
                )
        here, saved = (
            {name: _bare(name, made) for name, made in one.items()}
            for one in (settings, self.state.settings)
        )
        for name in sorted(here):
            found = difference(name, saved.get(name), here[name])
            if found is not None:
                place, then, now = found
                self._refuse(
                    f"{place} is {_shown(then)} in the file but {_shown(now)} here",
                    "Make network and Trainer as they were when it was saved.",
                )

        # Last, for what has another name or is trained in one of them has been told before.
        for name in sorted(values):
            if self.state.values.get(name) != values[name]:
                self._refuse(
                    f"it was saved with other values of '{name}', which is not trained",
                    "Set it as it was, for example with the same seed.",
                )

    def optimiser(self, like: Optimiser) -> Optimiser:
        """The optimiser with the numbers that it had.

        Parameters
        ----------
        like : Optimiser
            One of the same kind.

        Raises
        ------
        CheckpointError
            If a number is none that it takes.
        """
        if not is_dataclass(like):
            return like
        saved = self.state.settings["optimiser"]
        taken = {field.name: saved[field.name] for field in fields(like) if field.init}
        rate = made_again(saved["learning_rate"], like.learning_rate)
        if rate is None:
            there, here = _shown(saved["learning_rate"]), like.learning_rate
            self._refuse(
                f"optimiser.learning_rate is {there} in the file but {here!r} here",
                "Give the function of the number of updates that it was saved with.",
            )
        return replace(like, **taken | {"learning_rate": rate})

    def arrays(self, layout: Layout) -> dict[str, Values]:
        """The arrays, as far as they are what is needed.

        Parameters
        ----------
        layout : mapping of str to Form
            What is needed.

        Raises
        ------
        CheckpointError
            If names or shapes differ, or contents are impossible.
        """
        self._check_names(layout)
        return {name: self._array(name, form) for name, form in layout.items()}

    def pairs(self, name: str, size: int, n_source: int, n_target: int) -> Values:
        """Source and target of each of some rewired synapses, shape (2, size).

        Raises
        ------
        CheckpointError
            If they are no places, or one of them is there twice.
        """
        found = self._member(f"{PAIRS}{name}", (2, size), 16 * size)
        if found.dtype.kind not in "iu":
            raise ValueError("pairs")
        pairs = found.astype(np.int64)
        within = (pairs >= 0) & (pairs < np.array([[n_source], [n_target]]))
        if not within.all() or np.unique(pairs[0] * n_target + pairs[1]).size < size:
            self._refuse(f"its synapses of '{name}' are not at places of their own", EARLIER)
        return pairs

    def check_steps(self, name: str, steps: Values, longest: int) -> None:
        """Check that delays are none that spikes are not kept for.

        Raises
        ------
        CheckpointError
            If some are.
        """
        if ((steps < 0) | (steps > longest)).any():
            self._refuse(f"array '{name}' holds delays that there are not here", EARLIER)

    def frozen(self, parameters: Sequence[str]) -> frozenset[str]:
        """The arrays of parameters that are frozen.

        Raises
        ------
        CheckpointError
            If they are not some of the parameters.
        """
        found = frozenset(self.state.frozen)
        if not found < set(parameters):
            self._refuse("it has all parameters frozen, or others than there are", EARLIER)
        return found

    def generator(self) -> np.random.Generator:
        """The random generator, to go on from there.

        Raises
        ------
        CheckpointError
            If its state is none.
        """
        try:
            return generator_of(self.state.rng)
        except (KeyError, TypeError, ValueError, OverflowError):
            self._refuse("it holds no valid state of the random generator", EARLIER)

    def position(self) -> Position | None:
        """Where within an epoch it was saved, if within one.

        Raises
        ------
        CheckpointError
            If that is no position.
        """
        try:
            return None if self.state.position is None else Position.from_json(self.state.position)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            self._refuse("it holds no valid position within its epoch", EARLIER)

    def _check_names(self, layout: Layout) -> None:
        names = self._archive.names
        arrays = {name.removeprefix(ARRAY) for name in names if name.startswith(ARRAY)}
        for name in sorted(arrays ^ layout.keys()):
            here, there = ("the file", "this task") if name in arrays else ("this task", "the file")
            self._refuse(f"array '{name}' is in {here} but not in {there}", LOAD_INTO)
        others = names - {f"{ARRAY}{name}" for name in arrays}
        if others != {f"{PAIRS}{name}" for name in self.state.connectivity}:
            raise ValueError("members")

    def _array(self, name: str, form: Form) -> Values:
        values = self._member(f"{ARRAY}{name}", form.shape, 8 * int(np.prod(form.shape)))
        if values.dtype.kind not in "biuf":
            values = np.full(form.shape, np.nan)
        with np.errstate(over="ignore"):
            values = values.astype(form.dtype)
        fault = None
        if form.squares and (values < 0).any():
            fault = "holds an average of squares that is negative"
        if not np.isfinite(values).all():
            fault = "holds values that are no finite numbers"
        if fault is not None:
            self._refuse(f"array '{name}' {fault}", EARLIER)
        return values

    def _member(self, name: str, shape: tuple[int, ...], most: int) -> Values:
        """An array of at most so many bytes, and of that shape."""
        found = self._archive.shape(name)
        if found != shape:
            self._refuse(
                f"array '{name.removeprefix(ARRAY)}' has the shape {found} but {shape} is needed",
                LOAD_INTO,
            )
        return self._archive.member(name, most)

    def _refuse(self, fault: str, remedy: str) -> NoReturn:
        raise CheckpointError(
            f"The checkpoint '{self._archive.path}': {fault}; nothing was loaded. {remedy}"
        )


def _read_state(state: dict[str, Any]) -> State:
    epoch = read_count(state["epoch"])
    return State(
        read_count(state["iteration"]),
        epoch,
        read_history(state["history"], epoch),
        dict(state["rng"]),
        dict(state["settings"]),
        {str(name): str(digest) for name, digest in dict(state["connectivity"]).items()},
        {str(name): str(digest) for name, digest in dict(state["values"]).items()},
        [str(name) for name in list(state["frozen"])],
        state["position"],
        read_callbacks(state["callbacks"]),
    )


def _bare(name: str, made: Any) -> Any:
    """Settings without what is restored rather than compared."""
    return {KIND: made[KIND]} if name == "optimiser" else made


def _shown(value: Any) -> str:
    if isinstance(value, dict) and KIND in value:
        inner = ", ".join(f"{k}={_shown(v)}" for k, v in value.items() if k != KIND)
        return f"{value[KIND]}({inner})"
    if isinstance(value, dict) and "unit" in value:
        return f"{value['value']} {value['unit']}"
    return str(value)
