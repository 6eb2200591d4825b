"""Losses that judge spikes: by when a class's neuron first spikes, by how often it does.

Both are the cross-entropy of a softmax over one number a neuron, the logit, which is known when
the sample is over. A spike enters it in one of two ways: by its time, which moves smoothly, or by
being there at all, for which rules have a surrogate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from brian2.units import Quantity, ms

from brian2eprop.device.program import (
    Body,
    ForEachEvent,
    Index,
    Number,
    Phase,
    Ref,
)
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.objective.loss import (
    IN_WINDOW,
    TRIAL_STEPS,
    Judged,
    check_time,
)
from brian2eprop.learning.objective.softmax import SoftmaxLoss, within
from brian2eprop.number_checks import above_zero, number


@dataclass(frozen=True)
class SpikeLoss(SoftmaxLoss):
    """One whose logits a population's spikes make."""

    def _step(self, output: str, size: int, body: Body) -> Phase:
        """See :class:`SoftmaxLoss`."""
        return ForEachEvent("judge spikes", output, body)


@dataclass(frozen=True)
class FirstSpikeTime(SpikeLoss):
    r"""Cross-entropy of the softmax of first-spike times: the class's neuron should be first.

    .. math:: E = -\log \frac{e^{-t_{k^*}/\tau}}{\sum_k e^{-t_k/\tau}}
              + \alpha \left(e^{(t_{k^*} - t_0)/\tau_\text{late}} - 1\right)

    with :math:`t_k` the time of neuron k's first spike in the window, which begins at
    :math:`t_0`. A neuron that is silent counts as one that spikes when the window, or the
    sample, ends.

    What a spike's time depends on is followed exactly by :class:`EventProp`. The class's own
    neuron, if it is silent, is given a phantom spike at the end, to which it comes as slowly as
    ``min_slope``: so it learns to spike. In rules with a surrogate the time is the sum over steps
    of :math:`\prod_{s \le t} (1 - z^s)`, which silent neurons have a derivative of, too.

    The prediction is the time of every neuron's first spike in seconds, as a SpikeMonitor has it,
    shape (samples, neurons); infinity for a silent one. It is right if the class's neuron spikes,
    and in a step before all others: a tie is not right.

    Parameters
    ----------
    window : (Quantity, Quantity), optional
        Start and end of the time that counts; by default the whole trial.
    tau : Quantity
        By how much earlier a neuron must be to be e times as likely (seconds).
    alpha : float
        Weight of what asks for early spikes of the class's neuron.
    tau_late : Quantity
        Its time constant (seconds).

    Raises
    ------
    ValueError
        If a time constant is not positive, or the weight is negative.

    Examples
    --------
    >>> from brian2 import ms
    >>> import brian2eprop as b2e
    >>> b2e.FirstSpikeTime(tau=2*ms).alpha
    0.0

    References
    ----------
    Wunderlich & Pehle 2021, Scientific Reports 11:12829, "Latency-encoded MNIST".
    Göltz et al. 2021, Nature Machine Intelligence 3:823, equation 6.
    """

    tau: Quantity = field(default_factory=lambda: 5 * ms)
    alpha: float = 0.0
    tau_late: Quantity = field(default_factory=lambda: 20 * ms)

    judges: ClassVar[Judged] = Judged.SPIKE_TIMES
    _own: ClassVar[tuple[str, ...]] = ("first", "second")
    # Times are counted in steps; without a spike they are the end of what counts.
    _before: ClassVar[str] = (
        "first = clip(steps, 0, window_stop)\nsecond = clip(steps, 0, window_stop)"
    )
    _each: ClassVar[str] = (
        f"_counts = {IN_WINDOW}\n"
        "_again = _counts*int(first < step)*int(second > step)\n"
        "_new = _counts*int(first > step)\n"
        "second = second + _again*(step - second)\n"
        "first = first + _new*(step - first)"
    )
    _logit: ClassVar[str] = "logit = -first*step_length/tau"
    _gradient: ClassVar[str] = (
        "_softmax = power/total\n"
        "_late = exp((first - window_start)*step_length/tau_late)\n"
        "prediction = first*step_length/int(first < clip(steps, 0, window_stop))\n"
        "loss = weight*target*(log(total) + peak - logit + alpha*(_late - 1))\n"
        "gradient = weight*((target - _softmax)/tau + alpha/tau_late*_late*target)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_time("FirstSpikeTime's tau", self.tau, "5*ms")
        check_time("FirstSpikeTime's tau_late", self.tau_late, "20*ms")
        number("FirstSpikeTime", "alpha", self.alpha)

    def constants(self, dt: float) -> dict[str, Number]:
        """See :class:`Loss`."""
        return super().constants(dt) | {
            "step_length": dt,
            "tau": float(self.tau),
            "tau_late": float(self.tau_late),
            "alpha": float(self.alpha),
        }

    def scores(self, prediction: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """See :class:`Loss`: who spikes before all others is the answer."""
        return -prediction

    def by_spike(self, scope: Scope, dt: float, events: str, index: Index) -> str:
        """See :class:`Loss`; one that comes first moves the time, up to the next one's."""
        n = self._bound(scope, dt, events, index)
        first, after = n["first"], n["second"]
        earlier = f"int(step < {first})*(step - {first}) + int(step == {first})*(step - {after})"
        return f"{within(n)}*{n['gradient']}*{n['step_length']}*({earlier})"

    def by_time(self, scope: Scope, dt: float, events: str, index: Index) -> str:
        """See :class:`Loss`."""
        n = self._bound(scope, dt, events, index)
        return f"int(step == {n['first']})*{n['gradient']}"

    def by_phantom(self, scope: Scope, dt: float, events: str, index: Index) -> str:
        """See :class:`Loss`; only the class's neuron is wanted to spike."""
        n = self._bound(scope, dt, events, index)
        steps = scope.bind("steps", Ref(TRIAL_STEPS, Index.SCALAR))
        silent = f"int({n['first']} >= clip({steps}, 0, {n['window_stop']}))"
        return f"{silent}*int(step + 1 == {n['first']})*{n['target']}*{n['gradient']}"


@dataclass(frozen=True)
class SpikeCount(SpikeLoss):
    r"""Cross-entropy of the softmax of spike counts: the class's neuron should spike most.

    .. math:: E = -\log \frac{e^{c n_{k^*}}}{\sum_k e^{c n_k}}

    with :math:`n_k` the spikes of neuron k in the window. A count does not change with the times
    of spikes, so :class:`EventProp` has no exact gradient of it: there, as for rates that are
    regularised, a spike's derivative is the rule's surrogate, and from the neuron's state on all
    is exact.

    The prediction is the number of every neuron's spikes, shape (samples, neurons). It is right if
    the class's neuron spikes more often than every other one: a tie is not right.

    Parameters
    ----------
    window : (Quantity, Quantity), optional
        Start and end of the time that counts; by default the whole trial.
    scale : float
        :math:`c`: what one spike more counts.

    Raises
    ------
    ValueError
        If the scale is not positive.

    Examples
    --------
    >>> import brian2eprop as b2e
    >>> b2e.SpikeCount(scale=0.5)
    SpikeCount(window=None, scale=0.5)

    References
    ----------
    Eshraghian et al. 2023, Proceedings of the IEEE 111:1016, "cross entropy spike count".
    """

    scale: float = 1.0

    judges: ClassVar[Judged] = Judged.SPIKE_COUNTS
    _own: ClassVar[tuple[str, ...]] = ("count",)
    _before: ClassVar[str] = "count = 0.0"
    _each: ClassVar[str] = f"count += {IN_WINDOW}"
    _logit: ClassVar[str] = "logit = count_scale*count"
    _gradient: ClassVar[str] = (
        "prediction = count\n"
        "loss = weight*target*(log(total) + peak - logit)\n"
        "gradient = weight*count_scale*(power/total - target)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero("SpikeCount", "scale", self.scale, "1.0")

    def constants(self, dt: float) -> dict[str, Number]:
        """See :class:`Loss`."""
        return super().constants(dt) | {"count_scale": float(self.scale)}

    def scores(self, prediction: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """See :class:`Loss`: who spikes more than all others, and at all, is the answer."""
        return np.where(prediction > 0, prediction, -np.inf)

    def by_spike(self, scope: Scope, dt: float, events: str, index: Index) -> str:
        """See :class:`Loss`."""
        n = self._bound(scope, dt, events, index)
        return f"{within(n)}*{n['gradient']}"
