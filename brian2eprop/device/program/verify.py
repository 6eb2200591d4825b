"""What is legal in a Program, checked at each border it crosses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from brian2eprop.device.program.arrays import Access, Array, DType
from brian2eprop.device.program.legal import Stage, form_faults
from brian2eprop.device.program.program import Chunks, Program
from brian2eprop.device.program.verify_clocks import clock_faults
from brian2eprop.device.program.verify_flow import gradient_faults, order_faults, race_fault
from brian2eprop.device.program.verify_phase import phase_faults

__all__ = ["ProgramError", "Stage", "verify"]


class ProgramError(ValueError):
    """A Program that is not legal: one sentence with its name, the phase and the fault."""


def verify(program: Program, stage: Stage, gradients: Mapping[str, str] | None = None) -> None:
    """Check that the Program is legal at a border.

    What is written in ``legal.LEGAL``, and what makes sense of arrays, phases and bodies, is
    asked for at every border. Beyond it a training Program must add to the gradient of every
    parameter and see nothing that another instance left (ADJOINT); and nothing that is to be
    generated may depend on which element comes first (GENERATION).

    Parameters
    ----------
    program : Program
        The Program to check.
    stage : Stage
        The border it is about to cross.
    gradients : mapping of str to str, optional
        At the border ADJOINT: the array of the gradient of every parameter.

    Raises
    ------
    ProgramError
        If it is not legal; the sentence names the Program, the phase and the fault.
    """
    for fault in (*_program_faults(program), *form_faults(program, stage)):
        raise ProgramError(f"Program '{program.name}': {fault}.")
    for sweep in program.sweeps:
        for phase in sweep.phases:
            for fault in phase_faults(program, phase, sweep.over):
                raise ProgramError(f"Program '{program.name}', phase '{phase.label}': {fault}.")
    # The rules of the whole hold only where its phases are sound.
    for fault in _steps_faults(program):
        raise ProgramError(f"Program '{program.name}': {fault}.")
    if stage is Stage.ADJOINT:
        for fault in (*gradient_faults(program, gradients or {}), *order_faults(program)):
            raise ProgramError(f"Program '{program.name}': {fault}.")
    if stage is Stage.GENERATION:
        for phase in program.phases():
            for fault in race_fault(phase):
                raise ProgramError(f"Program '{program.name}', phase '{phase.label}': {fault}.")


def _program_faults(program: Program) -> Iterable[str]:
    if not (math.isfinite(program.dt) and program.dt > 0):
        yield f"its time step is {program.dt}; give a positive number of seconds"
    yield from _duplicates(program)
    for array in program.all_arrays().values():
        yield from _array_faults(array)
    for connectivity in program.connectivities:
        yield from connectivity.faults()
    for chunks in program.sweeps:
        if isinstance(chunks, Chunks):
            yield from _chunk_faults(chunks)
    yield from clock_faults(program)


def _chunk_faults(chunks: Chunks) -> Iterable[str]:
    if chunks.length < 1:
        yield f"it has chunks of {chunks.length} steps; give a number from 1 up"
    if any(sweep.over is not chunks.over for sweep in chunks.sweeps):
        yield f"its chunks have a sweep over what is shared; make it one over {chunks.over.value}"
    if any(sweep.steps is not None for sweep in chunks.sweeps):
        yield "a sweep of its chunks has steps of its own; it goes through those of a chunk"


def _steps_faults(program: Program) -> Iterable[str]:
    """What is wrong with the arrays that say how many steps an instance goes through."""
    wanted = (DType.INT, Access.PER_INSTANCE, 1, None)
    written = frozenset().union(*(phase.writes() for phase in program.phases()))
    for name in sorted({sweep.steps for sweep in program.sweeps if sweep.steps is not None}):
        array = program.all_arrays().get(name)
        if array is None or (array.dtype, array.access, array.size, array.slots) != wanted:
            yield (
                f"array '{name}' cannot hold the number of steps of an instance; declare it INT, "
                f"per instance, of size 1 and without slots"
            )
        elif name in written:
            yield f"array '{name}', the number of steps of an instance, is written by a phase"


def _duplicates(program: Program) -> Iterable[str]:
    kinds: dict[str, Iterable[str]] = {
        "array": (array.name for array in (*program.arrays, *program.tables())),
        "event buffer": (buffer.name for buffer in program.events),
        "connectivity": (found.name for found in program.connectivities),
        "stream": (stream.name for stream in program.streams),
        "clock": (clock.name for clock in program.clocks),
    }
    for kind, names in kinds.items():
        for name, times in Counter(names).items():
            if times > 1:
                yield f"{times} {kind} declarations have the name '{name}'; rename all but one"


def _array_faults(array: Array) -> Iterable[str]:
    if array.size < 0:
        yield f"array '{array.name}' has the size {array.size}; give a size from 0 up"
    if array.access is Access.SHARED and array.slots is not None:
        yield f"array '{array.name}' is shared and has slots; make it per instance or scratch"
