"""Pseudo-derivatives: what takes the place of a spike's derivative."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from brian2eprop.errors import LearningError
from brian2eprop.learning.model.linearise import Condition
from brian2eprop.learning.model.symbolic import Expression, parse, render, substitute


@dataclass(frozen=True)
class Triangular:
    r"""A triangle around the threshold, zero where a mask (such as refractoriness) fails.

    .. math:: \psi = \frac{\gamma}{w} \max\left(0, 1 - \frac{|g|}{w}\right)

    with :math:`g` the distance of the state to threshold.

    Parameters
    ----------
    gamma : float
        Height times width (dimensionless).
    width : str or number, optional
        Half width :math:`w`, in the unit of the threshold: an expression in the neuron's
        equations' names. By default the distance to threshold when all state is zero, which
        for ``v > v_th + beta*a`` is ``v_th``.

    References
    ----------
    Bellec et al. 2020, Nature Communications 11:3625, equation 27 of the methods.
    """

    gamma: float = 0.3
    width: str | float | None = None

    def __call__(self, condition: Condition) -> Expression:
        """The pseudo-derivative of a spike condition, in its body's names.

        Raises
        ------
        LearningError
            If no width is given and the default is zero.
        """
        width = self._width(condition)
        triangle = 1 - sympy.Abs(condition.distance / width)
        rise = parse(f"clip({render(triangle)}, 0, 1)")
        for mask in condition.masks:
            rise = rise * parse(f"int({mask})")
        return sympy.Float(self.gamma) / width * rise

    def _width(self, condition: Condition) -> Expression:
        if self.width is not None:
            return parse(str(self.width))
        at_rest = {name: sympy.Integer(0) for name in condition.state}
        width = sympy.Abs(sympy.simplify(substitute(condition.distance, at_rest)))
        if width == 0:
            raise LearningError(
                f"The pseudo-derivative has no width: the threshold '{condition.body.code}' is "
                "zero where all state is zero. Give it one: Triangular(width='...')."
            )
        return width
