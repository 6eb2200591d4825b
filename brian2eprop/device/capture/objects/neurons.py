"""Groups of neurons: their equations, thresholds and resets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from brian2.groups.neurongroup import NeuronGroup, Resetter, StateUpdater, Thresholder
from brian2.groups.subgroup import Subgroup

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.objects.kind import Kind, refuse_scalar_writes
from brian2eprop.device.capture.objects.shared import add_update
from brian2eprop.device.capture.translate import Locate
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Detect,
    DType,
    ForEach,
    ForEachEvent,
    Index,
    Phase,
    Ref,
)
from brian2eprop.errors import Unsupported


def _check_method(group: NeuronGroup) -> None:
    if isinstance(group.method_choice, str) and group.method_choice.startswith("gsl"):
        raise Unsupported(
            f"'{group.name}' is integrated by {group.method_choice!r}, which eprop_cuda does not "
            "run; use another of Brian2's methods, such as method='rk4' or 'exponential_euler'."
        )


def neuron(builder: Builder, owner: Any) -> Callable[[Any, str], Ref]:
    """What gives the Ref of a variable that code of each neuron reaches.

    Parameters
    ----------
    builder : Builder
        The parts of the Program that are known.
    owner : BrianObject
        Whose code it is.
    """

    def locate(variable: Any, index: str) -> Ref:
        name = builder.array_of(variable)
        if variable.scalar or index == brian.SHARED:
            return Ref(name, Index.SCALAR)
        if index == brian.ELEMENT:
            return Ref(name, Index.ELEMENT)
        places = builder.pieces[owner.name].variables[index].get_value()
        return Ref(name, Index.ELEMENT, via=builder.table(owner.name, f"{name}:{index}", places))

    return locate


def _refuse_own_links(owner: Any, body: Body) -> None:
    """Refuse code that changes an array in which it reads other neurons' values."""
    for name in sorted(body.read):
        ref = body.refs[name]
        if ref.via is not None and ref.array in body.arrays(body.written):
            raise Unsupported(
                f"'{owner.name}' changes what '{name}' is linked to while other neurons read it, "
                "which eprop_cuda does not run; link to a variable that holds a copy."
            )


def _update(builder: Builder, updater: StateUpdater) -> None:
    if updater.name in builder.pieces:
        update_neurons(builder, updater)


def update_neurons(builder: Builder, owner: Any) -> None:
    """Add what an object does to every neuron of its group, which may be a part of one."""
    group = brian.whole(owner.group)
    first, stop = brian.chosen_neurons(owner.group)
    if (first, stop) == (0, len(group)):
        locate = neuron(builder, owner)
        locate = _by_element(locate) if isinstance(owner.group, Subgroup) else locate
        add_update(builder, owner, locate, partial(_each, builder, owner, len(group)))
        return
    numbers = np.arange(len(group))
    inside = (numbers >= first) & (numbers < stop)
    within = builder.table(owner.name, "within", inside, DType.BOOL)
    own = builder.table(owner.name, "number", np.clip(numbers - first, 0, stop - first - 1))
    locate = _by_element(neuron(builder, owner), own)
    add_update(builder, owner, locate, partial(_each, builder, owner, len(group), within=within))


def _by_element(locate: Locate, numbers: str | None = None) -> Locate:
    """What finds variables of a part of a group from a neuron of the whole.

    ``numbers`` has the number within the part of each neuron; of a part that is all it is its own.
    """

    def of_whole(variable: Any, index: str) -> Ref:
        if index == brian.PART:
            return locate(variable, brian.ELEMENT)
        ref = locate(variable, index)
        return replace(ref, via=numbers) if index == brian.ELEMENT else ref

    return of_whole


def _each(builder: Builder, owner: Any, size: int, body: Body, within: str | None = None) -> Phase:
    """A loop over all neurons that changes those within a part."""
    _refuse_own_links(owner, body)
    if within is None:
        return ForEach(owner.name, size, body)
    refs = {**body.refs, "_within": Ref(within, Index.ELEMENT)}
    lines, both = [], {}
    for guard in sorted(set(body.guards.values())):
        if guard in body.written:
            raise Unsupported(
                f"'{owner.name}' sets '{guard}', and what stands still by it, for a part of its "
                "group, which eprop_cuda does not run; run it on the whole group."
            )
        both[guard] = f"_within_{guard}"
        array = f"{owner.name}:{guard}"
        builder.arrays[array] = Array(array, DType.BOOL, size, Access.SHARED)
        refs[both[guard]] = Ref(array, Index.ELEMENT)
        lines.append(f"{both[guard]} = _within and {guard}")
    written = {name for name in body.written if body.refs[name].index is Index.ELEMENT}
    guards = {name: both.get(body.guards.get(name, ""), "_within") for name in sorted(written)}
    code = "\n".join([*lines, body.code])
    return ForEach(owner.name, size, replace(body, code=code, refs=refs, guards=guards))


def _detect(builder: Builder, thresholder: Thresholder) -> None:
    group = thresholder.group
    refractory = brian.is_refractory(builder.pieces[thresholder.name].options)
    on_event = ("not_refractory", "lastspike") if refractory else ()
    flags = {name: Ref(builder.array_of(group.variables[name]), Index.ELEMENT) for name in on_event}
    body = builder.body(thresholder, neuron(builder, thresholder), flags)
    late = builder.buffers.emit_late(group, thresholder.event)
    if late is not None:  # first: what happens to a neuron at an event may undo the condition
        builder.phases.append(Detect(f"{thresholder.name}:late", len(group), late, body))
    events = builder.buffers.emit(group, thresholder.event)
    builder.phases.append(Detect(thresholder.name, len(group), events, body, on_event))


def _reset(builder: Builder, resetter: Resetter) -> None:
    body = builder.body(resetter, neuron(builder, resetter))
    refuse_scalar_writes(resetter, body)
    _refuse_own_links(resetter, body)
    if body.code:
        events, late = builder.heard(resetter, resetter.group, resetter.event)
        builder.phases.append(ForEachEvent(resetter.name, events, body, late))


KINDS: dict[type, Kind] = {
    NeuronGroup: Kind(check=_check_method),
    Subgroup: Kind(),  # the whole group does it all
    StateUpdater: Kind(_update),
    Thresholder: Kind(_detect, emitter=lambda found: (found.group, found.event)),
    Resetter: Kind(_reset),
}
