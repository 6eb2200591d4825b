"""Populations whose spikes are given or drawn, and input without a population."""

from __future__ import annotations

from brian2.input.poissongroup import PoissonGroup
from brian2.input.poissoninput import PoissonInput
from brian2.input.spikegeneratorgroup import SpikeGeneratorGroup
from brian2.synapses.synapses import Synapses

from brian2eprop.device.capture.buffers import SPIKE
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.objects.kind import Kind
from brian2eprop.device.capture.objects.neurons import update_neurons
from brian2eprop.device.program import Feed
from brian2eprop.device.source import SpikeSource
from brian2eprop.errors import Unsupported


def _feed(builder: Builder, source: SpikeSource | SpikeGeneratorGroup) -> None:
    builder.sources[source.name] = source
    late = builder.buffers.emit_late(source)
    if late is not None:
        builder.phases.append(Feed(f"{source.name}:late", source.name, late))
    builder.phases.append(Feed(source.name, source.name, builder.buffers.emit(source)))


def _check_poisson_input(source: PoissonInput) -> None:
    kind = source.group.__class__  # of a proxy, the class of what it stands for
    if issubclass(kind, Synapses):
        raise Unsupported(
            f"'{source.name}' adds to '{source.group.name}', a {kind.__name__}, which eprop_cuda "
            "does not run; add to a NeuronGroup or a part of one."
        )


_GIVEN = Kind(_feed, emitter=lambda source: (source, SPIKE))

KINDS: dict[type, Kind] = {
    SpikeSource: _GIVEN,
    SpikeGeneratorGroup: _GIVEN,
    PoissonGroup: Kind(),  # its Thresholder does it all
    PoissonInput: Kind(update_neurons, _check_poisson_input),
}
