"""What is carried across the border of two chunks, and how it depends on what was carried before.

At a border a parameter w of a neuron has acted on what is still to come by a few numbers: its
neuron's ``dh/dw``, the same as a readout has filtered it, and pseudo-derivatives ``e`` that are
on their way there. Each is linear in those of the border before and in what happened between;
so the adjoint of each, from a one at the chunk's end, says by how much it grows at every spike
in between, and by how much of each number at the chunk's beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Clear,
    Detect,
    DType,
    ForEach,
    ForEachEvent,
    Index,
    Loop,
    Phase,
    Propagate,
    Ref,
)
from brian2eprop.learning.adjoint.coefficients import CoefficientScope
from brian2eprop.learning.adjoint.surrogate import SurrogateCrossing
from brian2eprop.learning.adjoint.tape import Origin, Tape
from brian2eprop.learning.adjoint.writer import AdjointWriter
from brian2eprop.learning.model.linearise import common_delay
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.surrogates import Surrogate
from brian2eprop.learning.naming import adjoint_of, gradient_of, partial_of
from brian2eprop.learning.objective.task import Task
from brian2eprop.learning.traces.routes import Route, check_uniform

SUM = "sum"


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons that parameters act on.

    Attributes
    ----------
    state : frozenset of str
        Their state.
    size : int
        Their number.
    events : str, optional
        Their spikes, if they have a threshold.
    routes : tuple of Route
        How these reach the outputs.
    parameters : tuple of str
        What acts on them and is trained.
    """

    state: frozenset[str]
    size: int
    events: str | None
    routes: tuple[Route, ...]
    parameters: tuple[str, ...]

    @property
    def delay(self) -> int:
        """For how many steps spikes are on their way to the outputs, at most."""
        return max((common_delay(route.phase) for route in self.routes), default=0)


@dataclass(frozen=True, eq=False)
class Carried:
    """One of the numbers that are carried for every value of a parameter.

    Attributes
    ----------
    name : str
        The state array that it is the derivative of, or what else it is called.
    seed : str, optional
        The state array whose adjoint is one at the chunk's end.
    spike : str, optional
        How much a spike of each step counts, in terms of ``step``.
    route : Route, optional
        The readout that filters it.
    ago : int
        How many steps before the border the pseudo-derivative was that it is; 0 for others.
    """

    name: str
    seed: str | None = None
    spike: str | None = None
    route: Route | None = None
    ago: int = 0


def find_carried(
    model: Model, population: Population, chunk: int, sums: bool
) -> tuple[Carried, ...]:
    """The numbers that parameters of a population carry.

    Parameters
    ----------
    model : Model
        The model.
    population : Population
        The neurons.
    chunk : int
        Number of steps of a chunk.
    sums : bool
        Whether the sum of pseudo-derivatives over all steps is wanted at the end.
    """
    found = [Carried(array, array) for array in sorted(population.state)]
    for route in population.routes:
        filtered = sorted(model.population(route.outputs[0]))
        found += [Carried(array, array, route=route) for array in filtered]
    for ago in range(1, population.delay + 1):
        found.append(Carried(f"sent:{ago}", spike=f"int((step + {ago}) % {chunk} == 0)", ago=ago))
    if sums and population.events is not None:
        found.append(Carried(SUM, spike="1.0"))
    return tuple(found)


class _OwnReadout(SurrogateCrossing):
    """Crosses from a readout that each neuron has for itself to the neuron's spikes."""

    def __init__(self, surrogate: Surrogate, route: Route | None) -> None:
        super().__init__(surrogate, lambda phase, effect: None)
        self._route = route

    def pathway(self, writer: AdjointWriter, origin: Origin, phase: Propagate) -> Iterable[Phase]:
        """See :meth:`Crossing.pathway`."""
        if self._route is None or self._route.origin.number != origin.number:
            return
        route, delay = self._route, common_delay(phase)
        scope = CoefficientScope(writer.tape)
        terms = [
            scope.product(route.origin, ratio, _own_adjoint(scope, route, name))
            for name, ratio in route.ratios.items()
        ]
        signal = writer.signal(phase.events, Index.ELEMENT, delay)
        scope.line(scope.bind("adjoint_spike", signal), "+=", terms)
        yield ForEach(f"adjoint of {phase.label}", route.origin.size, scope.body())


def _own_adjoint(scope: CoefficientScope, route: Route, name: str) -> str:
    array = adjoint_of(route.phase.body.refs[name].array)
    return scope.bind(f"adjoint_{name}", Ref(array, Index.ELEMENT))


class CarriedAdjoint:
    """The adjoint of one carried number, of all of a population's neurons at once.

    Parameters
    ----------
    model : Model
        The whole model.
    task : Task
        What is learned.
    population : Population
        The neurons.
    carried : Carried
        The number.
    surrogate : Surrogate
        What takes the place of a spike's derivative.
    tape : Tape
        What is kept of the way there.

    Attributes
    ----------
    step : tuple of Phase
        A step of the way back.
    begin : tuple of Phase
        What is at the chunk's end.
    arrays : tuple of Array
        The adjoint's arrays.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        population: Population,
        carried: Carried,
        surrogate: Surrogate,
        tape: Tape,
    ) -> None:
        self.population, self.carried = population, carried
        heard = frozenset() if carried.route is None else model.population(carried.route.outputs[0])
        self._heard = heard
        size, events = population.size, population.events
        state = {
            name: replace(array, size=size)
            for name, array in model.state.items()
            if name in population.state | heard
        }
        conditions = {e: c for e, c in model.conditions.items() if e == events}
        writer = AdjointWriter(
            replace(model, state=state, conditions=conditions),
            replace(task, parameters=population.parameters, regularisers=()),
            _OwnReadout(surrogate, carried.route),
            tape,
        )
        back = writer.back(self._injected(writer), self._followed(model))
        self._history = back.history
        known = {array.name: self.own(array.name) for array in back.adjoints}
        for parameter in population.parameters:
            into = next_of(parameter, carried)
            known |= {gradient_of(parameter): into, partial_of(parameter): into}
        self.arrays = tuple(replace(a, name=self.own(a.name)) for a in back.adjoints)
        self.step = tuple(_renamed(phase, known) for phase in back.phases)
        self.begin = self._begin()

    def own(self, array: str) -> str:
        """What one of the adjoint's arrays is called here."""
        return f"{array}:of:{min(self.population.state)}:{self.carried.name}"

    def of(self, other: Carried) -> tuple[str, int] | None:
        """The array, and the step, of its derivative by another number at the chunk's beginning."""
        if other.ago and self.carried.route is not None:
            events = self.population.events or ""
            within = other.ago <= self._history.get(events, 0)
            return (self.own(adjoint_of(events)), -other.ago) if within else None
        known = self.population.state | self._heard
        return (self.own(adjoint_of(other.name)), 0) if other.name in known else None

    def _begin(self) -> tuple[Phase, ...]:
        clear = Clear(f"nothing of {self.carried.name}", tuple(a.name for a in self.arrays))
        if self.carried.seed is None:
            return (clear,)
        refs = {"adjoint": Ref(self.own(adjoint_of(self.carried.seed)), Index.ELEMENT)}
        label = f"one of {self.carried.name}"
        return clear, ForEach(label, self.population.size, Body("adjoint = 1.0", refs))

    def _injected(self, writer: AdjointWriter) -> Iterable[Phase]:
        """What counts the spikes of each step."""
        if self.carried.spike is None or self.population.events is None:
            return
        scope = CoefficientScope(writer.tape)
        signal = scope.bind("signal", writer.signal(self.population.events, Index.ELEMENT))
        scope.line(signal, "+=", [self.carried.spike])
        yield ForEach(f"spikes in {self.carried.name}", self.population.size, scope.body())

    def _followed(self, model: Model) -> Iterable[tuple[int, Phase]]:
        """The phases that the population goes through, and its neurons' own readouts."""
        for number, phase in enumerate(model.phases):
            touched = (
                {ref.array for ref in phase.body.refs.values()} if isinstance(phase, Loop) else ()
            )
            match phase:
                case ForEach() if self._heard.intersection(touched):
                    _check_uniform(model, number, phase)
                    yield number, replace(phase, size=self.population.size)
                case ForEach() if not self.population.state.intersection(touched):
                    continue
                case Propagate() if self._goes_elsewhere(model, number):
                    continue
                case Detect() | ForEachEvent() if phase.events != self.population.events:
                    continue
                case _:
                    yield number, phase

    def _goes_elsewhere(self, model: Model, number: int) -> bool:
        """Whether a pathway whose spikes meet the state of their targets has other targets."""
        return model.effects[number].depends and not model.acted_on(number) & self.population.state


def _check_uniform(model: Model, number: int, phase: ForEach) -> None:
    found = model.maps[number]
    origin = Origin(number, phase.body, phase.size)
    for of in found.values:
        for by in found.state:
            check_uniform(origin, found.slope(of, by))


def _renamed(phase: Phase, known: Mapping[str, str]) -> Phase:
    """A phase that uses other arrays in the place of some."""
    assert isinstance(phase, ForEach | ForEachEvent | Propagate)
    refs = {
        name: replace(ref, array=known.get(ref.array, ref.array))
        for name, ref in phase.body.refs.items()
    }
    return replace(phase, body=replace(phase.body, refs=refs))


def carried_of(parameter: str, carried: Carried) -> str:
    """Array of a number that a parameter carries."""
    return f"carried:{parameter}:{carried.name}"


def next_of(parameter: str, carried: Carried) -> str:
    """Array of what a chunk adds to it."""
    return f"carried:next:{parameter}:{carried.name}"


def scratch(name: str, size: int) -> Array:
    """A real array of the instance's own."""
    return Array(name, DType.REAL, size, Access.SCRATCH)
