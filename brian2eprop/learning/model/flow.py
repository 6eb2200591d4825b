"""The differential equations behind a model's steps, and what it means to spike a moment later.

A step of the dynamics is a map ``F(x, dt)`` with ``F(x, 0) = x``, so ``f = dF/d(dt)`` at zero is
the right-hand side of the equations that the user wrote, whatever method integrates them.

With ``a`` the loss's derivative by the state, a spike that comes a moment later changes the loss
by (Wunderlich & Pehle 2021, written for any equations)

    a+ . (dR/dt - f(R(x)))        in its own neuron, R the reset; dR/dt = R' f(x) + R_t
    a . ((1 + e') f(y) - f(y + e))   in each neuron where it arrives and adds e(y)

and it comes later by ``-g'/(dg/dt)`` of what moves the state at its threshold ``g(x) = 0``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import sympy
from sympy import Pow

from brian2eprop.device.program import Body, DType, ForEach, ForEachEvent, Index, Propagate
from brian2eprop.device.program.assignments import ALWAYS_THERE
from brian2eprop.errors import LearningError
from brian2eprop.learning.model.derivative import STEPS, derivative
from brian2eprop.learning.model.linearise import Condition
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.numbers import function_of
from brian2eprop.learning.model.symbolic import Expression, names, substitute, symbol, text_of
from brian2eprop.learning.naming import public_name


@dataclass(frozen=True)
class Flow:
    """``dx/dt`` of a state variable.

    Attributes
    ----------
    body : Body
        What the names of the expression mean.
    value : Expression
        The right-hand side of its differential equation.
    """

    body: Body
    value: Expression

    def within(self, body: Body) -> Expression:
        """The same in the names of another body of the same neurons.

        Raises
        ------
        LearningError
            If that has no name for something.
        """
        return translated(self.value, self.body, body)


@dataclass(frozen=True)
class Arrival:
    """What an arriving spike changes for the adjoint of one variable of the target.

    A moment's delay changes the loss by ``-change`` times the variable's adjoint.

    Attributes
    ----------
    array : str
        The variable whose adjoint it is.
    change : Expression
        By how much its flow is changed, in the names of ``body`` and those of ``added``.
    body : Body
        That of the target's dynamics.
    added : mapping of str to str
        The names of what a spike adds, by the pathway's names of what it adds to.
    """

    array: str
    change: Expression
    body: Body
    added: Mapping[str, str]


class Flows:
    """The differential equations of a model.

    Parameters
    ----------
    model : Model
        The model.

    Attributes
    ----------
    by_array : dict of str to Flow
        The right-hand side of each state array that has a differential equation.

    Raises
    ------
    LearningError
        If something other than differential equations changes the state between spikes, or it
        stands still while a neuron is refractory.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.by_array = _find_flows(model)

    def rise(self, condition: Condition) -> Expression:
        """``dg/dt``: how fast a neuron comes to its threshold, in the condition's names."""
        return _simple(
            sympy.Add(
                derivative(condition.distance, "t"),
                *(
                    condition.slope(name)
                    * self._within(condition.body.refs[name].array, condition.body)
                    for name in condition.state
                ),
            )
        )

    def reset(self, events: str) -> dict[str, Expression]:
        """What a moment's delay of the reset changes, by the variable whose adjoint it goes with.

        All in the names of the condition and of the state at the threshold.
        """
        condition = self._model.conditions[events]
        body = condition.body
        after = self._after_reset(events, body)
        state = {ref.array: name for name, ref in body.refs.items()}
        replaced = {state[array]: value for array, value in after.items()}
        found = {}
        for array in sorted(self._model.population(events)):
            own = after.get(array, symbol(state.get(array, "")))
            moved = sympy.Add(
                derivative(own, "t"),
                *(
                    derivative(own, name) * self._within(other, body)
                    for other, name in state.items()
                    if other in self.by_array and name in names(own)
                ),
            )
            shift = _simple(moved - substitute(self._within(array, body), replaced))
            if shift != 0:
                found[array] = shift
        return found

    def arrivals(self, number: int, phase: Propagate) -> Iterator[Arrival]:
        """What a moment's delay of an arriving spike changes."""
        refs, increments = phase.body.refs, self._model.effects[number].increments
        jumped = {refs[n].array: n for n in increments if refs[n].index is Index.TARGET}
        for array, flow in self.by_array.items():
            own = {n: ref.array for n, ref in flow.body.refs.items() if n in names(flow.value)}
            added = {jumped[a]: f"_added_{jumped[a]}" for a in own.values() if a in jumped}
            if added:
                moved = {
                    n: symbol(n) + symbol(added[jumped[a]]) for n, a in own.items() if a in jumped
                }
                change = _simple(substitute(flow.value, moved) - flow.value)
                yield Arrival(array, change, flow.body, added)

    def _within(self, array: str, body: Body) -> Expression:
        return self.by_array[array].within(body) if array in self.by_array else sympy.Integer(0)

    def _after_reset(self, events: str, body: Body) -> dict[str, Expression]:
        """The values after the reset, by array."""
        found: dict[str, Expression] = {}
        for number, phase in enumerate(self._model.phases):
            if not isinstance(phase, ForEachEvent) or phase.events != events:
                continue
            changed = {
                phase.body.refs[name].array: translated(value, phase.body, body)
                for name, value in self._model.maps[number].values.items()
            }
            if found and changed:
                raise LearningError(
                    f"{phase.label} is a second reset of '{events}', and EventProp follows one. "
                    "Write both into the reset."
                )
            found |= changed
        return found


def translated(expression: Expression, own: Body, into: Body) -> Expression:
    """An expression in the names of one body, in those of another of the same neurons.

    Raises
    ------
    LearningError
        If the other has no name for something.
    """
    known = {ref: name for name, ref in into.refs.items()}
    found = {}
    for name in names(expression) - ALWAYS_THERE:
        if name in own.refs and own.refs[name] in known:
            found[name] = symbol(known[own.refs[name]])
        elif name not in own.constants or into.constants.get(name) != own.constants[name]:
            raise LearningError(
                f"'{name}' means something else in '{into.code}' than in '{own.code}', and "
                "EventProp needs both together. Give one of them another name."
            )
    return substitute(expression, found)


def _find_flows(model: Model) -> dict[str, Flow]:
    found: dict[str, Flow] = {}
    for number, phase in enumerate(model.phases):
        if not isinstance(phase, ForEach):
            continue
        for name, after in model.maps[number].values.items():
            array = phase.body.refs[name].array
            if array in found or not _vanishes(_at_zero(after) - symbol(name)):
                raise LearningError(
                    f"{phase.label} changes '{public_name(array)}' otherwise than by a "
                    "differential equation, and EventProp follows only those. Leave out "
                    "run_regularly and the like."
                )
            value = _simple(_at_zero(derivative(after, "dt")))
            _check_continuous(phase.label, array, value, model.maps[number].state)
            _check_running(phase.label, array, value, phase.body, model)
            found[array] = Flow(phase.body, value)
    return found


def _check_continuous(label: str, array: str, value: Expression, state: tuple[str, ...]) -> None:
    for step in value.atoms(*STEPS):
        if names(step) & set(state):
            raise LearningError(
                f"In {label} the change of '{public_name(array)}' jumps with "
                f"'{text_of(step)}', and EventProp does not follow when it does. Write it with "
                "functions that do not jump, such as clip or tanh, or use SurrogateBPTT or EProp."
            )


def _check_running(label: str, array: str, value: Expression, body: Body, model: Model) -> None:
    for name in names(value) & set(body.refs):
        if model.arrays[body.refs[name].array].dtype is DType.BOOL:
            raise LearningError(
                f"In {label} the change of '{public_name(array)}' depends on '{name}', such as by "
                "'(unless refractory)', and EventProp does not follow the time at which that ends. "
                "Leave refractoriness out, or use SurrogateBPTT or EProp."
            )


def _at_zero(expression: Expression) -> Expression:
    """An expression for steps of no length."""
    return substitute(expression, {"dt": sympy.Integer(0)})


def _simple(expression: Expression) -> Expression:
    """An expression in fewer terms, where that can be found at once.

    Solutions of systems that are not triangular have roots in them, which do not cancel by any
    rule that ends in time; they are right as they are.
    """
    if any(power.exp.is_Rational and not power.exp.is_Integer for power in expression.atoms(Pow)):
        return sympy.Integer(0) if _vanishes(expression) else expression
    return sympy.factor_terms(sympy.cancel(sympy.expand(expression)))


def _vanishes(expression: Expression) -> bool:
    """Whether an expression is zero whatever its names stand for, by trying some numbers."""
    whole = function_of(expression)
    terms = [function_of(term) for term in sympy.Add.make_args(sympy.expand(expression))]
    rng = np.random.default_rng(0)
    for _ in range(5):
        numbers = {name: rng.uniform(0.5, 1.5) for name in sorted(names(expression))}
        size = sum(np.abs(term(numbers)) for term in terms)
        if not np.abs(whole(numbers)) <= 1e-9 * size:
            return False
    return True
