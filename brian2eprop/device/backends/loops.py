"""The loops of phases: which elements each run of a body meets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.program import Body, Connectivity, ConnectivityKind, Index
from brian2eprop.device.program.assignments import written

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Loop:
    """The runs of a body: for each kind of index, the elements of all runs in order.

    No two runs have the same element of the kinds named in ``distinct``.
    """

    length: int
    indices: Mapping[Index, Indices]
    distinct: frozenset[Index]

    def single(self) -> Iterator[Loop]:
        """Loops of one run each."""
        for run in range(self.length):
            one = {index: elements[run : run + 1] for index, elements in self.indices.items()}
            yield Loop(1, one, self.distinct)

    def is_parallel(self, body: Body) -> bool:
        """Whether no run writes what another one reads or writes."""
        targets = {body.refs[name].array for name in written(body)}
        ways: dict[str, set[tuple[Index, str | None]]] = {array: set() for array in targets}
        for ref in body.refs.values():
            if ref.array in targets:
                ways[ref.array].add((ref.index, ref.via))
        alone = {frozenset({(index, None)}) for index in self.distinct}
        return self.length == 1 or all(frozenset(way) in alone for way in ways.values())


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


def row(connectivity: Connectivity, source: int, memory: Memory) -> Loop:
    """One run for each synapse of one source.

    Parameters
    ----------
    connectivity : Connectivity
        The synapses.
    source : int
        The presynaptic neuron.
    memory : Memory
        Holds the connectivity's arrays.

    Returns
    -------
    Loop
        The runs, with the indices SOURCE, TARGET and SYNAPSE.
    """
    if connectivity.kind is ConnectivityKind.DENSE:
        targets = np.arange(connectivity.n_target)
        if not connectivity.diagonal:
            targets = targets[targets != source]
        first = source * len(targets)
    else:
        first, end = memory.arrays[connectivity.row][source : source + 2].tolist()
        targets = memory.arrays[connectivity.target][first:end].astype(np.int64)
    indices = {
        Index.SOURCE: np.full(len(targets), source),
        Index.TARGET: targets,
        Index.SYNAPSE: np.arange(first, first + len(targets)),
    }
    distinct = {Index.SYNAPSE, Index.TARGET} if connectivity.unique else {Index.SYNAPSE}
    return Loop(len(targets), indices, frozenset(distinct))
