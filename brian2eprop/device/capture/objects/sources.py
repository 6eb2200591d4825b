"""Populations whose spikes are given or drawn, and input without a population."""

from __future__ import annotations

from brian2.input.poissongroup import PoissonGroup
from brian2.input.poissoninput import PoissonInput
from brian2.input.spikegeneratorgroup import SpikeGeneratorGroup

from brian2eprop.device.capture.builder import SPIKE, Builder
from brian2eprop.device.capture.objects.kind import Kind
from brian2eprop.device.capture.objects.neurons import update_neurons
from brian2eprop.device.program import Feed
from brian2eprop.device.source import SpikeSource


def _feed(builder: Builder, source: SpikeSource | SpikeGeneratorGroup) -> None:
    builder.sources[source.name] = source
    builder.phases.append(Feed(source.name, source.name, builder.emit(source)))


_GIVEN = Kind(_feed, emitter=lambda source: (source, SPIKE))

KINDS: dict[type, Kind] = {
    SpikeSource: _GIVEN,
    SpikeGeneratorGroup: _GIVEN,
    PoissonGroup: Kind(),  # its Thresholder does it all
    PoissonInput: Kind(update_neurons),
}
