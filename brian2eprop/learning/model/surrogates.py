"""Pseudo-derivatives: what takes the place of a spike's derivative."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

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
class Surrogate(ABC):
    r"""A bump around the threshold, zero where a mask (such as refractoriness) fails.

    .. math:: \psi = \frac{\gamma}{w} h\left(\frac{g}{w}\right)

    with :math:`g` the distance of the state to threshold and :math:`h` the shape, which is one
    at zero.

    Parameters
    ----------
    gamma : float, optional
        Height times width (dimensionless). By default the kind's own ``relative_width``, so that
        the bump is one over the distance to threshold high; for Triangular 0.3.
    width : Quantity, number or str, optional
        Width :math:`w`, in the unit of the threshold: ``20*mV``, a number in SI units, or
        an expression in the names of the neuron's equations and in units, such as
        ``'v_th - E_L'``. By default ``relative_width`` times the distance to threshold where all
        state is zero, which for ``v > v_th + beta*a`` is ``v_th``; potentials that rest
        elsewhere need a width.

    Attributes
    ----------
    relative_width : float
        The default width, by the distance to threshold.

    Raises
    ------
    ValueError
        If height or width is no positive number, or the expression is none.
    """

    relative_width: ClassVar[float] = 1.0

    gamma: float | None = None
    width: Quantity | float | str | None = None

    def __post_init__(self) -> None:
        if self.gamma is not None and not is_positive(self.gamma):
            raise ValueError(f"{self._kind}'s gamma is {self.gamma!r}. Give a positive number.")
        if isinstance(self.width, str):
            self._parsed(self.width)
        elif self.width is not None and not is_positive(self.width):
            raise ValueError(
                f"{self._kind}'s width is {self.width!r}. Give a positive number or Quantity, or "
                "an expression such as 'v_th - E_L'."
            )

    @abstractmethod
    def shape(self, distance: Expression) -> Expression:
        """The height at a distance to threshold that is measured in widths; one at zero."""

    def __call__(self, condition: Condition) -> Expression:
        """The pseudo-derivative of a spike condition, in its body's names.

        Raises
        ------
        LearningError
            If the width has a name that the neuron's equations do not have.
        """
        width = self._width(condition)
        height = self.shape(condition.distance / width)
        for mask in condition.masks:
            height = height * int_(symbol(mask))
        gamma = self.relative_width if self.gamma is None else self.gamma
        return sympy.Float(gamma) / width * height

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
        measured = at_rest(condition) if self.width is None else -self._width(condition)
        numbers = numbers_of(condition.body, measured, values, dt)
        found = function_of(measured)(numbers)
        below = found < 0
        if self.width is None and not below.any():
            raise LearningError(
                f"The pseudo-derivative of {condition.label} has no width: by default that is the "
                f"distance to the threshold '{condition.text}' where all state is zero, and there "
                f"no neuron is below it. Give it one, such as {self._kind}(width=20*mV) or "
                f"{self._kind}(width='v_th - E_L')."
            )
        if self.width is None and (found == 0).any():
            raise LearningError(
                f"The pseudo-derivative of {condition.label} has no width for some neurons: by "
                f"default that is the distance to the threshold '{condition.text}' where all state "
                "is zero, and there they are at it. Give a width that no neuron's threshold "
                f"decides, such as {self._kind}(width=20*mV)."
            )
        if self.width is not None and not below.all():
            raise LearningError(
                f"The width '{self.width}' of {self._kind} is not positive for every neuron of "
                f"{condition.label}. Give one that is."
            )

    @property
    def _kind(self) -> str:
        return type(self).__name__

    def _width(self, condition: Condition) -> Expression:
        if self.width is None:
            distance = absolute(at_rest(condition))
            return distance if self.relative_width == 1 else self.relative_width * distance
        if not isinstance(self.width, str):
            return sympy.Float(float(self.width))
        width = self._parsed(self.width)
        known = {*condition.body.refs, *condition.body.constants, *ALWAYS_THERE}
        units = {}
        for name in sorted(names(width) - known):
            if name not in DEFAULT_UNITS:
                raise LearningError(
                    f"The width '{self.width}' of {self._kind} has '{name}', which is neither a "
                    f"unit nor in the equations that {condition.label} belongs to. Write it with "
                    "their names, or give a number or Quantity."
                )
            units[name] = sympy.Float(float(DEFAULT_UNITS[name]))
        return substitute(width, units)

    def _parsed(self, width: str) -> Expression:
        try:
            (line,) = assignments(f"width = {width.strip()}")
            found = parse(line.expression)
        except ValueError:
            found = None
        if not isinstance(found, sympy.Expr):
            raise ValueError(
                f"{self._kind}'s width '{width}' is no expression. Write one in the names of the "
                "neuron's equations, such as 'v_th - E_L', or give a number or Quantity."
            )
        return found


@dataclass(frozen=True)
class Triangular(Surrogate):
    r"""A triangle: :math:`h(x) = \max(0, 1 - |x|)`.

    See :class:`Surrogate` for the parameters. It is zero a width away from the threshold, so
    that few neurons send a gradient back in a step.

    References
    ----------
    Bellec et al. 2020, Nature Communications 11:3625, equation 27 of the methods.
    """

    gamma: float = 0.3

    def shape(self, distance: Expression) -> Expression:
        """See :meth:`Surrogate.shape`."""
        return clip(1 - absolute(distance), sympy.Integer(0), sympy.Integer(1))


@dataclass(frozen=True)
class SuperSpike(Surrogate):
    r"""The slope of a fast sigmoid: :math:`h(x) = 1/(1 + |x|)^2`.

    See :class:`Surrogate` for the parameters. With the width ``1/slope`` and ``gamma=1/slope``
    it is what snnTorch calls ``fast_sigmoid(slope)`` and Norse ``superspike(alpha=slope)``.

    References
    ----------
    Zenke & Ganguli 2018, Neural Computation 30:1514.
    """

    relative_width: ClassVar[float] = 0.1

    def shape(self, distance: Expression) -> Expression:
        """See :meth:`Surrogate.shape`."""
        return (1 + absolute(distance)) ** -2


FastSigmoid = SuperSpike


@dataclass(frozen=True)
class ArcTan(Surrogate):
    r"""The slope of an arc tangent: :math:`h(x) = 1/(1 + x^2)`.

    See :class:`Surrogate` for the parameters. With the width ``2/(pi*alpha)`` and
    ``gamma=1/pi`` it is what snnTorch and SpikingJelly call ``atan(alpha)``.

    References
    ----------
    Fang et al. 2021, International Conference on Computer Vision, 2661.
    """

    relative_width: ClassVar[float] = 0.3

    def shape(self, distance: Expression) -> Expression:
        """See :meth:`Surrogate.shape`."""
        return 1 / (1 + distance**2)


@dataclass(frozen=True)
class Gaussian(Surrogate):
    r"""A bell: :math:`h(x) = \exp(-x^2/2)`.

    See :class:`Surrogate` for the parameters; the width is the standard deviation. With
    ``gamma=1/sqrt(2*pi)`` its area is one.

    References
    ----------
    Yin, Corradi & Bohte 2021, Nature Machine Intelligence 3:905 (a Gaussian and its kin).
    """

    relative_width: ClassVar[float] = 0.3

    def shape(self, distance: Expression) -> Expression:
        """See :meth:`Surrogate.shape`."""
        return sympy.exp(-(distance**2) / 2)


def at_rest(condition: Condition) -> Expression:
    """The distance to threshold where all state is zero."""
    return substitute(condition.distance, dict.fromkeys(condition.state, sympy.Integer(0)))


def is_positive(value: Any) -> bool:
    """Whether something is a positive, finite number."""
    try:
        return not isinstance(value, bool) and 0 < float(value) < float("inf")
    except (TypeError, ValueError):
        return False
