"""What is legal in a phase."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from brian2eprop.device.program.program import (
    Access,
    Array,
    Clear,
    Detect,
    DType,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Phase,
    Program,
    Propagate,
    Reduce,
)
from brian2eprop.device.program.verify_body import Domain, body_faults, offset_fault, write_fault

_OWNED = (Access.PER_INSTANCE, Access.SCRATCH)


def phase_faults(program: Program, phase: Phase) -> Iterable[str]:
    """What is not legal in a phase.

    Parameters
    ----------
    program : Program
        The Program that the phase is part of.
    phase : Phase
        The phase.

    Returns
    -------
    iterable of str
        The faults, each half a sentence.
    """
    # Nothing else can be said about what does not exist.
    unknown = list(_unknown(program, phase))
    if unknown:
        return unknown
    faults = list(_FAULTS[type(phase)](program, phase)) if type(phase) in _FAULTS else []
    if not isinstance(phase, Feed | Clear):
        faults += body_faults(program, phase.body, _domain(program, phase))
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
    if isinstance(phase, ForEachEvent | Detect | Feed | Propagate):
        yield "event buffer", phase.events
    if isinstance(phase, Propagate | ForEachSynapse):
        yield "connectivity", phase.connectivity
    if isinstance(phase, Feed):
        yield "stream", phase.stream
    if isinstance(phase, Reduce):
        yield "array", phase.into
    if isinstance(phase, Clear):
        yield from (("array", name) for name in phase.arrays)


def _domain(program: Program, phase: Phase) -> Domain:
    if isinstance(phase, Propagate | ForEachSynapse):
        found = program.find_connectivity(phase.connectivity)
        return Domain(
            {
                Index.SOURCE: found.n_source,
                Index.TARGET: found.n_target,
                Index.SYNAPSE: found.n_synapses,
            }
        )
    if isinstance(phase, ForEachEvent):
        return Domain({Index.ELEMENT: program.find_events(phase.events).size})
    assert isinstance(phase, ForEach | Detect | Reduce)
    results = {Detect: Detect.CONDITION, Reduce: Reduce.VALUE}
    return Domain({Index.ELEMENT: phase.size}, results.get(type(phase)))


def _detect_faults(program: Program, phase: Detect) -> Iterable[str]:
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
            yield from write_fault(program, name, arrays[ref.array], "")


def _feed_faults(program: Program, phase: Feed) -> Iterable[str]:
    stream = next(found for found in program.streams if found.name == phase.stream)
    size = program.find_events(phase.events).size
    if stream.size != size:
        yield (
            f"stream '{phase.stream}' has {stream.size} neurons, event buffer "
            f"'{phase.events}' {size}; make them equal"
        )


def _propagate_faults(program: Program, phase: Propagate) -> Iterable[str]:
    buffer = program.find_events(phase.events)
    found = program.find_connectivity(phase.connectivity)
    if buffer.size != found.n_source:
        yield (
            f"event buffer '{phase.events}' has {buffer.size} neurons, connectivity "
            f"'{phase.connectivity}' {found.n_source} sources; make them equal"
        )
    yield from offset_fault(f"event buffer '{phase.events}'", buffer.slots, phase.offset)


def _reduce_faults(program: Program, phase: Reduce) -> Iterable[str]:
    into = program.all_arrays()[phase.into]
    if into.dtype is not DType.REAL or into.size != 1 or into.access not in _OWNED:
        yield (
            f"array '{phase.into}' cannot hold the result; "
            f"make it REAL, of size 1 and per instance or scratch"
        )


def _clear_faults(program: Program, phase: Clear) -> Iterable[str]:
    for array in _arrays(program, phase.arrays):
        if array.access not in _OWNED:
            yield (
                f"array '{array.name}' is {array.access.value}; "
                f"clear arrays per instance or scratch only"
            )


def _arrays(program: Program, names: Iterable[str]) -> Iterable[Array]:
    arrays = program.all_arrays()
    return (arrays[name] for name in names)


# A phase that is not listed has no rules but those of its body.
_FAULTS: dict[type[Phase], Callable[[Program, Any], Iterable[str]]] = {
    Detect: _detect_faults,
    Feed: _feed_faults,
    Propagate: _propagate_faults,
    Reduce: _reduce_faults,
    Clear: _clear_faults,
}
