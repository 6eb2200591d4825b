"""Groups of neurons: their equations, thresholds and resets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brian2.groups.neurongroup import NeuronGroup, Resetter, StateUpdater, Thresholder

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.objects.kind import Kind, refuse_scalar_writes
from brian2eprop.device.capture.objects.shared import add_update
from brian2eprop.device.program import Detect, ForEach, ForEachEvent, Index, Ref
from brian2eprop.errors import Unsupported


def _check_group(group: NeuronGroup) -> None:
    if group.equations.is_stochastic:
        raise Unsupported(
            f"The equations of '{group.name}' are stochastic (xi), which eprop_cuda does not "
            "run; remove the noise term, or give noise as input spikes."
        )
    if brian.linked_variables(group):
        raise Unsupported(
            f"'{group.name}' has linked variables ({', '.join(brian.linked_variables(group))}), "
            "which eprop_cuda does not run; connect the groups by Synapses, or copy the values."
        )
    custom = sorted(set(group.events) - {"spike"})
    if custom:
        raise Unsupported(
            f"'{group.name}' has events other than spikes ({', '.join(custom)}), which eprop_cuda "
            "does not run; use the threshold, in a group of its own if need be."
        )
    _check_method(group)


def _check_method(group: NeuronGroup) -> None:
    if isinstance(group.method_choice, str) and group.method_choice.startswith("gsl"):
        raise Unsupported(
            f"'{group.name}' is integrated by {group.method_choice!r}, which eprop_cuda does not "
            "run; use method='exact', 'euler' or 'exponential_euler'."
        )


def update_neurons(builder: Builder, owner: Any) -> None:
    """Add what an object does to every neuron of its group."""
    group = owner.group
    add_update(
        builder,
        owner,
        _neuron(builder, owner),
        lambda body: ForEach(owner.name, len(group), body),
    )


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
    if updater.name in builder.pieces:
        update_neurons(builder, updater)


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
    refuse_scalar_writes(resetter, body)
    if body.code:
        events = builder.heard(resetter, resetter.group)
        late = builder.lateness(events)
        builder.phases.append(ForEachEvent(resetter.name, events, body, late))


KINDS: dict[type, Kind] = {
    NeuronGroup: Kind(check=_check_group),
    StateUpdater: Kind(_update),
    Thresholder: Kind(_detect, emitter=lambda thresholder: thresholder.group),
    Resetter: Kind(_reset),
}
