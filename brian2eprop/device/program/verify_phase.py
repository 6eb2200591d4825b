"""What is legal in a phase."""

from __future__ import annotations

from collections.abc import Iterable

from brian2eprop.device.program.arrays import Access, Over
from brian2eprop.device.program.phase import Kind, Loop, Phase
from brian2eprop.device.program.program import Program
from brian2eprop.device.program.verify_body import body_faults
from brian2eprop.device.program.verify_clocks import due_faults


def phase_faults(program: Program, phase: Phase, over: Over) -> Iterable[str]:
    """What is not legal in a phase.

    Parameters
    ----------
    program : Program
        The Program that the phase is part of.
    phase : Phase
        The phase.
    over : Over
        What its sweep is over.

    Returns
    -------
    iterable of str
        The faults, each half a sentence.
    """
    # Nothing else can be said about what does not exist.
    unknown = list(_unknown(program, phase))
    if unknown:
        return unknown
    faults = [*_owner_faults(program, phase, over), *phase.faults(program, over)]
    if isinstance(phase, Loop):
        faults += body_faults(program, phase.body, phase.domain(program), over)
    return faults or list(due_faults(program, phase))


def _unknown(program: Program, phase: Phase) -> Iterable[str]:
    known: dict[Kind, Iterable[str]] = {
        Kind.ARRAY: program.all_arrays(),
        Kind.EVENTS: {buffer.name for buffer in program.events},
        Kind.CONNECTIVITY: {found.name for found in program.connectivities},
        Kind.STREAM: {stream.name for stream in program.streams},
    }
    for kind, name in phase.names():
        if name not in known[kind]:
            yield f"there is no {kind.value} '{name}'; declare it in the program"


def _owner_faults(program: Program, phase: Phase, over: Over) -> Iterable[str]:
    """Where nothing is an instance's, nothing of an instance may be used."""
    if over is Over.INSTANCES:
        return
    for name in sorted(phase.hears() | phase.fills()):
        yield (
            f"event buffer '{name}' is an instance's, and a sweep over what is shared has no "
            f"instances; make the sweep one over instances"
        )
    arrays = program.all_arrays()
    for name in sorted((phase.reads() | phase.writes()) & arrays.keys()):
        if arrays[name].access is not Access.SHARED:
            yield (
                f"array '{name}' is {arrays[name].access.value}, and a sweep over what is shared "
                f"has no instances; make it shared"
            )
