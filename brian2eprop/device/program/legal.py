"""The one table of what may stand together in a Program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from brian2eprop.device.program.phases import (
    Clear,
    Detect,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Phase,
    Propagate,
    Reduce,
)
from brian2eprop.device.program.program import Direction, Over, Program


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
    phases : tuple of type
        The kinds of phases.
    sweeps : int, optional
        The number of sweeps, where it is fixed.
    """

    overs: frozenset[Over]
    directions: frozenset[Direction]
    phases: tuple[type[Phase], ...]
    sweeps: int | None = None


_SIMULATION = (ForEach, ForEachEvent, Detect, Feed, Propagate, ForEachSynapse)
_ANYTHING = Legal(frozenset(Over), frozenset(Direction), (Phase,))

# Every pair of a border, or of what a sweep is over, with what may stand there. Kinds of
# connectivity that not every loop can go through get their rows here.
LEGAL: dict[Stage | Over, Legal] = {
    Stage.CAPTURED: Legal(
        frozenset({Over.INSTANCES}), frozenset({Direction.FORWARD}), _SIMULATION, sweeps=1
    ),
    Stage.ADJOINT: _ANYTHING,
    Stage.GENERATION: _ANYTHING,
    Over.INSTANCES: _ANYTHING,
    # Without instances there is no time: events and slots belong to an instance.
    Over.SHARED: Legal(
        frozenset({Over.SHARED}),
        frozenset({Direction.ONCE}),
        (ForEach, ForEachSynapse, Reduce, Clear),
    ),
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
    for sweep in program.sweeps:
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
    if not isinstance(phase, legal.phases):
        known = ", ".join(kind.__name__ for kind in legal.phases)
        yield f"{owner} has no {type(phase).__name__} (phase '{phase.label}'); legal are: {known}"
