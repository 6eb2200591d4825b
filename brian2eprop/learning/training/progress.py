"""How far a training is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from brian2eprop.learning.training.history import History
from brian2eprop.learning.training.position import Position


class Stateful(Protocol):
    """A callback."""

    def state(self) -> dict[str, Any]:
        """What it must know to go on."""


@dataclass
class Progress:
    """How far the training of a trainer is.

    Parameters
    ----------
    epoch : int
        Number of epochs done.
    history : History
        Their metrics.
    stop : bool
        Whether the training is to end after the batch in hand.
    metrics : tuple of str
        Names of what the history gets for every epoch of the training on its way.
    rng : Generator
        Shuffles the samples.
    frozen : frozenset of str
        The arrays of parameters that are not trained for the time being.
    position : Position, optional
        Where the training is within an epoch that was begun.
    callbacks : sequence of Callback
        Those of the training on its way.
    cut : bool
        Whether the last training was cut, so that the next one goes on with it.
    kept : sequence of (str, object), optional
        Class and state of each of those of a training that was cut.
    """

    epoch: int = 0
    history: History = field(default_factory=History)
    stop: bool = False
    metrics: tuple[str, ...] = ()
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    frozen: frozenset[str] = frozenset()
    position: Position | None = None
    callbacks: Sequence[Stateful] = ()
    cut: bool = False
    kept: Sequence[tuple[str, Any]] | None = None

    def states(self) -> Sequence[tuple[str, Any]] | None:
        """Class and state of callbacks, where there is a training that can go on."""
        if not self.callbacks:
            return self.kept
        return [(type(callback).__name__, callback.state()) for callback in self.callbacks]


class InProgress:
    """What users and callbacks see of the progress of what they train."""

    _progress: Progress

    @property
    def history(self) -> History:
        """All epochs so far, those before a ``load`` included."""
        return self._progress.history

    @property
    def epoch(self) -> int:
        """Number of epochs done."""
        return self._progress.epoch

    @property
    def within_epoch(self) -> bool:
        """Whether an epoch was begun and is not over."""
        return self._progress.position is not None and self._progress.position.batch > 0

    @property
    def cut(self) -> bool:
        """Whether the training ended by Ctrl-C or within an epoch: the next one goes on with it."""
        return self._progress.cut

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the numbers that the history gets for every epoch of the training in hand."""
        return self._progress.metrics

    @property
    def stop_training(self) -> bool:
        """A callback that sets it ends the training after the batch in hand."""
        return self._progress.stop

    @stop_training.setter
    def stop_training(self, stop: bool) -> None:
        self._progress.stop = stop
