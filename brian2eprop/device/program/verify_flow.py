"""What is legal in the flow of values from phase to phase, and from element to element."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping

from brian2eprop.device.program.arrays import Access, DType
from brian2eprop.device.program.body import Index
from brian2eprop.device.program.dependence import is_independent
from brian2eprop.device.program.phase import Loop, Phase, SynapticLoop
from brian2eprop.device.program.program import Program


def gradient_faults(program: Program, gradients: Mapping[str, str]) -> Iterable[str]:
    """What is wrong with the gradients that a training Program is to add up.

    Parameters
    ----------
    program : Program
        The training Program.
    gradients : mapping of str to str
        The array of the gradient of every parameter.

    Returns
    -------
    iterable of str
        The faults, each half a sentence.
    """
    arrays = program.all_arrays()
    added = frozenset().union(*(phase.writes() - phase.sets() for phase in program.phases()))
    cleared = frozenset().union(*(phase.sets() for phase in program.phases()))
    for parameter, gradient in gradients.items():
        if parameter in arrays and arrays[parameter].dtype in (DType.INT, DType.BOOL):
            yield f"parameter '{parameter}' is {arrays[parameter].dtype.value}; train real numbers"
        if gradient not in arrays or gradient not in added:
            yield f"nothing is added to '{gradient}', the gradient of '{parameter}'; follow it back"
        elif gradient not in cleared:
            yield f"'{gradient}', the gradient of '{parameter}', is never cleared; clear it first"


def order_faults(program: Program) -> Iterable[str]:
    """Arrays of a worker that are read before the instance in hand has set them.

    Parameters
    ----------
    program : Program
        The Program.

    Returns
    -------
    iterable of str
        The faults, each half a sentence.
    """
    for phase, name in seen_before_set(program):
        yield (
            f"phase '{phase.label}' sees what another instance left in scratch array "
            f"'{name}'; set or clear it before"
        )


def seen_before_set(program: Program) -> Iterator[tuple[Phase, str]]:
    """Scratch arrays that a phase sees before the instance in hand has set them, once each.

    Parameters
    ----------
    program : Program
        The Program.

    Returns
    -------
    iterator of (Phase, str)
        The phases and the arrays.
    """
    arrays = program.all_arrays()
    scratch = {name for name, array in arrays.items() if array.access is Access.SCRATCH}
    for _, sweeps in program.groups():
        known: set[str] = set()
        at_events: dict[Hashable, set[str]] = {}
        for phase in (phase for sweep in sweeps for phase in sweep.phases):
            seen = phase.reads() | phase.writes() - phase.sets()
            if (met := phase.meets_only()) is not None:
                there = at_events.setdefault(met, set())
                there |= phase.sets_there() - phase.reads()
                seen -= there
            for name in sorted(seen & scratch - known):
                yield phase, name
                known.add(name)
            known |= phase.sets()


def race_fault(phase: Phase) -> Iterator[str]:
    """What makes the result of a phase depend on which element comes first.

    An array that a body writes at its own element must not be read at another one by it.

    Parameters
    ----------
    phase : Phase
        The phase.

    Returns
    -------
    iterator of str
        No fault or some.
    """
    # Rows come one after the other, and one that reads what it writes is not spread over threads.
    if not isinstance(phase, Loop) or isinstance(phase, SynapticLoop):
        return
    body = phase.body
    if is_independent(body, {Index.ELEMENT}):
        return
    for name in sorted(body.read):
        ref = body.refs[name]
        if ref.array in phase.writes() and (ref.index, ref.via) != (Index.ELEMENT, None):
            yield (
                f"'{name}' reads array '{ref.array}' at another element than the one it writes; "
                f"copy the array in a phase of its own"
            )
