"""Each object of a Brian2 network becomes phases of the Program."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.groups.neurongroup import Resetter, StateUpdater, Thresholder
from brian2.monitors.spikemonitor import SpikeMonitor
from brian2.monitors.statemonitor import StateMonitor
from brian2.synapses.synapses import SynapticPathway

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder, dtype_of, events_name
from brian2eprop.device.capture.captured import Counting, Pathway, Recording
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Detect,
    Feed,
    ForEach,
    ForEachEvent,
    Index,
    Propagate,
    Ref,
    Slots,
)
from brian2eprop.device.program.connectivity import Found, find_connectivity
from brian2eprop.device.source import SpikeSource
from brian2eprop.errors import Unsupported

SYNAPTIC = {
    brian.ELEMENT: Index.SYNAPSE,
    brian.PRE: Index.SOURCE,
    brian.POST: Index.TARGET,
    brian.SHARED: Index.SCALAR,
}


def add_phases(builder: Builder, objects: Iterable[Any]) -> None:
    """Add the phases of the objects, in order.

    Parameters
    ----------
    builder : Builder
        Where to add them.
    objects : iterable of BrianObject
        The active objects by schedule.

    Raises
    ------
    Unsupported
        If the device does not run what one of them does.
    """
    objects = list(objects)
    for found in objects:
        if isinstance(found, Thresholder):
            builder.emitters[events_name(found.group)] = found.group
        elif isinstance(found, SpikeSource):
            builder.emitters[events_name(found)] = found
    for found in objects:
        for kind, add in PHASES.items():
            if isinstance(found, kind):
                add(builder, found)
    _keep_histories(builder)


def _neuron(builder: Builder, owner: Any) -> Callable[[Any, str], Ref]:
    def locate(variable: Any, index: str) -> Ref:
        if index not in (brian.ELEMENT, brian.SHARED):
            raise Unsupported(
                f"'{owner.name}' reads '{variable.name}' through the index '{index}', which "
                "eprop_cuda does not; use variables of the group itself."
            )
        return Ref(builder.array_of(variable), Index.SCALAR if variable.scalar else Index.ELEMENT)

    return locate


def _update(builder: Builder, updater: StateUpdater) -> None:
    if updater.name not in builder.pieces:
        return
    body = builder.body(updater, _neuron(builder, updater))
    _refuse_scalar_writes(updater, body)
    if body.code:
        builder.phases.append(ForEach(updater.name, len(updater.group), body))


def _detect(builder: Builder, thresholder: Thresholder) -> None:
    group = thresholder.group
    refractory = brian.is_refractory(builder.pieces[thresholder.name].options)
    on_event = ("not_refractory", "lastspike") if refractory else ()
    flags = {name: Ref(builder.array_of(group.variables[name]), Index.ELEMENT) for name in on_event}
    body = builder.body(thresholder, _neuron(builder, thresholder), flags)
    events = builder.emit(group)
    builder.phases.append(Detect(thresholder.name, len(group), events, body, on_event))


def _reset(builder: Builder, resetter: Resetter) -> None:
    body = builder.body(resetter, _neuron(builder, resetter))
    _refuse_scalar_writes(resetter, body)
    if body.code:
        events = builder.heard(resetter, resetter.group)
        _require_detected(builder, resetter, events)
        builder.phases.append(ForEachEvent(resetter.name, events, body))


def _feed(builder: Builder, source: SpikeSource) -> None:
    builder.sources[source.name] = source
    builder.phases.append(Feed(source.name, source.name, builder.emit(source)))


def _propagate(builder: Builder, pathway: SynapticPathway) -> None:
    synapses = pathway.synapses
    events = builder.heard(pathway, pathway.source)
    # The queue of a pathway that runs before its source still gets the last step's spikes.
    steps = _delay_steps(builder, pathway) + (events not in builder.events)
    longest = int(steps.max(initial=0))
    own = steps.size > 1 and int(steps.min()) != longest
    kept = (steps if own else np.array([longest])).astype(np.int32).tobytes()
    builder.pathways[pathway.name] = Pathway(events, longest, len(synapses), kept)
    if not len(synapses):
        return
    found = _connectivity(builder, synapses)
    body = builder.body(pathway, _synaptic(builder, pathway, found))
    _refuse_scalar_writes(pathway, body)
    if body.code:
        order = slice(None) if found.order is None else found.order
        since = builder.formed(pathway, longest, builder.step)
        name = found.connectivity.name
        phase = Propagate(
            pathway.name,
            events,
            name,
            body,
            builder.table(f"{pathway.name}:delay", steps[order]) if own else longest,
            formed=None if since is None else builder.table(f"{pathway.name}:formed", since[order]),
        )
        builder.phases.append(phase)


def _synaptic(
    builder: Builder, pathway: SynapticPathway, found: Found
) -> Callable[[Any, str], Ref]:
    def locate(variable: Any, index: str) -> Ref:
        if index not in SYNAPTIC:
            raise Unsupported(
                f"'{pathway.name}' reads '{variable.name}' through the index '{index}', which "
                "eprop_cuda does not; use variables of the synapses and of the two groups."
            )
        name = builder.array_of(variable)
        which = Index.SCALAR if variable.scalar else SYNAPTIC[index]
        if which is Index.SYNAPSE and found.order is not None:
            builder.orders[name] = found.order
        return Ref(name, which)

    return locate


def _connectivity(builder: Builder, synapses: Any) -> Found:
    if synapses.name not in builder.found:
        sides = brian.ends(synapses)
        pre, post = (side.get_value() for side in sides)
        sizes = len(synapses.source), len(synapses.target)
        builder.found[synapses.name] = builder.memo.of(
            sides, lambda: find_connectivity(synapses.name, pre, post, *sizes)
        )
    return builder.found[synapses.name]


def _delay_steps(builder: Builder, pathway: SynapticPathway) -> npt.NDArray[np.int64]:
    """Delay of each synapse in steps, in Brian2's order; one entry where all have the same."""
    if not brian.was_connected(pathway.synapses):
        raise TypeError(
            f"Synapses object '{pathway.synapses.name}' does not do anything, since it has not "
            "created synapses with 'connect'. Call 'connect', or set its attribute 'active' to "
            "False."
        )
    delays = np.asarray(pathway.variables["delay"].get_value())
    return np.atleast_1d((delays / builder.clock.dt_ + 0.5).astype(np.int64))


def _record(builder: Builder, monitor: StateMonitor) -> None:
    arrays, refs = {}, {}
    for name in monitor.record_variables:
        array = f"{monitor.name}:{name}"
        arrays[name] = array
        dtype = dtype_of(monitor.variables[name])
        kept = Slots(kept=True)
        builder.arrays[array] = Array(array, dtype, monitor.n_indices, Access.PER_INSTANCE, kept)
        refs[f"_to_record_{name}"] = Ref(array, Index.ELEMENT)
    body = builder.body(monitor, _monitored(builder, monitor), refs)
    builder.recordings.append(Recording(monitor, arrays))
    if monitor.n_indices and arrays:
        builder.phases.append(ForEach(monitor.name, monitor.n_indices, body))


def _monitored(builder: Builder, monitor: StateMonitor) -> Callable[[Any, str], Ref]:
    source = monitor.source
    record = monitor.variables["_indices"].get_value()
    found = _connectivity(builder, source) if brian.is_synapses(source) else None

    def locate(variable: Any, index: str) -> Ref:
        name = builder.array_of(variable)
        if variable.scalar:
            return Ref(name, Index.SCALAR)
        which = record
        if index in (brian.PRE, brian.POST):
            pre, post = brian.ends(source)
            which = (pre if index == brian.PRE else post).get_value()[record]
        elif found is not None and found.order is not None:
            builder.orders[name] = found.order
            which = np.argsort(found.order)[record]
        via = builder.table(f"{monitor.name}:of{index}", which)
        return Ref(name, Index.ELEMENT, via=via)

    return locate


def _count(builder: Builder, monitor: SpikeMonitor) -> None:
    events = builder.heard(monitor, monitor.source)
    _require_detected(builder, monitor, events)
    builder.widen(events, kept=True)
    builder.countings.append(Counting(monitor, events))


def _require_detected(builder: Builder, listener: Any, events: str) -> None:
    if events not in builder.events:
        raise Unsupported(
            f"'{listener.name}' is scheduled before the spikes it waits for are found "
            f"(when='{listener.when}', order={listener.order}), which eprop_cuda does not run; "
            "schedule it after the threshold."
        )


def _refuse_scalar_writes(owner: Any, body: Body) -> None:
    for name in sorted(body.written):
        if body.refs[name].index is Index.SCALAR:
            raise Unsupported(
                f"'{owner.name}' writes the shared variable '{name}' in a run, which eprop_cuda "
                "does not; leave out the flag '(shared)'."
            )


def _keep_histories(builder: Builder) -> None:
    for pathway in builder.pathways.values():
        builder.widen(pathway.events, history=pathway.steps)


PHASES: dict[type, Callable[[Builder, Any], None]] = {
    StateUpdater: _update,
    Thresholder: _detect,
    Resetter: _reset,
    SpikeSource: _feed,
    SynapticPathway: _propagate,
    StateMonitor: _record,
    SpikeMonitor: _count,
}
