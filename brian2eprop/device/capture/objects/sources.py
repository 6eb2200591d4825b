"""Populations whose spikes are given."""

from __future__ import annotations

from brian2eprop.device.capture.builder import SPIKE, Builder
from brian2eprop.device.capture.objects.kind import Kind
from brian2eprop.device.program import Feed
from brian2eprop.device.source import SpikeSource


def _feed(builder: Builder, source: SpikeSource) -> None:
    builder.sources[source.name] = source
    builder.phases.append(Feed(source.name, source.name, builder.emit(source)))


KINDS: dict[type, Kind] = {SpikeSource: Kind(_feed, emitter=lambda source: (source, SPIKE))}
