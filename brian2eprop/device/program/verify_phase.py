"""What is legal in a phase."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from brian2eprop.device.program.arrays import OWNED, Access, Array, DType, Slots
from brian2eprop.device.program.body import Index
from brian2eprop.device.program.phases import (
    Clear,
    Detect,
    Feed,
    ForEachEvent,
    Loop,
    Phase,
    Propagate,
    Reduce,
    SynapticLoop,
)
from brian2eprop.device.program.program import Over, Program
from brian2eprop.device.program.verify_body import Domain, body_faults, offset_fault, write_fault


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
    faults = list(_owner_faults(program, phase, over))
    if type(phase) in _FAULTS:
        faults += _FAULTS[type(phase)](program, phase, over)
    if isinstance(phase, Loop):
        faults += body_faults(program, phase.body, _domain(program, phase), over)
    return faults


def _unknown(program: Program, phase: Phase) -> Iterable[str]:
    known: dict[str, Iterable[str]] = {
        "array": program.all_arrays(),
        "event buffer": {buffer.name for buffer in program.events},
        "connectivity": {found.name for found in program.connectivities},
        "stream": {stream.name for stream in program.streams},
    }
    for kind, name in _named(phase):
        if name not in known[kind]:
            yield f"there is no {kind} '{name}'; declare it in the program"


def _named(phase: Phase) -> Iterable[tuple[str, str]]:
    yield from (("event buffer", name) for name in sorted(phase.hears() | phase.fills()))
    if isinstance(phase, SynapticLoop):
        yield "connectivity", phase.connectivity
    if isinstance(phase, Propagate):
        tables = (phase.delay, phase.formed)
        yield from (("array", name) for name in tables if isinstance(name, str))
    if isinstance(phase, Feed):
        yield "stream", phase.stream
    if isinstance(phase, Reduce):
        yield "array", phase.into
    if isinstance(phase, Clear):
        yield from (("array", name) for name in phase.arrays)


def _domain(program: Program, phase: Loop) -> Domain:
    if isinstance(phase, SynapticLoop):
        found = program.find_connectivity(phase.connectivity)
        sizes = {
            Index.SOURCE: found.n_source,
            Index.TARGET: found.n_target,
            Index.SYNAPSE: found.n_synapses,
        }
        sent = program.find_events(phase.events).slots if isinstance(phase, Propagate) else None
        return Domain(sizes, sent=sent)
    if isinstance(phase, ForEachEvent):
        return Domain({Index.ELEMENT: program.find_events(phase.events).size})
    results = {Detect: Detect.CONDITION, Reduce: Reduce.VALUE}
    size: int = phase.size  # type: ignore[attr-defined]
    return Domain({Index.ELEMENT: size}, results.get(type(phase)))


def _owner_faults(program: Program, phase: Phase, over: Over) -> Iterable[str]:
    """Where nothing is an instance's, nothing of an instance may be used."""
    if over is Over.INSTANCES:
        return
    arrays = program.all_arrays()
    for name in sorted((phase.reads() | phase.writes()) & arrays.keys()):
        if arrays[name].access is not Access.SHARED:
            yield (
                f"array '{name}' is {arrays[name].access.value}, and a sweep over what is shared "
                f"has no instances; make it shared"
            )


def _detect_faults(program: Program, phase: Detect, over: Over) -> Iterable[str]:
    size = program.find_events(phase.events).size
    if size != phase.size:
        yield (
            f"it has {phase.size} elements, its event buffer '{phase.events}' {size}; "
            f"make them equal"
        )
    arrays = program.all_arrays()
    for name in phase.on_event:
        ref = phase.body.refs.get(name)
        if ref is None or ref.array not in arrays:
            yield f"'{name}' in on_event is no ref; add it to the body's refs"
        elif ref.index is not Index.ELEMENT or arrays[ref.array].dtype is DType.INT:
            yield f"'{name}' in on_event must be an ELEMENT ref of type BOOL, REAL or DOUBLE"
        else:
            yield from write_fault(name, arrays[ref.array], "", over)


def _feed_faults(program: Program, phase: Feed, over: Over) -> Iterable[str]:
    stream = next(found for found in program.streams if found.name == phase.stream)
    size = program.find_events(phase.events).size
    if stream.size != size:
        yield (
            f"stream '{phase.stream}' has {stream.size} neurons, event buffer "
            f"'{phase.events}' {size}; make them equal"
        )


def _propagate_faults(program: Program, phase: Propagate, over: Over) -> Iterable[str]:
    buffer = program.find_events(phase.events)
    found = program.find_connectivity(phase.connectivity)
    rows = found.rows(phase.side)
    if buffer.size != rows:
        yield (
            f"event buffer '{phase.events}' has {buffer.size} neurons, connectivity "
            f"'{phase.connectivity}' {rows} {phase.side.name.lower()}s; make them equal"
        )
    if isinstance(phase.delay, int):
        yield from delay_fault(phase.events, buffer.slots, phase.delay)
    for name in (phase.delay, phase.formed):
        if isinstance(name, str):
            array = program.all_arrays()[name]
            if (array.dtype, array.access, array.size) != (
                DType.INT,
                Access.SHARED,
                found.n_synapses,
            ):
                yield (
                    f"array '{name}' cannot hold a step for each synapse; make it INT, shared and "
                    f"of size {found.n_synapses}"
                )


def delay_fault(events: str, slots: Slots, delay: int) -> Iterable[str]:
    """What is wrong with a delay in steps."""
    if delay < 0:
        yield f"its delay is {delay} steps; give one from 0 up"
    yield from offset_fault(f"event buffer '{events}'", slots, -max(delay, 0))


def _reduce_faults(program: Program, phase: Reduce, over: Over) -> Iterable[str]:
    into = program.all_arrays()[phase.into]
    owned = into.access in OWNED if over is Over.INSTANCES else into.access is Access.SHARED
    if into.dtype is not DType.REAL or into.size != 1 or not owned:
        whose = "per instance or scratch" if over is Over.INSTANCES else "shared"
        yield f"array '{phase.into}' cannot hold the result; make it REAL, of size 1 and {whose}"


def _clear_faults(program: Program, phase: Clear, over: Over) -> Iterable[str]:
    if over is Over.SHARED:
        return
    for array in _arrays(program, phase.arrays):
        if array.access not in OWNED:
            yield (
                f"array '{array.name}' is {array.access.value}; clear it in a sweep over what is "
                f"shared"
            )


def _arrays(program: Program, names: Iterable[str]) -> Iterable[Array]:
    arrays = program.all_arrays()
    return (arrays[name] for name in names)


# A phase that is not listed has no rules but those of its body.
_FAULTS: dict[type[Phase], Callable[[Program, Any, Over], Iterable[str]]] = {
    Detect: _detect_faults,
    Feed: _feed_faults,
    Propagate: _propagate_faults,
    Reduce: _reduce_faults,
    Clear: _clear_faults,
}
