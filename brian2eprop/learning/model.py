"""A captured model with the derivatives of its phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brian2eprop.device.program import (
    Array,
    Connectivity,
    Detect,
    DType,
    Events,
    ForEach,
    ForEachEvent,
    Index,
    Phase,
    Program,
    Propagate,
)
from brian2eprop.learning.linearise import (
    Condition,
    Effect,
    LearningError,
    Map,
    input_spike,
    linear_map,
    spike_condition,
    state_arrays,
)


@dataclass(frozen=True)
class Model:
    """A model's phases and their derivatives, by number of the phase.

    Attributes
    ----------
    phases : tuple of Phase
        The phases of a step.
    state : mapping of str to Array
        Arrays a gradient flows through.
    maps : mapping of int to Map
        Dynamics and resets.
    effects : mapping of int to Effect
        Input spikes.
    conditions : mapping of str to Condition
        Spike conditions by the events they make.
    spiking : mapping of str to str
        The events of the population of each state array, if it spikes.
    detached : frozenset of str
        State arrays whose jump at a spike is taken as given: its derivative through the spike
        is left out.
    """

    dt: float
    phases: tuple[Phase, ...]
    arrays: Mapping[str, Array]
    events: Mapping[str, Events]
    connectivities: Mapping[str, Connectivity]
    state: Mapping[str, Array]
    maps: Mapping[int, Map]
    effects: Mapping[int, Effect]
    conditions: Mapping[str, Condition]
    spiking: Mapping[str, str]
    detached: frozenset[str]

    def weight(self, phase: Propagate) -> str:
        """The one synaptic variable that a pathway adds.

        Raises
        ------
        LearningError
            If there is none or more than one.
        """
        refs = phase.body.refs
        found = [
            name
            for name, ref in refs.items()
            if ref.index is Index.SYNAPSE and self.arrays[ref.array].dtype is DType.REAL
        ]
        if len(found) != 1:
            raise LearningError(
                f"{phase.label} carries the learning signal and so must add exactly one synaptic "
                f"variable, but it has {len(found)} ({', '.join(found) or 'none'}). Write it as "
                "'y_post += w'."
            )
        return found[0]


def analyse(program: Program, detach: tuple[str, ...] | None) -> Model:
    """Differentiate every phase of a captured Program.

    Parameters
    ----------
    program : Program
        The captured Program without recordings.
    detach : tuple of str, optional
        State arrays whose reset is taken as given; by default those that bring a neuron
        closer to its threshold, whatever the parameters (the membrane).

    Raises
    ------
    LearningError
        If a phase has no derivative, or ``detach`` names what is no state.
    """
    arrays, state = program.all_arrays(), state_arrays(program)
    phases = program.sweeps[0].phases
    numbered = list(enumerate(phases))
    conditions = {p.events: spike_condition(p, state) for p in phases if isinstance(p, Detect)}
    unknown = sorted(set(detach or ()) - set(state))
    if unknown:
        raise LearningError(
            f"'{unknown[0]}' is no state variable of the network and cannot be detached. There "
            f"are {', '.join(sorted(state))}."
        )
    return Model(
        dt=program.dt,
        phases=phases,
        arrays=arrays,
        events={buffer.name: buffer for buffer in program.events},
        connectivities={found.name: found for found in program.connectivities},
        state=state,
        maps={
            n: linear_map(p, arrays, state)
            for n, p in numbered
            if isinstance(p, ForEach | ForEachEvent)
        },
        effects={n: input_spike(p, arrays, state) for n, p in numbered if isinstance(p, Propagate)},
        conditions=conditions,
        spiking=_spiking(phases, conditions, state),
        detached=frozenset(detach) if detach is not None else _membranes(conditions),
    )


def _membranes(conditions: Mapping[str, Condition]) -> frozenset[str]:
    return frozenset(
        condition.body.refs[name].array
        for condition in conditions.values()
        for name in condition.state
        if condition.slope(name).is_positive
    )


def _spiking(
    phases: tuple[Phase, ...], conditions: Mapping[str, Condition], state: Mapping[str, Array]
) -> dict[str, str]:
    """State that stands in a body with the state of a spike condition, directly or not."""
    bodies = [p.body for p in phases if isinstance(p, ForEach | ForEachEvent)]
    groups = [{ref.array for ref in body.refs.values()} & set(state) for body in bodies]
    found: dict[str, str] = {}
    for events, condition in conditions.items():
        population = {condition.body.refs[name].array for name in condition.state}
        for _ in groups:
            population = population.union(*(g for g in groups if g & population))
        found |= dict.fromkeys(population, events)
    return found
