"""E-prop: what crosses a spike on the way back is the learning signal of the readouts alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from brian2eprop.device.program import (
    Access,
    Array,
    Direction,
    DType,
    Layout,
    Program,
    Propagate,
    Sweep,
)
from brian2eprop.device.verify import Stage, verify
from brian2eprop.learning.adjoint import AdjointWriter, Cross
from brian2eprop.learning.feedback import Feedback, random, symmetric
from brian2eprop.learning.linearise import Effect, LearningError
from brian2eprop.learning.model import Model, analyse
from brian2eprop.learning.surrogates import Triangular
from brian2eprop.learning.task import Task, TrainingPrograms
from brian2eprop.learning.trial import Trial, make_trial


@dataclass(frozen=True)
class EProp:
    r"""Eligibility propagation.

    The gradient of a recurrent network with the paths from one neuron's spikes to another's
    state left out, save those to the readouts:

    .. math:: \frac{dE}{dW_{ji}} \approx \sum_t L_j^t e_{ji}^t, \quad
              L_j^t = \sum_k B_{jk} \frac{\partial E}{\partial y_k^t}, \quad
              e_{ji}^t = \psi_j^t \frac{\partial g_j}{\partial h_j} \frac{dh_j^t}{dW_{ji}}

    Everything in it is derived from the model's equations.

    Parameters
    ----------
    feedback : {'symmetric', 'random'}
        Whether :math:`B` are the output weights, or fixed random ones.
    surrogate : Triangular
        The pseudo-derivative :math:`\psi`.
    form : {'adjoint', 'forward'}
        How the sum over time is computed; both give the same numbers. 'adjoint' goes back
        through a trial, at the cost of its spikes; its memory grows with neurons times steps.
        'forward' carries an eligibility trace for every synapse along, at the cost of all
        synapses in every step; its memory does not depend on the number of steps.
    feedback_scale : float, optional
        Standard deviation of random feedback (in the unit of the output weights); by default
        one over the root of the number of neurons that receive it.
    detach : tuple of str, optional
        State whose jump at the neuron's own spike is taken as given, as 'hidden_v'; by default
        the membranes.

    References
    ----------
    Bellec et al. 2020, Nature Communications 11:3625, equations 1 to 4 and 13, 14, 23 to 26.
    """

    feedback: Literal["symmetric", "random"] = "symmetric"
    surrogate: Triangular = Triangular()
    form: Literal["adjoint", "forward"] = "adjoint"
    feedback_scale: float | None = None
    detach: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("feedback", self.feedback, ("symmetric", "random")),
            ("form", self.form, ("adjoint", "forward")),
        ):
            if value not in choices:
                raise ValueError(
                    f"EProp has no {name} '{value}'. Choose one of {', '.join(choices)}."
                )

    def training_program(self, model: Program, task: Task) -> TrainingPrograms:
        """The Programs that train a model on a task.

        Raises
        ------
        LearningError
            If the model, or what is asked of it, cannot be trained by e-prop.
        """
        trial = with_weight(make_trial(model, task, keep_spikes=True))
        analysed = analyse(trial.model, self.detach)
        writer = AdjointWriter(analysed, task, self.surrogate, self._crossing(analysed, task))
        adjoint = writer.write()
        n_model = len(trial.model.sweeps[0].phases)
        train = Program(
            name="e-prop",
            dt=trial.model.dt,
            arrays=(*trial.arrays, *adjoint.arrays),
            sweeps=(
                Sweep(Direction.ONCE, trial.begin),
                Sweep(Direction.FORWARD, (*adjoint.forward, *trial.step[n_model:])),
                Sweep(Direction.ONCE, (*trial.end, *adjoint.begin)),
                Sweep(Direction.BACKWARD, adjoint.step),
                Sweep(Direction.ONCE, adjoint.end),
            ),
            events=trial.events,
            connectivities=(*trial.connectivities, *adjoint.connectivities),
            streams=trial.streams,
        )
        verify(train, Stage.ADJOINT)
        self._check_signals(analysed, writer, task)
        evaluate = make_trial(model, task, keep_spikes=False).program("evaluation")
        return TrainingPrograms(
            train=train,
            evaluate=evaluate,
            shared={name: v for f in writer.feedbacks for name, v in f.shared.items()},
            refresh=refresh_program(writer.feedbacks, analysed),
        )

    def _crossing(self, model: Model, task: Task) -> Cross:
        """E-prop's rule: only readouts, which do not spike, send a signal back."""

        def cross(phase: Propagate, effect: Effect) -> Feedback | None:
            targets = {phase.body.refs[name].array for name in effect.increments}
            if targets & set(model.spiking):
                return None
            pathway = model.connectivities[phase.connectivity]
            weight = phase.body.refs[model.weight(phase)].array
            if self.feedback == "symmetric":
                return symmetric(pathway, task.contents, weight)
            return random(pathway, task.contents, self.feedback_scale, task.seed)

        return cross

    def _check_signals(self, model: Model, writer: AdjointWriter, task: Task) -> None:
        """Every population whose input is trained must hear from a readout."""
        for number, phase in enumerate(model.phases):
            if not isinstance(phase, Propagate):
                continue
            trained = {r.array for r in phase.body.refs.values()} & set(task.parameters)
            targets = {phase.body.refs[n].array for n in model.effects[number].increments}
            driven = {model.spiking[target] for target in targets & set(model.spiking)}
            if trained and driven - writer.signalled:
                raise LearningError(
                    f"'{min(trained)}' is to be trained, but the neurons it drives have no "
                    "synapses onto a readout, so e-prop has no learning signal for them. Connect "
                    "them to the readout, or take it out of the parameters."
                )


def with_weight(trial: Trial) -> Trial:
    """The trial with the instances' weights in the loss, which only gradients need."""
    weight = Array("weight", DType.REAL, 1, Access.PER_INSTANCE)
    return replace(trial, arrays=(*trial.arrays, weight))


def refresh_program(feedbacks: list[Feedback], model: Model) -> Program | None:
    """What copies the output weights into symmetric feedback."""
    phases = tuple(f.refresh for f in feedbacks if f.refresh is not None)
    if not phases:
        return None
    refs = [ref for phase in phases for ref in phase.body.refs.values()]
    used = {ref.array for ref in refs} | {ref.via for ref in refs if ref.via is not None}
    known = {a.name: a for f in feedbacks for a in f.arrays} | dict(model.arrays)
    return Program(
        name="refresh feedback",
        dt=model.dt,
        arrays=tuple(known[name] for name in sorted(used)),
        sweeps=(Sweep(Direction.ONCE, phases),),
        layout=Layout.ELEMENTWISE,
    )
