"""What is legal in a Program, checked at each border it crosses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from brian2eprop.device.program.program import (
    Access,
    Array,
    Clear,
    Connectivity,
    ConnectivityKind,
    Detect,
    Direction,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Layout,
    Phase,
    Program,
    Propagate,
    Reduce,
)
from brian2eprop.device.program.verify_phase import phase_faults


class ProgramError(ValueError):
    """A Program that is not legal: one sentence with its name, the phase and the fault."""


class Stage(Enum):
    """The borders a Program crosses."""

    CAPTURED = "captured"
    ADJOINT = "adjoint"
    GENERATION = "generation"


@dataclass(frozen=True)
class Rule:
    """What sweeps may look like.

    Parameters
    ----------
    directions : frozenset of Direction
        The directions of sweeps.
    phases : tuple of type
        The kinds of phases.
    sweeps : int, optional
        The number of sweeps, where it is fixed.
    """

    directions: frozenset[Direction]
    phases: tuple[type[Phase], ...]
    sweeps: int | None = None


_SIMULATION = (ForEach, ForEachEvent, Detect, Feed, Propagate, ForEachSynapse)
_ANYTHING = Rule(frozenset(Direction), (*_SIMULATION, Reduce, Clear))

STAGE_RULES: dict[Stage, Rule] = {
    Stage.CAPTURED: Rule(frozenset({Direction.FORWARD}), _SIMULATION, sweeps=1),
    Stage.ADJOINT: _ANYTHING,
    Stage.GENERATION: _ANYTHING,
}
LAYOUT_RULES: dict[Layout, Rule] = {
    Layout.PER_INSTANCE: _ANYTHING,
    Layout.ELEMENTWISE: Rule(frozenset({Direction.ONCE}), (ForEach,)),
}


def verify(program: Program, stage: Stage) -> None:
    """Check that the Program is legal at a border.

    Parameters
    ----------
    program : Program
        The Program to check.
    stage : Stage
        The border it is about to cross.

    Raises
    ------
    ProgramError
        If it is not legal; the sentence names the Program, the phase and the fault.
    """
    for fault in _program_faults(program, stage):
        raise ProgramError(f"Program '{program.name}': {fault}.")
    for phase in program.phases():
        for fault in phase_faults(program, phase):
            raise ProgramError(f"Program '{program.name}', phase '{phase.label}': {fault}.")


def _program_faults(program: Program, stage: Stage) -> Iterable[str]:
    if not (math.isfinite(program.dt) and program.dt > 0):
        yield f"its time step is {program.dt}; give a positive number of seconds"
    yield from _duplicates(program)
    for array in program.all_arrays().values():
        yield from _array_faults(program, array)
    for connectivity in program.connectivities:
        yield from _connectivity_faults(connectivity)
    for rule, owner in (
        (STAGE_RULES[stage], f"a {stage.value} program"),
        (LAYOUT_RULES[program.layout], f"the {program.layout.value} layout"),
    ):
        yield from _rule_faults(program, rule, owner)


def _duplicates(program: Program) -> Iterable[str]:
    kinds: dict[str, Iterable[str]] = {
        "array": [
            *(array.name for array in program.arrays),
            *(array.name for buffer in program.events for array in buffer.arrays()),
            *(array.name for found in program.connectivities for array in found.arrays()),
        ],
        "event buffer": (buffer.name for buffer in program.events),
        "connectivity": (found.name for found in program.connectivities),
        "stream": (stream.name for stream in program.streams),
    }
    for kind, names in kinds.items():
        for name, times in Counter(names).items():
            if times > 1:
                yield f"{times} {kind} declarations have the name '{name}'; rename all but one"


def _array_faults(program: Program, array: Array) -> Iterable[str]:
    shared = array.access in (Access.SHARED, Access.ACCUMULATED)
    if array.size < 0:
        yield f"array '{array.name}' has the size {array.size}; give a size from 0 up"
    if shared and array.slots is not None:
        yield (
            f"array '{array.name}' is {array.access.value} and has slots; "
            f"make it per instance or scratch"
        )
    if not shared and program.layout is Layout.ELEMENTWISE:
        yield (
            f"array '{array.name}' is {array.access.value}, and the elementwise layout has no "
            f"instances; make it shared"
        )


def _connectivity_faults(connectivity: Connectivity) -> Iterable[str]:
    if connectivity.kind is ConnectivityKind.SPARSE:
        return
    if not connectivity.diagonal and connectivity.n_source != connectivity.n_target:
        yield (
            f"connectivity '{connectivity.name}' leaves out a diagonal and is not square; "
            f"give it as many sources as targets"
        )
        return
    row = connectivity.n_target - (not connectivity.diagonal)
    if connectivity.n_synapses != connectivity.n_source * row:
        yield (
            f"connectivity '{connectivity.name}' has {connectivity.n_synapses} synapses; "
            f"dense, it must have {connectivity.n_source * row}"
        )


def _rule_faults(program: Program, rule: Rule, owner: str) -> Iterable[str]:
    if rule.sweeps is not None and len(program.sweeps) != rule.sweeps:
        yield f"it has {len(program.sweeps)} sweeps; {owner} must have {rule.sweeps}"
    for sweep in program.sweeps:
        if sweep.direction not in rule.directions:
            legal = ", ".join(sorted(direction.value for direction in rule.directions))
            yield f"{owner} has no sweep {sweep.direction.value}; legal is: {legal}"
        for phase in sweep.phases:
            if not isinstance(phase, rule.phases):
                legal = ", ".join(kind.__name__ for kind in rule.phases)
                yield (
                    f"{owner} has no {type(phase).__name__} (phase '{phase.label}'); "
                    f"legal are: {legal}"
                )
