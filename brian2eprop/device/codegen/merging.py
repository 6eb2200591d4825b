"""Neighbouring loops over the same elements become one, which meets each of them once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from brian2eprop.device.codegen.phases import PhaseView
from brian2eprop.device.codegen.sharing import MARK
from brian2eprop.device.program import Detect, ForEach
from brian2eprop.device.program.dependence import changed, in_runs

# The kinds that may be last in a loop; others make more of their elements than a loop.
_LAST = {ForEach.__name__, Detect.__name__, MARK}


def merged(views: Iterable[PhaseView]) -> Iterator[PhaseView]:
    """Phases that follow one another, those of one loop as one.

    Parameters
    ----------
    views : iterable of PhaseView
        Phases in order, due together.

    Yields
    ------
    PhaseView
        The last phase of a loop, with those before it as its ``along``.
    """
    for *along, last in in_runs(views, _apart):
        yield replace(last, along=tuple(along))


def _apart(before: PhaseView, view: PhaseView) -> bool:
    """Whether two phases are loops of their own."""
    one, other = before.phase, view.phase
    if not (isinstance(one, ForEach) and isinstance(other, ForEach | Detect)):
        return True
    if view.only_if:  # it may be skipped as a whole
        return True
    if view.kind not in _LAST or (one.size, before.part) != (other.size, view.part):
        return True
    if not (_is_plain(one) and _is_plain(other)):
        return True
    shared = changed(one.reads(), one.writes(), other.reads(), other.writes())
    return not all(one.own(name) and other.own(name) for name in shared)


def _is_plain(loop: ForEach | Detect) -> bool:
    """Whether vectors can be made of a loop, with all of its elements done in one go."""
    return not (loop.body.draws or loop.body.foreign or loop.body.timed)
