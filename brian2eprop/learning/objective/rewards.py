"""Outputs that are judged by rewards: a policy, and the value of what it leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Clear,
    DType,
    ForEach,
    Phase,
    Reduce,
    Reduction,
)
from brian2eprop.learning.objective.loss import (
    Loss,
    LossArrays,
    LossPhases,
    elements,
    scalars,
    scratch,
)
from brian2eprop.number_checks import number

# PER_INSTANCE, REAL, size 1, given: one where what was decided at the end of the call before is
# judged now, else zero; one if that was an action; the reward that it has got; one if the episode
# goes on; one if the last call's gradient is added to; number of steps of a call.
DECIDED, CHOSEN, REWARD = "agent:decided", "agent:chosen", "agent:reward"
CONTINUES, KEPT, STEPS = "agent:continues", "agent:kept", "agent:steps"
GIVEN = (DECIDED, CHOSEN, REWARD, CONTINUES, KEPT, STEPS)


@dataclass(frozen=True)
class RewardLoss(Loss):
    """What an output at the end of an :class:`Agent`'s turn means to a reward."""

    by_reward: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.window is not None:
            raise ValueError(
                f"{type(self).__name__} has the window {self.window}, but it is judged at the end "
                "of each turn of an Agent. Leave the window out."
            )

    def targets(
        self, labels: npt.ArrayLike, n_outputs: int, n_steps: int
    ) -> npt.NDArray[np.float64]:
        """There are none.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            f"{type(self).__name__} learns from rewards, not from labels. Train it by "
            "Agent(trainer, ...)."
        )

    def accuracy(self, prediction: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        """What is right is not known."""

    def judged(self, output: str, size: int) -> Phase:
        """What sets the gradient of what was decided, but for the reward's error."""
        found = LossArrays(output)
        names = elements(
            prediction=found.prediction, chosen=found.target, gradient=found.gradient
        ) | scalars(weight=found.weight, is_action=CHOSEN, decided=DECIDED)
        used = {name: ref for name, ref in names.items() if name in self._gradient.split()}
        return ForEach(f"what {output} decided", size, Body(self._gradient, used))

    _gradient: ClassVar[str]


@dataclass(frozen=True)
class Policy(RewardLoss):
    r"""The probabilities of actions, to be trained by an :class:`Agent`.

    .. math:: \pi = \text{softmax}(y), \quad E = -\sum_t (R^t - V^t) \log \pi^t_{a^t}

    with the action :math:`a^t` and the discounted sum :math:`R^t` of the rewards from there on. The
    prediction is :math:`\pi` after the last step, shape (samples, actions).

    Examples
    --------
    >>> import brian2eprop as b2e
    >>> b2e.Policy()
    Policy(window=None)

    References
    ----------
    Bellec et al. 2020, Nature Communications 11:3625, "reward-based e-prop".
    """

    _gradient: ClassVar[str] = "gradient = weight * decided * ( is_action * prediction - chosen )"

    def phases(self, output: str, size: int, dt: float, kept: bool) -> LossPhases:
        """See :class:`Loss`."""
        found = LossArrays(output)
        power, peak, total = map(found.own, ("exponential", "peak", "sum"))
        y = elements(y=output)
        exponential = Body(
            "power = exp(y - peak)\n_value = power",
            {**y, **elements(power=power), **scalars(peak=peak)},
        )
        softmax = Body(
            "prediction = power/total",
            {**elements(prediction=found.prediction, power=power), **scalars(total=total)},
        )
        return LossPhases(
            arrays=(
                Array(found.target, DType.REAL, size, Access.PER_INSTANCE),
                Array(found.prediction, DType.REAL, size, Access.PER_INSTANCE),
                *found.numbers(),
                scratch(power, size),
                scratch(peak, 1),
                scratch(total, 1),
                scratch(found.gradient, size),
            ),
            begin=(Clear("no decision yet", (found.prediction, found.value)),),
            step=(),
            end=(
                Reduce("policy peak", size, Reduction.MAX, Body("_value = y", y), peak),
                Reduce("policy sum", size, Reduction.SUM, exponential, total),
                ForEach("policy", size, softmax),
            ),
        )


@dataclass(frozen=True)
class Value(RewardLoss):
    r"""The expected sum of rewards, to be trained by an :class:`Agent`; an output of one neuron.

    .. math:: E = \frac{1}{2} \sum_t (R^t - V^t)^2, \quad R^t = \sum_{s \ge t} \gamma^{s-t} r^s

    ``loss_weights`` of the Trainer say what it counts beside the policy. The prediction is
    :math:`V` after the last step, shape (samples, 1).

    Parameters
    ----------
    discount : float
        :math:`\gamma`, by turn of the Agent.

    Raises
    ------
    ValueError
        If the discount is not from 0 to 1.

    Examples
    --------
    >>> import brian2eprop as b2e
    >>> b2e.Value(discount=0.9).discount
    0.9

    References
    ----------
    Bellec et al. 2020, Nature Communications 11:3625, "reward-based e-prop".
    """

    discount: float = 0.99

    _gradient: ClassVar[str] = "gradient = - weight * decided"

    def __post_init__(self) -> None:
        super().__post_init__()
        number("Value", "discount", self.discount, most=1.0)

    def phases(self, output: str, size: int, dt: float, kept: bool) -> LossPhases:
        """See :class:`Loss`."""
        found = LossArrays(output)
        read = Body("prediction = y", elements(prediction=found.prediction, y=output))
        return LossPhases(
            arrays=(
                Array(found.target, DType.REAL, size, Access.PER_INSTANCE),
                Array(found.prediction, DType.REAL, size, Access.PER_INSTANCE),
                *found.numbers(),
                scratch(found.gradient, size),
            ),
            begin=(Clear("no decision yet", (found.prediction, found.value)),),
            step=(),
            end=(ForEach("value", size, read),),
        )
