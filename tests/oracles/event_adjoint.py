"""EventProp without a grid: the crossings that the package derives, in an event-exact solution."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from scipy.integrate import solve_ivp

import brian2eprop as b2e
from brian2eprop.device.program import Body, Propagate
from brian2eprop.learning.model.derivative import derivative
from brian2eprop.learning.model.flow import Flows
from brian2eprop.learning.model.model import Model, analyse
from brian2eprop.learning.model.numbers import function_of
from brian2eprop.learning.model.symbolic import Expression, names
from brian2eprop.learning.objective.trial import without_recordings
from tests.oracles import event_exact as exact
from tests.oracles.systems import is_time

MS = 1e-3

# Made once for each expression: it is evaluated at every step of the solution.
function = lru_cache(maxsize=None)(function_of)
slope = lru_cache(maxsize=None)(derivative)


class Watched(b2e.EventProp):
    """EventProp, of which one can see what it was given."""

    seen: ClassVar[list[Model]] = []

    def training_program(self, model: Any, task: Any) -> Any:
        self.seen[:] = [analyse(without_recordings(model), (), task.values)]
        return super().training_program(model, task)


def unit(parameter: str) -> float:
    """A neuron's parameter's unit, in Brian2's."""
    return MS if is_time(parameter) else 1.0


class Adjoint:
    """Goes back through a solution; all rates are by second, as the package has them."""

    def __init__(self, model: Model, run: exact.Run) -> None:
        self.model, self.run, self.net = model, run, run.net
        self.flows = Flows(model)
        self.signal = np.zeros(len(run.spikes))
        self.gradient: dict[str, Any] = {
            name: np.zeros_like(found.weights) for name, found in self.net.synapses.items()
        }
        self.own = {
            f"{group}.{name}": np.zeros_like(values)
            for group, found in self.net.populations.items()
            for name, values in found.own.items()
        }
        self.delays = {
            f"{name}.delay": np.zeros_like(found.delays)
            for name, found in self.net.synapses.items()
        }
        self.pathways = {
            phase.connectivity: (number, phase)
            for number, phase in enumerate(model.phases)
            if isinstance(phase, Propagate)
        }

    def gradients(self) -> dict[str, Any]:
        """The gradient of the loss by weights, delays and neurons' parameters, times in ms."""
        adjoint = np.zeros(self.run.size)
        for piece in reversed(self.run.pieces):
            match piece.event:
                case exact.Spike():
                    adjoint = self._spike(adjoint, piece, piece.event)
                case exact.Arrival():
                    adjoint = self._arrival(adjoint, piece, piece.event)
            adjoint = self._back(adjoint, piece)
        own = {key: values * unit(key) for key, values in self.own.items()}
        return self.gradient | own | {key: values * MS for key, values in self.delays.items()}

    def _numbers(self, body: Body, state: Any) -> dict[str, Any]:
        """What the names of a body of neurons stand for."""
        found: dict[str, Any] = {"t": 0.0, "dt": 0.0, **body.constants}
        for name, ref in body.refs.items():
            group, _, variable = ref.array.partition(".")
            if (group, variable) in self.run.places:
                found[name] = state[self.run.places[group, variable]]
            elif group in self.net.populations and variable in self.net.populations[group].own:
                found[name] = self.net.populations[group].own[variable] * unit(variable)
        return found

    def _value(self, expression: Expression, body: Body, state: Any) -> Any:
        return function(expression)(self._numbers(body, state))

    def _place(self, array: str) -> slice:
        group, _, variable = array.partition(".")
        return self.run.places[group, variable]

    def _back(self, adjoint: Any, piece: exact.Piece) -> Any:
        """The adjoint from the end of a piece to its start, and the parameters' integrals."""
        if piece.stop == piece.start:
            return adjoint
        sizes = [len(values) for values in self.own.values()]
        output = self.run.places[self.net.output]

        def change(time: float, both: Any) -> Any:
            state, a = piece.solution(time)[:-1], both[: self.run.size]
            da = np.zeros_like(a)
            dp = {key: np.zeros_like(values) for key, values in self.own.items()}
            if self.net.first is None:
                da[output] -= (state[output] - self.net.goal) / self.net.duration
            for array, flow in self.flows.by_array.items():
                own = a[self._place(array)]
                for name in names(flow.value) & set(flow.body.refs):
                    by = flow.body.refs[name].array
                    term = own * self._value(slope(flow.value, name), flow.body, state)
                    if by in self.flows.by_array:
                        da[self._place(by)] -= term * MS
                    elif by in dp:
                        dp[by] -= term * MS
            return np.concatenate([da, *dp.values()])

        begin = np.concatenate([adjoint, np.zeros(sum(sizes))])
        solved = solve_ivp(
            change,
            (piece.stop, piece.start),
            begin,
            method="DOP853",
            rtol=1e-10,
            atol=1e-12,
            max_step=2.0,
        )
        end = solved.y[:, -1]
        parts = np.split(end[self.run.size :], np.cumsum(sizes)[:-1]) if sizes else []
        for key, part in zip(self.own, parts, strict=True):
            self.own[key] += part
        return end[: self.run.size]

    def _arrival(self, adjoint: Any, piece: exact.Piece, event: exact.Arrival) -> Any:
        found = self.net.synapses[event.synapses]
        state = piece.solution(piece.stop)[: self.run.size]
        number, phase = self.pathways[event.synapses]
        effect = self.model.effects[number]
        target, refs = event.target, phase.body.refs
        numbers = {**self._numbers(phase.body, state), "w": found.weights[event.source]}

        def at(expression: Expression, numbers: Any = numbers) -> float:
            size = self.net.populations[found.target].size
            return float(np.broadcast_to(function(expression)(numbers), (size,))[target])

        def own(array: str) -> float:
            return float(adjoint[self._place(array).start + target])

        later = 0.0
        for arrival in self.flows.arrivals(number, phase):
            added = {own: at(effect.increments[name]) for name, own in arrival.added.items()}
            here = {**self._numbers(arrival.body, state), **added}
            later -= at(arrival.change, here) * own(arrival.array)
        before = adjoint.copy()
        for of in effect.increments:
            weight = at(effect.slope(of, "w")) * own(refs[of].array)
            self.gradient[event.synapses][event.source, target] += weight
            for by in effect.state:
                change = at(effect.slope(of, by)) * own(refs[of].array)
                before[self._place(refs[by].array).start + target] += change
                flow = self.flows.by_array[refs[by].array]
                later += change * at(flow.value, self._numbers(flow.body, state))
        self.delays[f"{event.synapses}.delay"][event.source, target] += later
        if event.spike is not None:
            self.signal[event.spike] += later
        return before

    def _judged(self, event: exact.Spike, time: float) -> float:
        """The derivative of the loss by the time of a spike as such."""
        first = self.net.first
        if first is None or event.group != first.group:
            return 0.0
        if time != self.run.first_times[event.neuron]:
            return 0.0
        return float(first.slopes(self.run.first_times)[event.neuron]) / MS

    def _spike(self, adjoint: Any, piece: exact.Piece, event: exact.Spike) -> Any:
        events = event.group
        condition = self.model.conditions[events]
        state = piece.solution(piece.stop)[: self.run.size]
        neuron, size = event.neuron, self.net.populations[event.group].size

        def at(expression: Expression, body: Body) -> float:
            return float(np.broadcast_to(self._value(expression, body, state), (size,))[neuron])

        signal = self.signal[event.number] + self._judged(event, piece.stop)
        for array, shift in self.flows.reset(events).items():
            own = adjoint[self._place(array).start + neuron]
            signal += own * at(shift, condition.body)
        before = adjoint.copy()
        for number, phase in enumerate(self.model.phases):
            reset = self.model.maps.get(number)
            if reset is None or events not in phase.hears():
                continue
            for x, value in reset.values.items():
                own = adjoint[self._place(reset.body.refs[x].array).start + neuron]
                for name, array in self._trained(reset.body, value):
                    self.own[array][neuron] += own * at(slope(value, name), reset.body)
            for by in reset.state:
                place = self._place(reset.body.refs[by].array).start + neuron
                before[place] = sum(
                    adjoint[self._place(reset.body.refs[of].array).start + neuron]
                    * at(reset.slope(of, by), reset.body)
                    for of in {**reset.values, by: None}
                )
        later = -signal / at(self.flows.rise(condition), condition.body)
        for name in condition.state:
            place = self._place(condition.body.refs[name].array).start + neuron
            before[place] += later * at(condition.slope(name), condition.body)
        for name, array in self._trained(condition.body, condition.distance):
            self.own[array][neuron] += later * at(condition.slope(name), condition.body)
        return before

    def _trained(self, body: Body, expression: Expression) -> list[tuple[str, str]]:
        """The neurons' parameters in an expression, with their arrays."""
        known = {name: ref.array for name, ref in body.refs.items() if ref.array in self.own}
        return [(name, known[name]) for name in sorted(names(expression) & set(known))]


def gradients(model: Model, net: exact.Net) -> Mapping[str, Any]:
    """EventProp's gradients of a network, by the oracle's keys."""
    return Adjoint(model, exact.Run(net)).gradients()
