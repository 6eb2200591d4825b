"""Synapses: their equations, their sums, and what spikes do along their pathways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.synapses.synapses import StateUpdater, SummedVariableUpdater, Synapses, SynapticPathway

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.connections import connectivity, kept_as, synaptic
from brian2eprop.device.capture.objects.kind import (
    Kind,
    refuse_element_writes,
    refuse_scalar_writes,
)
from brian2eprop.device.capture.objects.shared import add_update
from brian2eprop.device.capture.pathways import Delays, MadeDelays, Pathway
from brian2eprop.device.program import (
    Body,
    Delay,
    DType,
    ForEach,
    ForEachSynapse,
    Index,
    Phase,
    Propagate,
    Ref,
    Side,
)
from brian2eprop.errors import Unsupported

# Steps of events are counted in 32 bits, those in hand and those heard late among them.
MOST_DELAY_STEPS = 2**31 - 4


def _propagate(builder: Builder, pathway: SynapticPathway) -> None:
    synapses = pathway.synapses
    # The queue of a pathway that runs before its source gets the last step's spikes.
    events, late = builder.heard(pathway, brian.whole(pathway.source), pathway.event)
    now = _delays(builder, pathway, late)
    first = builder.next_step(pathway.clock) - late
    of = builder.before.delays
    dt = pathway.source.clock.dt_
    delays = (now,) if of is None else of(pathway.name, events, now, first, dt)
    found = Pathway(events, delays)
    builder.pathways[pathway.name] = found
    if not builder.room_of(synapses):
        return
    body = builder.body(pathway, synaptic(builder, pathway, synapses))
    refuse_scalar_writes(pathway, body)
    refuse_element_writes(pathway, synapses, body)
    if not body.code:
        return
    for phase in _deliveries(builder, pathway, found, body, late):
        trained = pathway.variables["delay"] in builder.trained
        delay = _rounded(builder, pathway, late) if trained else phase.delay
        builder.phases.append(replace(phase, delay=delay))


def _deliveries(
    builder: Builder, pathway: SynapticPathway, found: Pathway, body: Body, late: int
) -> Iterator[Propagate]:
    """A phase for each of the delays that matter; what was sent first arrives first."""
    synapses = pathway.synapses
    there = connectivity(builder, synapses)
    order = slice(None) if there.order is None else there.order
    step, n = builder.next_step(pathway.clock), brian.number_stored(synapses)
    formed = builder.before.formed(pathway, found.longest, builder.time)
    if formed is not None:
        formed = formed - late  # what is heard late was not in the queue yet
    elif synapses.name in builder.rooms and found.longest:
        formed = np.zeros(n, np.int64)

    def table(name: str, steps: npt.NDArray[Any], number: int) -> str:
        which = f":{number}" if number else ""
        return builder.table_of(synapses, pathway.name, f"{name}{which}", steps[order])

    latest = len(found.delays) - 1
    for k, delays in enumerate(found.delays):
        since, until = formed, None
        if delays.since > step - delays.longest:
            earliest = np.full(n, delays.since)
            since = earliest if formed is None else np.maximum(formed, earliest)
        if k < latest:
            until = np.full(n, found.delays[k + 1].since)
        number = latest - k
        delay: Delay | None = delays.common(n)
        if delay is None and isinstance(delays, MadeDelays) and found.is_settled:
            made = delays.where
            delay = builder.made_table(made.name, n, made.memory)
        elif delay is None:
            delay = table("delay", delays.each(n), number)
        yield Propagate(
            pathway.name,
            found.events,
            there.connectivity.name,
            body if k == latest else _drawing_apart(body, number),
            delay,
            Side.SOURCE if pathway.prepost == "pre" else Side.TARGET,
            None if since is None else table("formed", since, number),
            None if until is None else table("until", until, number),
        )


def _drawing_apart(body: Body, number: int) -> Body:
    """The body with random numbers of its own: two spikes may meet one synapse in one step."""
    draws = {
        name: replace(draw, owner=f"{draw.owner}:{number}") for name, draw in body.draws.items()
    }
    return replace(body, draws=draws)


def _delays(builder: Builder, pathway: SynapticPathway, late: int) -> Delays:
    """The present delays of a pathway, in steps."""
    made = _made_delays(builder, pathway, late)
    if made is not None:
        return made
    steps = _delay_steps(builder, pathway) + late
    own = steps.size > 1 and steps.min() != steps.max()
    kept = (steps if own else steps[:1]).astype(np.int32).tobytes()
    return Delays(brian.number_stored(pathway.synapses), kept)


def _made_delays(builder: Builder, pathway: SynapticPathway, late: int) -> Delays | None:
    """The delays that are made where the Program runs; None of those that the host must tell."""
    synapses, variable = pathway.synapses, pathway.variables["delay"]
    recipe, holds = kept_as(builder, synapses), builder.before.to_be_made
    if recipe is None or holds is None or not holds(variable):
        return None
    n = brian.number_stored(synapses)
    if variable not in recipe.latest:
        return Delays(n, np.array([late], np.int32).tobytes())
    dt, name = pathway.source.clock.dt_, f"{pathway.name}:delay"
    steps = recipe.delay_steps(variable, dt, late, name)
    # What is no int of 32 bits, NaN too, is the least of them.
    known = late <= steps.least and steps.most < MOST_DELAY_STEPS + late
    return MadeDelays(n, made=steps) if known else None


def _rounded(builder: Builder, pathway: SynapticPathway, late: int) -> str:
    """The table of a trained delay's steps, to which it is rounded as Brian2 rounds it."""
    there, dt = connectivity(builder, pathway.synapses), pathway.source.clock.dt_
    delay, size = builder.array_of(pathway.variables["delay"]), len(pathway.synapses)
    if there.order is not None:
        builder.orders[delay] = there.order
    table = builder.table(pathway.name, "delay", np.zeros(size))
    # The quotient must be a double in both precisions, as in a run: of what is the same for all
    # synapses the inverse would be taken before, and rounded.
    width = builder.table(pathway.name, "dt", np.full(size, dt), DType.DOUBLE)
    refs = {
        "steps": Ref(table, Index.ELEMENT),
        "delay": Ref(delay, Index.ELEMENT),
        "width": Ref(width, Index.ELEMENT),
    }
    body = Body("steps = int(delay/width + 0.5) + late", refs, {"late": late})
    builder.rounding[delay] = ForEach(f"steps of {delay}", size, body)
    return table


def _delay_steps(builder: Builder, pathway: SynapticPathway) -> npt.NDArray[np.int64]:
    """Delay of each synapse in steps, in Brian2's order; one entry where all have the same.

    Of a delay that is trained it is what no value can exceed.
    """
    if not brian.was_connected(pathway.synapses):
        raise TypeError(
            f"Synapses object '{pathway.synapses.name}' does not do anything, since it has not "
            "created synapses with 'connect'. Call 'connect', or set its attribute 'active' to "
            "False."
        )
    delay, dt = pathway.variables["delay"], pathway.source.clock.dt_
    longest = builder.trained.get(delay)
    seconds = np.atleast_1d(delay.get_value() if longest is None else longest)
    steps = seconds / dt + 0.5
    wrong = ~((steps > -1) & (steps < MOST_DELAY_STEPS))
    if wrong.any():
        raise Unsupported(
            f"'{pathway.name}' has a delay of {seconds[wrong][0]:g} s, but eprop_cuda keeps events "
            f"for at most {MOST_DELAY_STEPS} steps of {dt:g} s; give delays from 0 s to less than "
            f"{MOST_DELAY_STEPS * dt:g} s."
        )
    return np.asarray(steps if longest is None else steps + 0.5, np.int64)


def _integrate(builder: Builder, updater: StateUpdater) -> None:
    if updater.name in builder.pieces:
        update_synapses(builder, updater)


def update_synapses(builder: Builder, owner: Any) -> None:
    """Add what an object does to every synapse."""
    synapses = owner.group
    if not builder.room_of(synapses):
        return
    locate = synaptic(builder, owner, synapses)
    add_update(builder, owner, locate, partial(_each_synapse, builder, owner))


def _each_synapse(builder: Builder, owner: Any, body: Body) -> Phase:
    """A phase over all synapses: one loop where nothing but synapses is met."""
    found = connectivity(builder, owner.group).connectivity
    refuse_element_writes(owner, owner.group, body)
    if {ref.index for ref in body.refs.values()} - {Index.SYNAPSE, Index.SCALAR}:
        return ForEachSynapse(owner.name, found.name, body)
    refs = {
        name: replace(ref, index=Index.ELEMENT) if ref.index is Index.SYNAPSE else ref
        for name, ref in body.refs.items()
    }
    return ForEach(owner.name, found.n_synapses, replace(body, refs=refs))


def _sum(builder: Builder, updater: SummedVariableUpdater) -> None:
    synapses, name = updater.group, updater.target_varname
    locate = synaptic(builder, updater, synapses)
    target = locate(updater.target_var, brian.PRE if name.endswith("_pre") else brian.POST)
    builder.phases.append(_no_sum(builder, updater, target.array))
    if not builder.room_of(synapses):
        return
    body = builder.body(updater, locate, {name: target})
    if target.array in body.arrays(body.read):
        raise Unsupported(
            f"'{synapses.name}' sums an expression of '{name}' into '{name}' itself, which "
            "eprop_cuda does not run; sum into another variable."
        )
    body = replace(body, code=f"{body.code}\n{name} += _synaptic_var")
    builder.phases.append(_each_synapse(builder, updater, body))


def _no_sum(builder: Builder, updater: SummedVariableUpdater, target: str) -> Phase:
    """Sets what is to be summed to zero; of a part of a group, in this part only."""
    group = brian.whole(updater.target)
    refs, guards = {"sum": Ref(target, Index.ELEMENT)}, {}
    if len(updater.target) != len(group):
        within = np.zeros(len(group), bool)
        within[updater.target.start : updater.target.stop] = True
        table = builder.table(updater.name, "within", within, DType.BOOL)
        refs["within"] = Ref(table, Index.ELEMENT)
        guards["sum"] = "within"
    return ForEach(f"{updater.name}:none", len(group), Body("sum = 0", refs, guards=guards))


KINDS: dict[type, Kind] = {
    Synapses: Kind(),
    SynapticPathway: Kind(_propagate),
    StateUpdater: Kind(_integrate),
    SummedVariableUpdater: Kind(_sum),
}
