"""Kernels run in forked processes as in their parent."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from brian2eprop.device.backends import forks
from brian2eprop.device.backends.base import Call
from brian2eprop.device.backends.cpu import CpuBackend, CpuKernel
from brian2eprop.device.backends.forks import parallel_function
from brian2eprop.device.networks import Networks
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Direction,
    DType,
    ForEach,
    Index,
    Over,
    Precision,
    Program,
    Ref,
    Sweep,
)
from brian2eprop.learning.training.turns import Turns
from tests.device import programs
from tests.device.programs import Case, spikes

WORKERS = 3

# Enough elements for several threads.
MANY = 100_000
ADD = ForEach("add", MANY, Body("x += 1", {"x": Ref("x", Index.ELEMENT)}))
SHARED = Program(
    "shared",
    1e-3,
    (Array("x", DType.REAL, MANY, Access.SHARED),),
    (Sweep(Direction.ONCE, (ADD,), Over.SHARED),),
)
CASES = {**programs.CASES, "shared": Case(SHARED)}


def result(name: str, kernel: CpuKernel | None = None) -> dict[str, Any]:
    """The arrays of a program after a call with several threads."""
    program, values = CASES[name].program, CASES[name].values
    backend = CpuBackend(Precision.FLOAT64, WORKERS)
    memory = backend.memory(5)
    memory.reserve(program, 10)
    for array, value in values.items():
        memory.write(array, value)
    (kernel or backend.compile(program)).run(memory, Call(0, 10, spikes(5, 10)))
    return {array: memory.read(array) for array in program.all_arrays()}


def in_a_fork(work: Callable[[], bool]) -> int:
    """What a forked process ends with: 0 if the work says so, 9 if it takes for ever."""
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            ended = 0 if work() else 2
        finally:
            os._exit(ended)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 9


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", ["training", "shared", "optimiser"])
def test_a_fork_after_a_parallel_run(name: str) -> None:
    kernel = CpuBackend(Precision.FLOAT64, WORKERS).compile(CASES[name].program)
    before = result(name, kernel)

    def child() -> bool:
        again = same(result(name, kernel), before) and same(result(name), before)
        return again and in_a_fork(lambda: same(result(name, kernel), before)) == 0

    assert in_a_fork(child) == 0
    assert same(result(name, kernel), before)
    assert in_a_fork(child) == 0


def test_a_forked_process_has_all_its_threads() -> None:
    kernel = CpuBackend(Precision.FLOAT64, WORKERS).compile(CASES["training"].program)
    result("training", kernel)

    def child() -> bool:
        others = len(os.listdir("/proc/self/task"))  # this one, and those of other libraries
        result("training", kernel)
        return len(os.listdir("/proc/self/task")) == others + WORKERS - 1

    assert in_a_fork(child) == 0


def mean_of_a_run(_: int) -> float:
    return float(result("training")["v"].mean())


def test_a_pool_of_processes() -> None:
    expected = mean_of_a_run(0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(mean_of_a_run, range(4)).get(timeout=60) == [expected] * 4


def test_an_openmp_that_cannot_end_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "_openmp_in", None)
    library: Any = SimpleNamespace(run=lambda n: n + 1, omp_get_max_threads=lambda: 2)
    function = parallel_function(library, "run")
    assert in_a_fork(lambda: function(1) == 2) == 0
    assert function(1) == 2
    assert in_a_fork(lambda: refused(function)) == 0
    assert in_a_fork(lambda: refused(parallel_function(library, "run"))) == 0


def test_a_library_without_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    library: Any = SimpleNamespace(run=lambda n: n + 1)
    assert parallel_function(library, "run") is library.run


def refused(function: Callable[[int], int]) -> bool:
    sentence = (
        "This process was forked, and the threads of this machine's OpenMP do not survive that. "
        "Start processes with multiprocessing's start method 'spawn', or install a newer g++."
    )
    with pytest.raises(RuntimeError, match=f"^{re.escape(sentence)}$"):
        function(1)
    return True


def test_a_fork_while_another_thread_holds_the_locks_of_networks_and_trainers() -> None:
    """The child has none of the threads that could give a lock back."""
    turns, networks = Turns(), Networks()
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.turn(), networks.preparing:
            ready.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    ready.wait(60)

    def take() -> bool:
        return turns._lock.acquire(timeout=5) and networks.preparing.acquire(timeout=5)

    try:
        assert in_a_fork(take) == 0
    finally:
        done.set()
        holder.join()
