"""A network's steps as a map from its parameters to its loss, in any arithmetic.

The map is that of Brian2's schedule: state updates, thresholds, synapses, resets. What a number
is, and how it is differentiated, is up to an :class:`Arithmetic`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol

import numpy as np

from tests.oracles.systems import INPUTS, OUTPUT, READOUT, Population, Synapses, System

NEVER = -(10**6)  # step of the last spike of a neuron that has not spiked
TERMS = 30  # of the series of a step of a linear system


class Arithmetic(Protocol):
    """Numbers that carry derivatives, beside ``+ - * / **``."""

    functions: Mapping[str, Callable[[Any], Any]]

    def spike(self, distance: Any, width: Any, shape: str) -> Any:
        """One above the threshold, with a pseudo-derivative."""

    def stop(self, x: Any) -> Any:
        """The value alone."""

    def choose(self, where: Any, one: Any, other: Any) -> Any:
        """One where a condition holds, else the other."""

    def take(self, x: Any, places: Any) -> Any:
        """Elements of a vector."""

    def add_at(self, x: Any, places: Any, values: Any) -> Any:
        """A vector with values added at some places."""

    def sum(self, x: Any) -> Any:
        """The sum of a vector."""


@cache
def _compiled(text: str) -> Any:
    return compile(text, "<formula>", "eval")


class Map:
    """The steps of a system.

    Parameters
    ----------
    system : System
        What is computed.
    numbers : Arithmetic
        By what numbers.
    crosses : bool
        Whether spikes carry derivatives to neurons that spike, or to the readout alone.
    attached : bool
        Whether the membrane's reset carries them; that of other state always does.

    Attributes
    ----------
    state : dict
        Where the last call of :meth:`loss` ended, by population and variable.
    """

    def __init__(self, system: System, numbers: Arithmetic, crosses: bool, attached: bool) -> None:
        self.system, self.numbers = system, numbers
        self.crosses, self.attached = crosses, attached
        self.state: dict[str, dict[str, Any]] = {}

    def loss(self, parameters: Mapping[str, Any]) -> Any:
        """Half the squared error, summed over outputs, averaged over steps."""
        system = self.system
        state = {
            name: dict.fromkeys(group.flows, np.zeros(group.size))
            for name, group in system.populations.items()
        }
        last = {name: np.full(system.populations[name].size, NEVER) for name in system.spiking()}
        sent: dict[str, list[Any]] = {name: [] for name in system.spiking()}
        sent[INPUTS] = list(system.sent * 1.0)
        self.state, total = state, 0.0
        for step, target in enumerate(system.target):
            active, spikes = {}, {}
            for name, group in system.populations.items():
                around = self._around(name, parameters)
                active[name] = step - last[name] >= group.refractory if name in last else True
                state[name] = self._advanced(group, state[name], around, active[name])
                if name in last:
                    spikes[name] = self._spikes(group, {**around, **state[name]}, active[name])
                    sent[name].append(spikes[name])
                    spiked = self.numbers.stop(spikes[name]) > 0
                    last[name] = self.numbers.choose(spiked, step, last[name])
                    if group.refractory:
                        active[name] = active[name] & ~spiked
            for name, synapses in system.synapses.items():
                self._arrive(name, synapses, parameters, sent, step, state, active)
            for name, z in spikes.items():
                around = self._around(name, parameters)
                state[name] = self._reset(system.populations[name], state[name], around, z)
            error = state[READOUT][OUTPUT] - target
            total = total + self.numbers.sum(error * error)
        return total / (2 * len(system.target))

    def _around(self, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        group = self.system.populations[name]
        own = {key: parameters[f"{name}.{key}"] for key in group.own}
        return {**group.fixed, **own}

    def _of(self, text: str, names: Mapping[str, Any]) -> Any:
        return eval(_compiled(text), {**self.numbers.functions, **names})

    def _advanced(
        self, group: Population, state: dict[str, Any], around: dict[str, Any], active: Any
    ) -> dict[str, Any]:
        """The state a step later."""
        dt = self.system.dt

        def flow(at: Mapping[str, Any]) -> dict[str, Any]:
            found = {x: self._of(text, {**around, **at}) for x, text in group.flows.items()}
            return {x: value * (active if x in group.frozen else 1) for x, value in found.items()}

        def moved(by: Mapping[str, Any], share: float) -> dict[str, Any]:
            return {x: value + by[x] * (share * dt) for x, value in state.items()}

        match group.method:
            case "euler":
                return moved(flow(state), 1)
            case "rk2":
                return moved(flow(moved(flow(state), 0.5)), 1)
            case "rk4":
                first = flow(state)
                second = flow(moved(first, 0.5))
                third = flow(moved(second, 0.5))
                fourth = flow(moved(third, 1))
                return moved(
                    {x: (first[x] + second[x] * 2 + third[x] * 2 + fourth[x]) / 6 for x in state},
                    1,
                )
            case "exact":
                return self._series(state, flow)
            case _:
                return self._exponential(group, state, flow, active)

    def _series(self, state: dict[str, Any], flow: Any) -> dict[str, Any]:
        """The solution of a linear system, by its Taylor series."""
        rest = flow({x: value * 0 for x, value in state.items()})
        term = {x: value * self.system.dt for x, value in flow(state).items()}
        found = {x: state[x] + term[x] for x in state}
        for order in range(2, TERMS):
            changed = flow(term)
            term = {x: (changed[x] - rest[x]) * (self.system.dt / order) for x in state}
            found = {x: found[x] + term[x] for x in state}
        return found

    def _exponential(
        self, group: Population, state: dict[str, Any], flow: Any, active: Any
    ) -> dict[str, Any]:
        """Each equation solved with the other variables as they are."""
        found = {}
        for x, value in state.items():
            around = {name: 0 * other if name == x else other for name, other in state.items()}
            drift = flow(around)[x]
            rate = flow({**around, x: value * 0 + 1})[x] - drift
            if x in group.frozen:  # where nothing moves, any rate will do
                rate = self.numbers.choose(active, rate, -1.0)
            after = (value + drift / rate) * self.numbers.functions["exp"](rate * self.system.dt)
            after = after - drift / rate
            found[x] = self.numbers.choose(active, after, value) if x in group.frozen else after
        return found

    def _spikes(self, group: Population, names: dict[str, Any], active: Any) -> Any:
        distance = self._of(group.distance, names)
        width = self.system.width
        if width is None:
            share = {"Triangular": 1.0, "SuperSpike": 0.1}.get(self.system.surrogate, 0.3)
            rest = {**names, **dict.fromkeys(group.flows, np.zeros(group.size))}
            at_rest = self.numbers.stop(self._of(group.distance, rest))
            width = share * abs(at_rest)
        return self.numbers.spike(distance, width, self.system.surrogate) * active

    def _arrive(
        self,
        name: str,
        synapses: Synapses,
        parameters: Mapping[str, Any],
        sent: dict[str, list[Any]],
        step: int,
        state: dict[str, dict[str, Any]],
        active: dict[str, Any],
    ) -> None:
        """Add what the spikes of as many steps ago as each delay bring to their targets."""
        target, (i, j) = synapses.target, (synapses.i, synapses.j)
        group = self.system.populations[target]
        around = {f"{key}_post": values[j] for key, values in group.fixed.items()}
        if synapses.source != INPUTS:
            source = self.system.populations[synapses.source]
            around |= {f"{key}_pre": values[i] for key, values in source.fixed.items()}
        adds = self._of(synapses.adds, {"w": parameters[name], **around})
        for when in np.unique(step - synapses.delays):
            if when < 0:
                continue
            z = sent[synapses.source][when]
            if not self.crosses and target != READOUT:
                z = self.numbers.stop(z)
            due = (step - synapses.delays == when) * 1.0
            arriving = adds * (self.numbers.take(z, i) * due)
            if synapses.variable in group.frozen:
                arriving = arriving * self.numbers.take(active[target] * 1.0, j)
            found = state[target][synapses.variable]
            state[target][synapses.variable] = self.numbers.add_at(found, j, arriving)

    def _reset(
        self, group: Population, state: dict[str, Any], around: dict[str, Any], z: Any
    ) -> dict[str, Any]:
        after = dict(state)
        for x, text in group.reset:
            after[x] = self._of(text, {**around, **after})
        found = {}
        for x, value in state.items():
            own = z if x != "v" or self.attached else self.numbers.stop(z)
            found[x] = value + (after[x] - value) * own
        return found
