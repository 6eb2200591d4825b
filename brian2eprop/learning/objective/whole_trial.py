"""The loss of what outputs come to over a sample: mean, sum, weighted mean, maximum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from brian2.units import Quantity, ms

from brian2eprop.device.program import Body, ForEach, Index, Number, Phase, Ref
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.objective.loss import IN_WINDOW, LossArrays, check_time, elements
from brian2eprop.learning.objective.softmax import SoftmaxLoss, within

# What a step counts, by the names of what it depends on; the maximum is that of one step.
_COUNTS = {
    "mean": "{scale}",
    "sum": "1.0",
    "exponential": "{scale}*exp(-(step - {window_start})*{step_length}/{tau})",
    "linear": "{scale}*(1 - (step - {window_start})*{scale})",
}
_OWN_NAMES = {name: name for name in ("scale", "window_start", "step_length", "tau")}
_FIRST = "int(step == window_start)"
_MAXIMUM = (
    f"_new = clip({_FIRST} + {IN_WINDOW}*int(y > reached), 0, 1)\n"
    "reached = _new*y + (1 - _new)*reached\n"
    "when = _new*step + (1 - _new)*when"
)


@dataclass(frozen=True)
class TrialCrossEntropy(SoftmaxLoss):
    r"""Cross-entropy of the softmax of what each output comes to over the window.

    .. math:: E = -\log \frac{e^{m_{k^*}}}{\sum_k e^{m_k}}

    with :math:`m_k`, over the :math:`n` steps of the window, :math:`s` being the steps since its
    first,

    ============= ==================================================================
    'mean'        :math:`\frac{1}{n} \sum_s y_k^s`
    'sum'         :math:`\sum_s y_k^s`
    'exponential' :math:`\frac{1}{n} \sum_s e^{-s \Delta t/\tau} y_k^s`
    'linear'      :math:`\frac{1}{n} \sum_s (1 - \frac{s}{n}) y_k^s`
    'max'         :math:`\max_s y_k^s`
    ============= ==================================================================

    The two that fall with time ask for early answers. :class:`CrossEntropy` judges every step.
    The prediction is the softmax, shape (samples, outputs).

    Parameters
    ----------
    window : (Quantity, Quantity), optional
        Start and end of the time that counts; by default the whole trial.
    of : {'mean', 'sum', 'exponential', 'linear', 'max'}
        What is judged.
    tau : Quantity
        Time constant of 'exponential' (seconds).

    Raises
    ------
    ValueError
        If there is no such kind, or the time constant is not positive.

    Examples
    --------
    >>> import brian2eprop as b2e
    >>> b2e.TrialCrossEntropy(of="max").of
    'max'

    References
    ----------
    Nowotny, Turner & Knight 2025, Neuromorphic Computing and Engineering 5:014001, "loss shaping".
    """

    of: Literal["mean", "sum", "exponential", "linear", "max"] = "mean"
    tau: Quantity = field(default_factory=lambda: 100 * ms)

    _own: ClassVar[tuple[str, ...]] = ("reached", "when")
    _before: ClassVar[str] = "reached = 0.0\nwhen = 0.0"
    _logit: ClassVar[str] = "logit = reached"
    _gradient: ClassVar[str] = (
        "_softmax = power/total\n"
        "prediction = _softmax\n"
        "loss = weight*target*(log(total) + peak - logit)\n"
        "gradient = weight*(_softmax - target)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of not in (*_COUNTS, "max"):
            kinds = ", ".join((*_COUNTS, "max"))
            raise ValueError(f"TrialCrossEntropy is not of '{self.of}'. Choose one of {kinds}.")
        check_time("TrialCrossEntropy's tau", self.tau, "100*ms")

    @property
    def _each(self) -> str:  # type: ignore[override]
        if self.of == "max":
            return _MAXIMUM
        return f"reached += {IN_WINDOW}*{_COUNTS[self.of].format(**_OWN_NAMES)}*y"

    def constants(self, dt: float) -> dict[str, Number]:
        """See :class:`Loss`."""
        return super().constants(dt) | {"step_length": dt, "tau": float(self.tau)}

    def by_output(self, scope: Scope, dt: float, output: str) -> str:
        """See :class:`Loss`."""
        n = self._bound(scope, dt, output, Index.ELEMENT)
        if self.of == "max":
            return f"{within(n)}*int(step == {n['when']})*{n['gradient']}"
        n["scale"] = scope.bind("scale", Ref(LossArrays(output).scale, Index.SCALAR))
        return f"{within(n)}*{_COUNTS[self.of].format(**n)}*{n['gradient']}"

    def _step(self, output: str, size: int, body: Body) -> Phase:
        """See :class:`SoftmaxLoss`."""
        return ForEach("judge output", size, body)

    def _read(self, output: str) -> Mapping[str, Ref]:
        """See :class:`SoftmaxLoss`."""
        return elements(y=output)
