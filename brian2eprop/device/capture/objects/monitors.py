"""Monitors: what is recorded of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from brian2.groups.subgroup import Subgroup
from brian2.monitors.spikemonitor import SpikeMonitor
from brian2.monitors.statemonitor import StateMonitor

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder, dtype_of
from brian2eprop.device.capture.captured import Counting, Recording
from brian2eprop.device.capture.objects.kind import Kind
from brian2eprop.device.capture.objects.synapses import connectivity
from brian2eprop.device.monitors import BatchedSpikeMonitor, BatchedStateMonitor
from brian2eprop.device.program import Access, Array, ForEach, Index, Ref, Slots
from brian2eprop.errors import Unsupported


def _check_spike_monitor(monitor: SpikeMonitor) -> None:
    _check_monitored(monitor)
    extra = sorted(monitor.record_variables - {"i", "t"})
    if extra:
        raise Unsupported(
            f"SpikeMonitor '{monitor.name}' records {', '.join(extra)} at spikes, which "
            "eprop_cuda does not; record them with a StateMonitor."
        )


def _check_monitored(monitor: Any) -> None:
    if isinstance(monitor.source, Subgroup):
        raise Unsupported(
            f"'{monitor.name}' records the subgroup '{monitor.source.name}', which eprop_cuda "
            "does not; record the whole group, with 'record' for chosen neurons."
        )


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
    found = connectivity(builder, source) if brian.is_synapses(source) else None

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
    builder.widen(events, kept=True)
    builder.countings.append(Counting(monitor, events, builder.lateness(events)))


KINDS: dict[type, Kind] = {
    StateMonitor: Kind(_record, _check_monitored),
    BatchedStateMonitor: Kind(_record, _check_monitored),
    SpikeMonitor: Kind(_count, _check_spike_monitor),
    BatchedSpikeMonitor: Kind(_count, _check_spike_monitor),
}
