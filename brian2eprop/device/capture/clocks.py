"""Brian2's clocks become clocks of a Program, whose step is their common divisor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd, lcm
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.core.clocks import Clock as BrianClock
from brian2.core.clocks import EventClock

from brian2eprop.device import brian
from brian2eprop.device.program import AnyClock, Clock, ListedClock
from brian2eprop.errors import Unsupported

# A divisor this much finer than the finest clock would cost more steps than anybody means to ask
# for.
FINEST = 1000
_ROUNDING = 1e-12
NEVER = 2**62  # a step that no run comes to


@dataclass(frozen=True, eq=False)
class Listed:
    """An EventClock with its times.

    Parameters
    ----------
    clock : ListedClock
        The Program's clock.
    steps : int array
        The Program's steps that it is due in.
    all_times : array
        Their times in seconds.
    """

    clock: ListedClock
    steps: npt.NDArray[np.int64]
    all_times: npt.NDArray[np.float64]

    def steps_before(self, step: int) -> int:
        """How many of its steps come before a step of the Program."""
        return int(np.searchsorted(self.steps, step))

    def program_step(self, step: int) -> float:
        """The step of the Program in which one of its own is due; infinite after the last one."""
        return float(self.steps[step]) if step < len(self.steps) else np.inf

    def times(self, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """When some of its own steps begin, in seconds; infinite after the last one."""
        return np.append(self.all_times, np.inf)[np.minimum(steps, len(self.all_times))]


@dataclass(frozen=True, eq=False)
class Grid:
    """The steps of a Program, and which of them are whose.

    Parameters
    ----------
    dt : float
        Time step of the Program in seconds.
    clocks : mapping of brian2 clock to Clock or Listed
        What each of the network's clocks is in it.
    """

    dt: float
    clocks: Mapping[Any, Clock | Listed]

    def step_at(self, time: float) -> int:
        """The first step that does not begin before a time in seconds."""
        return brian.step_at(time, self.dt)

    def require_same(self) -> None:
        """Refuse to go on with a run whose clocks were given another dt.

        Raises
        ------
        Unsupported
            If one was.
        """
        for clock, row in self.clocks.items():
            if isinstance(row, Clock) and clock.dt_ != row.dt:
                raise Unsupported(
                    f"'{clock.name}' was given another dt within a run; end the run, set it, and "
                    "call run() again."
                )

    def name_of(self, clock: Any) -> str | None:
        """The Program's clock; None for one that is due in every step."""
        found = self.clocks[clock]
        if isinstance(found, Listed):
            return found.clock.name
        return None if (found.every, found.dt) == (1, self.dt) else found.name

    def same(self, one: Any, other: Any) -> bool:
        """Whether two clocks are due in the same steps."""
        return self.name_of(one) == self.name_of(other)

    def program_clocks(self) -> tuple[AnyClock, ...]:
        """The Program's clocks, each once."""
        found = {self.name_of(clock): row for clock, row in self.clocks.items()}
        rows = (row for name, row in found.items() if name is not None)
        return tuple(row.clock if isinstance(row, Listed) else row for row in rows)


def grid_of(clocks: Iterable[Any]) -> Grid:
    """The coarsest grid on which all clocks are.

    Parameters
    ----------
    clocks : iterable of brian2 clock
        The clocks.

    Returns
    -------
    Grid
        The grid; it has the dt of the finest clock where that divides all of the others.

    Raises
    ------
    Unsupported
        If there is no such grid.
    """
    clocks = list(clocks)
    regular = [clock for clock in clocks if isinstance(clock, BrianClock)]
    times = {clock: _times(clock) for clock in clocks if isinstance(clock, EventClock)}
    intervals = [(clock.dt_, f"the dt of '{clock.name}'") for clock in regular]
    listed = [
        (float(time), f"a time of '{clock.name}'")
        for clock, found in times.items()
        for time in np.unique(found[found > 0])
    ]
    finest = min(dt for dt, _ in intervals or listed or [(1.0, "")])
    parts = reduce(lcm, (_ratio(*found, finest).denominator for found in intervals + listed), 1)
    if not regular and listed:
        numbers = (int(_ratio(*found, finest) * parts) for found in listed)
        finest, parts = finest * reduce(gcd, numbers) / parts, 1
    if parts > FINEST:
        raise _refusal(intervals + listed)
    dt = finest / parts
    rows: dict[Any, Clock | Listed] = {
        clock: Clock(f"{clock.dt_!r}", clock.dt_, round(clock.dt_ / dt)) for clock in regular
    }
    for clock, found in times.items():
        name = str(clock.name)
        row = ListedClock(name, f"{name}:steps", f"{name}:times")
        steps = np.minimum(np.rint(found / dt), NEVER).astype(np.int64)
        rows[clock] = Listed(row, steps, found)
    return Grid(dt, rows)


def _times(clock: EventClock) -> npt.NDArray[np.float64]:
    times = np.asarray(clock.variables["times"].get_value(), np.float64)
    return times[np.isfinite(times) & (times >= 0)]


def _ratio(interval: float, what: str, finest: float) -> Fraction:
    ratio = interval / finest
    found = Fraction(ratio).limit_denominator(FINEST)
    if abs(float(found) - ratio) > _ROUNDING * ratio:
        raise _refusal([(finest, "the finest dt"), (interval, what)])
    return found


def _refusal(intervals: list[tuple[float, str]]) -> Unsupported:
    named = ", ".join(f"{what} ({interval:g} s)" for interval, what in intervals[:4])
    return Unsupported(
        f"The clocks of the network have no common step that is at least a {FINEST}th of the "
        f"finest one, which eprop_cuda needs: {named}; choose time steps and times that are "
        "multiples of one of them."
    )
