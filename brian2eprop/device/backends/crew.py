"""How many threads share an instance: all there are, or one where that is faster at the time."""

from __future__ import annotations

import time
from collections.abc import Callable

# Seconds for which a choice is made: long beside what a choice costs, short beside a call.
PERIOD = 2e-3

# Steps for which the other choice is tried, and the share of all time that trials may take.
TRIAL_STEPS = 16
TRIAL_SHARE = 0.02

# Of what was measured last in an average: a team on a busy machine is fast but for rare long waits.
WEIGHT = 0.2


class Crew:
    """Runs steps by all threads or by one, whichever took less of late.

    On a machine that is busy with other work a team waits for those of its threads that have no
    core. Results do not depend on the choice.

    Parameters
    ----------
    threads : int
        All threads.
    clock : callable
        Gives the time in seconds.
    """

    def __init__(self, threads: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self.choices = tuple(dict.fromkeys((1, threads)))
        self._clock = clock
        self._costs: dict[int, float] = {}  # seconds a step, when it was last measured
        self._threads = 0
        self._counts = False  # not at first: threads have to wake up
        self._tried, self._spent = clock(), 0.0

    def run(self, n_steps: int, steps: Callable[[int, int, int], None]) -> None:
        """Run some steps.

        Parameters
        ----------
        n_steps : int
            Number of steps.
        steps : callable
            Runs steps, from the number of steps before them, theirs, and that of threads.
        """
        done = 0
        while done < n_steps:
            threads = self._choose()
            n = min(self._length(threads), n_steps - done)
            began = self._clock()
            steps(done, n, threads)
            self._note(threads, n, self._clock() - began)
            done += n

    @property
    def _best(self) -> int:
        return min(self.choices, key=lambda threads: self._costs.get(threads, 0.0))

    def _choose(self) -> int:
        if self._threads and not self._counts:
            return self._threads
        best, now = self._best, self._clock()
        if best in self._costs and now - self._tried > self._spent / TRIAL_SHARE:
            self._tried, self._spent = now, 0.0
            return next((threads for threads in self.choices if threads != best), best)
        return best

    def _length(self, threads: int) -> int:
        cost = self._costs.get(threads)
        if cost is None or threads != self._best or not self._counts:
            return TRIAL_STEPS
        return max(TRIAL_STEPS, int(PERIOD / max(cost, 1e-9)))

    def _note(self, threads: int, n_steps: int, seconds: float) -> None:
        if threads != self._best:
            self._spent += seconds
        self._counts = threads == self._threads
        self._threads = threads
        if self._counts:
            cost = seconds / n_steps
            before = self._costs.get(threads, cost)
            self._costs[threads] = before + WEIGHT * (cost - before)
