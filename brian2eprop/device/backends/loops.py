"""The loops of phases: which elements each run of a body meets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.program import Body, Connectivity, Index, Side
from brian2eprop.device.program.dependence import is_independent

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Now:
    """What a phase takes for step, time and time step; NumPy's doubles keep expressions double.

    A listed clock has no time step.
    """

    program_step: int
    step: int
    t: np.float64
    dt: float = np.nan


@dataclass(frozen=True)
class Loop:
    """The runs of a body: for each kind of index, the elements of all runs in order.

    No two runs have the same element of the kinds named in ``distinct``.
    """

    length: int
    indices: Mapping[Index, Indices]
    distinct: frozenset[Index]

    @property
    def runs(self) -> Indices:
        """The number of each run: its synapse, or its element."""
        synapses = self.indices.get(Index.SYNAPSE)
        return self.indices[Index.ELEMENT] if synapses is None else synapses

    def reversed(self) -> Loop:
        """The same runs in the opposite order."""
        indices = {index: elements[::-1] for index, elements in self.indices.items()}
        return Loop(self.length, indices, self.distinct)

    def single(self) -> Iterator[Loop]:
        """Loops of one run each."""
        for run in range(self.length):
            one = {index: elements[run : run + 1] for index, elements in self.indices.items()}
            yield Loop(1, one, self.distinct)

    def chosen(self, which: npt.NDArray[np.bool_]) -> Loop:
        """The runs for which ``which`` holds."""
        indices = {index: elements[which] for index, elements in self.indices.items()}
        return Loop(int(which.sum()), indices, self.distinct)

    def is_parallel(self, body: Body) -> bool:
        """Whether no run writes what another one reads or writes."""
        return self.length == 1 or is_independent(body, self.distinct)


def elements(neurons: Indices) -> Loop:
    """One run for each neuron.

    Parameters
    ----------
    neurons : int64 array, shape (n,)
        The neurons, none twice.

    Returns
    -------
    Loop
        The runs, with the index ELEMENT.
    """
    return Loop(len(neurons), {Index.ELEMENT: neurons}, frozenset({Index.ELEMENT}))


def entries(neurons: Indices, end: int) -> Loop:
    """One run for each neuron, each with an entry of a log.

    Parameters
    ----------
    neurons : int64 array, shape (n,)
        The neurons, none twice.
    end : int
        Number of entries that are there already.

    Returns
    -------
    Loop
        The runs, with the indices ELEMENT and ENTRY.
    """
    indices = {Index.ELEMENT: neurons, Index.ENTRY: end + np.arange(len(neurons))}
    return Loop(len(neurons), indices, frozenset(indices))


def row(found: Connectivity, neuron: int, side: Side, memory: Memory) -> Loop:
    """One run for each synapse of one neuron.

    Parameters
    ----------
    found : Connectivity
        The synapses.
    neuron : int
        The neuron.
    side : Side
        Whether it is a source or a target.
    memory : Memory
        Holds the connectivity's tables.

    Returns
    -------
    Loop
        The runs, with the indices SOURCE, TARGET and SYNAPSE.
    """
    met = found.row(memory.arrays, neuron, side)
    indices = {
        side.fixed: np.full(len(met.synapses), neuron),
        side.moving: np.asarray(met.neighbours, np.int64),
        Index.SYNAPSE: np.asarray(met.synapses, np.int64),
    }
    distinct = {Index.SYNAPSE, side.moving} if found.unique else {Index.SYNAPSE}
    return Loop(len(met.synapses), indices, frozenset(distinct))
