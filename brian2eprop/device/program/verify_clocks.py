"""What is legal in a Program's clocks, and in what phases do on them."""

from __future__ import annotations

from collections.abc import Iterable

from brian2eprop.device.program.arrays import Access, DType
from brian2eprop.device.program.clocks import ListedClock, own_faults
from brian2eprop.device.program.phase import Loop, Phase
from brian2eprop.device.program.program import Program


def clock_faults(program: Program) -> Iterable[str]:
    """What is not legal in the clocks.

    Parameters
    ----------
    program : Program
        The Program.

    Returns
    -------
    iterable of str
        The faults, each half a sentence.
    """
    for clock in program.clocks:
        yield from own_faults(clock)
        if isinstance(clock, ListedClock):
            yield from _list_faults(program, clock)


def _list_faults(program: Program, clock: ListedClock) -> Iterable[str]:
    arrays = program.all_arrays()
    for name in clock.arrays:
        found = arrays.get(name)
        if found is None or (found.dtype, found.access) != (DType.DOUBLE, Access.SHARED):
            yield f"array '{name}' cannot list clock '{clock.name}'; make it DOUBLE, shared"
        elif found.size != arrays[clock.steps].size:
            yield f"the arrays that list clock '{clock.name}' differ in size; make them equal"


def due_faults(program: Program, phase: Phase) -> Iterable[str]:
    """What is not legal in when a phase is due; slots belong to the steps of one clock.

    Parameters
    ----------
    program : Program
        The Program.
    phase : Phase
        The phase.

    Returns
    -------
    iterable of str
        The faults, each half a sentence.
    """
    known = {None, *(clock.name for clock in program.clocks)}
    if phase.clock not in known:
        yield f"there is no clock '{phase.clock}'; declare it in the program"
    if not program.clocks or phase.clock not in known:
        return
    clock = program.clock_of(phase)
    lines = phase.body.lines if isinstance(phase, Loop) else ()
    if isinstance(clock, ListedClock) and any("dt" in line.names for line in lines):
        yield f"its body takes 'dt', which clock '{clock.name}' does not have; leave it out"
    for name in sorted(program.slots_of(phase)):
        if program.clock_of_slots(name) != clock:
            yield f"'{name}' keeps steps of another clock; use it on one clock only"
