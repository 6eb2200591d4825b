"""One trainer, several threads: one at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

_KNOWN: WeakSet[Turns] = WeakSet()


class Turns:
    """Lets one thread at a time use what all of a trainer's calls share.

    Short calls wait for each other. Who comes during a training, which may take hours and
    whose callbacks may wait for who comes, is sent away instead.
    """

    def __init__(self) -> None:
        self.begin()
        _KNOWN.add(self)

    def begin(self) -> None:
        """Nobody has the turn."""
        self._lock = threading.RLock()
        self._training: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn of this thread.

        Raises
        ------
        RuntimeError
            If another thread is training.
        """
        if self._training not in (None, threading.get_ident()):
            raise RuntimeError(
                "Trainer: another thread is in fit; wait until it has ended, or give every "
                "thread a network and a Trainer of its own."
            )
        with self._lock:
            yield

    @contextmanager
    def training(self) -> Iterator[None]:
        """The turn of a thread that trains."""
        with self.turn():
            before, self._training = self._training, threading.get_ident()
            try:
                yield
            finally:
                self._training = before

    @property
    def in_training(self) -> bool:
        """Whether a training is on its way."""
        return self._training is not None


def _begin_anew() -> None:
    """A forked process has none of the threads that may have had the turn."""
    for turns in list(_KNOWN):
        turns.begin()


os.register_at_fork(after_in_child=_begin_anew)
