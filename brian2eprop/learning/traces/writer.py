"""The forward form: every trained parameter carries its eligibility trace along.

For a parameter w of a neuron with state h, the phases of a step carry ``eps = dh/dw``, local
paths only:

    dynamics        eps <- dF/dh eps + dF/dw
    spike           e = psi (dg/dh eps + dg/dw)
    input spike     eps += de/dw at every spike
    reset           eps <- dR/dh eps where z; eps += (R(h) - h) e (paths that are not detached)

and a readout filters e as it filters spikes, so that the gradient is the sum over steps of
the learning signal times the filtered e. The signal weighs the loss's gradient by what a spike
adds to each readout neuron. Memory does not grow with the number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping

from brian2eprop.errors import LearningError
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.surrogates import Surrogate
from brian2eprop.learning.objective.task import Task
from brian2eprop.learning.traces.parameter_traces import ParameterTraces
from brian2eprop.learning.traces.parts import TraceParts
from brian2eprop.learning.traces.routes import Route


class TraceWriter(TraceParts):
    """Writes the forward form of all parameters' gradients; see :class:`TraceParts`."""

    def __init__(
        self,
        model: Model,
        task: Task,
        surrogate: Surrogate,
        routes: Mapping[str, tuple[Route, ...]],
        online: bool = False,
    ) -> None:
        refuse_jumps(model)
        super().__init__(model, task, surrogate, routes, online)
        self.step += self.signals()
        for parameter in task.parameters:
            ParameterTraces(self, parameter).write()


def refuse_jumps(model: Model) -> None:
    """Refuse spikes that would change the traces of all synapses of their targets.

    Raises
    ------
    LearningError
        If there are any.
    """
    for number, effect in model.effects.items():
        if effect.depends:
            raise LearningError(
                f"What {model.phases[number].label} adds depends on the state, so each spike "
                "changes the traces of all synapses onto its target, which the forward form does "
                "not follow. Use EProp(form='adjoint'), or form='chunked'."
            )
