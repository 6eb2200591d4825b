"""Populations whose spikes are given or drawn, and input without a population."""

from __future__ import annotations

from brian2.groups.neurongroup import NeuronGroup
from brian2.input.poissongroup import PoissonGroup
from brian2.input.poissoninput import PoissonInput
from brian2.input.spikegeneratorgroup import SpikeGeneratorGroup

from brian2eprop.device.capture.builder import SPIKE, Builder
from brian2eprop.device.capture.objects.kind import Kind, refuse_scalar_writes
from brian2eprop.device.capture.objects.neurons import neuron
from brian2eprop.device.program import Feed, ForEach
from brian2eprop.device.source import SpikeSource
from brian2eprop.errors import Unsupported


def _feed(builder: Builder, source: SpikeSource | SpikeGeneratorGroup) -> None:
    builder.sources[source.name] = source
    builder.phases.append(Feed(source.name, source.name, builder.emit(source)))


def _check_poisson_input(source: PoissonInput) -> None:
    kind = source.group.__class__  # of a proxy, the class of what it stands for
    if kind is not NeuronGroup:
        raise Unsupported(
            f"'{source.name}' adds to '{source.group.name}', a {kind.__name__}, which eprop_cuda "
            "does not run; add to a whole NeuronGroup."
        )


def _add_poisson_input(builder: Builder, source: PoissonInput) -> None:
    body = builder.body(source, neuron(builder, source))
    refuse_scalar_writes(source, body)
    builder.phases.append(ForEach(source.name, len(source.group), body))


_GIVEN = Kind(_feed, emitter=lambda source: (source, SPIKE))

KINDS: dict[type, Kind] = {
    SpikeSource: _GIVEN,
    SpikeGeneratorGroup: _GIVEN,
    PoissonGroup: Kind(),  # its Thresholder does it all
    PoissonInput: Kind(_add_poisson_input, _check_poisson_input),
}
