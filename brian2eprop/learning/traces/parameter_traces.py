"""The traces and the gradient of one parameter, phase by phase (see ``traces``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

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
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.backward import gradient_of
from brian2eprop.learning.model.derivative import derivative
from brian2eprop.learning.model.lines import Lines
from brian2eprop.learning.model.symbolic import Expression, names
from brian2eprop.learning.objective.losses import OUTPUT_GRADIENT
from brian2eprop.learning.objective.rates import rate_terms
from brian2eprop.learning.traces.trace_body import Place, Route, TraceBody

if TYPE_CHECKING:
    from brian2eprop.learning.traces.writer import TraceWriter


class ParameterTraces:
    """The traces and the gradient of one parameter."""

    def __init__(self, writer: TraceWriter, parameter: str) -> None:
        self.writer = writer
        self.model = writer.model
        self.parameter = parameter
        uses = self._uses()
        self.place = self._place(uses)
        self.population = self._population(uses)
        self.events = next((self.model.spiking.get(a) for a in sorted(self.population)), None)
        self.route = self._route()
        self.output = self.model.population(writer.task.output)
        self.body = TraceBody(self.place, writer.tape)

    def write(self) -> None:
        """Add the parameter's arrays and phases to the writer's."""
        for array in sorted(self.population):
            self.writer.scratch(self._trace(array), self.place.size)
        self.writer.scratch(self._sum, self.place.size)
        if self.route is not None:
            self._write_route_arrays(self.route)
        for number, phase in enumerate(self.model.phases):
            self._follow(number, phase)
        self._collect()
        self.writer.step += self.body.flush(f"gradient of {self.parameter}")
        refs = {
            "total": Ref(gradient_of(self.parameter), Index.ELEMENT),
            "own": Ref(self._sum, Index.ELEMENT),
        }
        self.writer.end.append(
            ForEach(f"gradient of {self.parameter}", self.place.size, Body("total += own", refs))
        )

    @property
    def _sum(self) -> str:
        return f"sum_{self.parameter}"

    @property
    def _eligibility(self) -> str:
        return f"eligibility_{self.parameter}"

    @property
    def _rates(self) -> str:
        return f"eligibility_sum_{self.parameter}"

    def _trace(self, array: str) -> str:
        return f"trace_{self.parameter}_{array}"

    def _filtered(self, array: str) -> str:
        return f"filtered_{self.parameter}_{array}"

    def _uses(self) -> list[Phase]:
        found = [
            phase
            for phase in self.model.phases
            if any(
                r.array == self.parameter for r in getattr(phase, "body", Body("")).refs.values()
            )
        ]
        if not found:
            raise LearningError(
                f"'{self.parameter}' has no influence on the output that can be followed: it "
                "stands in no equation, threshold, reset or on_pre of the network. Take it out "
                "of the parameters."
            )
        return found

    def _place(self, uses: list[Phase]) -> Place:
        size = self.model.arrays[self.parameter].size
        pathways = {p.connectivity for p in uses if isinstance(p, Propagate)}
        if not pathways:
            return Place(self.parameter, size, None)
        return Place(self.parameter, size, self.model.connectivities[pathways.pop()])

    def _population(self, uses: list[Phase]) -> frozenset[str]:
        state = {
            ref.array
            for phase in uses
            for name, ref in phase.body.refs.items()  # type: ignore[union-attr]
            if ref.array in self.model.state
        }
        populations = {self.model.population(array) for array in state}
        if len(populations) != 1:
            raise LearningError(
                f"'{self.parameter}' acts on several populations, which the forward form does "
                "not follow. Use EProp(form='adjoint')."
            )
        return populations.pop()

    def _route(self) -> Route | None:
        if self.events is None:
            return None
        return self.writer.routes[self.events]

    def _write_route_arrays(self, route: Route) -> None:
        self.writer.scratch(self._eligibility, self.place.size, -route.phase.offset)
        for array in sorted(self.output):
            self.writer.scratch(self._filtered(array), self.place.size)
        if self.writer.task.regularisers:
            self.writer.scratch(self._rates, self.place.size)

    def _follow(self, number: int, phase: Phase) -> None:
        body: Body | None = getattr(phase, "body", None)
        if body is None:
            return
        if self.body.conflicts(body):
            self.writer.step += self.body.flush(f"traces of {self.parameter}")
        touched = {ref.array for ref in body.refs.values()}
        match phase:
            case ForEach() if touched & self.population:
                self._dynamics(number, phase)
            case ForEach() if self.route is not None and touched & self.output:
                self._filter(number, phase)
            case Detect() if phase.events == self.events:
                self._spike(number, phase)
            case ForEachEvent() if phase.events == self.events:
                self._reset(number, phase)
            case Propagate() if self.parameter in touched:
                self._input_spike(number, phase)
            case Propagate() if self.route is not None and number == self.route.number:
                self._arrive(self.route)

    def _dynamics(self, number: int, phase: ForEach) -> None:
        found = self.model.maps[number]
        for of in found.values:
            terms = [
                self._product(number, phase.body, found.slope(of, by), self._own_trace(phase, by))
                for by in found.state
            ]
            terms += self._direct(number, phase, partial(found.slope, of))
            self.body.line(f"_next_{of}", "=", terms)
        for of in found.values:
            self.body.line(self._own_trace(phase, of), "=", [f"_next_{of}"])

    def _spike(self, number: int, phase: Detect) -> None:
        condition = self.model.conditions[phase.events]
        terms = [
            self._product(number, phase.body, condition.slope(x), self._own_trace(phase, x))
            for x in condition.state
        ]
        terms += self._direct(number, phase, condition.slope)
        pseudo = self.body.coefficient(
            number, phase.body, self.writer.surrogate(condition), phase.size
        )
        reach = " + ".join(term for term in terms if term) or "0.0"
        eligibility = self.body.own(self._eligibility)
        self.body.line(eligibility, "=", [f"{pseudo}*({reach})"])
        if self.writer.task.regularisers:
            self.body.line(self.body.own(self._rates), "+=", [eligibility])

    def _reset(self, number: int, phase: ForEachEvent) -> None:
        found = self.model.maps[number]
        size = self.model.events[phase.events].size
        updates = []
        for of in found.values:
            slopes = {by: found.slope(of, by) for by in found.state}
            direct = self._direct(number, phase, partial(found.slope, of))
            terms = [self._own_trace(phase, of)]
            if direct or any(slope != int(of == by) for by, slope in slopes.items()):
                after = [
                    self._product(number, phase.body, slope, self._own_trace(phase, by), size)
                    for by, slope in slopes.items()
                ]
                terms = self._where_spiked(phase, of, [*after, *direct])
            if phase.body.refs[of].array not in self.model.detached:
                eligibility = self.body.own(self._eligibility)
                terms.append(self._product(number, phase.body, found.jump(of), eligibility, size))
            self.body.line(f"_after_{of}", "=", terms)
            updates.append(of)
        for of in updates:
            self.body.line(self._own_trace(phase, of), "=", [f"_after_{of}"])

    def _where_spiked(self, phase: ForEachEvent, of: str, after: list[str]) -> list[str]:
        """The trace after the reset for the neurons that spiked, as it was for the others."""
        spiked = f"int({self.body.neuron(self.writer.spiked(phase.events))})"
        reset = " + ".join(term for term in after if term) or "0.0"
        return [f"{spiked}*({reset})", f"(1 - {spiked})*{self._own_trace(phase, of)}"]

    def _input_spike(self, number: int, phase: Propagate) -> None:
        """A spike's direct effect on the trace is added where the spike arrives."""
        self.writer.step += self.body.flush(f"traces of {self.parameter}")
        effect = self.model.effects[number]
        name = next(n for n, r in phase.body.refs.items() if r.array == self.parameter)
        lines = Lines()
        for of in effect.increments:
            slope = effect.slope(of, name)
            text, refs = self.writer.tape.coefficient(number, phase.body, slope, 0)
            for used, ref in refs.items():
                lines.bind(used, ref)
            for used in names(slope) & set(phase.body.constants):
                lines.define(used, phase.body.constants[used])
            array = self._trace(phase.body.refs[of].array)
            lines.line(lines.bind(array, Ref(array, Index.SYNAPSE)), "+=", [text])
        label = f"spikes into traces of {self.parameter}"
        self.writer.step.append(replace(phase, label=label, body=lines.body()))

    def _filter(self, number: int, phase: ForEach) -> None:
        """The readout's dynamics, applied to what will reach it."""
        found = self.model.maps[number]
        for of in found.values:
            terms = []
            for by in found.state:
                slope = found.slope(of, by)
                self._check_uniform(phase.body, slope)
                name = self.body.own(self._filtered(phase.body.refs[by].array))
                terms.append(self._product(number, phase.body, slope, name))
            self.body.line(f"_next_{of}", "=", terms)
        for of in found.values:
            name = self.body.own(self._filtered(phase.body.refs[of].array))
            self.body.line(name, "=", [f"_next_{of}"])

    def _arrive(self, route: Route) -> None:
        phase, effect = route.phase, self.model.effects[route.number]
        weight = self.model.weight(phase)
        for of, increment in effect.increments.items():
            slope = derivative(increment, weight)
            self._check_uniform(phase.body, slope)
            name = self.body.own(self._filtered(phase.body.refs[of].array))
            then = self.body.own(self._eligibility, phase.offset)
            self.body.line(name, "+=", [self._product(route.number, phase.body, slope, then)])

    def _collect(self) -> None:
        """The step's contribution to the gradient, and at the end the regularisers'."""
        body, output = self.body, self.writer.task.output
        total, weight = body.own(self._sum), body.scalar("weight")
        if self.route is None:
            gradient = body.neuron(OUTPUT_GRADIENT)
            body.line(total, "+=", [f"{weight}*{gradient}*{body.own(self._trace(output))}"])
            return
        signal = body.neuron(self.route.signal)
        body.line(total, "+=", [f"{weight}*{signal}*{body.own(self._filtered(output))}"])
        self._collect_rates()

    def _collect_rates(self) -> None:
        assert self.events is not None
        ending = TraceBody(self.place, self.writer.tape)
        terms = rate_terms(ending, self.writer.task, self.model.dt, self.events, self.place.index)
        for term in terms:
            ending.line(ending.own(self._sum), "+=", [f"{term}*{ending.own(self._rates)}"])
        self.writer.end += ending.flush(f"rates in the gradient of {self.parameter}")

    def _own_trace(self, phase: ForEach | Detect | ForEachEvent, name: str) -> str:
        return self.body.own(self._trace(phase.body.refs[name].array))

    def _product(
        self, number: int, body: Body, expression: Expression, factor: str, size: int | None = None
    ) -> str:
        if expression == 0:
            return ""
        if expression == 1:
            return factor
        size = getattr(self.model.phases[number], "size", 0) if size is None else size
        return f"{self.body.coefficient(number, body, expression, size)}*{factor}"

    def _direct(
        self,
        number: int,
        phase: ForEach | Detect | ForEachEvent,
        slope: Callable[[str], Expression],
    ) -> list[str]:
        """The parameter's own derivative, where it stands in a neuron's phase."""
        found = [n for n, r in phase.body.refs.items() if r.array == self.parameter]
        size = self.model.arrays[self.parameter].size
        return [
            self.body.coefficient(number, phase.body, slope(name), size)
            for name in found
            if slope(name) != 0
        ]

    def _check_uniform(self, body: Body, slope: Expression) -> None:
        differing = sorted(
            name
            for name in names(slope) & set(body.refs)
            if body.refs[name].index is not Index.SCALAR
        )
        if differing:
            raise LearningError(
                f"The forward form needs readouts that filter alike, but '{differing[0]}' in "
                f"'{body.code}' may differ from neuron to neuron. Use EProp(form='adjoint')."
            )
