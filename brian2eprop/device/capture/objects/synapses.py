"""Synapses: what spikes do along their pathways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.groups.neurongroup import NeuronGroup
from brian2.synapses.synapses import StateUpdater, SummedVariableUpdater, Synapses, SynapticPathway

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.captured import Pathway
from brian2eprop.device.capture.objects.kind import Kind, refuse_scalar_writes
from brian2eprop.device.capture.objects.shared import add_update
from brian2eprop.device.program import ForEachSynapse, Index, Propagate, Ref
from brian2eprop.device.program.connectivity import Found, find_connectivity
from brian2eprop.device.source import SpikeSource
from brian2eprop.errors import Unsupported

SYNAPTIC = {
    brian.ELEMENT: Index.SYNAPSE,
    brian.PRE: Index.SOURCE,
    brian.POST: Index.TARGET,
    brian.SHARED: Index.SCALAR,
}


def _check_synapses(synapses: Synapses) -> None:
    if synapses.event_driven is not None or synapses.state_updater is not None:
        raise Unsupported(
            f"'{synapses.name}' has differential equations, which eprop_cuda does not run for "
            "synapses; move the variable to the postsynaptic group."
        )
    for population in (synapses.source, synapses.target):
        kind = population.__class__  # of a proxy, the class of what it stands for
        if kind not in (NeuronGroup, SpikeSource):
            raise Unsupported(
                f"'{synapses.name}' connects '{population.name}', a {kind.__name__}, "
                "which eprop_cuda does not run; connect whole NeuronGroups and SpikeSources."
            )


def _check_pathway(pathway: SynapticPathway) -> None:
    if pathway.prepost != "pre":
        raise Unsupported(
            f"'{pathway.synapses.name}' has on_post code ('{pathway.name}'), which eprop_cuda "
            "does not run; use on_pre only, or set the pathway's attribute 'active' to False."
        )


def _check_summed(updater: SummedVariableUpdater) -> None:
    raise Unsupported(
        f"'{updater.group.name}' sums "
        f"its variable into '{updater.target_varname}' (summed), which eprop_cuda does not run; "
        "add to the target in on_pre."
    )


def _propagate(builder: Builder, pathway: SynapticPathway) -> None:
    synapses = pathway.synapses
    events = builder.heard(pathway, pathway.source)
    # The queue of a pathway that runs before its source still gets the last step's spikes.
    steps = _delay_steps(builder, pathway) + builder.lateness(events)
    longest = int(steps.max(initial=0))
    own = steps.size > 1 and int(steps.min()) != longest
    kept = (steps if own else np.array([longest])).astype(np.int32).tobytes()
    builder.pathways[pathway.name] = Pathway(events, longest, len(synapses), kept)
    if not len(synapses):
        return
    found = connectivity(builder, synapses)
    body = builder.body(pathway, _synaptic(builder, pathway, found))
    refuse_scalar_writes(pathway, body)
    if body.code:
        order = slice(None) if found.order is None else found.order
        since = builder.formed(pathway, longest, builder.next_step(pathway.clock))
        name = found.connectivity.name
        phase = Propagate(
            pathway.name,
            events,
            name,
            body,
            builder.table(f"{pathway.name}:delay", steps[order]) if own else longest,
            formed=None if since is None else builder.table(f"{pathway.name}:formed", since[order]),
        )
        builder.phases.append(phase)


def _synaptic(builder: Builder, owner: Any, found: Found) -> Callable[[Any, str], Ref]:
    def locate(variable: Any, index: str) -> Ref:
        if index not in SYNAPTIC:
            raise Unsupported(
                f"'{owner.name}' reads '{variable.name}' through the index '{index}', which "
                "eprop_cuda does not; use variables of the synapses and of the two groups."
            )
        name = builder.array_of(variable)
        which = Index.SCALAR if variable.scalar else SYNAPTIC[index]
        if which is Index.SYNAPSE and found.order is not None:
            builder.orders[name] = found.order
        return Ref(name, which)

    return locate


def update_synapses(builder: Builder, owner: Any) -> None:
    """Add what an object does to every synapse."""
    synapses = owner.group
    if not len(synapses):
        return
    found = connectivity(builder, synapses)
    add_update(
        builder,
        owner,
        _synaptic(builder, owner, found),
        lambda body: ForEachSynapse(owner.name, found.connectivity.name, body),
    )


def connectivity(builder: Builder, synapses: Any) -> Found:
    """The connectivity of synapses, found once."""
    if synapses.name not in builder.found:
        sides = brian.ends(synapses)
        pre, post = (side.get_value() for side in sides)
        sizes = len(synapses.source), len(synapses.target)
        builder.found[synapses.name] = builder.memo.of(
            sides, lambda: find_connectivity(synapses.name, pre, post, *sizes)
        )
    return builder.found[synapses.name]


def _delay_steps(builder: Builder, pathway: SynapticPathway) -> npt.NDArray[np.int64]:
    """Delay of each synapse in steps, in Brian2's order; one entry where all have the same."""
    if not brian.was_connected(pathway.synapses):
        raise TypeError(
            f"Synapses object '{pathway.synapses.name}' does not do anything, since it has not "
            "created synapses with 'connect'. Call 'connect', or set its attribute 'active' to "
            "False."
        )
    delays = np.asarray(pathway.variables["delay"].get_value())
    return np.atleast_1d((delays / pathway.source.clock.dt_ + 0.5).astype(np.int64))


KINDS: dict[type, Kind] = {
    Synapses: Kind(check=_check_synapses),
    SynapticPathway: Kind(_propagate, _check_pathway),
    StateUpdater: Kind(),
    SummedVariableUpdater: Kind(check=_check_summed),
}
