"""Coefficients of the learning rules: mathematics of a model's phases, in other bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from brian2eprop.device.program import Index, Ref
from brian2eprop.learning.adjoint.tape import Origin, Tape
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.model.symbolic import Expression, names, render, substitute, symbol

Place = Callable[[Ref], Ref]


class CoefficientScope(Scope):
    """A body whose lines use what the model's phases computed with.

    Parameters
    ----------
    tape : Tape
        Where past values are found.
    place : callable, optional
        What a ref of a phase's body is in this one; by default the same.
    """

    def __init__(self, tape: Tape, place: Place = lambda ref: ref) -> None:
        super().__init__()
        self._tape = tape
        self.place = place

    def coefficient(
        self, origin: Origin, expression: Expression, known: Mapping[str, str] | None = None
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
        """
        tape = self._tape.record(origin, expression)
        if tape is not None:
            return self.bind("tape", self.place(Ref(tape, Index.ELEMENT)))
        found = dict(known or {})
        for name in sorted(names(expression) - found.keys()):
            found[name] = self._own(origin, name)
        return render(substitute(expression, {name: symbol(own) for name, own in found.items()}))

    def product(self, origin: Origin, expression: Expression, factor: str) -> str:
        """``expression*factor``; nothing where the expression is zero."""
        if expression == 0:
            return ""
        if expression == 1:
            return factor
        return f"{self.coefficient(origin, expression)}*{factor}"

    def _own(self, origin: Origin, name: str) -> str:
        body = origin.body
        if name in body.refs:
            return self.bind(name, self.place(self._tape.past(origin.number, body.refs[name])))
        if name in body.constants:
            return self.define(name, body.constants[name])
        return name


def swapped(ref: Ref) -> Ref:
    """A ref of a pathway as seen from the pathway that runs the other way."""
    other = {Index.SOURCE: Index.TARGET, Index.TARGET: Index.SOURCE}
    return Ref(ref.array, other.get(ref.index, ref.index), ref.offset, ref.via)
