"""Monitors: what is recorded of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from brian2.monitors.ratemonitor import PopulationRateMonitor
from brian2.monitors.spikemonitor import EventMonitor, SpikeMonitor
from brian2.monitors.statemonitor import StateMonitor

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.captured import EventLog, Rate, Recording
from brian2eprop.device.capture.connections import connectivity, order_of
from brian2eprop.device.capture.objects.kind import Kind
from brian2eprop.device.capture.objects.neurons import neuron
from brian2eprop.device.monitors import (
    BatchedEventMonitor,
    BatchedRateMonitor,
    BatchedSpikeMonitor,
    BatchedStateMonitor,
)
from brian2eprop.device.program import (
    Access,
    Array,
    Count,
    DType,
    ForEach,
    Index,
    Record,
    Ref,
    Slots,
)

EVERY_STEP = Slots(kept=True)

# What an event itself tells, in the words of a Record's body.
OF_EVENTS = {"i": "_to_record_i = _neuron", "t": "_to_record_t = t"}


def _record_states(builder: Builder, monitor: StateMonitor) -> None:
    types = _types(builder, monitor)
    arrays = _columns(builder, monitor, types, monitor.n_indices)
    body = builder.body(monitor, _recorded(builder, monitor), _recorded_refs(arrays, Index.ELEMENT))
    builder.recordings.append(Recording(monitor, arrays))
    if monitor.n_indices and arrays:
        builder.phases.append(ForEach(monitor.name, monitor.n_indices, body))


def _types(builder: Builder, monitor: Any) -> dict[str, DType]:
    """The types of what is recorded, by name of the variable."""
    variables = monitor.source.variables
    return {name: builder.dtype_of(variables[name]) for name in sorted(monitor.record_variables)}


def _columns(
    builder: Builder, monitor: Any, types: Mapping[str, DType], size: int
) -> dict[str, str]:
    """The arrays that variables are recorded in, by name of the variable."""
    arrays = {name: f"{monitor.name}:{name}" for name in types}
    for name, array in arrays.items():
        found = Array(array, types[name], size, Access.PER_INSTANCE, EVERY_STEP)
        builder.arrays[array] = found
    return arrays


def _recorded_refs(arrays: Mapping[str, str], index: Index) -> dict[str, Ref]:
    return {f"_to_record_{name}": Ref(array, index) for name, array in arrays.items()}


def _recorded(builder: Builder, monitor: StateMonitor) -> Callable[[Any, str], Ref]:
    source = monitor.source
    record = monitor.variables["_indices"].get_value()
    if brian.is_synapses(source):
        connectivity(builder, source)  # refuses what cannot be recorded

    def locate(variable: Any, index: str) -> Ref:
        name = builder.array_of(variable)
        if variable.scalar or index == brian.SHARED:
            return Ref(name, Index.SCALAR)
        which = record
        if index != brian.ELEMENT:
            which = monitor.variables[index].get_value()[record]
        order = order_of(builder, variable.owner)
        if order is not None:
            builder.orders[name] = order
            which = np.argsort(order)[which]
        via = builder.table(monitor.name, f"of{index}", which)
        return Ref(name, Index.ELEMENT, via=via)

    return locate


def _record_events(builder: Builder, monitor: EventMonitor) -> None:
    events, late = builder.heard(monitor, monitor.source, monitor.event)
    first, stop = brian.chosen_neurons(monitor.source)
    types = _types(builder, monitor)
    types["i"] = DType.INT  # also where only the number of events is wanted
    arrays = _columns(builder, monitor, types, stop - first)
    refs = _recorded_refs(arrays, Index.ENTRY)
    numbers = np.arange(len(brian.whole(monitor.source))) - first
    refs["_neuron"] = Ref(builder.table(monitor.name, "neurons", numbers), Index.ELEMENT)
    own = [line for name, line in OF_EVENTS.items() if name in types]
    values = builder.body(
        monitor,
        neuron(builder, monitor),
        refs,
        without=[f"_to_record_{name}" for name in OF_EVENTS],
    )
    body = replace(values, code="\n".join([*own, values.code]))
    end = f"{monitor.name}:end"
    builder.arrays[end] = Array(end, DType.INT, 1, Access.PER_INSTANCE)
    builder.phases.append(Record(monitor.name, events, first, stop, body, end, delay=late))
    builder.logs.append(EventLog(monitor, end, arrays))


def _count_events(builder: Builder, monitor: PopulationRateMonitor) -> None:
    events, late = builder.heard(monitor, monitor.source)
    first, stop = brian.chosen_neurons(monitor.source)
    (counts,) = _columns(builder, monitor, {"count": DType.INT}, 1).values()
    builder.phases.append(Count(monitor.name, events, first, stop, counts, delay=late))
    builder.rates.append(Rate(monitor, counts))


KINDS: dict[type, Kind] = {
    StateMonitor: Kind(_record_states),
    BatchedStateMonitor: Kind(_record_states),
    EventMonitor: Kind(_record_events),
    BatchedEventMonitor: Kind(_record_events),
    SpikeMonitor: Kind(_record_events),
    BatchedSpikeMonitor: Kind(_record_events),
    PopulationRateMonitor: Kind(_count_events),
    BatchedRateMonitor: Kind(_count_events),
}
