"""A captured model with the derivatives of its phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from brian2eprop.device.program import (
    Array,
    Connectivity,
    Detect,
    Events,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Loop,
    Phase,
    Program,
    Propagate,
)
from brian2eprop.errors import LearningError
from brian2eprop.learning.model.linearise import (
    Condition,
    Effect,
    Map,
    input_spike,
    linear_map,
    spike_condition,
    state_arrays,
)
from brian2eprop.learning.model.membranes import find_membranes
from brian2eprop.learning.model.naming import public_name
from brian2eprop.learning.model.numbers import Values


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
    populations : tuple of frozenset of str
        State arrays that act on one another within a neuron.
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
    populations: tuple[frozenset[str], ...]
    spiking: Mapping[str, str]
    detached: frozenset[str]

    def population(self, array: str) -> frozenset[str]:
        """The population that a state array belongs to."""
        return next(population for population in self.populations if array in population)

    def acted_on(self, number: int) -> set[str]:
        """State arrays of the neurons that a phase acts on."""
        phase = self.phases[number]
        body = getattr(phase, "body", None)
        if body is None:
            return set()
        names = self.effects[number].increments if number in self.effects else body.refs
        return {body.refs[name].array for name in names} & set(self.state)

    def weight(self, phase: Propagate) -> str:
        """The one synaptic variable that a pathway adds.

        Raises
        ------
        LearningError
            If there is none or more than one.
        """
        refs = phase.body.refs
        # What else is one value a synapse would be read in the order of the way there.
        found = [name for name, ref in refs.items() if ref.index is Index.SYNAPSE]
        if len(found) != 1:
            raise LearningError(
                f"{phase.label} carries the learning signal and so must add exactly one synaptic "
                f"variable, but it has {len(found)} ({', '.join(found) or 'none'}). Write it as "
                "'y_post += w'."
            )
        return found[0]


def analyse(program: Program, detach: tuple[str, ...] | None, values: Values) -> Model:
    """Differentiate every phase of a captured Program.

    Parameters
    ----------
    program : Program
        The captured Program without recordings.
    detach : tuple of str, optional
        State arrays whose reset is taken as given; by default the membranes, see
        ``membranes.find_membranes``.
    values : callable
        The values that an array has when the training begins, by its name.

    Raises
    ------
    LearningError
        If a phase has no derivative, ``detach`` names what is no state, or the membranes
        cannot be told.
    """
    _check_when(program)
    _check_late(program)
    arrays, state = program.all_arrays(), state_arrays(program)
    phases = program.sweeps[0].phases
    numbered = list(enumerate(phases))
    populations = _populations(phases, state)
    conditions = {
        p.events: _in_surroundings(spike_condition(p, state), phases, populations)
        for p in phases
        if isinstance(p, Detect)
    }
    known = {public_name(array): array for array in state}
    unknown = sorted(set(detach or ()) - known.keys())
    if unknown:
        raise LearningError(
            f"'{unknown[0]}' is no state variable of the network and cannot be detached. There "
            f"are {', '.join(sorted(known))}."
        )
    maps = {
        n: linear_map(p, arrays, state)
        for n, p in numbered
        if isinstance(p, ForEach | ForEachEvent)
    }
    if detach is None:
        reset = _reset(phases, maps)
        detached = find_membranes(conditions, reset, values, program.dt)
    return Model(
        dt=program.dt,
        phases=phases,
        arrays=arrays,
        events={buffer.name: buffer for buffer in program.events},
        connectivities={found.name: found for found in program.connectivities},
        state=state,
        maps=maps,
        effects={n: input_spike(p, arrays, state) for n, p in numbered if isinstance(p, Propagate)},
        conditions=conditions,
        populations=populations,
        spiking={
            member: events
            for events, condition in conditions.items()
            for population in populations
            for member in population
            if population & condition_arrays(condition)
        },
        detached=detached if detach is None else frozenset(known[name] for name in detach),
    )


def _check_when(program: Program) -> None:
    own = [phase for phase in program.phases() if phase.clock is not None]
    if own:
        raise LearningError(
            f"'{own[0].label}' runs on a clock of its own, and a training knows one time step; "
            "leave out its dt and clock, and set defaultclock.dt."
        )
    for phase in program.phases():
        _check_form(program, phase)


def _check_form(program: Program, phase: Phase) -> None:
    """Refuse what has no local derivative: it would be left out."""
    if isinstance(phase, ForEachSynapse):
        raise LearningError(
            f"'{phase.label}' changes synapses at its times, which a training does not follow; "
            "set its attribute 'active' to False."
        )
    refs = phase.body.refs.values() if isinstance(phase, Loop) else ()
    scalars = {ref.array for ref in refs if ref.index is Index.SCALAR}
    shared = sorted(scalars & {name for other in program.phases() for name in other.writes()})
    if shared:
        raise LearningError(
            f"'{phase.label}' reads '{public_name(shared[0])}', which all elements share and which "
            "changes in a run; a training does not follow that. Leave out the flag '(shared)'."
        )


def _check_late(program: Program) -> None:
    late = [p for p in program.phases() if isinstance(p, ForEachEvent) and p.delay]
    if late:
        raise LearningError(
            f"'{late[0].label}' is scheduled before the spikes it waits for are found, and a "
            "training follows what is done in the same step; schedule it after the threshold."
        )


def condition_arrays(condition: Condition) -> frozenset[str]:
    """State arrays that a spike condition depends on."""
    return frozenset(condition.body.refs[name].array for name in condition.state)


def _reset(phases: tuple[Phase, ...], maps: Mapping[int, Map]) -> frozenset[str]:
    """State arrays that spikes change in their own neuron."""
    return frozenset(
        phase.body.refs[name].array
        for number, phase in enumerate(phases)
        if isinstance(phase, ForEachEvent)
        for name in maps[number].values
    )


def _in_surroundings(
    condition: Condition, phases: tuple[Phase, ...], populations: tuple[frozenset[str], ...]
) -> Condition:
    """The condition with the names that its neurons' other equations use."""
    own = condition_arrays(condition)
    around = frozenset().union(*(p for p in populations if p & own))
    refs, constants = dict(condition.body.refs), dict(condition.body.constants)
    for phase in phases:
        if not isinstance(phase, ForEach | ForEachEvent):
            continue
        if around & {ref.array for ref in phase.body.refs.values()}:
            refs = {**phase.body.refs, **refs}
            constants = {**phase.body.constants, **constants}
    constants = {name: value for name, value in constants.items() if name not in refs}
    return replace(condition, body=replace(condition.body, refs=refs, constants=constants))


def _populations(
    phases: tuple[Phase, ...], state: Mapping[str, Array]
) -> tuple[frozenset[str], ...]:
    """State that stands together in the bodies of neurons."""
    found = [frozenset({array}) for array in state]
    for phase in phases:
        if isinstance(phase, ForEach | ForEachEvent | Detect):
            together = {ref.array for ref in phase.body.refs.values()} & set(state)
            joined = frozenset().union(*(p for p in found if p & together))
            found = [p for p in found if not p & together] + ([joined] if joined else [])
    return tuple(found)
