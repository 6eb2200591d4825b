"""E-prop: what crosses a spike on the way back is the learning signal of the readouts alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy.typing as npt
from brian2.units import Quantity

from brian2eprop.device.program import (
    Array,
    Chunks,
    Connectivity,
    Direction,
    Phase,
    Program,
    Sweep,
)
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.surrogate import SurrogateCrossing
from brian2eprop.learning.adjoint.writer import gradient_array
from brian2eprop.learning.feedback.pathways import Feedback
from brian2eprop.learning.feedback.signals import KINDS, Kind, Signals
from brian2eprop.learning.model.model import Model, analyse
from brian2eprop.learning.model.surrogates import Surrogate, Triangular
from brian2eprop.learning.objective.task import Online, Task, TrainingPrograms
from brian2eprop.learning.objective.trial import Trial, make_trial
from brian2eprop.learning.rules.online import in_calls
from brian2eprop.learning.rules.programs import (
    adjoint_program,
    check_settings,
    check_surrogate,
    learning_feedback,
    no_gradients,
    refuse_rewards,
    training_programs,
    with_weight,
)
from brian2eprop.learning.traces.chunks import ChunkWriter
from brian2eprop.learning.traces.parts import TraceParts
from brian2eprop.learning.traces.rewarded import RewardWriter
from brian2eprop.learning.traces.routes import Route, find_routes
from brian2eprop.learning.traces.writer import TraceWriter
from brian2eprop.number_checks import shown, without_unit


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
    feedback : {'symmetric', 'random', 'adaptive'} or mapping of str to one of these or array
        Whether :math:`B` are the output weights, fixed random ones, random ones that are updated
        as the output weights are (decay, and what constraints move these by, included), or fixed
        ones that are given. A mapping says
        so for the synapses of each name: ``{'w_out': B}`` is an array of shape (sources,
        targets) in the unit of the output weights, read where there is a synapse. With the name
        of a group the signal comes straight to its neurons, which need no synapses onto the
        output, as if each of their spikes added its weight to the output: ``{'first': B}`` has
        the shape (neurons, outputs), with the neurons of all outputs in order. With 'random' it
        does so to all trained neurons that have no synapses onto the output.
    surrogate : Surrogate
        The pseudo-derivative :math:`\psi`.
    form : {'adjoint', 'forward', 'chunked', 'auto'}
        How the sum over time is computed; all give the same numbers. 'adjoint', the default, goes
        back through a trial, at the cost of its spikes; its memory grows with neurons times steps.
        'forward' carries an eligibility trace for every synapse along, at the cost of all
        synapses in every step; its memory does not depend on the number of steps. 'chunked'
        goes back through so many steps at a time and carries traces across their borders only,
        so that its memory does not depend on the number of steps either, and its cost is that
        of the adjoint form, once for the gradient and once for each trace. 'auto' is 'adjoint'
        where a batch fits into memory and else 'chunked'.
    feedback_scale : Quantity or float, optional
        Standard deviation of random feedback (in the unit of the output weights); by default
        one over the root of the number of neurons that receive it. Every pathway has weights
        of its own.
    detach : tuple of str, optional
        State whose jump at the neuron's own spike is taken as given, as 'hidden_v'; by default
        the membranes. A threshold with one state variable has that for a membrane; of several,
        those are membranes whose rise alone takes a neuron from below its threshold to above
        it, by the values that constants and variables have when the Trainer is made. How the
        inequality is written does not matter. What cannot be told so is refused.
    chunk : int
        Number of steps of a chunk of the chunked form. Its memory grows with them; the shorter
        they are, the more often all synapses are gone through.
    update_every : int, optional
        Number of steps after which the parameters are updated within a sample, in the forward
        form, by the gradient of these steps' part of the loss; by default once a batch, after
        its samples. State and traces go on; every instance keeps its own traces. Without a step
        that counts, by the losses' windows or regularisers, there is no update. Regularisers
        judge the spikes since the sample's beginning.

    References
    ----------
    Bellec et al. 2020, Nature Communications 11:3625, equations 1 to 4 and 13, 14, 23 to 26.
    """

    feedback: Kind | Mapping[str, Kind | npt.ArrayLike] = "symmetric"
    surrogate: Surrogate = field(default_factory=Triangular)
    form: Literal["adjoint", "forward", "chunked", "auto"] = "adjoint"
    feedback_scale: Quantity | float | None = None
    detach: tuple[str, ...] | None = None
    chunk: int = 256
    update_every: int | None = None

    trains_delays: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_settings(self, self.surrogate, self.detach)
        scale = 1.0 if self.feedback_scale is None else without_unit(self.feedback_scale)
        if scale is None or not 0 < scale < float("inf"):
            raise ValueError(
                f"EProp's feedback_scale is {shown(self.feedback_scale)}. Give a positive number."
            )
        if not isinstance(self.feedback, str | Mapping):
            raise ValueError(
                "EProp's feedback is neither a name nor a mapping. Choose one of symmetric, "
                "random, adaptive, or give arrays by the name of their synapses or neurons: "
                "{'w_out': array}."
            )
        kinds = self.feedback.values() if isinstance(self.feedback, Mapping) else [self.feedback]
        _check_choices("feedback", (kind for kind in kinds if isinstance(kind, str)), KINDS)
        _check_choices("form", (self.form,), ("adjoint", "forward", "chunked", "auto"))
        _check_steps("chunk", self.chunk)
        if self.update_every is not None:
            _check_steps("update_every", self.update_every)
            if self.form != "forward":
                raise ValueError(
                    f"EProp's update_every is given with form='{self.form}', but only the forward "
                    "form knows gradients before a sample is over. Use form='forward'."
                )

    def training_program(self, model: Program, task: Task) -> TrainingPrograms:
        """The Programs that train a model on a task.

        Raises
        ------
        LearningError
            If the model, or what is asked of it, cannot be trained by e-prop.
        """
        if self.form != "forward" or self.update_every is not None:
            refuse_rewards(self, task)
        if self.form == "forward" and task.sought:
            raise LearningError(
                f"RigL asks for the gradient of places of '{min(task.sought)}' without a synapse, "
                "and the forward form of EProp carries what synapses have met, not what others "
                "would have. Use EProp(form='adjoint') or form='chunked', or rewire them by DeepR "
                "or SET."
            )
        if self.form == "auto":
            programs = replace(self, form="adjoint").training_program(model, task)
            sparing = replace(self, form="chunked")
            return replace(programs, sparing=lambda: sparing.training_program(model, task).train)
        trial = with_weight(make_trial(model, task, kept=self.form == "adjoint"))
        found = analyse(trial.model, self.detach, task.values)
        check_surrogate(self.surrogate, found, task)
        signals = Signals(found, task, self.feedback, self.feedback_scale)
        analysed = signals.model
        if self.form == "adjoint":
            crossing = SurrogateCrossing(self.surrogate, signals.cross)
            train = adjoint_program("e-prop, adjoint form", trial, analysed, task, crossing)
            signals.check(crossing.signalled)
            return training_programs(train, trial, analysed, task, crossing.feedbacks)
        routes = find_routes(analysed, task, signals.cross)
        signals.check(set(routes))
        feedbacks = [route.feedback for found in routes.values() for route in found]
        train, online = self._with_traces(trial, analysed, task, routes, feedbacks)
        return replace(training_programs(train, trial, analysed, task, feedbacks), online=online)

    def _with_traces(
        self,
        trial: Trial,
        model: Model,
        task: Task,
        routes: Mapping[str, tuple[Route, ...]],
        feedbacks: Sequence[Feedback],
    ) -> tuple[Program, Online | None]:
        """The Program of the forward or chunked form, and how it is called within a sample."""
        if self.form == "chunked":
            chunks = ChunkWriter(model, task, self.surrogate, routes, self.chunk)
            return chunked_program(trial.within(self.chunk), chunks, self.chunk, feedbacks), None
        if task.rewarded:
            rewarded = RewardWriter(model, task, self.surrogate, routes)
            going_on = forward_program(trial, rewarded, feedbacks, tuple(rewarded.decide))
            return in_calls(going_on, (*trial.begin, rewarded.begin()), task, 1)
        writer = TraceWriter(model, task, self.surrogate, routes, self.update_every is not None)
        begin = (*trial.begin, writer.begin())
        if self.update_every is None:
            return forward_program(trial, writer, feedbacks, begin), None
        going_on = forward_program(trial, writer, feedbacks, (writer.forget(),))
        return in_calls(going_on, begin, task, self.update_every)


def _check_steps(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"EProp's {name} is {value!r}. Give a whole number from 1 up.")


def _check_choices(name: str, values: Iterable[str], choices: Sequence[str]) -> None:
    for value in values:
        if value not in choices:
            raise ValueError(f"EProp has no {name} '{value}'. Choose one of {', '.join(choices)}.")


def forward_program(
    trial: Trial, writer: TraceParts, feedbacks: Sequence[Feedback], begin: tuple[Phase, ...]
) -> Program:
    """The Program that carries eligibility traces along."""
    taped = writer.tape.taped()
    return _program(
        "e-prop, forward form",
        trial,
        writer.task,
        feedbacks,
        arrays=(
            *taped.arrays,
            *writer.arrays,
            *writer.given,
            *writer.flags(),
            *(gradient_array(writer.model, parameter) for parameter in writer.task.parameters),
            *(array for feedback in feedbacks for array in feedback.arrays),
        ),
        connectivities=tuple(f.connectivity for f in feedbacks if f.turned),
        sweeps=(
            Sweep(Direction.ONCE, begin),
            trial.forward((*taped.forward, *trial.after, *writer.flag_phases(), *writer.step)),
            Sweep(Direction.ONCE, (*trial.end, *writer.end)),
        ),
    )


def chunked_program(
    trial: Trial, writer: ChunkWriter, chunk: int, feedbacks: Sequence[Feedback]
) -> Program:
    """The Program that goes back through some steps at a time."""
    sweeps = (
        Sweep(Direction.FORWARD, (*writer.loss.forward, *trial.after)),
        Sweep(Direction.ONCE, writer.turn()),
        Sweep(Direction.BACKWARD, writer.back()),
        Sweep(Direction.ONCE, writer.border()),
    )
    return _program(
        "e-prop, chunked form",
        trial,
        writer.task,
        feedbacks,
        arrays=writer.arrays,
        connectivities=writer.loss.connectivities,
        sweeps=(
            Sweep(Direction.ONCE, (*trial.begin, *writer.begin())),
            trial.chunks(chunk, sweeps),
            Sweep(Direction.ONCE, (*trial.end, *writer.end())),
        ),
    )


def _program(
    name: str,
    trial: Trial,
    task: Task,
    feedbacks: Sequence[Feedback],
    arrays: tuple[Array, ...],
    connectivities: tuple[Connectivity, ...],
    sweeps: tuple[Sweep | Chunks, ...],
) -> Program:
    """What the forms with traces have in common."""
    return Program(
        name=name,
        dt=trial.model.dt,
        arrays=(*trial.arrays, *arrays),
        sweeps=(no_gradients(task), *sweeps, *learning_feedback(feedbacks)),
        events=trial.events,
        connectivities=(*trial.connectivities, *connectivities),
        streams=trial.streams,
    )
