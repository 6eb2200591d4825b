"""The losses: cross-entropy of classes, squared distance to a trajectory."""

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
    Reduce,
    Reduction,
    Slots,
)
from brian2eprop.learning.objective.classes import share_right
from brian2eprop.learning.objective.loss import (
    IN_WINDOW,
    Loss,
    LossArrays,
    LossPhases,
    elements,
    numbers,
    one_hot,
    scalars,
    scratch,
    sum_of,
)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    r"""Cross-entropy of the softmax of the output, averaged over the window's steps.

    .. math:: E = -\frac{1}{n} \sum_{t \in \text{window}} \log \pi_{k^*}^t, \quad
              \pi^t = \text{softmax}(y^t)

    The prediction is the mean of the softmax over the window, shape (samples, outputs).
    """

    has_accuracy: ClassVar[bool] = True
    has_classes: ClassVar[bool] = True

    def targets(
        self, labels: npt.ArrayLike, n_outputs: int, n_steps: int
    ) -> npt.NDArray[np.float64]:
        """One-hot rows, shape (samples, outputs), of integer labels of shape (samples,)."""
        return one_hot("CrossEntropy", labels, n_outputs)

    def accuracy(self, prediction: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Any:
        """Share of the samples whose largest mean probability is at the label, and there alone."""
        return share_right(self.scores(prediction), labels)

    def phases(self, output: str, size: int, dt: float, kept: bool) -> LossPhases:
        """See :class:`Loss`."""
        found = LossArrays(output)
        power, share, peak, total = map(found.own, ("exponential", "share", "peak", "sum"))
        y = elements(y=output)
        exponential = Body(
            "power = exp(y - peak)\n_value = power",
            {**y, **elements(power=power), **scalars(peak=peak)},
        )
        gradient = Body(
            f"_share = {IN_WINDOW}*scale\n"
            "_softmax = power/total\n"
            "prediction += _share*_softmax\n"
            "loss += weight*_share*target*(log(total) + peak - y)\n"
            "gradient = weight*_share*(_softmax - target)",
            {
                **y,
                **elements(power=power, loss=share, target=found.target),
                **elements(prediction=found.prediction, gradient=found.gradient),
                **scalars(total=total, peak=peak, scale=found.scale, weight=found.weight),
            },
            self.constants(dt),
        )
        return LossPhases(
            arrays=(
                Array(found.target, DType.REAL, size, Access.PER_INSTANCE),
                Array(found.prediction, DType.REAL, size, Access.PER_INSTANCE),
                *found.numbers(),
                scratch(power, size),
                scratch(share, size),
                scratch(peak, 1),
                scratch(total, 1),
                scratch(found.gradient, size, kept),
            ),
            begin=(Clear("loss begin", (found.prediction, share)),),
            step=(
                Reduce("loss peak", size, Reduction.MAX, Body("_value = y", y), peak),
                Reduce("loss sum", size, Reduction.SUM, exponential, total),
                ForEach("loss gradient", size, gradient),
            ),
            end=(sum_of(share, size, found.value),),
        )


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    r"""Squared distance of the output to a trajectory, averaged over the window's steps.

    .. math:: E = \frac{1}{2n} \sum_{t \in \text{window}} \sum_k (y_k^t - y_k^{*t})^2

    The prediction is the output at every step, shape (samples, steps, outputs).
    """

    in_units_of_output: ClassVar[bool] = True

    def targets(
        self, labels: npt.ArrayLike, n_outputs: int, n_steps: int
    ) -> npt.NDArray[np.float64]:
        """Trajectories of shape (samples, steps, outputs), or (samples, outputs) held constant."""
        values = numbers("MeanSquaredError", labels, "real numbers").astype(float)
        if values.ndim == 2 and values.shape[1] == n_outputs:
            values = np.repeat(values[:, None, :], n_steps, axis=1)
        if values.ndim != 3 or values.shape[1:] != (n_steps, n_outputs):
            raise ValueError(
                f"MeanSquaredError takes targets of shape (samples, {n_steps}, {n_outputs}) or "
                f"(samples, {n_outputs}), not {values.shape}."
            )
        if not np.all(np.isfinite(values)):
            sample = int(np.argwhere(~np.isfinite(values))[0, 0])
            raise ValueError(
                f"The target of sample {sample} is not finite everywhere. Remove the sample or "
                "mend its target."
            )
        return values

    def accuracy(self, prediction: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        """A trajectory is not right or wrong."""

    def phases(self, output: str, size: int, dt: float, kept: bool) -> LossPhases:
        """See :class:`Loss`."""
        found = LossArrays(output)
        share = found.own("share")
        gradient = Body(
            f"_error = {IN_WINDOW}*(y - target)\n"
            "prediction = y\n"
            "loss += weight*scale*0.5*_error*_error\n"
            "gradient = weight*scale*_error",
            {
                **elements(y=output, target=found.target, prediction=found.prediction),
                **elements(loss=share, gradient=found.gradient),
                **scalars(scale=found.scale, weight=found.weight),
            },
            self.constants(dt),
        )
        every_step = Slots(kept=True)
        return LossPhases(
            arrays=(
                Array(found.target, DType.REAL, size, Access.PER_INSTANCE, every_step),
                Array(found.prediction, DType.REAL, size, Access.PER_INSTANCE, every_step),
                *found.numbers(),
                scratch(share, size),
                scratch(found.gradient, size, kept),
            ),
            begin=(Clear("loss begin", (share,)),),
            step=(ForEach("loss gradient", size, gradient),),
            end=(sum_of(share, size, found.value),),
        )
