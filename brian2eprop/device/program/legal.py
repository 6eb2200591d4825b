"""The one table of what may stand together in a Program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from brian2eprop.device.program.arrays import Over
from brian2eprop.device.program.expand import Assign, Expand
from brian2eprop.device.program.phase import Phase
from brian2eprop.device.program.phases import Clear, Reduce
from brian2eprop.device.program.program import Chunks, Direction, Program
from brian2eprop.device.program.rewire import Choose, Grow, Rewire
from brian2eprop.device.program.transpose import Transpose


class Stage(Enum):
    """The borders a Program crosses."""

    CAPTURED = "captured"
    ADJOINT = "adjoint"
    GENERATION = "generation"


@dataclass(frozen=True)
class Legal:
    """What sweeps may look like.

    Parameters
    ----------
    overs : frozenset of Over
        What sweeps may be over.
    directions : frozenset of Direction
        The directions of sweeps.
    without : tuple of type
        The kinds of phases that it does not have.
    sweeps : int, optional
        The number of sweeps, where it is fixed.
    chunks : bool
        Whether there may be chunks.
    """

    overs: frozenset[Over]
    directions: frozenset[Direction]
    without: tuple[type[Phase], ...] = ()
    sweeps: int | None = None
    chunks: bool = True


_ANYTHING = Legal(frozenset(Over), frozenset(Direction))

# Every border, and everything that a sweep may be over, with what may stand there. Every loop
# can go through every kind of connectivity.
LEGAL: dict[Stage | Over, Legal] = {
    Stage.CAPTURED: Legal(
        frozenset({Over.INSTANCES}),
        frozenset({Direction.FORWARD}),
        (Reduce, Clear, Choose, Rewire, Grow, Transpose, Expand, Assign),
        1,
        False,
    ),
    Stage.ADJOINT: _ANYTHING,
    Stage.GENERATION: _ANYTHING,
    Over.INSTANCES: _ANYTHING,
    # Without instances there is no time: events and slots belong to an instance.
    Over.SHARED: Legal(frozenset({Over.SHARED}), frozenset({Direction.ONCE})),
}


def form_faults(program: Program, stage: Stage) -> Iterable[str]:
    """What stands in a Program beside what it may not stand with.

    Parameters
    ----------
    program : Program
        The Program.
    stage : Stage
        The border it is about to cross.

    Returns
    -------
    iterable of str
        The faults, each half a sentence.
    """
    legal, owner = LEGAL[stage], f"a {stage.value} program"
    if legal.sweeps is not None and len(program.sweeps) != legal.sweeps:
        yield f"it has {len(program.sweeps)} sweeps; {owner} must have {legal.sweeps}"
    if not legal.chunks and any(isinstance(sweep, Chunks) for sweep in program.sweeps):
        yield f"{owner} has no chunks; let its sweep go through all steps"
    for sweep in program.single_sweeps():
        if sweep.over not in legal.overs:
            yield f"{owner} has no sweep over {sweep.over.value}; use one over instances"
        here = f"a sweep over {sweep.over.value}"
        for rule, name in ((legal, owner), (LEGAL[sweep.over], here)):
            yield from _direction_faults(rule, name, sweep.direction)
            for phase in sweep.phases:
                yield from _phase_faults(rule, name, phase)


def _direction_faults(legal: Legal, owner: str, direction: Direction) -> Iterable[str]:
    if direction not in legal.directions:
        known = ", ".join(sorted(known.value for known in legal.directions))
        yield f"{owner} has no direction {direction.value}; legal is: {known}"


def _phase_faults(legal: Legal, owner: str, phase: Phase) -> Iterable[str]:
    if isinstance(phase, legal.without):
        yield f"{owner} has no {type(phase).__name__}; leave out phase '{phase.label}'"
