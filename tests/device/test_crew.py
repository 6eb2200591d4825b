"""Who runs steps: all threads or one, whichever took less of late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from brian2eprop.device.backends.crew import TRIAL_STEPS, Crew

MICROSECOND = 1e-6


class Machine:
    """A clock that only work moves, and what that work cost."""

    def __init__(self, cost: Callable[[int, float], float]) -> None:
        self.now = 100.0
        self.cost = cost
        self.ran: list[tuple[int, int, int]] = []

    def steps(self, before: int, n_steps: int, threads: int) -> None:
        self.ran.append((before, n_steps, threads))
        self.now += n_steps * self.cost(threads, self.now) * MICROSECOND

    def crew(self, threads: int) -> Crew:
        return Crew(threads, lambda: self.now)

    def share(self, threads: int, since: int = 0) -> float:
        """Of the steps from ``since`` on those that so many threads ran."""
        steps = [(n, by) for before, n, by in self.ran if before >= since]
        return sum(n for n, by in steps if by == threads) / sum(n for n, _ in steps)


@pytest.mark.parametrize("n_steps", [1, TRIAL_STEPS, TRIAL_STEPS + 1, 10_000])
@pytest.mark.parametrize("threads", [1, 4])
def test_every_step_is_run_once_and_in_order(threads: int, n_steps: int) -> None:
    machine = Machine(lambda threads, now: 5.0)
    machine.crew(threads).run(n_steps, machine.steps)
    ends = [before + n for before, n, _ in machine.ran]
    assert [before for before, _, _ in machine.ran] == [0, *ends[:-1]]
    assert ends[-1] == n_steps


@pytest.mark.parametrize("better", [1, 4])
def test_most_steps_are_run_by_who_is_faster(better: int) -> None:
    machine = Machine(lambda threads, now: 5.0 if threads == better else 9.0)
    machine.crew(4).run(200_000, machine.steps)
    assert machine.share(better) > 0.95
    assert {by for _, _, by in machine.ran} == {1, 4}


def test_what_is_faster_may_change() -> None:
    """Another program takes a core: a team then waits for the thread that has none."""
    machine = Machine(lambda threads, now: 9.0 if threads == 1 else 5.0 if now < 101 else 50.0)
    machine.crew(4).run(600_000, machine.steps)
    assert machine.share(4) < 0.5
    assert machine.share(1, since=500_000) > 0.95


def test_trials_of_what_is_slower_take_a_small_share_of_the_time() -> None:
    machine = Machine(lambda threads, now: 1.0 if threads == 4 else 100.0)
    machine.crew(4).run(2_000_000, machine.steps)
    slow = sum(n for _, n, by in machine.ran if by == 1) * 100 * MICROSECOND
    assert 0 < slow < 0.05 * (machine.now - 100)


def test_what_is_known_is_kept_from_call_to_call() -> None:
    machine = Machine(lambda threads, now: 5.0 if threads == 4 else 9.0)
    crew = machine.crew(4)
    for _ in range(50):
        crew.run(100, machine.steps)
    machine.ran.clear()
    for _ in range(10):
        crew.run(100, machine.steps)
    assert machine.share(4) > 0.8


def test_one_thread_is_no_choice() -> None:
    machine = Machine(lambda threads, now: 5.0)
    machine.crew(1).run(1000, machine.steps)
    assert {by for _, _, by in machine.ran} == {1}
