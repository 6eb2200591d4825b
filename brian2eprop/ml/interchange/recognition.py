"""Which node of NIR a group of Brian2 is, by its equations."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import NeuronGroup

from brian2eprop.errors import Unsupported
from brian2eprop.ml.graph import Values
from brian2eprop.ml.interchange.evaluation import Scope, has, slope, without
from brian2eprop.ml.interchange.neurons import MODELS


@dataclass(frozen=True)
class Population:
    """A group as a node.

    Parameters
    ----------
    kind : str
        What NIR calls it; 'Input', or 'Output' where a group only sums up.
    parameters : mapping of str to array
        Its arrays, of one number or one for each neuron.
    factors : mapping of str to array
        By which the weights onto each variable that synapses add to are multiplied.
    bias : array
        What reaches its neurons besides.
    sends : str, optional
        The variable that it sends on, where it does not spike.
    metadata : mapping of str to object
        What NIR has no symbol for.
    """

    kind: str
    parameters: Mapping[str, Values]
    factors: Mapping[str, Values] = field(default_factory=dict)
    bias: Values | float = 0.0
    sends: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def recognise(
    group: Any, received: Collection[str], namespace: Mapping[str, Any], soft_reset: bool
) -> Population:
    """Find the node that a group is.

    Parameters
    ----------
    group : Group
        The group.
    received : collection of str
        Its variables that synapses add to, or sum up in.
    namespace : mapping
        Where names in its equations are looked up.
    soft_reset : bool
        Whether a reset by subtraction is noted in the metadata rather than refused.

    Returns
    -------
    Population
        The node.

    Raises
    ------
    Unsupported
        If NIR has none like it.
    """
    if not isinstance(group, NeuronGroup) or (not received and not group.equations.diff_eq_names):
        return Population("Input", {})
    found = _Recognition(group, sorted(received), Scope(group, namespace))
    if group._refractory is not False:
        raise found.refusal("is refractory")
    if any(event != "spike" for event in group.events):
        raise found.refusal("has events besides spikes")
    if not found.states:
        return found.without_states()
    kind, parameters = found.membrane()
    if "spike" not in group.events:
        return found.population(kind, parameters, {}, sends=found.potential)
    spiking, metadata = found.spiking(soft_reset)
    return found.population(kind + "F", {**parameters, **spiking}, metadata)


class _Recognition:
    def __init__(self, group: Any, received: list[str], scope: Scope) -> None:
        self.group, self.received, self.scope = group, received, scope
        equations = group.equations.get_substituted_expressions(
            group.variables, include_subexpressions=True
        )
        self.states = {
            name: scope.symbols(expression.code)
            for name, expression in equations
            if name in group.equations.diff_eq_names
        }
        self.expressions = {str(name): str(expression.code) for name, expression in equations}
        self.current, self.potential = self._roles()
        self.factors: dict[str, Values] = {}
        self.bias: Values | float = 0.0
        self.dt = float(group.clock.dt_)

    def refusal(self, what: str) -> Unsupported:
        return Unsupported(
            f"'{self.group.name}' {what}, for which NIR has no node; it has {', '.join(MODELS)}."
        )

    def _roles(self) -> tuple[str | None, str | None]:
        """The state that decays by itself and drives the other, if there is one, and the other."""
        names = list(self.states)
        if len(names) > 2:
            raise self.refusal(f"has {len(names)} differential equations")
        if len(names) < 2:
            return None, (names[0] if names else None)
        for current, potential in (names, names[::-1]):
            if not has(self.states[current], potential):
                return current, potential
        raise self.refusal(f"has two states, '{names[0]}' and '{names[1]}', that drive each other")

    def membrane(self) -> tuple[str, dict[str, Values]]:
        """What it is called without its spikes, and its parameters."""
        potential, current = str(self.potential), self.current
        leak, rest = self._linear(potential)
        if current is None:
            drive = self._drives(potential)
            if np.all(leak == 0):
                self.bias = self.bias + rest / drive
                return "I", {"r": drive}
            tau = self._time_constant(potential, leak)
            return "LI", {"tau": tau, "r": tau * drive, "v_leak": tau * rest}
        for name in self.received:
            if name != current and (name == potential or has(self.states[potential], name)):
                raise self.refusal(
                    f"has the current '{current}', and synapses that reach '{potential}' past it"
                )
        decay, constant = self._linear(current)
        drive = self._drives(current)
        self.bias = self.bias + constant / drive
        tau_syn = self._time_constant(current, decay)
        tau_mem = self._time_constant(potential, leak)
        coupling = self.scope.number(slope(self.states[potential], current))
        return "CubaLI", {
            "tau_syn": tau_syn, "tau_mem": tau_mem, "r": tau_mem * coupling,
            "v_leak": tau_mem * rest, "w_in": tau_syn * drive,
        }  # fmt: skip

    def _linear(self, state: str) -> tuple[Values, Values]:
        """How fast a state grows by itself, and by what is constant."""
        expression = self.states[state]
        others = [*self.states, *self.received, *self._named_bias()]
        if any(has(slope(expression, name), other) for name in others for other in others):
            raise self.refusal(f"has an equation of '{state}' that is not linear")
        return (
            self.scope.number(slope(expression, state)),
            self.scope.number(without(expression, others)),
        )

    def _time_constant(self, state: str, leak: Values) -> Values:
        if not np.all(leak < 0):
            raise self.refusal(f"has a state '{state}' that does not decay")
        return np.asarray(-1 / leak)

    def _named_bias(self) -> list[str]:
        """The constant that reaches neurons as their input does, as from_nir calls it."""
        return ["bias"] if "bias" in self.group.variables else []

    def _drives(self, state: str) -> Values:
        """How fast a unit of the first input lets a state grow; other inputs by factors of it."""
        expression = self.states.get(state)
        slopes = {
            # What is added at a spike is a pulse of one step.
            name: np.array(1 / self.dt) if name == state else self._slope(expression, name)
            for name in [*self.received, *self._named_bias()]
        }
        if not slopes:
            return np.ones(1)
        first = next(iter(slopes.values()))
        if not np.all(first):
            raise self.refusal(f"does not let what reaches it change '{state}'")
        self.factors = {name: np.asarray(found / first) for name, found in slopes.items()}
        if "bias" in self.factors and "bias" not in self.received:
            values = np.asarray(self.group.variables["bias"].get_value(), float)
            self.bias = self.factors.pop("bias") * values
        return np.asarray(first)

    def _slope(self, expression: Any, name: str) -> Values:
        return self.scope.number(slope(expression, name))

    def spiking(self, soft_reset: bool) -> tuple[dict[str, Values], dict[str, Any]]:
        """Threshold and reset."""
        name = str(self.potential)
        level = self._above(name)
        reset = self.group.event_codes.get("spike", "").strip()
        set_to = re.fullmatch(rf"{name}\s*=\s*([^=;\n]+)", reset)
        if set_to:
            return {"v_threshold": level, "v_reset": self._number(set_to[1])}, {}
        less = re.fullmatch(rf"{name}\s*-=\s*([^;\n]+)", reset)
        if less is None:
            raise self.refusal(f"has the reset '{reset}'")
        if not np.allclose(self._number(less[1]), level):
            raise self.refusal(f"has the reset '{reset}', which is not by its threshold")
        if not soft_reset:
            raise Unsupported(
                f"'{self.group.name}' keeps what is above its threshold ('{reset}'), and NIR's "
                "neurons do not; give soft_reset='metadata' to note it where only tools that read "
                "it follow."
            )
        return {"v_threshold": level, "v_reset": np.zeros(1)}, {"reset": "subtract"}

    def _above(self, name: str) -> Values:
        condition = str(self.group.events["spike"]).strip()
        found = re.fullmatch(rf"{re.escape(name)}\s*>=?\s*([^=<>&|]+)", condition)
        if found is None:
            raise self.refusal(f"has the threshold '{condition}'")
        return self._number(found[1])

    def _number(self, code: str) -> Values:
        return self.scope.number(self.scope.symbols(code))

    def without_states(self) -> Population:
        """A group that only compares what reaches it, or sums it up."""
        if "spike" not in self.group.events:
            name = self._sum()
            return self.population("Output", {}, {}, sends=name)
        name = str(self.group.events["spike"]).split(">")[0].strip()
        if name not in self.expressions:
            raise self.refusal(f"has the threshold '{self.group.events['spike']}' without a state")
        self.states = {name: self.scope.symbols(self.expressions[name])}
        self.bias = self._linear(name)[1] + self._sum_bias(name)
        if self.group.event_codes.get("spike", "").strip():
            raise self.refusal("has a reset without a state")
        return self.population("Threshold", {"threshold": self._above(name)}, {})

    def _sum(self) -> str:
        for name, code in self.expressions.items():
            self.states = {name: self.scope.symbols(code)}
            if all(has(self.states[name], each) for each in self.received):
                self.bias = self._linear(name)[1] + self._sum_bias(name)
                return name
        raise self.refusal("has no variable that sums up what reaches it")

    def _sum_bias(self, name: str) -> Values | float:
        first = self._drives(name)
        self.factors = {each: found * first for each, found in self.factors.items()}
        return self.bias * first

    def population(
        self, kind: str, parameters: dict[str, Values], metadata: dict[str, Any], sends: Any = None
    ) -> Population:
        return Population(kind, parameters, self.factors, self.bias, sends, metadata)
