"""Which random numbers a run draws: those of a seed, from a step on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import randbits
from typing import Any

_KEPT = "eprop_cuda:randomness"


class Stream:
    """A seed, and how many steps were run with it."""

    def __init__(self, seed: int | None = None, steps: int = 0) -> None:
        self.seed = randbits(63) if seed is None else int(seed)
        self.steps = steps
        self.lock = threading.Lock()


@dataclass(frozen=True)
class Numbers:
    """The random numbers of a run.

    Parameters
    ----------
    stream : Stream
        Of which they are some.
    first, steps : int
        How many steps were run with it before, and how many the run has.
    """

    stream: Stream
    first: int
    steps: int

    @property
    def seed(self) -> int:
        """Their seed."""
        return self.stream.seed

    def end(self, done: int) -> None:
        """Give back those that a run did not come to, unless a later run has begun already."""
        with self.stream.lock:
            if self.stream.steps == self.first + self.steps:
                self.stream.steps = self.first + done


class Randomness:
    """The random numbers of all runs.

    As Brian2's generators they go on from run to run, whatever the time of a network is: after
    ``restore`` other numbers are drawn, unless the random state is restored as well.

    A thread that calls ``seed`` has numbers of its own from then on. All others share those of
    the main thread: runs at the same time draw different ones, in the order in which they begin.
    """

    def __init__(self) -> None:
        self._common = Stream()
        self._own = threading.local()

    @property
    def _stream(self) -> Stream:
        found: Stream = getattr(self._own, "stream", self._common)
        return found

    def _begin(self, stream: Stream) -> None:
        if threading.current_thread() is threading.main_thread():
            self._common = stream
        else:
            self._own.stream = stream

    def begin(self, seed: int | None) -> None:
        """Begin with a seed, or with one that nobody knows."""
        self._begin(Stream(seed))

    def take(self, steps: int) -> Numbers:
        """The numbers of a run of so many steps, which no other run draws."""
        stream = self._stream
        with stream.lock:
            first, stream.steps = stream.steps, stream.steps + steps
        return Numbers(stream, first, steps)

    def keep(self) -> dict[str, Any]:
        """What :meth:`restore` goes on with."""
        return {_KEPT: (self._stream.seed, self._stream.steps)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as when the state was kept; another device's changes nothing."""
        if _KEPT in state:
            self._begin(Stream(*state[_KEPT]))
