"""Callbacks: what happens between the batches and epochs of a training."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brian2eprop.archives import check_path
from brian2eprop.learning.training.arguments import explains_arguments
from brian2eprop.learning.training.history import History
from brian2eprop.learning.training.optimiser import Optimiser
from brian2eprop.number_checks import as_real, number


class Trained(Protocol):
    """What a callback may use of the trainer; see there.

    The Brian2 variables may be read and set as well: they have the values of the last update,
    and what is set counts from the next one on.
    """

    optimiser: Optimiser
    stop_training: bool

    @property
    def epoch(self) -> int:
        """Number of epochs done."""

    @property
    def history(self) -> History:
        """All epochs so far."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what the history gets for every epoch."""

    @property
    def within_epoch(self) -> bool:
        """Whether an epoch was begun and is not over."""

    @property
    def cut(self) -> bool:
        """When it ends: whether that was by Ctrl-C or within an epoch, so that it may go on."""

    def parameter_values(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of the parameters."""

    def set_parameter_values(self, values: Mapping[str, npt.ArrayLike]) -> None:
        """Set parameters."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint."""


class Callback:
    """Base class: override what is needed.

    Epochs count from 1 over the whole life of the trainer, batches from 1 in each epoch.
    Setting ``trainer.stop_training = True`` ends the training after the batch in hand.

    Raises
    ------
    TypeError
        When a class is made with a method ``on_...`` that no training calls.
    """

    def __init_subclass__(cls, **kwds: Any) -> None:
        """Refuse what would never be called."""
        super().__init_subclass__(**kwds)
        known = [name for name in vars(Callback) if name.startswith("on_")]
        for name in vars(cls):
            if name.startswith("on_") and name not in known:
                raise TypeError(
                    f"The callback {cls.__name__} has a method '{name}', which no training calls; "
                    f"those that are called are {', '.join(known)}."
                )

    def state(self) -> dict[str, Any]:
        """What a training that goes on must know, as lists, dictionaries, words and numbers.

        It is kept in checkpoints that are saved within a training, or after one that was cut.
        """
        return {}

    def on_train_resume(self, trainer: Trained, state: Mapping[str, Any]) -> None:
        """Called in place of ``on_train_begin`` where a training goes on that was cut.

        Parameters
        ----------
        trainer : Trainer
            What is trained.
        state : mapping of str to object
            What :meth:`state` gave of the callback of this class, the first one if there are
            several for the first one here, and so on.
        """
        self.on_train_begin(trainer)

    def on_train_begin(self, trainer: Trained) -> None:
        """Called once before the first epoch."""

    def on_epoch_begin(self, trainer: Trained, epoch: int) -> None:
        """Called before the first batch of an epoch."""

    def on_batch_end(self, trainer: Trained, batch: int, values: Mapping[str, float]) -> None:
        """Called after each update, with the epoch's metrics so far."""

    def on_epoch_end(self, trainer: Trained, epoch: int, values: Mapping[str, Any]) -> None:
        """Called after an epoch, with what the history got for it."""

    def on_train_end(self, trainer: Trained, history: History) -> None:
        """Called once at the end, also after an interruption."""


def hears_batches(callback: Callback) -> bool:
    """Whether a callback does something after each batch."""
    return getattr(callback.on_batch_end, "__func__", None) is not Callback.on_batch_end


_BY_ITS_NAME = "accuracies are to rise, everything else is to fall"


class _Best:
    """The best value so far of one entry of the history."""

    def __init__(self, owner: str, monitor: str, min_delta: float = 0.0) -> None:
        self.owner = owner
        self.monitor = monitor
        self.min_delta = min_delta
        if not isinstance(monitor, str):
            raise TypeError(f"{owner}: monitor is {monitor!r}; give a name, such as 'val_loss'.")
        self.sign = -1.0 if monitor.endswith("accuracy") else 1.0
        self.value = math.inf

    def check(self, metrics: tuple[str, ...]) -> None:
        """Refuse to monitor what there will not be."""
        if self.monitor not in metrics:
            raise ValueError(
                f"{self.owner}: there is no '{self.monitor}' to monitor, only "
                f"{', '.join(metrics)}; choose one of these, or give fit validation_data."
            )

    def improved_by(self, values: Mapping[str, Any]) -> bool:
        """Whether the values beat the best so far, which they then become."""
        value = values[self.monitor]
        if not self.sign * value < self.value - self.min_delta:
            return False
        self.value = self.sign * value
        return True

    def last_of(self, trainer: Trained, since: int) -> int:
        """Go through the epochs since one, and give the number of the last that was the best."""
        best, found = since, trainer.history[self.monitor]
        entries = found[len(found) - (trainer.epoch - since) :]
        for epoch, value in enumerate(entries, since + 1):
            if self.improved_by({self.monitor: value}):
                best = epoch
        return best


def _since(trainer: Trained, state: Mapping[str, Any]) -> int:
    """The epoch after which a training began.

    Raises
    ------
    ValueError
        If there was none.
    """
    since = state["since"]
    if not isinstance(since, int) or not 0 <= since <= trainer.epoch:
        raise ValueError("since")
    return since


@explains_arguments({"restore_best_weights": "restore_best", "mode": _BY_ITS_NAME})
@dataclass(eq=False)
class EarlyStopping(Callback):
    """Stop when a metric no longer improves.

    Parameters
    ----------
    monitor : str
        Entry of the history; accuracies are to rise, everything else is to fall.
    patience : int
        Number of epochs without improvement after which the training ends.
    min_delta : float
        Smallest change that is an improvement.
    restore_best : bool
        Whether the parameters of the best epoch are put back at the end. A training that is cut,
        by Ctrl-C or within an epoch, keeps those it has reached, with which it may go on;
        ``ModelCheckpoint(path, monitor)`` has the best ones in a file by then.

    Raises
    ------
    ValueError
        If a number is negative; before the first epoch, if the history will have no such
        entry.
    """

    monitor: str = "val_loss"
    patience: int = 0
    min_delta: float = 0.0
    restore_best: bool = False
    best_epoch: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        number("EarlyStopping", "patience", self.patience)
        number("EarlyStopping", "min_delta", self.min_delta)
        self._best = _Best("EarlyStopping", self.monitor, self.min_delta)
        self._parameters: dict[str, Any] | None = None
        self._since = 0

    def on_train_begin(self, trainer: Trained) -> None:
        """Forget an earlier training."""
        self._since = self.best_epoch = trainer.epoch
        self._best = _Best("EarlyStopping", self.monitor, self.min_delta)
        self._best.check(trainer.metrics)
        self._parameters = None

    def state(self) -> dict[str, Any]:
        """See :class:`Callback`."""
        best = self._parameters
        values = None if best is None else {name: v.tolist() for name, v in best.items()}
        return {"since": self._since, "best": values}

    def on_train_resume(self, trainer: Trained, state: Mapping[str, Any]) -> None:
        """Count on, unless the training had come to its end."""
        self.on_train_begin(trainer)
        since = _since(trainer, state)
        best_epoch = self._best.last_of(trainer, since)
        if trainer.epoch > best_epoch and trainer.epoch - best_epoch >= self.patience:
            self.on_train_begin(trainer)
            return
        self._since, self.best_epoch = since, best_epoch
        if self.restore_best and best_epoch > since:
            # Saved before this callback was called, the best may be what there is now.
            now = trainer.parameter_values()
            at_end = best_epoch == trainer.epoch and not trainer.within_epoch
            best = now if at_end else state["best"] or {}
            self._parameters = {
                n: np.asarray(best[n], now[n].dtype).reshape(now[n].shape) for n in now
            }

    def on_epoch_end(self, trainer: Trained, epoch: int, values: Mapping[str, Any]) -> None:
        """Stop the training when the patience is spent."""
        if self._best.improved_by(values):
            self.best_epoch = epoch
            if self.restore_best:
                self._parameters = trainer.parameter_values()
        elif epoch - self.best_epoch >= self.patience:
            trainer.stop_training = True

    def on_train_end(self, trainer: Trained, history: History) -> None:
        """Put the best parameters back, if asked for and unless the training may go on."""
        if self._parameters is not None and not trainer.cut:
            trainer.set_parameter_values(self._parameters)


@explains_arguments(
    {"filepath": "path", "save_best_only": "give monitor='val_loss'", "mode": _BY_ITS_NAME}
)
@dataclass(eq=False)
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
        If the path has another placeholder than ``{epoch}``; before the first epoch, if the
        history will have no such entry.
    FileNotFoundError
        Before the first epoch, if the folder does not exist.
    """

    path: str | os.PathLike[str]
    monitor: str | None = None

    def __post_init__(self) -> None:
        self.path = check_path("ModelCheckpoint", self.path)
        self._best = None if self.monitor is None else _Best("ModelCheckpoint", self.monitor)
        self._since: int | None = None
        try:
            self._path(1)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"ModelCheckpoint: the path '{self.path}' has a placeholder that is not "
                "{epoch}; use {epoch}, or double the braces."
            ) from error

    def _path(self, epoch: int) -> Path:
        return Path(str(self.path).format(epoch=epoch)).expanduser()

    def on_train_begin(self, trainer: Trained) -> None:
        """Refuse what could not be saved after hours of training."""
        self._since = trainer.epoch if self._since is None else self._since
        if self._best is not None:
            self._best.check(trainer.metrics)
        folder = self._path(trainer.epoch + 1).parent
        if not folder.is_dir():
            raise FileNotFoundError(
                f"ModelCheckpoint: there is no folder '{folder}' to save into; make it before the "
                "training."
            )

    def state(self) -> dict[str, Any]:
        """See :class:`Callback`."""
        return {"since": self._since}

    def on_train_resume(self, trainer: Trained, state: Mapping[str, Any]) -> None:
        """Know what was the best so far."""
        self.on_train_begin(trainer)
        if self._best is not None:
            self._since = _since(trainer, state)
            self._best.last_of(trainer, self._since)

    def on_epoch_end(self, trainer: Trained, epoch: int, values: Mapping[str, Any]) -> None:
        """Save, if this epoch is to be saved."""
        if self._best is None or self._best.improved_by(values):
            trainer.save(self._path(epoch))


@dataclass(eq=False)
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

    schedule: Callable[[int], float]

    def __post_init__(self) -> None:
        if not callable(self.schedule):
            raise TypeError(
                f"LearningRateSchedule: schedule is {self.schedule!r}; give a "
                "function of the epoch."
            )

    def on_train_begin(self, trainer: Trained) -> None:
        """Refuse to have two schedules."""
        if callable(trainer.optimiser.learning_rate):
            raise ValueError(
                "LearningRateSchedule: the optimiser has a schedule already, "
                f"{trainer.optimiser.learning_rate!r}; leave out one of them."
            )

    def on_epoch_begin(self, trainer: Trained, epoch: int) -> None:
        """Set the epoch's learning rate."""
        rate = self.schedule(epoch)
        found = as_real(rate)
        if found is None or not 0 < found < math.inf:
            raise ValueError(
                f"LearningRateSchedule: the schedule gives {rate!r} for epoch {epoch}; let it give "
                "positive numbers."
            )
        trainer.optimiser.learning_rate = found
