"""The chunked form: the adjoint of some steps at a time, with traces at their borders alone.

In a chunk all is as in the adjoint form. At its beginning the loss of its steps depends on what
came before by the numbers that the forward form carries along (see ``carried``), and so

    gradient += sum over spikes in the chunk of lam + lam(begin) x;  x <- sum of mu + mu(begin) x

with ``x`` those numbers, ``lam`` the loss's adjoint and ``mu`` theirs. Synapses are met where
there are spikes, and once a chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from brian2eprop.device.program import Array, Clear, Phase, Ref, Slots
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.surrogate import SurrogateCrossing
from brian2eprop.learning.adjoint.tape import Tape
from brian2eprop.learning.adjoint.writer import AdjointWriter
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.surrogates import Surrogate
from brian2eprop.learning.naming import adjoint_of, gradient_of
from brian2eprop.learning.objective.rates import rate_terms
from brian2eprop.learning.objective.task import Task
from brian2eprop.learning.traces.carried import (
    SUM,
    Carried,
    CarriedAdjoint,
    Population,
    carried_of,
    find_carried,
    next_of,
    scratch,
)
from brian2eprop.learning.traces.routes import Route
from brian2eprop.learning.traces.trace_body import TraceBody
from brian2eprop.learning.traces.trained import TrainedParameter, find_trained


class ChunkWriter:
    """Writes the chunked form.

    Parameters
    ----------
    model, task, surrogate, routes
        As for :class:`~brian2eprop.learning.traces.parts.TraceParts`.
    chunk : int
        Number of steps of a chunk.

    Raises
    ------
    LearningError
        If it is shorter than spikes are on their way to the outputs.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        surrogate: Surrogate,
        routes: Mapping[str, tuple[Route, ...]],
        chunk: int,
    ) -> None:
        self.model, self.task = model, task
        self._routes = [route for found in routes.values() for route in found]
        self._trained = [find_trained(model, parameter) for parameter in task.parameters]
        self.populations = _populations(model, self._trained, routes)
        _check_length(self.populations, chunk)
        tape = Tape(model.run, model.arrays, Slots(history=chunk - 1))
        self.carried = {
            p: [
                CarriedAdjoint(model, task, p, carried, surrogate, tape)
                for carried in find_carried(model, p, chunk, bool(task.regularisers))
            ]
            for p in self.populations
        }
        known = {route.origin.number: route.feedback for route in self._routes}
        feedbacks = {model.phases[number].label: found for number, found in known.items()}
        crossing = SurrogateCrossing(surrogate, lambda phase, effect: feedbacks.get(phase.label))
        # Regularisers need the number of spikes of a whole trial.
        part = replace(task, regularisers=())
        self._tape = tape
        self.loss = AdjointWriter(model, part, crossing, tape).write()

    @property
    def _all(self) -> list[CarriedAdjoint]:
        return [one for found in self.carried.values() for one in found]

    @cached_property
    def traces(self) -> tuple[Array, ...]:
        """What is carried, and what a chunk adds to it."""
        return tuple(
            scratch(name(found.parameter, one.carried), found.place.size)
            for found in self._trained
            for one in self._of(found)
            for name in (carried_of, next_of)
        )

    @cached_property
    def arrays(self) -> tuple[Array, ...]:
        """All arrays besides the trial's."""
        signals = [scratch(name, size) for _, _, name, size in self._border_signals()]
        own = [array for one in self._all for array in one.arrays]
        return (*self.loss.arrays, *own, *signals, *self.traces)

    def begin(self) -> tuple[Phase, ...]:
        """Before the first chunk."""
        return (Clear("nothing carried yet", tuple(array.name for array in self.traces)),)

    def turn(self) -> tuple[Phase, ...]:
        """Before the way back through a chunk."""
        return (*self.loss.begin, *(phase for one in self._all for phase in one.begin))

    def back(self) -> tuple[Phase, ...]:
        """A step of the way back."""
        return (*self.loss.step, *(phase for one in self._all for phase in one.step))

    def border(self) -> tuple[Phase, ...]:
        """After the way back, at the chunk's first step."""
        signals = (
            phase
            for route, array, into, _ in self._border_signals()
            for phase in route.send(self.model, self._tape, adjoint_of(array), into)
        )
        merges = (phase for found in self._trained for phase in self._merge(found))
        return (*signals, *merges, *self.loss.end)

    def end(self) -> tuple[Phase, ...]:
        """After the last chunk: what regularisers say, which know the spikes of a trial."""
        found: list[Phase] = []
        for trained in self._trained:
            summed = next((o for o in self._of(trained) if o.carried.name == SUM), None)
            if summed is None or trained.events is None:
                continue
            body = TraceBody(trained.place, self._tape)
            index = trained.place.index
            for term in rate_terms(body, self.task, self.model.dt, trained.events, index):
                own = body.own("pseudo_sum", carried_of(trained.parameter, summed.carried))
                total = body.own("gradient", gradient_of(trained.parameter))
                body.line(total, "+=", [f"{term}*{own}"])
            found += body.phases(f"rates in the gradient of {trained.parameter}")
        return tuple(found)

    def _of(self, trained: TrainedParameter) -> list[CarriedAdjoint]:
        return next(found for p, found in self.carried.items() if trained.parameter in p.parameters)

    def _border_signals(self) -> list[tuple[Route, str, str, int]]:
        """By route and variable of the readout: where the signal of the border is added up."""
        return [
            (route, array, f"border:{route.signal(array)}", route.feedback.n_senders)
            for route in self._routes
            for array in sorted(self.model.population(route.outputs[0]))
        ]

    def _merge(self, trained: TrainedParameter) -> list[Phase]:
        """The gradient by what was carried here, and what is carried on."""
        body, parameter, found = (
            TraceBody(trained.place, self._tape),
            trained.parameter,
            self._of(trained),
        )
        own = {
            one.carried: body.own(one.carried.name, carried_of(parameter, one.carried))
            for one in found
        }
        terms = [
            f"{body.bind('adjoint', ref)}*{own[one.carried]}"
            for one in found
            if (ref := self._loss_by(trained, one.carried)) is not None
        ]
        body.line(body.own("gradient", gradient_of(parameter)), "+=", terms)
        updates = {}
        for one in found:
            added = body.own("added", next_of(parameter, one.carried))
            terms = [added, *([own[one.carried]] if one.carried.name == SUM else [])]
            for other in own:
                if (place := one.of(other)) is not None:
                    factor = body.bind("factor", Ref(place[0], trained.place.index, place[1]))
                    terms.append(f"{factor}*{own[other]}")
            updates[one.carried] = body.local(f"_next_{one.carried.name}")
            body.line(updates[one.carried], "=", terms)
        for carried, update in updates.items():
            body.line(own[carried], "=", [update])
            body.line(body.own("added", next_of(parameter, carried)), "=", ["0.0"])
        return body.phases(f"carry {parameter} on")

    def _loss_by(self, trained: TrainedParameter, carried: Carried) -> Ref | None:
        """The derivative of the chunk's loss by a number that was carried to it."""
        index = trained.place.index
        if carried.ago:
            return Ref(adjoint_of(trained.events or ""), index, -carried.ago)
        if carried.route is not None:
            return Ref(f"border:{carried.route.signal(carried.name)}", index)
        return None if carried.name == SUM else Ref(adjoint_of(carried.name), index)


def _populations(
    model: Model, trained: list[TrainedParameter], routes: Mapping[str, tuple[Route, ...]]
) -> tuple[Population, ...]:
    """The populations that parameters act on."""
    found: dict[frozenset[str], list[TrainedParameter]] = {}
    for each in trained:
        found.setdefault(each.population, []).append(each)
    return tuple(
        Population(
            state=state,
            size=model.state[min(state)].size,
            events=each[0].events,
            routes=routes.get(each[0].events or "", ()),
            parameters=tuple(one.parameter for one in each),
        )
        for state, each in found.items()
    )


def _check_length(populations: tuple[Population, ...], chunk: int) -> None:
    for population in populations:
        if population.delay > chunk:
            raise LearningError(
                f"EProp's chunk of {chunk} steps is shorter than the {population.delay} steps that "
                f"spikes of '{population.events}' are on their way to the output. Give "
                f"chunk={population.delay} or more."
            )
