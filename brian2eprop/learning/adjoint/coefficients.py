"""Coefficients of the learning rules: mathematics of a model's phases, in other bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from brian2eprop.device.program import Body, Index, Ref
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.tape import Origin, Tape
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.model.symbolic import Expression, names, render, substitute, symbol
from brian2eprop.learning.naming import adjoint_of

Place = Callable[[Ref], Ref]


def unmoved(ref: Ref) -> Ref:
    """A ref of a phase's body in a body that goes through the same elements."""
    return ref


def at_target(ref: Ref) -> Ref:
    """A neuron's ref where that neuron is the target of a synapse."""
    return replace(ref, index=Index.TARGET) if ref.index is Index.ELEMENT else ref


def swapped(ref: Ref) -> Ref:
    """A ref of a pathway as seen from the pathway that runs the other way."""
    other = {Index.SOURCE: Index.TARGET, Index.TARGET: Index.SOURCE}
    return Ref(ref.array, other.get(ref.index, ref.index), ref.offset, ref.via)


class CoefficientScope(Scope):
    """A body whose lines use what the model's phases computed with.

    Parameters
    ----------
    tape : Tape
        Where past values are found.
    place : callable, optional
        What a ref of a phase's body is in this one; by default the same.
    """

    def __init__(self, tape: Tape, place: Place = unmoved) -> None:
        super().__init__()
        self._tape = tape
        self.place = place

    def coefficient(
        self,
        origin: Origin,
        expression: Expression,
        known: Mapping[str, str] | None = None,
        events: str | None = None,
    ) -> str:
        """The text of an expression in a phase's names.

        Parameters
        ----------
        origin : Origin
            The phase.
        expression : Expression
            Mathematics in the names of the phase's body.
        known : mapping of str to str, optional
            Names of that body for which names of this one stand in.
        events : str, optional
            The coefficient is that right after the phase, and only wanted at these events.
        """
        found = dict(known or {})
        tape = self._tape.record(origin, expression, events, found)
        if tape is not None:
            return self.bind("tape", self.place(Ref(tape, Index.ELEMENT)))
        for name in sorted(names(expression) - found.keys()):
            found[name] = self._own(origin, name)
        return render(substitute(expression, {name: symbol(own) for name, own in found.items()}))

    def value(self, origin: Origin, name: str) -> str:
        """The name of what one of a phase's names stood for."""
        tape = self._tape.record(origin, symbol(name))
        if tape is not None:
            return self.bind(name, self.place(Ref(tape, Index.ELEMENT)))
        return self._own(origin, name)

    def product(
        self,
        origin: Origin,
        expression: Expression,
        factor: str,
        events: str | None = None,
        known: Mapping[str, str] | None = None,
    ) -> str:
        """``expression*factor``; nothing where the expression is zero."""
        if expression == 0:
            return ""
        if expression == 1:
            return factor
        return f"{self.coefficient(origin, expression, known, events)}*{factor}"

    def _own(self, origin: Origin, name: str) -> str:
        body = origin.body
        if name in body.refs:
            return self.bind(name, self.place(self._tape.past(origin.number, body.refs[name])))
        if name in body.constants:
            return self.define(name, body.constants[name])
        return name


def parameter_names(body: Body, parameter: str, index: Index) -> list[str]:
    """The names that a trained parameter has in a body.

    Parameters
    ----------
    body : Body
        The body.
    parameter : str
        The parameter's array.
    index : Index
        The element that it must be there: one of the neurons, or of the synapses.

    Raises
    ------
    LearningError
        If it is used otherwise than as one value an element of the loop.
    """
    found = sorted(name for name, ref in body.refs.items() if ref.array == parameter)
    if any(body.refs[name].index is not index for name in found):
        raise LearningError(
            f"'{parameter}' cannot be trained where '{body.code}' uses it: a parameter is one "
            "value a neuron in the neuron's equations, or one value a synapse in on_pre."
        )
    return found


def adjoint_name(scope: CoefficientScope, origin: Origin, name: str) -> str:
    """The name of the adjoint of one of a phase's refs."""
    ref = origin.body.refs[name]
    found = scope.place(Ref(adjoint_of(ref.array), ref.index))
    return scope.bind(f"adjoint_{name}", found)


def transposed(
    scope: CoefficientScope,
    origin: Origin,
    slopes: Mapping[str, Expression],
    known: Mapping[str, str] | None = None,
) -> list[str]:
    """Terms of the sum of slopes times adjoints."""
    return [
        scope.product(origin, slope, adjoint_name(scope, origin, of), known=known)
        for of, slope in slopes.items()
    ]
