"""Clocks: in which of a Program's steps a phase is due, and what it takes for step and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Clock:
    """Due in every ``every``-th step of the Program, from step 0 on.

    Parameters
    ----------
    name : str
        Its name.
    dt : float
        Its own time step in seconds: its step ``n`` begins at ``n*dt``.
    every : int
        How many steps of the Program one of its own takes.
    """

    name: str
    dt: float
    every: int

    def steps_before(self, step: int) -> int:
        """How many of its steps come before a step of the Program."""
        return -(-step // self.every)

    def program_step(self, step: int) -> float:
        """The step of the Program in which one of its own is due."""
        return step * self.every

    def times(self, steps: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """When some of its own steps begin, in seconds."""
        return np.asarray(steps * self.dt)

    @property
    def arrays(self) -> tuple[str, ...]:
        """The arrays that it is kept in."""
        return ()


@dataclass(frozen=True)
class ListedClock:
    """Due in listed steps of the Program; the time step ``dt`` means nothing on it.

    Parameters
    ----------
    name : str
        Its name.
    steps : str
        SHARED DOUBLE array with the steps of the Program, ascending: the k-th is its step ``k``.
    times : str
        SHARED DOUBLE array of the same size with the times in seconds.
    """

    name: str
    steps: str
    times: str

    @property
    def arrays(self) -> tuple[str, ...]:
        """The arrays that it is kept in."""
        return self.steps, self.times


AnyClock = Clock | ListedClock


def own_faults(clock: AnyClock) -> Iterable[str]:
    """What makes no sense in a clock, each half a sentence."""
    if isinstance(clock, Clock) and not (np.isfinite(clock.dt) and clock.dt > 0):
        yield f"clock '{clock.name}' has the time step {clock.dt}; give a positive one"
    if isinstance(clock, Clock) and clock.every < 1:
        yield f"clock '{clock.name}' is due every {clock.every} steps; give 1 or more"
