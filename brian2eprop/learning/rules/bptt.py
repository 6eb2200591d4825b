"""Surrogate backpropagation through time: everything crosses a spike on the way back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from brian2eprop.device.program import Program, Propagate
from brian2eprop.learning.adjoint.surrogate import Cross, SurrogateCrossing
from brian2eprop.learning.feedback.pathways import Feedback, pathway_of, symmetric
from brian2eprop.learning.model.linearise import Effect
from brian2eprop.learning.model.model import Model, analyse
from brian2eprop.learning.model.surrogates import SuperSpike, Surrogate
from brian2eprop.learning.objective.task import Task, TrainingPrograms
from brian2eprop.learning.objective.trial import make_trial
from brian2eprop.learning.rules.programs import (
    adjoint_program,
    check_settings,
    check_surrogate,
    refuse_rewards,
    training_programs,
    with_weight,
)


@dataclass(frozen=True)
class SurrogateBPTT:
    r"""Backpropagation through time with surrogate gradients.

    The gradient of the network as a map from step to step, in which the derivative of a spike
    by the state of its neuron is a surrogate's:

    .. math:: \frac{dE}{dW} = \sum_t \frac{\partial E}{\partial h^t} \frac{dh^t}{dW}, \quad
              \frac{\partial z^t}{\partial h^t} := \psi(g(h^t)) \frac{\partial g}{\partial h^t}

    It follows every pathway, of as many layers and recurrent ones as there are. Everything in
    it is derived from the model's equations.

    Parameters
    ----------
    surrogate : Surrogate
        The pseudo-derivative :math:`\psi`: SuperSpike (also called FastSigmoid), Triangular,
        ArcTan or Gaussian.
    detach : tuple of str, optional
        State whose jump at the neuron's own spike is taken as given, as 'hidden_v'; by default
        the membranes, as most toolkits do. ``()`` follows all resets. See :class:`EProp` for how
        the membranes are found.

    Examples
    --------
    >>> import brian2eprop as b2e
    >>> b2e.SurrogateBPTT(surrogate=b2e.SuperSpike(width=0.04, gamma=0.04)).detach is None
    True

    References
    ----------
    Neftci, Mostafa & Zenke 2019, IEEE Signal Processing Magazine 36(6):51.
    Zenke & Vogels 2021, Neural Computation 33:899 (detached resets).
    """

    surrogate: Surrogate = field(default_factory=SuperSpike)
    detach: tuple[str, ...] | None = None

    trains_delays: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_settings(self, self.surrogate, self.detach)

    def training_program(self, model: Program, task: Task) -> TrainingPrograms:
        """The Programs that train a model on a task.

        Raises
        ------
        LearningError
            If the model, or what is asked of it, cannot be trained so.
        """
        refuse_rewards(self, task)
        trial = with_weight(make_trial(model, task, kept=True))
        analysed = analyse(trial.model, self.detach, task.values)
        check_surrogate(self.surrogate, analysed, task)
        crossing = SurrogateCrossing(self.surrogate, _every_pathway(analysed, task))
        train = adjoint_program("surrogate BPTT", trial, analysed, task, crossing)
        return training_programs(train, trial, analysed, task, crossing.feedbacks)


def _every_pathway(model: Model, task: Task) -> Cross:
    def cross(phase: Propagate, effect: Effect) -> Feedback:
        weight = phase.body.refs[model.weight(phase)].array
        return symmetric(pathway_of(model, task, phase, effect), weight)

    return cross
