"""The traces and the gradient of one parameter, phase by phase (see ``traces``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from brian2eprop.device.program import (
    Body,
    Detect,
    ForEach,
    ForEachEvent,
    Index,
    Phase,
    Propagate,
    Ref,
)
from brian2eprop.learning.adjoint.coefficients import CoefficientScope
from brian2eprop.learning.adjoint.tape import Origin
from brian2eprop.learning.adjoint.writer import total_phase
from brian2eprop.learning.model.linearise import common_delay
from brian2eprop.learning.model.symbolic import Expression
from brian2eprop.learning.naming import partial_of
from brian2eprop.learning.objective.loss import TRIAL_STEPS, LossArrays
from brian2eprop.learning.objective.rates import rate_terms
from brian2eprop.learning.objective.task import WEIGHT
from brian2eprop.learning.traces.parts import TraceParts
from brian2eprop.learning.traces.routes import Route, check_uniform
from brian2eprop.learning.traces.trace_body import TraceBody
from brian2eprop.learning.traces.trained import find_trained


class ParameterTraces:
    """The traces and the gradient of one parameter."""

    averaged_over = TRIAL_STEPS  # what regularisers say in each step, where they do so

    def __init__(self, writer: TraceParts, parameter: str) -> None:
        self.writer = writer
        self.model = writer.model
        self.parameter = parameter
        trained = find_trained(self.model, parameter)
        self.place, self.population = trained.place, trained.population
        self.events = trained.events
        self.routes = writer.routes[self.events] if self.events is not None else ()
        self.heard = {member for route in self.routes for member in self._reached(route)}
        self.body = TraceBody(self.place, writer.tape)

    def write(self) -> None:
        """Add the parameter's arrays and phases to the writer's."""
        for array in sorted(self.population):
            self.writer.scratch(self._trace(array), self.place.size)
        self.writer.sums.append(self.writer.scratch(self._sum, self.place.size))
        if self.events is not None:
            self._write_spike_arrays()
        for number, phase in enumerate(self.model.phases):
            self._follow(number, phase)
        self._collect()
        self._flush(f"gradient of {self.parameter}")
        self.writer.end.append(total_phase(self.parameter, self.place.size, self._sum))

    @property
    def _sum(self) -> str:
        return partial_of(self.parameter)

    @property
    def _eligibility(self) -> str:
        return f"eligibility:{self.parameter}"

    @property
    def _sums_rates(self) -> bool:
        """Whether regularisers ask for the sum over a sample, with its rates known at its end."""
        return bool(self.writer.task.regularisers) and not self.writer.online

    @property
    def _rates(self) -> str:
        return f"eligibility:sum:{self.parameter}"

    def _trace(self, array: str) -> str:
        return f"trace:{self.parameter}:{array}"

    def _filtered(self, array: str) -> str:
        return f"filtered:{self.parameter}:{array}"

    def _reached(self, route: Route) -> frozenset[str]:
        return self.model.population(route.outputs[0])

    def _flush(self, label: str) -> None:
        """The lines so far become a loop; collecting starts anew."""
        self.writer.step += self.body.phases(label)
        self.body = TraceBody(self.place, self.writer.tape)

    def _write_spike_arrays(self) -> None:
        delay = max((common_delay(route.phase) for route in self.routes), default=0)
        self.writer.scratch(self._eligibility, self.place.size, delay)
        for array in sorted(self.heard):
            self.writer.scratch(self._filtered(array), self.place.size)
        if self._sums_rates:
            self.writer.scratch(self._rates, self.place.size)

    def _follow(self, number: int, phase: Phase) -> None:
        body: Body | None = getattr(phase, "body", None)
        if body is None:
            return
        touched = {ref.array for ref in body.refs.values()}
        match phase:
            case ForEach() if touched & self.population:
                self._dynamics(Origin(number, body, phase.size))
            case ForEach() if touched & self.heard:
                self._filter(Origin(number, body, phase.size))
            case Detect() if phase.events == self.events:
                self._spike(number, phase)
            case ForEachEvent() if phase.events == self.events:
                size = self.model.events[phase.events].size
                self._reset(Origin(number, body, size), phase.events)
            case Propagate() if self.parameter in touched:
                self._input_spike(number, phase)
            case Propagate():
                for route in self.routes:
                    if route.origin.number == number:
                        self._arrive(route)

    def _dynamics(self, origin: Origin) -> None:
        found = self.model.maps[origin.number]
        updates = {}
        for of in found.values:
            terms = [
                self.body.product(origin, found.slope(of, by), self._own_trace(origin, by))
                for by in found.state
            ]
            terms += self._direct(origin, partial(found.slope, of))
            updates[of] = self.body.local(f"_next_{of}")
            self.body.line(updates[of], "=", terms)
        for of, update in updates.items():
            self.body.line(self._own_trace(origin, of), "=", [update])

    def _spike(self, number: int, phase: Detect) -> None:
        condition = self.model.conditions[phase.events]
        origin = Origin(number, condition.body, phase.size)
        terms = [
            self.body.product(origin, condition.slope(x), self._own_trace(origin, x))
            for x in condition.state
        ]
        terms += self._direct(replace(origin, body=phase.body), condition.slope)
        pseudo = self.body.coefficient(origin, self.writer.surrogate(condition))
        reach = " + ".join(term for term in terms if term) or "0.0"
        eligibility = self.body.own("eligibility", self._eligibility)
        self.body.line(eligibility, "=", [f"{pseudo}*({reach})"])
        if self._sums_rates:
            self.body.line(self.body.own("eligibility_sum", self._rates), "+=", [eligibility])

    def _reset(self, origin: Origin, events: str) -> None:
        found = self.model.maps[origin.number]
        updates = {}
        for of in found.values:
            slopes = {by: found.slope(of, by) for by in found.state}
            direct = self._direct(origin, partial(found.slope, of))
            terms = [self._own_trace(origin, of)]
            if direct or any(slope != int(of == by) for by, slope in slopes.items()):
                after = [
                    self.body.product(origin, slope, self._own_trace(origin, by))
                    for by, slope in slopes.items()
                ]
                terms = self._where_spiked(events, [*after, *direct], terms[0])
            if origin.body.refs[of].array not in self.model.detached:
                eligibility = self.body.own("eligibility", self._eligibility)
                terms.append(self.body.product(origin, found.jump(of), eligibility))
            updates[of] = self.body.local(f"_after_{of}")
            self.body.line(updates[of], "=", terms)
        for of, update in updates.items():
            self.body.line(self._own_trace(origin, of), "=", [update])

    def _where_spiked(self, events: str, after: list[str], before: str) -> list[str]:
        """The trace after the reset for the neurons that spiked, as it was for the others."""
        spiked = f"int({self.body.neuron('spiked', self.writer.spiked(events))})"
        reset = " + ".join(term for term in after if term) or "0.0"
        return [f"{spiked}*({reset})", f"(1 - {spiked})*{before}"]

    def _input_spike(self, number: int, phase: Propagate) -> None:
        """A spike's direct effect on the trace is added where the spike arrives."""
        self._flush(f"traces of {self.parameter}")
        effect = self.model.effects[number]
        origin = Origin(number, phase.body, self.place.size)
        name = next(n for n, r in phase.body.refs.items() if r.array == self.parameter)
        scope = CoefficientScope(self.writer.tape)
        for of in effect.increments:
            array = self._trace(phase.body.refs[of].array)
            trace = scope.bind(f"trace_{of}", Ref(array, Index.SYNAPSE))
            scope.line(trace, "+=", [scope.coefficient(origin, effect.slope(of, name))])
        label = f"spikes into traces of {self.parameter}"
        self.writer.step.append(replace(phase, label=label, body=scope.body()))

    def _filter(self, origin: Origin) -> None:
        """The readout's dynamics, applied to what will reach it."""
        found = self.model.maps[origin.number]
        updates = {}
        for of in found.values:
            terms = []
            for by in found.state:
                slope = found.slope(of, by)
                check_uniform(origin, slope)
                terms.append(self.body.product(origin, slope, self._own_filtered(origin, by)))
            updates[of] = self.body.local(f"_next_{of}")
            self.body.line(updates[of], "=", terms)
        for of, update in updates.items():
            self.body.line(self._own_filtered(origin, of), "=", [update])

    def _arrive(self, route: Route) -> None:
        for of, ratio in route.ratios.items():
            then = self.body.own("eligibility", self._eligibility, -common_delay(route.phase))
            filtered = self._own_filtered(route.origin, of)
            self.body.line(filtered, "+=", [self.body.product(route.origin, ratio, then)])

    def _collect(self) -> None:
        """The step's contribution to the gradient, and at the end the regularisers'."""
        body = self.body
        weight = body.scalar("weight", WEIGHT)
        terms = [f"{weight}*{term}" for term in self._judged(body)]
        if self.events is not None:
            terms += self._rates_so_far(self.events)
        body.line(body.own("part", self._sum), "+=", terms)
        if self.events is not None and self._sums_rates:
            self._collect_rates(self.events)

    def _judged(self, body: TraceBody) -> list[str]:
        """The derivative of what the loss says of the outputs as they are."""
        terms = []
        for output in (o.array for o in self.writer.task.outputs if o.array in self.population):
            gradient = body.neuron("gradient", LossArrays(output).gradient)
            terms.append(f"{gradient}*{body.own('trace', self._trace(output))}")
        for route in self.routes:
            for output in route.outputs:
                signal = body.neuron("signal", route.signal(output))
                terms.append(f"{signal}*{body.own('filtered', self._filtered(output))}")
        return terms

    def _rates_so_far(self, events: str) -> list[str]:
        """The regularisers' contribution, where the end of the sample is not waited for."""
        if not self.writer.online:
            return []
        task, index = self.writer.task, self.place.index
        terms = rate_terms(self.body, task, self.model.dt, events, index, self.averaged_over)
        return [f"{term}*{self.body.own('eligibility', self._eligibility)}" for term in terms]

    def _collect_rates(self, events: str) -> None:
        ending = TraceBody(self.place, self.writer.tape)
        terms = rate_terms(ending, self.writer.task, self.model.dt, events, self.place.index)
        for term in terms:
            rates = ending.own("eligibility_sum", self._rates)
            ending.line(ending.own("part", self._sum), "+=", [f"{term}*{rates}"])
        self.writer.end += ending.phases(f"rates in the gradient of {self.parameter}")

    def _own_trace(self, origin: Origin, name: str) -> str:
        return self.body.own(f"trace_{name}", self._trace(origin.body.refs[name].array))

    def _own_filtered(self, origin: Origin, name: str) -> str:
        return self.body.own(f"filtered_{name}", self._filtered(origin.body.refs[name].array))

    def _direct(self, origin: Origin, slope: Callable[[str], Expression]) -> list[str]:
        """The parameter's own derivative, where it stands in a neuron's phase."""
        found = [n for n, r in origin.body.refs.items() if r.array == self.parameter]
        return [self.body.coefficient(origin, slope(n)) for n in found if slope(n) != 0]
