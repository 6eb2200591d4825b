"""Abstract code as mathematics: values after a body in terms of values before, and derivatives."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import sympy
from brian2.parsing.sympytools import str_to_sympy, sympy_to_str

from brian2eprop.device.program.assignments import assignments

Expression = Any  # sympy.Expr; sympy has no annotations

_OPERATORS = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Pow": "**"}


class DerivativeError(ValueError):
    """An expression has no derivative that can be written down."""


class clip(sympy.Function):  # type: ignore[misc]
    """Brian2's ``clip``, which sympy does not know, with its derivative.

    It has the name that is to be printed.
    """

    def fdiff(self, argindex: int = 1) -> Expression:
        """One where the argument is the one that is returned."""
        x, low, high = self.args
        inside = {1: sympy.And(x > low, x < high), 2: x <= low, 3: x >= high}
        return sympy.Function("int_")(inside[argindex])


def symbol(name: str) -> Expression:
    """The symbol that Brian2 parses a name to."""
    return str_to_sympy(name)


def parse(expression: str) -> Expression:
    """An expression in Brian2's language as mathematics."""
    return str_to_sympy(expression).replace(sympy.Function("clip"), clip)


def render(expression: Expression) -> str:
    """Mathematics in Brian2's language."""
    return f"({sympy_to_str(expression)})"


def names(expression: Expression) -> set[str]:
    """Names that an expression depends on."""
    return {free.name for free in expression.free_symbols}


def substitute(expression: Expression, replacements: Mapping[str, Expression]) -> Expression:
    """Put expressions in the place of names, all at once."""
    return expression.xreplace({symbol(name): value for name, value in replacements.items()})


def _is_step(expression: Expression) -> bool:
    """Whether an expression is a function whose derivative is zero wherever it exists."""
    if isinstance(expression, sympy.sign | sympy.floor | sympy.ceiling):
        return True
    return getattr(expression.func, "__name__", "") in ("int_", "timestep")


def derivative(expression: Expression, name: str) -> Expression:
    """The derivative by a name, where it exists.

    Raises
    ------
    DerivativeError
        If there is no closed form.
    """
    hidden: dict[Expression, Expression] = {}

    def hide(found: Expression) -> Expression:
        dummy = sympy.Dummy(real=True)
        hidden[dummy] = found
        return dummy

    found = sympy.diff(expression.replace(_is_step, hide), symbol(name))
    while found.has(*hidden):
        found = found.xreplace(hidden)
    if found.has(sympy.Derivative, sympy.Subs, sympy.DiracDelta):
        raise DerivativeError(f"'{render(expression)}' cannot be differentiated by '{name}'")
    return found


def values_after(
    code: str, opaque: frozenset[str] = frozenset(), guards: Mapping[str, str] | None = None
) -> dict[str, Expression]:
    """Every assigned name's value after the code, in terms of values before it.

    Names in ``opaque`` stay symbols (that mean the value after the code): booleans, times
    and indices, which are constant as far as a derivative goes. A guarded name keeps its value
    where the guard does not hold.
    """
    values: dict[str, Expression] = {}
    for line in assignments(code):
        if line.target in opaque:
            continue
        before = values.get(line.target, symbol(line.target))
        value = parse(ast.unparse(line.expression))
        if line.operator:
            value = parse(f"_left {_OPERATORS[line.operator]} _right").subs(
                {symbol("_left"): symbol(line.target), symbol("_right"): value}
            )
        value = substitute(value, values)
        if guards and line.target in guards:
            holds = parse(f"int({guards[line.target]})")
            value = holds * value + (1 - holds) * before
        values[line.target] = value
    return values
