"""Derivatives of mathematics, finite wherever the function itself is.

Where a derivative does not exist, or is infinite, it is zero: ``abs`` and ``sqrt`` at zero,
``clip`` by its argument at the limits. A coefficient of a learning rule stands beside others
that may well be zero, and zero times infinity would be NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy

from brian2eprop.errors import LearningError
from brian2eprop.learning.model.symbolic import (
    Expression,
    absolute,
    clip,
    expm1,
    exprel,
    int_,
    log1p,
    log10,
    symbol,
    text_of,
    timestep,
)


class DerivativeError(LearningError):
    """An expression has no derivative that can be written down."""


def derivative(expression: Expression, name: str) -> Expression:
    """The derivative by a name; zero where it does not exist.

    Raises
    ------
    DerivativeError
        If there is no closed form.
    """
    return _slope(expression, symbol(name))


def _slope(expression: Expression, by: Expression) -> Expression:
    if by not in expression.free_symbols or isinstance(expression, STEPS):
        return sympy.Integer(0)
    if expression == by:
        return sympy.Integer(1)
    if expression.is_Add:
        return sympy.Add(*(_slope(term, by) for term in expression.args))
    if expression.is_Mul:
        return _product(expression.args, by)
    partials = PARTIALS.get(expression.func)
    if partials is None:
        raise DerivativeError(
            f"'{text_of(expression)}' cannot be differentiated by '{by}'. Write the equation with "
            "functions that can, such as exp, tanh, clip or a power."
        )
    found = zip(partials(*expression.args), expression.args, strict=True)
    return sympy.Add(*(partial * _slope(argument, by) for partial, argument in found))


def _product(factors: tuple[Expression, ...], by: Expression) -> Expression:
    return sympy.Add(
        *(
            sympy.Mul(*factors[:n], _slope(factor, by), *factors[n + 1 :])
            for n, factor in enumerate(factors)
        )
    )


def _power(base: Expression, exponent: Expression) -> tuple[Expression, Expression]:
    """``n*x**(n - 1)`` and ``x**n*log(x)``, zero where they are infinite though ``x**n`` is not."""
    steep = int_(sympy.Eq(base, 0)) * int_(exponent < 1)
    if exponent.is_number and not 0 < exponent < 1:
        steep = sympy.Integer(0)
    # A base of one in place of zero keeps the power finite.
    by_base = exponent * (base + steep) ** (exponent - 1) * (1 - steep)
    if base.is_positive:
        return by_base, base**exponent * sympy.log(base)
    negative = int_(base <= 0)
    return by_base, base**exponent * sympy.log(base + negative * (1 - base))


def _root(argument: Expression) -> Expression:
    """``1/sqrt(x)``, zero at zero and beyond."""
    none = int_(argument <= 0)
    return (1 - none) / sympy.sqrt(argument + none * (1 - argument))


# Where the closed form of exprel's derivative loses more digits than its series.
_NEAR = sympy.Float(0.02)


def _exprel(x: Expression) -> tuple[Expression]:
    near = int_(absolute(x) < _NEAR)
    series = sympy.Add(*(x**k * (k + 1) / sympy.factorial(k + 2) for k in range(6)))
    return (near * series + (1 - near) * (sympy.exp(x) - exprel(x)) / (x + near),)


def _clip(x: Expression, low: Expression, high: Expression) -> tuple[Expression, ...]:
    """One for the argument that is returned."""
    return int_(sympy.And(x > low, x < high)), int_(x <= low), int_(x >= high)


# Functions whose derivative is zero wherever it exists.
STEPS = (sympy.sign, sympy.floor, sympy.ceiling, int_, timestep)

# The derivative of every function by each of its arguments.
PARTIALS: Mapping[Any, Callable[..., tuple[Expression, ...]]] = {
    sympy.Pow: _power,
    sympy.exp: lambda x: (sympy.exp(x),),
    expm1: lambda x: (sympy.exp(x),),
    exprel: _exprel,
    sympy.log: lambda x: (1 / x,),
    log1p: lambda x: (1 / (1 + x),),
    log10: lambda x: (1 / (x * sympy.log(sympy.Integer(10))),),
    sympy.sin: lambda x: (sympy.cos(x),),
    sympy.cos: lambda x: (-sympy.sin(x),),
    sympy.tan: lambda x: (1 + sympy.tan(x) ** 2,),
    sympy.sinh: lambda x: (sympy.cosh(x),),
    sympy.cosh: lambda x: (sympy.sinh(x),),
    sympy.tanh: lambda x: (1 - sympy.tanh(x) ** 2,),
    sympy.asin: lambda x: (_root(1 - x**2),),
    sympy.acos: lambda x: (-_root(1 - x**2),),
    sympy.atan: lambda x: (1 / (1 + x**2),),
    absolute: lambda x: (sympy.sign(x),),
    clip: _clip,
}
