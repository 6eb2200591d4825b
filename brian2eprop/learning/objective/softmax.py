"""What losses have in common that judge a sample when it is over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
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
    Index,
    Number,
    Phase,
    Reduce,
    Reduction,
    Ref,
)
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.objective.classes import share_right
from brian2eprop.learning.objective.loss import (
    TRIAL_STEPS,
    Loss,
    LossArrays,
    LossPhases,
    elements,
    one_hot,
    scalars,
    scratch,
    sum_of,
)


@dataclass(frozen=True)
class SoftmaxLoss(Loss):
    """Cross-entropy of the softmax of one number a neuron, the logit, known after the last step."""

    has_accuracy: ClassVar[bool] = True
    has_classes: ClassVar[bool] = True

    @property
    def online(self) -> bool:
        """See :class:`Loss`."""
        return False

    def targets(
        self, labels: npt.ArrayLike, n_outputs: int, n_steps: int
    ) -> npt.NDArray[np.float64]:
        """One-hot rows, shape (samples, outputs), of integer labels of shape (samples,)."""
        return one_hot(type(self).__name__, labels, n_outputs)

    def accuracy(self, prediction: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Any:
        """Share of the samples whose label has the largest score, and alone; ties are not right."""
        return share_right(self.scores(prediction), labels)

    def phases(self, output: str, size: int, dt: float, kept: bool) -> LossPhases:
        """See :class:`Loss`; for losses of spikes the output is a population's events."""
        found = LossArrays(output)
        logit, power, share, peak, total = map(
            found.own, ("logit", "exponential", "share", "peak", "sum")
        )
        known = elements(
            logit=logit,
            power=power,
            loss=share,
            target=found.target,
            prediction=found.prediction,
            gradient=found.gradient,
            **{name: found.own(name) for name in self._own},
        )
        known |= scalars(
            peak=peak, total=total, steps=TRIAL_STEPS, weight=found.weight, scale=found.scale
        )
        known |= self._read(output)
        numbers = self.constants(dt)

        def body(code: str) -> Body:
            return used(code, known, numbers)

        largest, exponential = "_value = logit", "power = exp(logit - peak)\n_value = power"
        own = [scratch(found.own(name), size) for name in self._own]
        judged = [scratch(name, size) for name in (logit, power, share, found.gradient)]
        return LossPhases(
            arrays=(
                Array(found.target, DType.REAL, size, Access.PER_INSTANCE),
                Array(found.prediction, DType.REAL, size, Access.PER_INSTANCE),
                *found.numbers(),
                *own,
                *judged,
                scratch(peak, 1),
                scratch(total, 1),
            ),
            begin=(
                Clear("loss begin", (share,)),
                ForEach("no logit yet", size, body(self._before)),
            ),
            step=(self._step(output, size, body(self._each)),),
            end=(
                ForEach("loss logits", size, body(self._logit)),
                Reduce("loss peak", size, Reduction.MAX, body(largest), peak),
                Reduce("loss sum", size, Reduction.SUM, body(exponential), total),
                ForEach("loss gradient", size, body(self._gradient)),
                sum_of(share, size, found.value),
            ),
        )

    # Bodies in the names of `phases`; `_own` are the arrays that only this loss has.
    _own: ClassVar[tuple[str, ...]]
    _before: ClassVar[str]
    _each: ClassVar[str]
    _logit: ClassVar[str]
    _gradient: ClassVar[str]

    @abstractmethod
    def _step(self, output: str, size: int, body: Body) -> Phase:
        """The phase that does ``_each`` in a step."""

    def _read(self, output: str) -> Mapping[str, Ref]:
        """Further names of the bodies."""
        return {}

    def _bound(self, scope: Scope, dt: float, output: str, index: Index) -> dict[str, str]:
        """What the arrays and numbers of the loss are called in a body."""
        found = LossArrays(output)
        arrays = {name: found.own(name) for name in self._own}
        arrays |= {"gradient": found.gradient, "target": found.target}
        names = {name: scope.bind(name, Ref(array, index)) for name, array in arrays.items()}
        return names | {n: scope.define(n, value) for n, value in self.constants(dt).items()}


def used(code: str, refs: Mapping[str, Ref], constants: Mapping[str, Number]) -> Body:
    """A body with those of the names that its code uses."""
    lines = Body(code).lines
    names = {line.target for line in lines}.union(*(line.names for line in lines))
    return Body(
        code,
        {name: ref for name, ref in refs.items() if name in names},
        {name: value for name, value in constants.items() if name in names},
    )


def within(names: Mapping[str, str], window: str = "window") -> str:
    """:data:`IN_WINDOW` in other names, or the same of another window."""
    start, stop = names[f"{window}_start"], names[f"{window}_stop"]
    return f"int(step >= {start} and step < {stop})"
