"""What the phases of rewiring mean, place by place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.program import Choose, Forming, Grow, Rewire, Side, Sparse

Places = npt.NDArray[np.int64]

# From the numbers of candidates and their places: which are taken.
Taken = Callable[[Places, Places], npt.NDArray[np.bool_]]
# From the numbers of candidates: uniform numbers.
Drawn = Callable[[Places], npt.NDArray[Any]]


def choose(phase: Choose, memory: Memory) -> None:
    """Mark the greatest elements of an array."""
    order = np.argsort(-memory.arrays[phase.values], kind="stable")
    number = max(int(memory.arrays[phase.number][0]), 0)
    memory.arrays[phase.marks][...] = False
    memory.arrays[phase.marks][order[:number]] = True


def rewire(phase: Rewire, found: Sparse, memory: Memory, draw: Drawn, taken: Taken) -> None:
    """Take marked synapses away and form as many others.

    Parameters
    ----------
    phase : Rewire
        The phase.
    found : Sparse
        Its connectivity.
    memory : Memory
        Holds the arrays.
    draw, taken : callable
        Draw candidates, and choose among them.
    """
    arrays = memory.arrays
    source, target = found.pairs(arrays)
    places = source * found.n_target + target
    marks = arrays[phase.part("marks")].astype(bool)
    everywhere = np.arange(found.n_source * found.n_target)
    empty = np.setdiff1d(everywhere, places[~marks])
    n = int(marks.sum())
    if phase.scores is None:
        formed = _drawn(phase, empty, n, draw, taken)
    else:
        formed = _greatest(arrays[phase.scores], empty, n, taken(everywhere, everywhere))
    missing = n - formed.size
    again = [place for place in places[marks] if place not in formed][:missing]
    arrays[phase.part("stuck")] += missing
    arrays[phase.part("formed")] += n
    _settle(phase, found, memory, places, np.union1d(formed, again).astype(np.int64))


def _drawn(phase: Rewire, empty: Places, n: int, draw: Drawn, taken: Taken) -> Places:
    """Places that are drawn until there are enough."""
    formed, drawn = np.zeros(0, np.int64), 0
    for _ in range(phase.ROUNDS):
        missing = n - formed.size
        if not missing:
            break
        numbers = np.arange(drawn, drawn + missing)
        ranks = np.minimum((draw(numbers) * empty.size).astype(np.int64), empty.size - 1)
        candidates = empty[ranks]
        formed = np.union1d(formed, candidates[taken(numbers, candidates)])
        drawn += missing
    return formed


def _greatest(
    scores: npt.NDArray[Any], empty: Places, n: int, taken: npt.NDArray[np.bool_]
) -> Places:
    """The places of the greatest scores."""
    candidates = empty[taken[empty]]
    order = np.argsort(-scores[candidates], kind="stable")
    return np.asarray(candidates[order[:n]])


def grow(phase: Grow, found: Sparse, memory: Memory, taken: Taken) -> None:
    """Take marked synapses away and form others at each empty place by itself.

    Parameters
    ----------
    phase : Grow
        The phase.
    found : Sparse
        Its connectivity.
    memory : Memory
        Holds the arrays.
    taken : callable
        Chooses among places.
    """
    arrays = memory.arrays
    source, target = found.pairs(arrays)
    places = source * found.n_target + target
    marks = arrays[phase.part("marks")]
    marks[len(places) :] = False
    kept = places[~marks[: len(places)].astype(bool)]
    empty = np.setdiff1d(np.arange(found.n_source * found.n_target), kept)
    formed = empty[taken(empty, empty)]
    arrays[phase.part("needed")][0] = kept.size + formed.size
    if kept.size + formed.size > found.size:
        arrays[phase.part("origin")][...] = np.arange(found.size)
        marks[...] = False
        return
    arrays[phase.part("formed")] += formed.size
    _settle(phase, found, memory, places, formed)


def _settle(phase: Forming, found: Sparse, memory: Memory, before: Places, formed: Places) -> None:
    """Write the new tables, and what came from where."""
    arrays, marks = memory.arrays, memory.arrays[phase.part("marks")]
    kept = before[~marks[: before.size].astype(bool)]
    after = np.union1d(kept, formed)
    new = np.isin(after, formed)
    origin = np.where(new, np.arange(after.size), np.searchsorted(before, after))
    starts = np.searchsorted(after, np.arange(found.n_source + 1) * found.n_target)
    arrays[found.table("row")][...] = starts
    beyond = (0, found.size - after.size)
    arrays[found.table("target")][: after.size] = after % found.n_target
    arrays[phase.part("origin")][...] = np.append(origin, np.arange(after.size, found.size))
    marks[...] = np.pad(new, beyond)


def transpose(found: Sparse, memory: Memory) -> None:
    """Derive the tables that loops from the targets' side go through."""
    for name, values in found.derived(memory.arrays, {Side.TARGET}).items():
        memory.arrays[name][...] = values
