"""``Spikes``: the spike trains of many samples, stored by sample and time step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.spike_checks import (
    Integers,
    as_binary,
    as_integers,
    as_population,
    as_positive_seconds,
    as_shape,
    as_size,
    check_ascending,
    check_range,
    check_start,
    repeated,
    to_steps,
    whole_steps,
)


@dataclass(frozen=True)
class SpikeStream:
    """Input spikes of a batch, by instance and step.

    Parameters
    ----------
    start : int64 array, shape (instances, n_steps + 1)
        The spikes of instance ``b`` at step ``first_step + s`` are
        ``index[start[b, s]:start[b, s + 1]]``; steps outside have none.
    index : int32 array, shape (n_spikes,)
        Neuron of each spike, ascending within a step, none twice.
    first_step : int
        The step that ``start[:, 0]`` belongs to.
    """

    start: npt.NDArray[np.int64]
    index: npt.NDArray[np.int32]
    first_step: int = 0

    def __post_init__(self) -> None:
        for name, dtype in (("start", np.int64), ("index", np.int32)):
            values = getattr(self, name)
            # What lies on a GPU is there in the form that kernels read.
            if isinstance(values, np.ndarray | list | tuple):
                object.__setattr__(self, name, np.ascontiguousarray(values, dtype))

    def of(self, step: int, instance: int = 0) -> npt.NDArray[np.int32]:
        """The neurons that spike in a step of an instance."""
        row, start = step - self.first_step, self.start[instance]
        inside = 0 <= row < len(start) - 1
        return self.index[start[row] : start[row + 1]] if inside else self.index[:0]


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spike trains of many samples on a common time grid.

    The spikes of sample ``b`` at step ``s`` are ``index[start[b, s]:start[b, s + 1]]``;
    samples lie one after the other. The arrays are read-only copies of what was given.

    Parameters
    ----------
    n_neurons : int
        Number of neurons.
    n_steps : int
        Number of time steps of every sample.
    start : int64 array, shape (samples, n_steps + 1)
        Where the spikes of each step begin, and where the last step's end.
    index : int32 array, shape (n_spikes,)
        Neuron of each spike, ascending within a step, none twice.

    Raises
    ------
    ValueError
        If the arrays are not of that form.
    """

    n_neurons: int
    n_steps: int
    start: Integers
    index: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_neurons", as_population("n_neurons", self.n_neurons))
        object.__setattr__(self, "n_steps", as_size("n_steps", self.n_steps))
        start = as_integers("start", np.array(self.start), 2)
        index = as_integers("index", np.array(self.index), 1)
        check_start(start, self.n_steps, index.size)
        check_range("neuron indices", index, self.n_neurons)
        check_ascending(start, index)
        object.__setattr__(self, "start", _frozen(start, np.int64))
        object.__setattr__(self, "index", _frozen(index, np.int32))

    @classmethod
    def from_dense(cls, dense: npt.ArrayLike) -> Spikes:
        """Spikes from a 0/1 array.

        Parameters
        ----------
        dense : array of bool or 0/1, shape (samples, steps, neurons)
            1 where a neuron spikes.

        Returns
        -------
        Spikes
            The same spikes.

        Raises
        ------
        ValueError
            If the array has another shape or other values.
        """
        values = np.asarray(dense)
        if values.ndim != 3:
            raise ValueError(
                f"Spikes.from_dense: the array has the shape {values.shape}; "
                "give one of shape (samples, steps, neurons)."
            )
        spikes = as_binary(values)
        counts = np.count_nonzero(spikes, axis=2)
        index = np.flatnonzero(spikes) % max(values.shape[2], 1)
        return cls._trusted(values.shape[2], _starts(counts), index.astype(np.int32))

    @classmethod
    def from_events(
        cls,
        samples: npt.ArrayLike,
        steps: npt.ArrayLike,
        neurons: npt.ArrayLike,
        shape: tuple[int, int, int],
    ) -> Spikes:
        """Spikes from a list of events, in any order.

        Parameters
        ----------
        samples, steps, neurons : integer arrays, shape (n_spikes,)
            Sample, time step and neuron of each spike.
        shape : tuple of int
            ``(n_samples, n_steps, n_neurons)``.

        Returns
        -------
        Spikes
            The same spikes, ordered.

        Raises
        ------
        ValueError
            If an event lies outside the shape, or is there twice.
        """
        return cls._from_events(samples, steps, neurons, shape, merge=False)

    @classmethod
    def from_times(
        cls,
        times: Sequence[Any],
        neurons: Sequence[npt.ArrayLike],
        n_neurons: int,
        duration: Any,
        dt: Any,
        merge: bool = False,
    ) -> Spikes:
        """Spikes from spike times, put on a grid as Brian2's SpikeGeneratorGroup does.

        Parameters
        ----------
        times : sequence of arrays
            For each sample the ascending times of its spikes (seconds, or a Quantity).
        neurons : sequence of integer arrays
            For each sample the neuron of each of its spikes.
        n_neurons : int
            Number of neurons.
        duration, dt : float or Quantity
            Length of every sample and of a time step (seconds, or a Quantity).
        merge : bool
            Whether several spikes of a neuron within one step become one spike; otherwise
            they are an error.

        Returns
        -------
        Spikes
            The same spikes, by step.

        Raises
        ------
        ValueError
            If times are negative, not finite, unsorted or beyond the duration, or are not
            times at all; if the duration is no multiple of dt; or if a neuron spikes twice in
            a step and ``merge`` is False.
        """
        if len(times) != len(neurons):
            raise ValueError(
                f"Spikes.from_times: times has {len(times)} samples but neurons has "
                f"{len(neurons)}; give one array of each for every sample."
            )
        step = as_positive_seconds("dt", dt)
        n_steps = whole_steps(as_positive_seconds("duration", duration), step)
        steps = [to_steps(sample, at, n_steps, step) for sample, at in enumerate(times)]
        who = [as_integers(f"neurons of sample {k}", n, 1) for k, n in enumerate(neurons)]
        for sample, (a, b) in enumerate(zip(steps, who, strict=True)):
            if a.size != b.size:
                raise ValueError(
                    f"Spikes.from_times: sample {sample} has {a.size} times but {b.size} neurons; "
                    "give one neuron for each time."
                )
        samples = np.repeat(np.arange(len(steps)), [s.size for s in steps])
        shape = (len(steps), n_steps, n_neurons)
        return cls._from_events(samples, _joined(steps), _joined(who), shape, merge)

    @classmethod
    def _from_events(
        cls,
        samples: npt.ArrayLike,
        steps: npt.ArrayLike,
        neurons: npt.ArrayLike,
        shape: tuple[int, int, int],
        merge: bool,
    ) -> Spikes:
        n_samples, n_steps, n_neurons = as_shape(shape)
        named = {"samples": samples, "steps": steps, "neurons": neurons}
        columns = [as_integers(name, values, 1) for name, values in named.items()]
        if len({column.size for column in columns}) > 1:
            raise ValueError(
                "Spikes: samples, steps and neurons have the lengths "
                f"{', '.join(str(column.size) for column in columns)}; give one of each per spike."
            )
        for name, column, size in zip(named, columns, (n_samples, n_steps, n_neurons), strict=True):
            check_range(name, column, size)
        step = columns[0] * n_steps + columns[1]
        flat = np.sort(step * n_neurons + columns[2])
        again = flat[1:] == flat[:-1]
        if merge:
            flat = flat[np.concatenate([[True], ~again])] if flat.size else flat
        elif again.any():
            raise ValueError(repeated(int(flat[1:][again][0]), n_steps, n_neurons))
        counts = np.bincount(flat // max(n_neurons, 1), minlength=n_samples * n_steps)
        start = _starts(counts.reshape(n_samples, n_steps))
        return cls._trusted(n_neurons, start, (flat % max(n_neurons, 1)).astype(np.int32))

    @classmethod
    def concatenate(cls, parts: Sequence[Spikes]) -> Spikes:
        """The samples of several Spikes, one after the other.

        Parameters
        ----------
        parts : sequence of Spikes
            At least one, all with the same numbers of neurons and steps.

        Returns
        -------
        Spikes
            All samples, in order.

        Raises
        ------
        ValueError
            If there are none, or their numbers of neurons or steps differ.
        """
        forms = {(part.n_neurons, part.n_steps) for part in parts}
        if len(forms) != 1:
            raise ValueError(
                f"Spikes.concatenate: the parts have {sorted(forms)} as (neurons, steps); give "
                "at least one part, and all with the same numbers."
            )
        before = np.cumsum([0, *(part.index.size for part in parts[:-1])])
        start = [part.start + offset for part, offset in zip(parts, before, strict=True)]
        index = np.concatenate([part.index for part in parts])
        return cls._trusted(parts[0].n_neurons, np.concatenate(start), index)

    @classmethod
    def _trusted(cls, n_neurons: int, start: Integers, index: npt.NDArray[np.int32]) -> Spikes:
        """Spikes from arrays that are known to be right: no checks, no copies."""
        spikes = object.__new__(cls)
        for name, value in (
            ("n_neurons", n_neurons),
            ("n_steps", start.shape[1] - 1),
            ("start", _frozen(start, np.int64)),
            ("index", _frozen(index, np.int32)),
        ):
            object.__setattr__(spikes, name, value)
        return spikes

    def __reduce__(self) -> tuple[type[Spikes], tuple[Any, ...]]:
        """Copies are made, and files are read, by way of the checks."""
        return type(self), (self.n_neurons, self.n_steps, self.start, self.index)

    def __len__(self) -> int:
        """Number of samples."""
        return int(self.start.shape[0])

    def __repr__(self) -> str:
        return (
            f"Spikes({len(self)} samples, {self.n_steps} steps, {self.n_neurons} neurons, "
            f"{self.index.size} spikes)"
        )

    def __getitem__(self, which: int | slice | npt.ArrayLike) -> Spikes:
        """The chosen samples, in the chosen order.

        Parameters
        ----------
        which : int, slice, or array of int or bool
            Samples; one int gives a Spikes of one sample.

        Returns
        -------
        Spikes
            Copies of these samples.

        Raises
        ------
        IndexError
            If there is no such sample.
        """
        rows = self._rows(which)
        start = self.start[rows]
        first, last = start[:, 0], start[:, -1]
        # Copying the samples as blocks is ten times faster than gathering their spikes.
        blocks = list(map(self.index.__getitem__, map(slice, first.tolist(), last.tolist())))
        index = np.concatenate(blocks) if blocks else self.index[:0]
        length = last - first
        return self._trusted(
            self.n_neurons, start + (np.cumsum(length) - length - first)[:, None], index
        )

    def _rows(self, which: Any) -> Integers:
        """The chosen samples as a list of non-negative indices."""
        rows = np.arange(len(self))
        try:
            if isinstance(which, slice):
                return rows[which]
            chosen = np.atleast_1d(np.asarray(which))
            if chosen.ndim > 1:
                raise IndexError
            return rows[chosen if chosen.size else chosen.astype(np.int64)]
        except (IndexError, ValueError) as error:
            raise IndexError(
                f"Spikes: {which!r} does not select samples of {len(self)}; "
                f"give indices below {len(self)}, a slice, or a mask of that length."
            ) from error

    def stream(self) -> SpikeStream:
        """The samples as the input stream of a kernel: one instance a sample.

        Returns
        -------
        SpikeStream
            The same arrays, from step 0 on.
        """
        return SpikeStream(self.start, self.index)

    def to_dense(self) -> npt.NDArray[np.bool_]:
        """The spikes as a dense array.

        Returns
        -------
        array of bool, shape (samples, n_steps, n_neurons)
            True where a neuron spikes.
        """
        dense = np.zeros((len(self) * self.n_steps, self.n_neurons), np.bool_)
        row = np.repeat(np.arange(dense.shape[0]), np.diff(self.start, axis=1).ravel())
        dense[row, self.index] = True
        return dense.reshape(len(self), self.n_steps, self.n_neurons)


def _frozen(values: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A view (or a converted copy) that nobody can make writeable; the caller's own array stays so.

    Kernels rely on what was checked once.
    """
    return np.asarray(memoryview(np.ascontiguousarray(values, dtype)).toreadonly())


def _starts(counts: npt.NDArray[Any]) -> Integers:
    """``start`` from the number of spikes of every (sample, step)."""
    ends = np.cumsum(counts, dtype=np.int64).reshape(counts.shape)
    start = np.empty((counts.shape[0], counts.shape[1] + 1), np.int64)
    start[:, 1:] = ends
    if counts.shape[1]:
        start[:, 0] = ends[:, 0] - counts[:, 0]
    else:
        start[:] = 0
    return start


def _joined(pieces: list[Integers]) -> Integers:
    return np.concatenate(pieces) if pieces else np.empty(0, np.int64)
