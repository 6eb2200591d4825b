"""What runs beside the groups' own code: run_regularly, run_at, network operations."""

from __future__ import annotations

from brian2.core.operations import NetworkOperation
from brian2.groups.group import CodeRunner
from brian2.groups.neurongroup import NeuronGroup, SubexpressionUpdater
from brian2.groups.subgroup import Subgroup
from brian2.input.poissongroup import PoissonGroup
from brian2.synapses.synapses import Synapses

from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.captured import Operation
from brian2eprop.device.capture.objects.kind import Kind
from brian2eprop.device.capture.objects.neurons import update_neurons
from brian2eprop.device.capture.objects.synapses import update_synapses
from brian2eprop.device.program import ForEachSynapse, Index
from brian2eprop.errors import Unsupported

_OWNERS = (NeuronGroup, PoissonGroup, Subgroup, Synapses)


def _check(runner: CodeRunner) -> None:
    kind = runner.group.__class__  # of a proxy, the class of what it stands for
    if runner.template != "stateupdate" or not issubclass(kind, _OWNERS):
        raise Unsupported(
            f"'{runner.name}' runs code on '{runner.group.name}', a {kind.__name__}, which "
            "eprop_cuda does not run; run it on a NeuronGroup, a PoissonGroup or Synapses, or set "
            "its attribute 'active' to False."
        )


def _run(builder: Builder, runner: CodeRunner) -> None:
    before = len(builder.phases)
    if issubclass(runner.group.__class__, Synapses):
        update_synapses(builder, runner)
    else:
        update_neurons(builder, runner)
    for phase in builder.phases[before:]:
        if isinstance(phase, ForEachSynapse):
            _refuse_writes_to_neurons(runner, phase)


def _refuse_writes_to_neurons(runner: CodeRunner, phase: ForEachSynapse) -> None:
    for name in sorted(phase.body.written):
        if phase.body.refs[name].index is not Index.SYNAPSE:
            raise Unsupported(
                f"'{runner.name}' sets '{name}', a variable of neurons, once for each of their "
                "synapses, which eprop_cuda does not run; set it in code of their own group."
            )


def _operate(builder: Builder, operation: NetworkOperation) -> None:
    builder.operations.append(Operation(operation, len(builder.phases)))


KINDS: dict[type, Kind] = {
    NetworkOperation: Kind(_operate),
    CodeRunner: Kind(_run, _check),
    SubexpressionUpdater: Kind(_run, _check),
}
