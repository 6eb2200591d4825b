"""The forward form where outputs are judged by rewards: the error of a reward times eligibility.

A network decides at the end of each call. What a parameter w has done to decisions is

    x <- discount x + sum of (learning signal of the decision) times (filtered e)

at the beginning of the next call, when the action is known; the gradient is the sum over the
calls of ``error x``, with the temporal difference ``error = r + discount V - V(before)``, which is
known at that call's end. The sum over later errors of a decision is so the reward's advantage.
"""

from __future__ import annotations

from collections.abc import Mapping

from brian2eprop.device.program import Access, Array, Body, DType, ForEach
from brian2eprop.errors import LearningError
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.surrogates import Surrogate
from brian2eprop.learning.objective.loss import LossArrays, elements
from brian2eprop.learning.objective.rewards import (
    CONTINUES,
    DECIDED,
    GIVEN,
    KEPT,
    REWARD,
    STEPS,
    Policy,
    RewardLoss,
    Value,
)
from brian2eprop.learning.objective.task import WEIGHT, Task
from brian2eprop.learning.traces.parameter_traces import ParameterTraces
from brian2eprop.learning.traces.parts import TraceParts
from brian2eprop.learning.traces.routes import Route
from brian2eprop.learning.traces.trace_body import TraceBody
from brian2eprop.learning.traces.writer import refuse_jumps

_ERROR, _BEFORE = "agent:error", "agent:before"


class RewardWriter(TraceParts):
    """Writes the forward form of gradients by rewards; see :class:`TraceParts`.

    Attributes
    ----------
    decide : list of Phase
        What is done at a call's beginning.

    Raises
    ------
    LearningError
        If the outputs are not a policy and a value.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        surrogate: Surrogate,
        routes: Mapping[str, tuple[Route, ...]],
    ) -> None:
        refuse_jumps(model)
        super().__init__(model, task, surrogate, routes, online=True)
        sizes = {output.array: model.arrays[output.array].size for output in task.outputs}
        value, self.discount = _critic(task, sizes)
        self.given += [Array(name, DType.REAL, 1, Access.PER_INSTANCE) for name in GIVEN]
        self.scratch(_ERROR, 1)
        self.scratch(_BEFORE, 1)
        before = Body("before = value", elements(before=_BEFORE, value=value))
        error = Body(
            "error = decided*(reward + continues*discount*value - before)",
            elements(
                **{"error": _ERROR, "before": _BEFORE, "value": value, "decided": DECIDED},
                **{"reward": REWARD, "continues": CONTINUES},
            ),
            {"discount": self.discount},
        )
        judged = [
            output.loss.judged(output.array, sizes[output.array])
            for output in task.outputs
            if isinstance(output.loss, RewardLoss)
        ]
        self.decide = [ForEach("value before", 1, before), *judged, *self.signals()]
        self.end.append(ForEach("error of the reward", 1, error))
        for parameter in task.parameters:
            _RewardTraces(self, parameter).write()


def _critic(task: Task, sizes: Mapping[str, int]) -> tuple[str, float]:
    """The array of the value, and the discount."""
    kinds = sorted(type(output.loss).__name__ for output in task.outputs)
    if kinds != [Policy.__name__, Value.__name__]:
        raise LearningError(
            f"The losses are {', '.join(kinds)}; learning from rewards takes one Policy and one "
            "Value. Give output=[actor.y, critic.y], loss=[Policy(), Value()]."
        )
    for output in task.outputs:
        if isinstance(output.loss, Value):
            if sizes[output.array] != 1:
                raise LearningError(
                    f"The output '{output.array}' of Value has {sizes[output.array]} neurons; let "
                    "one neuron say the value."
                )
            return LossArrays(output.array).prediction, float(output.loss.discount)
    raise AssertionError


class _RewardTraces(ParameterTraces):
    """The traces of one parameter, and what it has done to decisions."""

    writer: RewardWriter
    averaged_over = STEPS

    @property
    def _done(self) -> str:
        return f"decisions:{self.parameter}"

    def _collect(self) -> None:
        """See :class:`ParameterTraces`; in a step there is only what regularisers say."""
        self.writer.scratch(self._done, self.place.size)
        rates = [] if self.events is None else self._rates_so_far(self.events)
        self.body.line(self.body.own("part", self._sum), "+=", rates)
        begin = TraceBody(self.place, self.writer.tape)
        part, done = begin.own("part", self._sum), begin.own("decisions", self._done)
        begin.line(part, "=", [f"{begin.scalar('kept', KEPT)}*{part}"])
        discounted = f"{begin.define('discount', self.writer.discount)}*{done}"
        begin.line(done, "=", [discounted, *self._judged(begin)])
        self.writer.decide += begin.phases(f"decisions by {self.parameter}")
        end = TraceBody(self.place, self.writer.tape)
        factors = (end.scalar("weight", WEIGHT), end.scalar("error", _ERROR))
        term = "*".join((*factors, end.own("decisions", self._done)))
        end.line(end.own("part", self._sum), "+=", [term])
        self.writer.end += end.phases(f"reward of {self.parameter}")
