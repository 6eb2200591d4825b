"""What is to be learned, and the Programs that learn it."""

from __future__ import annotations

from collections.abc import Mapping
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
class TrainingPrograms:
    """The Programs of one task; their arrays are those of docs/architecture.md.

    Attributes
    ----------
    train : Program
        Forward sweep, loss and gradients of a batch.
    evaluate : Program
        The same without gradients.
    shared : mapping of str to array
        What the rule's own SHARED arrays hold at the start. ``trial_steps`` and
        ``window_steps`` (REAL, size 1) are not among them: whoever runs the Programs writes
        the number of steps of a trial, and how many of them count for the loss
        (``loss.window_steps(n_steps, dt)``).
    refresh : Program, optional
        ELEMENTWISE; to be run at the start and after every change of the parameters.
    """

    train: Program
    evaluate: Program
    shared: Mapping[str, npt.NDArray[Any]]
    refresh: Program | None


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
