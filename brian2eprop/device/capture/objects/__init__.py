"""Each object of a Brian2 network becomes phases of the Program; one file a family."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.objects import (
    cables,
    monitors,
    neurons,
    operations,
    sources,
    synapses,
)
from brian2eprop.device.capture.objects.kind import Kind

# Every class that the device knows; it does not run what is derived from one of them.
KINDS: dict[type, Kind] = (
    neurons.KINDS
    | cables.KINDS
    | sources.KINDS
    | synapses.KINDS
    | monitors.KINDS
    | operations.KINDS
)


def add_phases(builder: Builder, objects: Iterable[Any]) -> None:
    """Add the phases of the objects, in order.

    Parameters
    ----------
    builder : Builder
        Where to add them.
    objects : iterable of BrianObject
        The active objects by schedule, each of a kind that is known.

    Raises
    ------
    Unsupported
        If the device does not run what one of them does.
    """
    found = [(KINDS[type(item)], item) for item in objects]
    for kind, item in found:
        if kind.emitter is not None:
            group, event = kind.emitter(item)
            builder.buffers.expect(group, event)
    builder.add_lists()
    for kind, item in found:
        before = len(builder.phases)
        kind.add(builder, item)
        clock = builder.grid.name_of(item.clock)
        builder.phases[before:] = [replace(p, clock=clock) for p in builder.phases[before:]]
        builder.owners += [item.name] * (len(builder.phases) - before)
        builder.order.append(item.name)
    for pathway in builder.pathways.values():
        builder.buffers.widen(pathway.events, pathway.longest)
