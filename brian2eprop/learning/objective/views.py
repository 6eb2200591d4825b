"""Self-supervised losses: what an output does in two windows of one sample, compared.

Nothing is asked of other samples. The label says whether the two views, which lie one after the
other in the sample, belong together.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program import (
    Access,
    Array,
    Clear,
    DType,
    ForEach,
    Index,
    Number,
    Phase,
    Reduce,
    Reduction,
    Ref,
)
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.objective.loss import (
    IN_WINDOW,
    Loss,
    LossArrays,
    LossPhases,
    Window,
    check_window,
    elements,
    numbers,
    scalars,
    scratch,
    steps_of,
)
from brian2eprop.learning.objective.softmax import used, within
from brian2eprop.number_checks import above_zero, flag

IN_CONTEXT = "int(step >= context_start and step < context_stop)"


@dataclass(frozen=True)
class ViewsLoss(Loss):
    """One that compares what an output is in its window to what it was in an earlier one."""

    context: Window = None

    def __post_init__(self) -> None:
        super().__post_init__()
        kind = type(self).__name__
        if self.window is None or self.context is None:
            raise ValueError(
                f"{kind} compares two windows; give context and window, such as "
                "context=(0*ms, 50*ms), window=(60*ms, 100*ms)."
            )
        check_window("context", self.context)
        if float(self.context[1]) > float(self.window[0]):
            raise ValueError(
                f"{kind}'s context {self.context} does not end before its window {self.window} "
                "begins; move one of them."
            )

    def constants(self, dt: float) -> dict[str, Number]:
        """Both windows, and one by the number of the context's steps.

        Raises
        ------
        ValueError
            If no step starts in the context.
        """
        steps = steps_of(self.context, dt)
        if not steps:
            raise ValueError(
                f"The loss's context {self.context} contains no step of {dt * 1e3:g} ms. Make it "
                "longer."
            )
        context: dict[str, Number] = {"context_start": steps.start, "context_stop": steps.stop}
        return super().constants(dt) | context | {"context_share": 1 / len(steps)}

    def targets(
        self, labels: npt.ArrayLike, n_outputs: int, n_steps: int
    ) -> npt.NDArray[np.float64]:
        """One number a sample, shape (samples, 1)."""
        kind = type(self).__name__
        values = numbers(kind, labels, f"one number a sample, {self._labels}").astype(float)
        if values.ndim != 1:
            raise ValueError(
                f"{kind} takes one label a sample, an array of shape (samples,), not of shape "
                f"{values.shape}."
            )
        bad = ~self._allowed(values)
        if bad.any():
            raise ValueError(
                f"{kind}: the label of sample {int(np.argmax(bad))} is {values[bad][0]:g}; give "
                f"{self._labels}."
            )
        return values[:, None]

    # What labels are, for the sentences.
    _labels: ClassVar[str]

    @abstractmethod
    def _allowed(self, labels: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which numbers are labels."""

    def _given(self, found: LossArrays) -> tuple[Array, ...]:
        """The arrays of one number a sample."""
        one = (
            Array(n, DType.REAL, 1, Access.PER_INSTANCE) for n in (found.target, found.prediction)
        )
        return (*one, *found.numbers())

    def _defined(self, scope: Scope, dt: float) -> dict[str, str]:
        return {name: scope.define(name, value) for name, value in self.constants(dt).items()}


@dataclass(frozen=True)
class ContrastivePrediction(ViewsLoss):
    r"""What an output was in the context is to predict it in the window, or is not to.

    .. math:: E = \frac{1}{n} \sum_{t \in \text{window}} \max(0, m - \ell\, c \cdot y^t), \quad
              c = \frac{1}{n_c} \sum_{t \in \text{context}} y^t

    with the label :math:`\ell` 1 where the sample goes on as it began, and -1 where what follows is
    of another one. Where the output is :math:`y = W h` of a layer :math:`h`, what is compared is
    :math:`h^\top W^\top W h`: :math:`W` is both the encoding and the prediction. One such loss a
    layer makes learning local.

    The prediction is the mean of :math:`c \cdot y^t` over the window, shape (samples, 1), the
    accuracy the share of the samples where it has the sign of the label.

    Parameters
    ----------
    window : (Quantity, Quantity)
        Start and end (seconds) of the time in which the output is predicted.
    context : (Quantity, Quantity)
        Start and end (seconds) of the time that predicts it; ends before the window begins.
    margin : float
        :math:`m`: beyond it nothing is asked any more.
    follow_context : bool
        Whether the gradient is also that of the context. That is known only when the sample is
        over; without it, what the context was is taken as given, and forms of :class:`EProp` that
        do not go back through a whole sample can be used.

    Raises
    ------
    ValueError
        If a window is missing, they overlap, or the margin is not positive.

    Examples
    --------
    >>> from brian2 import ms
    >>> import brian2eprop as b2e
    >>> b2e.ContrastivePrediction(context=(0*ms, 50*ms), window=(60*ms, 100*ms)).margin
    1.0

    References
    ----------
    Illing, Ventura, Bellec & Gerstner 2021, Advances in Neural Information Processing Systems 34,
    equations 2 to 6 (CLAPP).
    """

    margin: float = 1.0
    follow_context: bool = True

    has_accuracy: ClassVar[bool] = True
    _labels: ClassVar[str] = "1 for what goes on as it began, -1 for what does not"

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero("ContrastivePrediction", "margin", self.margin, "1.0")
        flag("ContrastivePrediction", "follow_context", self.follow_context)

    @property
    def online(self) -> bool:
        """See :class:`Loss`."""
        return not self.follow_context

    def constants(self, dt: float) -> dict[str, Number]:
        """See :class:`ViewsLoss`."""
        return super().constants(dt) | {"margin": float(self.margin)}

    def _allowed(self, labels: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        return np.isin(labels, (1.0, -1.0))

    def accuracy(self, prediction: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Any:
        """Share of the samples whose score has the sign of the label."""
        return (prediction[:, 0] * labels > 0).mean()

    def phases(self, output: str, size: int, dt: float, kept: bool) -> LossPhases:
        """See :class:`Loss`."""
        found = LossArrays(output)
        context, ahead, score, pull = map(found.own, ("context", "ahead", "score", "pull"))
        each = elements(y=output, context=context, ahead=ahead, gradient=found.gradient)
        each |= scalars(pull=pull)
        one = elements(
            score=score,
            pull=pull,
            target=found.target,
            prediction=found.prediction,
            loss=found.value,
            scale=found.scale,
            weight=found.weight,
        )
        known = self.constants(dt)
        judged = (
            f"_share = {IN_WINDOW}*scale\n"
            "_short = margin - target*score\n"
            "_wrong = weight*_share*int(_short > 0)\n"
            "prediction += _share*score\n"
            "loss += _wrong*_short\n"
            "pull = -_wrong*target"
        )
        follows = "\nahead += pull*y" if self.follow_context else ""
        own = (context, *((ahead,) if self.follow_context else ()))
        return LossPhases(
            arrays=(
                *self._given(found),
                *(scratch(name, size) for name in own),
                *(scratch(name, 1) for name in (score, pull)),
                scratch(found.gradient, size, kept),
            ),
            begin=(Clear("loss begin", (found.prediction, found.value, *own)),),
            step=(
                _loop("context", size, f"context += {IN_CONTEXT}*context_share*y", each, known),
                Reduce("score", size, Reduction.SUM, used("_value = context*y", each, {}), score),
                _loop("judge pair", 1, judged, one, known),
                _loop("loss gradient", size, f"gradient = pull*context{follows}", each, known),
            ),
            end=(),
        )

    def by_output(self, scope: Scope, dt: float, output: str) -> str:
        """See :class:`Loss`."""
        found = super().by_output(scope, dt, output)
        if not self.follow_context:
            return found
        n, own = self._defined(scope, dt), LossArrays(output).own("ahead")
        ahead = scope.bind("ahead", Ref(own, Index.ELEMENT))
        return f"({found} + {within(n, 'context')}*{n['context_share']}*{ahead})"


@dataclass(frozen=True)
class ActivitySimilarity(ViewsLoss):
    r"""How much alike an output is in two windows is to be what the label says.

    .. math:: E = \frac{1}{2} \left(\frac{a \cdot b}{|a| |b|} - s\right)^2

    with :math:`a` the mean of the output over the context, :math:`b` over the window, and the label
    :math:`s` from -1 to 1: 1 for two views of the same thing, 0 (or -1, for outputs that have both
    signs) for views of different ones. An output that is zero throughout a window is like nothing:
    its similarity is 0, and nothing follows from it.

    The prediction is the similarity, shape (samples, 1). It is known only when the sample is over,
    so the forward and chunked forms of :class:`EProp` refuse this loss.

    Parameters
    ----------
    window, context : (Quantity, Quantity)
        Start and end (seconds) of the two views; the context ends before the window begins.

    Raises
    ------
    ValueError
        If a window is missing, or they overlap.

    Examples
    --------
    >>> from brian2 import ms
    >>> import brian2eprop as b2e
    >>> b2e.ActivitySimilarity(context=(0*ms, 50*ms), window=(60*ms, 100*ms)).has_accuracy
    False

    References
    ----------
    Nøkland & Eidnes 2019, Proceedings of Machine Learning Research 97:4839, "similarity matching
    loss", of two views in the place of a batch.
    """

    _labels: ClassVar[str] = "how much alike the two views are, from -1 to 1"

    @property
    def online(self) -> bool:
        """See :class:`Loss`."""
        return False

    def _allowed(self, labels: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        return np.abs(labels) <= 1

    def accuracy(self, prediction: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        """A similarity is not right or wrong."""

    def phases(self, output: str, size: int, dt: float, kept: bool) -> LossPhases:
        """See :class:`Loss`."""
        found = LossArrays(output)
        names = {n: found.own(n) for n in ("first", "second", "by_first", "by_second")}
        sums = {n: found.own(n) for n in ("aa", "bb", "ab")}
        made = {n: found.own(n) for n in ("one", "other", "likeness", "pull")}
        each = elements(y=output, **names) | scalars(scale=found.scale, **made)
        single = elements(
            target=found.target,
            prediction=found.prediction,
            loss=found.value,
            weight=found.weight,
            **sums,
            **made,
        )
        views = f"first += {IN_CONTEXT}*context_share*y\nsecond += {IN_WINDOW}*scale*y"
        judged = (
            "_none = int(aa == 0 or bb == 0)\n"
            "one = sqrt(aa) + _none\n"
            "other = sqrt(bb) + _none\n"
            "likeness = ab/one/other\n"
            "prediction = likeness\n"
            "loss = weight*0.5*(likeness - target)**2\n"
            "pull = weight*(likeness - target)*(1 - _none)"
        )
        gradients = (
            "by_first = pull/one*(second/other - likeness*first/one)\n"
            "by_second = pull/other*(first/one - likeness*second/other)"
        )
        return LossPhases(
            arrays=(
                *self._given(found),
                *(scratch(name, size) for name in names.values()),
                *(scratch(name, 1) for name in (*sums.values(), *made.values())),
            ),
            begin=(Clear("loss begin", (names["first"], names["second"])),),
            step=(_loop("views", size, views, each, self.constants(dt)),),
            end=(
                *(
                    Reduce(f"product {n}", size, Reduction.SUM, used(code, each, {}), sums[n])
                    for n, code in (
                        ("aa", "_value = first*first"),
                        ("bb", "_value = second*second"),
                        ("ab", "_value = first*second"),
                    )
                ),
                _loop("judge pair", 1, judged, single, {}),
                _loop("loss gradient", size, gradients, each, {}),
            ),
        )

    def by_output(self, scope: Scope, dt: float, output: str) -> str:
        """See :class:`Loss`."""
        n, found = self._defined(scope, dt), LossArrays(output)
        first, second = (
            scope.bind(name, Ref(found.own(name), Index.ELEMENT))
            for name in ("by_first", "by_second")
        )
        scale = scope.bind("scale", Ref(found.scale, Index.SCALAR))
        return (
            f"({within(n, 'context')}*{n['context_share']}*{first} + {within(n)}*{scale}*{second})"
        )


def _loop(
    label: str, size: int, code: str, refs: dict[str, Ref], constants: dict[str, Number]
) -> Phase:
    return ForEach(label, size, used(code, refs, constants))
