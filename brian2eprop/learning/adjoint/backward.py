"""Writes the body of one phase on the way back."""

from __future__ import annotations

from dataclasses import replace

import sympy

from brian2eprop.device.program import Body, Index, Ref
from brian2eprop.learning.adjoint.tape import Tape
from brian2eprop.learning.model.lines import Lines
from brian2eprop.learning.model.symbolic import Expression, names

ZERO = sympy.Integer(0)


def adjoint_of(array: str) -> str:
    """Array that holds the loss's derivative by an array."""
    return f"adjoint_{array}"


def gradient_of(parameter: str) -> str:
    """Array that holds the loss's derivative by a parameter."""
    return f"gradient_{parameter}"


class BackwardBody(Lines):
    """A body made from a forward phase's.

    Parameters
    ----------
    tape : Tape
        Where past values are found.
    number : int
        Number of the forward phase.
    body : Body
        Its body, whose names the coefficients use.
    size : int
        Number of elements of the population it belongs to.
    """

    def __init__(self, tape: Tape, number: int, body: Body, size: int) -> None:
        super().__init__()
        self._tape = tape
        self._number = number
        self._forward = body
        self._size = size

    def adjoint(self, name: str, index: Index | None = None) -> str:
        """The adjoint of one of the forward body's refs."""
        ref = self._forward.refs[name]
        found = Ref(adjoint_of(ref.array), ref.index if index is None else index)
        return self.bind(f"adjoint_{name}", found)

    def coefficient(self, expression: Expression) -> str:
        """An expression in the forward body's names."""
        text, refs = self._tape.coefficient(self._number, self._forward, expression, self._size)
        self._refs |= refs
        used = names(expression) & set(self._forward.constants)
        self._constants |= {name: self._forward.constants[name] for name in used}
        return text

    def product(self, expression: Expression, factor: str) -> str:
        """``expression*factor``; nothing where the expression is zero."""
        if expression == ZERO:
            return ""
        if expression == 1:
            return factor
        return f"{self.coefficient(expression)}*{factor}"


def swapped(ref: Ref) -> Ref:
    """A ref of a pathway as seen from the pathway that runs the other way."""
    other = {Index.SOURCE: Index.TARGET, Index.TARGET: Index.SOURCE}
    return replace(ref, index=other.get(ref.index, ref.index))
