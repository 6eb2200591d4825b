"""Optimisers: how a gradient changes a parameter, as an elementwise Program."""

from __future__ import annotations

import math
from dataclasses import dataclass

from brian2eprop.device.program import Array
from brian2eprop.learning.training.arguments import explains_arguments
from brian2eprop.learning.training.optimiser import LEARNING_RATE, Optimiser
from brian2eprop.learning.training.schedules import Rate
from brian2eprop.learning.training.update import Step, like, number_like
from brian2eprop.number_checks import above_zero, flag, number


@explains_arguments(LEARNING_RATE)
@dataclass(repr=False)
class Adam(Optimiser):
    r"""Adam (Kingma and Ba 2015, the efficient form at the end of section 2).

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        w &\leftarrow w - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
            \frac{m}{\sqrt{v} + \epsilon}

    Parameters
    ----------
    learning_rate : float or callable
        :math:`\eta`, or a schedule, such as ``CosineDecay(1e-3, 1000)``; may be changed during
        training.
    beta_1, beta_2 : float
        Decay of the two averages, in [0, 1).
    epsilon : float
        Added to the denominator; above zero.
    clipnorm, global_clipnorm, clipvalue : float, optional
        How gradients are clipped before the update; see :class:`Optimiser`.

    Raises
    ------
    ValueError
        If a number lies outside its range.
    """

    learning_rate: Rate = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.beta_1 = number(type(self).__name__, "beta_1", self.beta_1, 0.0, 1.0)
        self.beta_2 = number(type(self).__name__, "beta_2", self.beta_2, 0.0, 1.0)
        self.epsilon = above_zero(type(self).__name__, "epsilon", self.epsilon)

    def _numbers(self, rate: float, iteration: int) -> dict[str, float]:
        correction = math.sqrt(1 - self.beta_2**iteration) / (1 - self.beta_1**iteration)
        return {"adam:rate": rate * correction}

    def _step(self, parameter: Array, gradient: Array) -> Step:
        beside = {
            "m": like(parameter, f"adam:m:{parameter.name}"),
            "s": like(parameter, f"adam:v:{parameter.name}"),
        }
        numbers = {"rate": number_like(parameter, "adam:rate"), **self._decay(parameter)}
        kept = "w - decay*w" if "decay" in numbers else "w"
        code = (
            "m = beta_1*m + rest_1*g\ns = beta_2*s + rest_2*g*g\n"
            f"w = {kept} - rate*m/(sqrt(s) + epsilon)"
        )
        constants = {
            "beta_1": self.beta_1,
            "rest_1": 1 - self.beta_1,
            "beta_2": self.beta_2,
            "rest_2": 1 - self.beta_2,
            "epsilon": self.epsilon,
        }
        return Step("adam", parameter, gradient, code, beside, numbers, constants, squares="s")

    def _decay(self, parameter: Array) -> dict[str, Array]:
        """The array of the share by which weights decay, if they do."""
        return {}


@explains_arguments(LEARNING_RATE)
@dataclass(repr=False)
class AdamW(Adam):
    r"""Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Before the update of :class:`Adam`, whose averages do not see it,

    .. math:: w \leftarrow w - \eta \lambda w

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float
        As for :class:`Adam`.
    weight_decay : float
        :math:`\lambda`; may be changed during training.
    clipnorm, global_clipnorm, clipvalue : float, optional
        As for :class:`Adam`.

    Raises
    ------
    ValueError
        If a number lies outside its range.

    Examples
    --------
    >>> from brian2eprop import AdamW
    >>> AdamW(1e-3, weight_decay=0.1).weight_decay
    0.1
    """

    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.weight_decay = number(type(self).__name__, "weight_decay", self.weight_decay)

    def _numbers(self, rate: float, iteration: int) -> dict[str, float]:
        decay = number(type(self).__name__, "weight_decay", self.weight_decay)
        return {**super()._numbers(rate, iteration), "adam:decay": rate * decay}

    def _decay(self, parameter: Array) -> dict[str, Array]:
        return {"decay": number_like(parameter, "adam:decay")}


@explains_arguments(LEARNING_RATE)
@dataclass(repr=False)
class SGD(Optimiser):
    r"""Stochastic gradient descent, with momentum if wished.

    .. math::

        u &\leftarrow \mu u - \eta g \\
        w &\leftarrow w + u

    and with Nesterov's momentum (in Keras' form)

    .. math:: w \leftarrow w + \mu u - \eta g

    Parameters
    ----------
    learning_rate : float or callable
        :math:`\eta`, or a schedule, such as ``CosineDecay(1e-3, 1000)``; may be changed during
        training.
    momentum : float
        :math:`\mu`, in [0, 1).
    nesterov : bool
        Whether the momentum is Nesterov's.
    clipnorm, global_clipnorm, clipvalue : float, optional
        How gradients are clipped before the update; see :class:`Optimiser`.

    Raises
    ------
    ValueError
        If a number lies outside its range.
    """

    learning_rate: Rate = 1e-2
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.momentum = number(type(self).__name__, "momentum", self.momentum, 0.0, 1.0)
        self.nesterov = flag(type(self).__name__, "nesterov", self.nesterov)

    def _numbers(self, rate: float, iteration: int) -> dict[str, float]:
        return {"sgd:rate": rate}

    def _step(self, parameter: Array, gradient: Array) -> Step:
        numbers = {"rate": number_like(parameter, "sgd:rate")}
        if self.momentum == 0:
            return Step("sgd", parameter, gradient, "w = w - rate*g", {}, numbers, {})
        beside = {"u": like(parameter, f"sgd:u:{parameter.name}")}
        moved = "momentum*u - rate*g" if self.nesterov else "u"
        code = f"u = momentum*u - rate*g\nw = w + {moved}"
        constants = {"momentum": self.momentum}
        return Step("sgd", parameter, gradient, code, beside, numbers, constants)
