"""Pseudo-derivatives: what takes the place of a spike's derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy
from brian2.core.namespace import DEFAULT_UNITS
from brian2.units import Quantity

from brian2eprop.device.program.assignments import ALWAYS_THERE, assignments
from brian2eprop.errors import LearningError
from brian2eprop.learning.model.linearise import Condition
from brian2eprop.learning.model.numbers import Values, function_of, numbers_of
from brian2eprop.learning.model.symbolic import (
    Expression,
    absolute,
    clip,
    int_,
    names,
    parse,
    substitute,
    symbol,
)


@dataclass(frozen=True)
class Triangular:
    r"""A triangle around the threshold, zero where a mask (such as refractoriness) fails.

    .. math:: \psi = \frac{\gamma}{w} \max\left(0, 1 - \frac{|g|}{w}\right)

    with :math:`g` the distance of the state to threshold.

    Parameters
    ----------
    gamma : float
        Height times width (dimensionless).
    width : Quantity, number or str, optional
        Half width :math:`w`, in the unit of the threshold: ``20*mV``, a number in SI units, or
        an expression in the names of the neuron's equations and in units, such as
        ``'v_th - E_L'``. By default the distance to threshold where all state is zero, which
        for ``v > v_th + beta*a`` is ``v_th``; potentials that rest elsewhere need a width.

    Raises
    ------
    ValueError
        If height or width is no positive number, or the expression is none.

    References
    ----------
    Bellec et al. 2020, Nature Communications 11:3625, equation 27 of the methods.
    """

    gamma: float = 0.3
    width: Quantity | float | str | None = None

    def __post_init__(self) -> None:
        if not _is_positive(self.gamma):
            raise ValueError(f"Triangular's gamma is {self.gamma!r}. Give a positive number.")
        if isinstance(self.width, str):
            _parsed(self.width)
        elif self.width is not None and not _is_positive(self.width):
            raise ValueError(
                f"Triangular's width is {self.width!r}. Give a positive number or Quantity, or an "
                "expression such as 'v_th - E_L'."
            )

    def __call__(self, condition: Condition) -> Expression:
        """The pseudo-derivative of a spike condition, in its body's names.

        Raises
        ------
        LearningError
            If the width has a name that the neuron's equations do not have.
        """
        width = self._width(condition)
        rise = clip(1 - absolute(condition.distance / width), sympy.Integer(0), sympy.Integer(1))
        for mask in condition.masks:
            rise = rise * int_(symbol(mask))
        return sympy.Float(self.gamma) / width * rise

    def check(self, condition: Condition, values: Values, dt: float) -> None:
        """The width must be positive when the training begins.

        Parameters
        ----------
        condition : Condition
            The spike condition.
        values : callable
            The values of an array by its name.
        dt : float
            Length of a step in seconds.

        Raises
        ------
        LearningError
            If it is not for some neuron, or its default has no meaning.
        """
        measured = _at_zero(condition) if self.width is None else -self._width(condition)
        numbers = numbers_of(condition.body, measured, values, dt)
        found = function_of(measured)(numbers)
        below = found < 0
        if self.width is None and not below.any():
            raise LearningError(
                f"The pseudo-derivative of {condition.label} has no width: by default that is the "
                f"distance to the threshold '{condition.text}' where all state is zero, and there "
                "no neuron is below it. Give it one, such as Triangular(width=20*mV) or "
                "Triangular(width='v_th - E_L')."
            )
        if self.width is None and (found == 0).any():
            raise LearningError(
                f"The pseudo-derivative of {condition.label} has no width for some neurons: by "
                f"default that is the distance to the threshold '{condition.text}' where all state "
                "is zero, and there they are at it. Give a width that no neuron's threshold "
                "decides, such as Triangular(width=20*mV)."
            )
        if self.width is not None and not below.all():
            raise LearningError(
                f"The width '{self.width}' of Triangular is not positive for every neuron of "
                f"{condition.label}. Give one that is."
            )

    def _width(self, condition: Condition) -> Expression:
        if self.width is None:
            return absolute(_at_zero(condition))
        if not isinstance(self.width, str):
            return sympy.Float(float(self.width))
        width = _parsed(self.width)
        known = {*condition.body.refs, *condition.body.constants, *ALWAYS_THERE}
        units = {}
        for name in sorted(names(width) - known):
            if name not in DEFAULT_UNITS:
                raise LearningError(
                    f"The width '{self.width}' of Triangular has '{name}', which is neither a unit "
                    f"nor in the equations that {condition.label} belongs to. Write it with their "
                    "names, or give a number or Quantity."
                )
            units[name] = sympy.Float(float(DEFAULT_UNITS[name]))
        return substitute(width, units)


def _at_zero(condition: Condition) -> Expression:
    """The distance to threshold where all state is zero."""
    return substitute(condition.distance, dict.fromkeys(condition.state, sympy.Integer(0)))


def _is_positive(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and 0 < float(value) < float("inf")
    except (TypeError, ValueError):
        return False


def _parsed(width: str) -> Expression:
    try:
        (line,) = assignments(f"width = {width.strip()}")
        found = parse(line.expression)
    except ValueError:
        found = None
    if not isinstance(found, sympy.Expr):
        raise ValueError(
            f"Triangular's width '{width}' is no expression. Write one in the names of the "
            "neuron's equations, such as 'v_th - E_L', or give a number or Quantity."
        )
    return found
