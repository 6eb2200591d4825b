"""What ``Expand`` and ``Assign`` mean, row by row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.backends.draws import draw_of_row
from brian2eprop.device.backends.loops import Loop
from brian2eprop.device.program import Assign, Expand, Index

# From the candidates of a row: not zero for those that are synapses.
Taken = Callable[[Loop], npt.NDArray[Any]]


def expand(phase: Expand, memory: Memory, key: npt.NDArray[np.int32], taken: Taken) -> None:
    """Count the synapses of each row of a rule, or write their targets.

    Parameters
    ----------
    phase : Expand
        The phase.
    memory : Memory
        Holds the arrays.
    key : int32 array, shape (4,)
        By which the rows draw.
    taken : callable
        Chooses among candidates.
    """
    arrays = {name: memory.arrays[name] for name in phase.reads() | phase.writes()}
    first, rows = arrays[phase.part("ranges")][:2]
    for number in range(rows):
        source = first + number
        if phase.counting:
            found = _row(phase, number, 0, key, taken)
            arrays[phase.part("number")][source] = len(found)
        else:
            start, end = arrays[phase.part("row")][source : source + 2]
            found = _row(phase, number, int(end - start), key, taken)
            arrays[phase.part("target")][start:end] = found


def _row(
    phase: Expand, number: int, size: int, key: npt.NDArray[np.int32], taken: Taken
) -> npt.NDArray[np.int64]:
    """The targets of a row."""
    rule = phase.rule
    places = rule.places(number, size, partial(draw_of_row, key, number))
    targets = rule.targets.first + places
    indices = {
        Index.ELEMENT: number * rule.targets.size + places,
        Index.SOURCE: np.full(len(places), rule.sources.first + number),
        Index.TARGET: targets,
    }
    holds = taken(Loop(len(places), indices, frozenset({Index.ELEMENT})))
    found: npt.NDArray[np.int64] = targets[holds.astype(bool)]
    return found


def each_synapse(phase: Assign, memory: Memory) -> Loop:
    """The runs of a body for every synapse."""
    first, rows = memory.arrays[phase.part("ranges")][:2]
    starts = memory.arrays[phase.part("row")][first : first + rows + 1]
    synapses = np.arange(starts[0], starts[-1])
    target: npt.NDArray[Any] = memory.arrays[phase.part("target")][synapses]
    indices = {
        Index.SYNAPSE: synapses,
        Index.SOURCE: np.repeat(np.arange(first, first + rows), np.diff(starts)),
        Index.TARGET: target.astype(np.int64),
    }
    return Loop(len(synapses), indices, frozenset({Index.SYNAPSE}))
