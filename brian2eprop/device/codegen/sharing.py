"""How the members of a team share the phases of a step, and where they have to meet.

A member (a thread of a CPU, a block of a GPU) has a range of every population's neurons. What is
done for its neurons, and what is added to them, is done by this member alone and in one order, so
that no sum and no result depends on how many members there are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from brian2eprop.device.program import Detect, Index, Phase
from brian2eprop.device.program.dependence import changed, in_runs

LEADER = "leader"


@dataclass(frozen=True)
class Piece:
    """A phase, or one of the two halves of a Detect: the flags, and the list made of them.

    Attributes
    ----------
    phase : Phase
        The phase.
    kind : str
        Name of its template's macro.
    by : Index or None
        Of what a member does a range; None where the leader does all of it.
    reads, writes, hears, fills : frozenset of str
        The arrays and event buffers that it uses, as a phase says it.
    """

    phase: Phase
    kind: str
    by: Index | None
    reads: frozenset[str]
    writes: frozenset[str]
    hears: frozenset[str]
    fills: frozenset[str]

    @property
    def part(self) -> str:
        """What a member does of it, in a template's words."""
        return LEADER if self.by is None else self.by.value

    def holder(self, array: str) -> Hashable:
        """Which member alone meets an element of an array; None where several may."""
        if self.by is None:
            return LEADER
        # Who makes a list sees the marks of all.
        others = self.kind == GATHER and array not in self.writes
        return None if others else self.phase.holder(array)


MARK, GATHER = "Mark", "Gather"


def pieces(phases: Iterable[Phase], meeting: bool) -> Iterator[Piece]:
    """Phases as members do them.

    Parameters
    ----------
    phases : iterable of Phase
        The phases of a step.
    meeting : bool
        Whether members can meet in the midst of what is launched. Where they cannot, the flags
        of a Detect stand where its list comes, and the leader makes the list.

    Yields
    ------
    Piece
        One for each phase, or two for a Detect that is shared.
    """
    nothing: frozenset[str] = frozenset()
    for phase in phases:
        by = phase.share_by()
        reads, writes = phase.reads(), phase.writes()
        if not isinstance(phase, Detect) or by is None:
            kind = type(phase).__name__
            yield Piece(phase, kind, by, reads, writes, phase.hears(), phase.fills())
            continue
        marks = frozenset({f"{phase.events}:marks"})
        fills = nothing if meeting else phase.fills()
        yield Piece(phase, MARK, by, reads, writes | marks, nothing, fills)
        reset = phase.body.arrays(phase.on_event)
        by = by if meeting else None
        yield Piece(phase, GATHER, by, marks, reset, nothing, phase.fills())


def runs(found: Iterable[Piece]) -> list[list[Piece]]:
    """Pieces in runs, such that in each a member meets only what is its own."""
    return in_runs(found, _meet)


def go_on(apart: Sequence[Sequence[Piece]]) -> bool:
    """Whether a member may begin a step while others are in the last run of the one before."""
    return not any(_meet(before, piece) for before in apart[-1] for piece in apart[0])


def _meet(before: Piece, piece: Piece) -> bool:
    """Whether a member meets in one piece what another one meets in the other, and changes it."""
    lists = changed(before.hears, before.fills, piece.hears, piece.fills)
    if lists and not before.by is piece.by is None:
        return True
    arrays = changed(before.reads, before.writes, piece.reads, piece.writes)
    return any(
        before.holder(name) is None or before.holder(name) != piece.holder(name) for name in arrays
    )
