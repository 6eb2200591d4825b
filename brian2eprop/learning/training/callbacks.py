"""Callbacks: what happens between the batches and epochs of a training."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brian2eprop.learning.training.history import History
    from brian2eprop.learning.training.trainer import Trainer


class Callback:
    """Base class: override what is needed.

    Epochs count from 1 over the whole life of the trainer, batches from 1 in each epoch.
    Setting ``trainer.stop_training = True`` ends the training after the batch in hand.
    """

    def on_train_begin(self, trainer: Trainer) -> None:
        """Called once before the first epoch."""

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Called before the first batch of an epoch."""

    def on_batch_end(self, trainer: Trainer, batch: int, values: Mapping[str, float]) -> None:
        """Called after each update, with the epoch's metrics so far."""

    def on_epoch_end(self, trainer: Trainer, epoch: int, values: Mapping[str, Any]) -> None:
        """Called after an epoch, with what the history got for it."""

    def on_train_end(self, trainer: Trainer, history: History) -> None:
        """Called once at the end, also after an interruption."""


class _Best:
    """The best value so far of one entry of the history."""

    def __init__(self, owner: str, monitor: str, min_delta: float = 0.0) -> None:
        self.owner = owner
        self.monitor = monitor
        self.min_delta = min_delta
        self.sign = -1.0 if monitor.endswith("accuracy") else 1.0
        self.value = math.inf

    def improved_by(self, values: Mapping[str, Any]) -> bool:
        """Whether the values beat the best so far, which they then become."""
        value = values.get(self.monitor)
        if not isinstance(value, int | float):
            known = ", ".join(name for name, known in values.items() if isinstance(known, float))
            raise ValueError(
                f"{self.owner}: there is no '{self.monitor}' to monitor, only {known}; "
                "choose one of these, or give fit validation_data."
            )
        if not self.sign * value < self.value - self.min_delta:
            return False
        self.value = self.sign * value
        return True


class EarlyStopping(Callback):
    """Stop when a metric no longer improves.

    Parameters
    ----------
    monitor : str
        Entry of the history; accuracies are to rise, everything else is to fall.
    patience : int
        Number of epochs without improvement that are borne.
    min_delta : float
        Smallest change that is an improvement.
    restore_best : bool
        Whether the parameters of the best epoch are put back at the end.

    Raises
    ------
    ValueError
        If the history has no such entry, or a number is negative.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 0,
        min_delta: float = 0.0,
        restore_best: bool = False,
    ) -> None:
        if patience < 0 or not min_delta >= 0:
            raise ValueError(
                f"EarlyStopping: patience is {patience} and min_delta is {min_delta}; "
                "give numbers that are not negative."
            )
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.restore_best = restore_best
        self.best_epoch = 0
        self._best = _Best("EarlyStopping", monitor, min_delta)
        self._parameters: dict[str, Any] | None = None

    def on_train_begin(self, trainer: Trainer) -> None:
        """Forget an earlier training."""
        self.best_epoch = trainer.epoch
        self._best = _Best("EarlyStopping", self.monitor, self.min_delta)
        self._parameters = None

    def on_epoch_end(self, trainer: Trainer, epoch: int, values: Mapping[str, Any]) -> None:
        """Stop the training when the patience is spent."""
        if self._best.improved_by(values):
            self.best_epoch = epoch
            if self.restore_best:
                self._parameters = trainer.parameter_values()
        elif epoch - self.best_epoch > self.patience:
            trainer.stop_training = True

    def on_train_end(self, trainer: Trainer, history: History) -> None:
        """Put the best parameters back, if asked for."""
        if self._parameters is not None:
            trainer.set_parameter_values(self._parameters)


class ModelCheckpoint(Callback):
    """Save the trainer after every epoch, or after every epoch that is the best so far.

    Parameters
    ----------
    path : path
        The file; ``{epoch}`` in it stands for the epoch's number.
    monitor : str, optional
        Entry of the history: save only epochs that are the best so far.

    Raises
    ------
    ValueError
        If the path has another placeholder than ``{epoch}``.
    """

    def __init__(self, path: str | os.PathLike[str], monitor: str | None = None) -> None:
        self.path = os.fspath(path)
        self._best = None if monitor is None else _Best("ModelCheckpoint", monitor)
        try:
            self.path.format(epoch=1)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"ModelCheckpoint: the path '{self.path}' has a placeholder that is not "
                "{epoch}; use {epoch}, or double the braces."
            ) from error

    def on_epoch_end(self, trainer: Trainer, epoch: int, values: Mapping[str, Any]) -> None:
        """Save, if this epoch is to be saved."""
        if self._best is None or self._best.improved_by(values):
            trainer.save(Path(self.path.format(epoch=epoch)))


class LearningRateSchedule(Callback):
    """Set the optimiser's learning rate before every epoch.

    Parameters
    ----------
    schedule : callable
        Gives the learning rate of an epoch, counted from 1 over the whole life of the trainer.

    Raises
    ------
    ValueError
        When an epoch begins for which it gives no positive number.
    """

    def __init__(self, schedule: Callable[[int], float]) -> None:
        self.schedule = schedule

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Set the epoch's learning rate."""
        rate = float(self.schedule(epoch))
        if not 0 < rate < math.inf:
            raise ValueError(
                f"LearningRateSchedule: the schedule gives {rate} for epoch {epoch}; let it give "
                "positive numbers."
            )
        trainer.optimiser.learning_rate = rate
