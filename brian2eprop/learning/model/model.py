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
    Index,
    Loop,
    Phase,
    Program,
    Propagate,
)
from brian2eprop.errors import LearningError
from brian2eprop.learning.model.followed import check_followed
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
from brian2eprop.learning.model.numbers import Values
from brian2eprop.learning.naming import public_name


@dataclass(frozen=True)
class Model:
    """A model's phases and their derivatives, by number of the phase.

    Attributes
    ----------
    phases : tuple of Phase
        The phases of a step, imagined ones last.
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
    n_imagined : int
        How many of the phases are pathways that no spike takes.
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
    n_imagined: int = 0

    @property
    def run(self) -> tuple[Phase, ...]:
        """The phases that are run on the way there."""
        return self.phases[: len(self.phases) - self.n_imagined]

    @property
    def imagined(self) -> tuple[Phase, ...]:
        """The pathways that are followed back only."""
        return self.phases[len(self.phases) - self.n_imagined :]

    def population(self, array: str) -> frozenset[str]:
        """The population that a state array, or some events, belong to."""
        if array in self.conditions:
            found = condition_arrays(self.conditions[array])
            return frozenset().union(*(p for p in self.populations if p & found))
        return next(population for population in self.populations if array in population)

    def acted_on(self, number: int) -> set[str]:
        """State arrays of the neurons that a phase acts on."""
        phase = self.phases[number]
        body = getattr(phase, "body", None)
        if body is None:
            return set()
        names = self.effects[number].increments if number in self.effects else body.refs
        found = {body.refs[name] for name in names if body.refs[name].index is not Index.SYNAPSE}
        return {ref.array for ref in found} & set(self.state)

    def weight(self, phase: Propagate) -> str:
        """The one synaptic variable that a pathway adds, besides those that spikes change.

        Raises
        ------
        LearningError
            If there is none or more than one.
        """
        refs = phase.body.refs
        # What else is one value a synapse would be read in the order of the way there.
        changed = set(self.state) | phase.writes()
        found = [
            name
            for name, ref in refs.items()
            if ref.index is Index.SYNAPSE and ref.array not in changed
        ]
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
    arrays, state = program.all_arrays(), state_arrays(program)
    check_followed(program)
    phases = program.sweeps[0].phases
    changed = frozenset().union(*(phase.writes() for phase in phases))
    _refuse_functions(phases)
    numbered = list(enumerate(phases))
    populations = _populations(phases, state)
    conditions = {
        p.events: _in_surroundings(spike_condition(p, state), phases, populations)
        for p in phases
        if isinstance(p, Detect)
    }
    spiking = _spiking(conditions, populations)
    maps = {
        n: linear_map(p, arrays, state)
        for n, p in numbered
        if isinstance(p, ForEach | ForEachEvent)
    }
    if detach is None:
        detached = find_membranes(conditions, _reset(phases, maps), values, program.dt)
    else:
        detached = _named(detach, state)
    return Model(
        dt=program.dt,
        phases=phases,
        arrays=arrays,
        events={buffer.name: buffer for buffer in program.events},
        connectivities={found.name: found for found in program.connectivities},
        state=state,
        maps=maps,
        effects={
            n: input_spike(p, arrays, state, changed)
            for n, p in numbered
            if isinstance(p, Propagate)
        },
        conditions=conditions,
        populations=populations,
        spiking=spiking,
        detached=detached,
    )


def _named(detach: tuple[str, ...], state: Mapping[str, Array]) -> frozenset[str]:
    """The state arrays of the names that a user gave."""
    known = {public_name(array): array for array in state}
    unknown = sorted(set(detach) - known.keys())
    if unknown:
        raise LearningError(
            f"'{unknown[0]}' is no state variable of the network and cannot be detached. There "
            f"are {', '.join(sorted(known))}."
        )
    return frozenset(known[name] for name in detach)


def _spiking(
    conditions: Mapping[str, Condition], populations: tuple[frozenset[str], ...]
) -> dict[str, str]:
    """The events of the population of each state array, if it spikes."""
    found: dict[str, str] = {}
    for events, condition in conditions.items():
        for population in populations:
            if not population & condition_arrays(condition):
                continue
            other = found.get(min(population))
            if other is not None:
                raise LearningError(
                    f"The learning rules follow one event of a neuron, but '{other}' and "
                    f"'{events}' depend on variables that act on one another. Leave out an event "
                    "that is no spike, and connect groups by Synapses."
                )
            found |= dict.fromkeys(population, events)
    return found


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


def _refuse_functions(phases: tuple[Phase, ...]) -> None:
    for phase in phases:
        if isinstance(phase, Loop) and phase.body.timed:
            raise LearningError(
                f"{phase.label} calls a TimedArray, which a training does not follow. Give its "
                "values as input spikes, or write them as a function of t."
            )
        if isinstance(phase, Loop) and phase.body.foreign:
            raise LearningError(
                f"{phase.label} calls a function that is written in C++ and has no derivative. "
                "Write it out in the equations."
            )
        if isinstance(phase, Loop) and phase.body.draws:
            raise LearningError(
                f"{phase.label} draws random numbers in a run (xi, rand() and the like), which a "
                "training does not follow. Leave them out, or give the noise as input spikes."
            )
