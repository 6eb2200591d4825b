"""The samples of a training, checked once, and their batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program import Stream
from brian2eprop.spikes import Spikes, SpikeStream

Samples = Spikes | Mapping[str, Any]
# The spikes of a batch, from these, its labels, and its number in the epoch from 0.
Change = Callable[[Mapping[str, Spikes], tuple[npt.NDArray[Any], ...], int], Mapping[str, Spikes]]


@dataclass(frozen=True)
class Dataset:
    """Samples of one length.

    Parameters
    ----------
    spikes : mapping of str to Spikes
        Input spikes of each stream.
    n_samples, n_steps : int
        Number of samples, and of steps of each.
    labels : tuple of array, shape (samples, ...)
        What the user gave, for each output; empty where there are none.
    targets : tuple of array, shape (samples, ...)
        What the loss of each output compares with.
    lengths : int array, shape (samples,), optional
        Number of steps of each sample, where it is not that of all.
    weights : array, shape (samples,), optional
        What the loss of each sample counts.
    inputs : mapping of str to array, shape (samples, steps, elements)
        Analogue input by array.
    """

    spikes: Mapping[str, Spikes]
    n_samples: int
    n_steps: int
    labels: tuple[npt.NDArray[Any], ...] = ()
    targets: tuple[npt.NDArray[Any], ...] = ()
    lengths: npt.NDArray[np.int64] | None = None
    weights: npt.NDArray[np.float64] | None = None
    inputs: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Some samples, padded by empty ones to the size of a batch.

    Parameters
    ----------
    size : int
        Number of instances, padding included.
    n_samples, n_steps : int
        Number of real samples, which come first, and of steps.
    streams : mapping of str to SpikeStream
        Input of the instances.
    labels, targets : tuple of array, shape (n_samples, ...)
        Those of the real samples, for each output.
    lengths, weights : array, shape (n_samples,), optional
        Those of the real samples.
    inputs : mapping of str to array, shape (size, steps, elements)
        Analogue input of the instances, by array.
    """

    size: int
    n_samples: int
    n_steps: int
    streams: Mapping[str, SpikeStream]
    labels: tuple[npt.NDArray[Any], ...]
    targets: tuple[npt.NDArray[Any], ...]
    lengths: npt.NDArray[np.int64] | None = None
    weights: npt.NDArray[np.float64] | None = None
    inputs: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @property
    def total_steps(self) -> int:
        """Number of steps of all real samples together."""
        if self.lengths is None:
            return self.n_samples * self.n_steps
        return int(self.lengths.sum())


def make_dataset(
    samples: Samples,
    streams: Sequence[Stream],
    check_inputs: Callable[[Mapping[str, Any]], Mapping[str, npt.NDArray[Any]]],
) -> Dataset:
    """Samples for a network.

    Parameters
    ----------
    samples : Spikes or mapping of str to Spikes or array
        Input spikes, by the name of their SpikeSource where there are several, and analogue
        input by the name of its variable.
    streams : sequence of Stream
        The SpikeSources that the network has.
    check_inputs : callable
        Analogue input by array, from what is given by name.

    Returns
    -------
    Dataset
        The samples, without labels.

    Raises
    ------
    TypeError
        If the spikes are no Spikes.
    ValueError
        If inputs are missing or unknown, or differ in numbers of samples, steps or neurons.
    """
    named = samples if isinstance(samples, Spikes) else _mapping(samples)
    given, inputs = _by_stream(named, streams), {}
    if not isinstance(named, Spikes):
        inputs = dict(check_inputs({k: v for k, v in named.items() if k not in given}))
    for stream in streams:
        if given[stream.name].n_neurons != stream.size:
            raise ValueError(
                f"SpikeSource '{stream.name}' has {stream.size} neurons but its spikes are of "
                f"{given[stream.name].n_neurons}; give spikes of {stream.size} neurons."
            )
    lengths = {(len(found), found.n_steps) for found in given.values()}
    lengths |= {values.shape[:2] for values in inputs.values()}
    if len(lengths) > 1:
        raise ValueError(
            "The inputs differ in (samples, steps): "
            f"{', '.join(str(length) for length in sorted(lengths))}; give as many for each."
        )
    n_samples, n_steps = lengths.pop()
    if n_samples == 0 or n_steps == 0:
        raise ValueError(
            f"The inputs have {n_samples} samples of {n_steps} steps; give at least one of each."
        )
    return Dataset(given, n_samples, n_steps, inputs=inputs)


def unchanged(
    spikes: Mapping[str, Spikes], labels: tuple[npt.NDArray[Any], ...], number: int
) -> Mapping[str, Spikes]:
    """The spikes of a batch as they are."""
    return spikes


def batches(
    data: Dataset,
    size: int,
    order: npt.NDArray[np.int64] | None,
    skipped: int = 0,
    change: Change = unchanged,
) -> Generator[Batch]:
    """All samples, batch by batch, in the given order; the last batch may hold fewer.

    Parameters
    ----------
    data : Dataset
        The samples.
    size : int
        Number of instances of a batch; fewer where there are fewer samples.
    order : int array, shape (samples,), optional
        Order of the samples; as they lie unless given.
    skipped : int
        Number of batches that are left out at the beginning.
    change : callable
        What is made of the spikes of each batch.

    Yields
    ------
    Batch
        The next samples.
    """
    size = min(size, data.n_samples)
    for first in range(skipped * size, data.n_samples, size):
        rows: Any = slice(first, first + size)
        if order is not None:
            rows = order[rows]
        yield _batch(data, rows, size, min(size, data.n_samples - first), change, first // size)


def whole_batch(data: Dataset, size: int, change: Change, number: int) -> Batch:
    """All samples as one batch of at least as many instances, the ``number``-th of its epoch."""
    return _batch(data, slice(None), size, data.n_samples, change, number)


def _batch(
    data: Dataset, rows: Any, size: int, n_samples: int, change: Change, number: int
) -> Batch:
    labels = tuple(values[rows] for values in data.labels)
    spikes = change({name: found[rows] for name, found in data.spikes.items()}, labels, number)
    return Batch(
        size,
        n_samples,
        data.n_steps,
        {name: _padded(found, size) for name, found in spikes.items()},
        labels,
        tuple(values[rows] for values in data.targets),
        None if data.lengths is None else data.lengths[rows],
        None if data.weights is None else data.weights[rows],
        {name: _repeated(values[rows], size) for name, values in data.inputs.items()},
    )


_HELD_OUT = ("spikes", "labels", "sample_weight", "class_weight", "lengths")


def check_pair(owner: str, name: str, data: Any) -> dict[str, Any]:
    """Samples by argument, refused where they are no pair of spikes and labels."""
    if isinstance(data, Mapping):
        unknown = sorted(set(data) - set(_HELD_OUT)) or sorted(set(_HELD_OUT[:2]) - set(data))
        if unknown:
            raise TypeError(
                f"{owner}: {name} has {', '.join(map(repr, data)) or 'nothing'}; give "
                f"'spikes' and 'labels', and what else is needed of {', '.join(_HELD_OUT[2:])}."
            )
        return dict(data)
    if not isinstance(data, tuple | list) or len(data) != 2:
        count = f" of {len(data)}" if isinstance(data, tuple | list) else ""
        raise TypeError(
            f"{owner}: {name} is a {type(data).__name__}{count}; give a pair (spikes, labels)."
        )
    return {"spikes": data[0], "labels": data[1]}


def without_labels(owner: str, name: str, data: Any) -> dict[str, Any]:
    """The same for what needs no labels: they may be there or not."""
    if isinstance(data, Spikes):
        return {"spikes": data}
    found = check_pair(owner, name, {"labels": None, **data} if isinstance(data, Mapping) else data)
    return {argument: found[argument] for argument in ("spikes", "lengths") if argument in found}


def is_pair(data: Any) -> bool:
    """Whether these are spikes and labels, and not batches."""
    head = data[0] if isinstance(data, list | tuple) and len(data) == 2 else None
    return isinstance(head, Spikes) or (isinstance(head, Mapping) and "labels" not in head)


def check_same_inputs(data: Dataset, held_out: Dataset) -> None:
    """Refuse validation data with analogue input for other variables."""
    if data.inputs.keys() != held_out.inputs.keys():
        raise ValueError(
            f"fit: there is analogue input for {', '.join(data.inputs) or 'no variable'} but in "
            f"validation_data for {', '.join(held_out.inputs) or 'none'}; give the same for both."
        )


def _by_stream(samples: Spikes | dict[str, Any], streams: Sequence[Stream]) -> dict[str, Spikes]:
    names = [stream.name for stream in streams]
    if isinstance(samples, Spikes):
        if len(names) != 1:
            raise ValueError(_no_single_source(names))
        return {names[0]: samples}
    given = {name: found for name, found in samples.items() if name in names}
    spikes = [name for name, found in samples.items() if isinstance(found, Spikes)]
    if set(given) != set(names) or not set(spikes) <= set(names) or not samples:
        raise ValueError(
            f"Spikes are given for {', '.join(spikes) or 'nothing'} but the network's "
            f"SpikeSources are {', '.join(names) or 'none'}; give Spikes for each of them by name."
        )
    for name, found in given.items():
        if not isinstance(found, Spikes):
            raise TypeError(
                f"The spikes for SpikeSource '{name}' are of type {type(found).__name__}; make "
                "them with brian2eprop.Spikes, e.g. Spikes.from_dense(...)."
            )
    return given


def _no_single_source(names: Sequence[str]) -> str:
    if not names:
        return (
            "The network has no SpikeSource that could take the samples; add one as its input, or "
            "give a dictionary with an array for a variable, such as {'hidden_drive': currents}."
        )
    return (
        f"The network has the SpikeSources {', '.join(names)}; give a dictionary with the "
        "Spikes of each by its name."
    )


def _mapping(spikes: Any) -> dict[str, Spikes]:
    if not isinstance(spikes, Mapping):
        raise TypeError(
            f"The spikes are of type {type(spikes).__name__}; make them with brian2eprop.Spikes, "
            "e.g. Spikes.from_dense(...), or give a dictionary of these."
        )
    return {str(getattr(source, "name", source)): found for source, found in spikes.items()}


def _padded(spikes: Spikes, size: int) -> SpikeStream:
    missing = size - len(spikes)
    if not missing:
        return spikes.stream()
    empty = np.full((missing, spikes.n_steps + 1), spikes.index.size)
    return SpikeStream(np.concatenate([spikes.start, empty]), spikes.index)


def _repeated(values: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Padded by the first sample: a variable that is zero may be divided by."""
    padding = np.repeat(values[:1], size - len(values), axis=0)
    return np.concatenate([values, padding]) if len(padding) else values
