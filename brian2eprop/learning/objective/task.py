"""What is to be learned, and the Programs that learn it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from brian2eprop.device.program import Program
from brian2eprop.learning.objective.losses import Loss
from brian2eprop.learning.objective.regularisers import FiringRate


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    Parameters
    ----------
    output : str
        Array that the loss reads at the end of every step, such as ``readout_y``.
    loss : Loss
        The loss.
    parameters : tuple of str
        Arrays to train, such as ``w_in_w``.
    regularisers : tuple of FiringRate
        What is added to the loss.
    contents : mapping of str to array
        Values of the model's SHARED integer arrays (the rows and targets of connectivities).
    seed : int
        Seed of what the rule draws, such as random feedback.
    """

    output: str
    loss: Loss
    parameters: tuple[str, ...]
    regularisers: tuple[FiringRate, ...] = ()
    contents: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Roles:
    """Which array of a training Program plays which part.

    Attributes
    ----------
    initial : mapping of str to str
        For every state array of the model the SHARED array of its value at the start of a
        sample.
    counts : mapping of str to str
        For every group with a threshold the PER_INSTANCE array that counts its spikes.
    target, prediction, loss : str
        PER_INSTANCE: what the loss compares with, what ``predict`` returns, and the loss of an
        instance, unweighted (REAL, size 1).
    per_call : mapping of str to callable
        SHARED arrays of size 1 whose content follows from the number of steps of a call.
    weight : str, optional
        PER_INSTANCE, REAL, size 1: the weight of an instance's loss in the gradients (1/batch; 0
        for padding); where there are gradients.
    gradients : mapping of str to str
        For every parameter the array of the gradient of the weighted loss.
    """

    initial: Mapping[str, str]
    counts: Mapping[str, str]
    target: str
    prediction: str
    loss: str
    per_call: Mapping[str, Callable[[int], float]]
    weight: str | None = None
    gradients: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingPrograms:
    """The Programs of one task.

    Attributes
    ----------
    train : Program
        Forward sweep, loss and gradients of a batch.
    evaluate : Program
        The same without gradients.
    shared : mapping of str to array
        What the rule's own SHARED arrays hold at the start.
    refresh : Program, optional
        A sweep over what is shared, to be run at the start and after every change of the
        parameters.
    roles : Roles
        The parts that the Programs' arrays play.
    """

    train: Program
    evaluate: Program
    shared: Mapping[str, npt.NDArray[Any]]
    refresh: Program | None
    roles: Roles


@runtime_checkable
class Rule(Protocol):
    """A learning rule."""

    def training_program(self, model: Program, task: Task) -> TrainingPrograms:
        """The Programs that train a model on a task.

        Raises
        ------
        LearningError
            If the model, or what is asked of it, cannot be trained by this rule.
        """
        ...
