"""How the members of a team share the phases of a step, and where they have to meet.

A member (a thread of a CPU, a block of a GPU) has a range of every population's neurons. What is
done for its neurons, and what is added to them, is done by this member alone and in one order, so
that no sum and no result depends on how many members there are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from brian2eprop.device.program import Detect, ForEach, ForEachEvent, Index, Phase, SynapticLoop
from brian2eprop.device.program.dependence import is_independent, ways


class Split(Enum):
    """What a member does of a phase."""

    ELEMENT = "element"  # a range of its elements, or the events among these
    SOURCE = "source"  # the synapses of a range of sources
    TARGET = "target"  # the synapses of a range of targets
    LEADER = "leader"  # all of it, or nothing


@dataclass(frozen=True)
class Piece:
    """A phase, or one of the two halves of a Detect: the flags, and the list made of them.

    Attributes
    ----------
    phase : Phase
        The phase.
    kind : str
        Name of its template's macro.
    split : Split
        What a member does of it.
    reads, writes, hears, fills : frozenset of str
        The arrays and event buffers that it uses, as a phase says it.
    """

    phase: Phase
    kind: str
    split: Split
    reads: frozenset[str]
    writes: frozenset[str]
    hears: frozenset[str]
    fills: frozenset[str]

    def holder(self, array: str) -> Hashable:
        """Which member alone meets an element of an array; None where several may."""
        if self.split is Split.LEADER:
            return Split.LEADER
        if isinstance(self.phase, SynapticLoop):
            met = ways(self.phase.body, array)
            if met == {(Index.SYNAPSE, None)}:
                return self.split, self.phase.connectivity
            return Split.ELEMENT if met == {(Index(self.split.value), None)} else None
        # Who makes a list sees the marks of all.
        others = self.kind == GATHER and array not in self.writes
        return Split.ELEMENT if self.phase.own(array) and not others else None


MARK, GATHER = "Mark", "Gather"


def split_of(phase: Phase) -> Split:
    """What a member does of a phase.

    Parameters
    ----------
    phase : Phase
        The phase.

    Returns
    -------
    Split
        Ranges where all that is written is a member's own, targets before sources, so that
        synapses are one member's in loops from both sides; the leader does the rest.
    """
    if isinstance(phase, ForEach | ForEachEvent | Detect):
        return Split.ELEMENT if is_independent(phase.body, {Index.ELEMENT}) else Split.LEADER
    if isinstance(phase, SynapticLoop):
        for split in (Split.TARGET, Split.SOURCE):
            if is_independent(phase.body, {Index(split.value), Index.SYNAPSE}):
                return split
    return Split.LEADER


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
        split = split_of(phase)
        reads, writes = phase.reads(), phase.writes()
        if not isinstance(phase, Detect) or split is Split.LEADER:
            kind = type(phase).__name__
            yield Piece(phase, kind, split, reads, writes, phase.hears(), phase.fills())
            continue
        marks = frozenset({f"{phase.events}:marks"})
        fills = nothing if meeting else phase.fills()
        yield Piece(phase, MARK, split, reads, writes | marks, nothing, fills)
        split = split if meeting else Split.LEADER
        reset = phase.body.arrays(phase.on_event)
        yield Piece(phase, GATHER, split, marks, reset, nothing, phase.fills())


def runs(found: Iterable[Piece]) -> list[list[Piece]]:
    """Pieces in runs, such that in each a member meets only what is its own."""
    apart: list[list[Piece]] = []
    for piece in found:
        if apart and not any(_meet(before, piece) for before in apart[-1]):
            apart[-1].append(piece)
        else:
            apart.append([piece])
    return apart


def go_on(apart: Sequence[Sequence[Piece]]) -> bool:
    """Whether a member may begin a step while others are in the last run of the one before."""
    return not any(_meet(before, piece) for before in apart[-1] for piece in apart[0])


def _meet(before: Piece, piece: Piece) -> bool:
    """Whether a member meets in one piece what another one meets in the other, and changes it."""
    lists = _changed(before.fills, before.hears, piece.fills, piece.hears)
    if lists and not before.split is piece.split is Split.LEADER:
        return True
    arrays = _changed(before.writes, before.reads, piece.writes, piece.reads)
    return any(
        before.holder(name) is None or before.holder(name) != piece.holder(name) for name in arrays
    )


def _changed(
    writes: frozenset[str],
    reads: frozenset[str],
    other_writes: frozenset[str],
    other_reads: frozenset[str],
) -> frozenset[str]:
    """What both use, and one of them changes."""
    return (writes & (other_reads | other_writes)) | (reads & other_writes)
