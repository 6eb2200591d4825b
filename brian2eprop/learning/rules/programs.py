"""What the rules' training Programs have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from brian2eprop.device.program import Access, Array, Clear, Direction, DType, Over, Program, Sweep
from brian2eprop.device.program.verify import Stage, verify
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.writer import AdjointWriter, Crossing
from brian2eprop.learning.feedback.pathways import Feedback
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.surrogates import Surrogate
from brian2eprop.learning.naming import gradient_of
from brian2eprop.learning.objective.task import WEIGHT, Task, TrainingPrograms
from brian2eprop.learning.objective.trial import Trial, make_trial


def check_settings(rule: Any, surrogate: Any, detach: Any) -> None:
    """Refuse a surrogate that is none, and names to be detached that are not a tuple.

    Raises
    ------
    TypeError, ValueError
        If they are.
    """
    kind = type(rule).__name__
    if isinstance(detach, str):
        raise ValueError(
            f"{kind}'s detach is one name. Give a tuple of names: detach=('{detach}',)."
        )
    if not isinstance(surrogate, Surrogate):
        raise TypeError(f"{kind}'s surrogate is {surrogate!r}. Give one, such as Triangular(0.3).")
    if detach is not None and not isinstance(detach, Sequence):
        raise TypeError(f"{kind}'s detach is {detach!r}. Give a tuple of names.")


def check_surrogate(surrogate: Surrogate, model: Model, task: Task) -> None:
    """A surrogate must have a width for every neuron when the training begins.

    Raises
    ------
    LearningError
        If it has not.
    """
    for condition in model.conditions.values():
        surrogate.check(condition, task.values, model.dt)


def refuse_rewards(rule: Any, task: Task) -> None:
    """Refuse outputs that are judged by rewards, where nothing is carried along.

    Raises
    ------
    LearningError
        If there is one.
    """
    for output in (output for output in task.outputs if output.loss.by_reward):
        raise LearningError(
            f"{type(output.loss).__name__} of '{output.array}' learns from rewards, which only the "
            f"forward form of EProp does, not {rule!r}. Use EProp(form='forward')."
        )


def with_weight(trial: Trial) -> Trial:
    """The trial with the instances' weights in the loss, which only gradients need."""
    weight = Array(WEIGHT, DType.REAL, 1, Access.PER_INSTANCE)
    roles = replace(trial.roles, weight=weight.name)
    return replace(trial, arrays=(*trial.arrays, weight), roles=roles)


def adjoint_program(
    name: str, trial: Trial, model: Model, task: Task, crossing: Crossing
) -> Program:
    """The Program that goes forward through a trial and back."""
    adjoint = AdjointWriter(model, task, crossing).write()
    return Program(
        name=name,
        dt=model.dt,
        arrays=(*trial.arrays, *adjoint.arrays),
        sweeps=(
            no_gradients(task),
            Sweep(Direction.ONCE, trial.begin),
            trial.forward((*adjoint.forward, *trial.after)),
            Sweep(Direction.ONCE, (*trial.end, *adjoint.begin)),
            trial.backward(adjoint.step),
            Sweep(Direction.ONCE, adjoint.end),
            *learning_feedback(crossing.feedbacks),
        ),
        events=trial.events,
        connectivities=(*trial.connectivities, *adjoint.connectivities),
        streams=trial.streams,
    )


def no_gradients(task: Task) -> Sweep:
    """What clears the gradients before the instances add to them."""
    names = tuple(gradient_of(parameter) for parameter in task.parameters)
    return Sweep(Direction.ONCE, (Clear("no gradient yet", names),), Over.SHARED)


def learning_feedback(feedbacks: Iterable[Feedback]) -> list[Sweep]:
    """What gives feedback that learns its gradients, once those of the parameters are there."""
    phases = tuple(feedback.learn for feedback in feedbacks if feedback.learn is not None)
    return [Sweep(Direction.ONCE, phases, Over.SHARED)] if phases else []


def training_programs(
    train: Program,
    trial: Trial,
    model: Model,
    task: Task,
    feedbacks: Sequence[Feedback] = (),
    clipped: Mapping[str, str] = MappingProxyType({}),
) -> TrainingPrograms:
    """The Programs of a task, checked, from the one that trains."""
    gradients = {name: gradient_of(name) for name in task.parameters}
    verify(train, Stage.ADJOINT, gradients)
    return TrainingPrograms(
        train=train,
        evaluate=make_trial(trial.model, task, kept=False).program("evaluation"),
        shared={name: v for f in feedbacks for name, v in f.shared.items()},
        refresh=_refresh_program(feedbacks, model, task),
        roles=replace(trial.roles, gradients=gradients, clipped=clipped),
        following={f.weight: f.follower for f in feedbacks if f.follower is not None},
    )


def _refresh_program(feedbacks: Sequence[Feedback], model: Model, task: Task) -> Program | None:
    """What copies the output weights into symmetric feedback, and rounds delays to steps."""
    copied = (f.refresh for f in feedbacks if f.refresh is not None)
    phases = (*copied, *task.delays.values())
    if not phases:
        return None
    refs = [ref for phase in phases for ref in phase.body.refs.values()]
    used = {ref.array for ref in refs} | {ref.via for ref in refs if ref.via is not None}
    known = {a.name: a for f in feedbacks for a in f.arrays} | dict(model.arrays)
    return Program(
        name="refresh",
        dt=model.dt,
        arrays=tuple(known[name] for name in sorted(used)),
        sweeps=(Sweep(Direction.ONCE, phases, Over.SHARED),),
    )
