"""Teams that share the loops of an instance: the same numbers as one worker alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from brian2eprop.device.backends.base import Backend, Call, Memory
from brian2eprop.device.backends.cpu import CpuBackend
from brian2eprop.device.backends.emulated import EmulatedBackend
from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.codegen.parts import Layout, may_share
from brian2eprop.device.program import Access, Precision
from tests.device.programs import CASES, Case, spikes

STEPS = 20


def simulation(case: Case) -> Case:
    """The case with events of its instances' own, as a captured Program has them."""
    events = tuple(replace(found, access=Access.PER_INSTANCE) for found in case.program.events)
    return replace(case, program=replace(case.program, events=events))


SHARED = {name: simulation(case) for name, case in CASES.items()}
SHARED = {name: case for name, case in SHARED.items() if may_share(case.program)}


def run(backend: Backend, case: Case, instances: int, layout: Layout) -> Memory:
    """Two calls, so that state is taken over from one to the next."""
    memory = backend.memory(instances)
    memory.reserve(case.program, STEPS)
    for name, value in case.values.items():
        memory.write(name, value)
    kernel = backend.compile(case.program, layout)
    for first_step in (0, STEPS):
        kernel.run(memory, Call(first_step, STEPS, spikes(instances, 2 * STEPS)))
    return memory


@cache
def meaning(name: str, instances: int) -> Memory:
    backend = ReferenceBackend(Precision.FLOAT64)
    return run(backend, SHARED[name], instances, Layout.PER_INSTANCE)


@pytest.mark.parametrize("instances", [1, 3])
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("name", SHARED)
def test_threads_do_what_a_program_means(name: str, workers: int, instances: int) -> None:
    memory = run(CpuBackend(Precision.FLOAT64, workers), SHARED[name], instances, Layout.TEAM)
    check(name, memory, meaning(name, instances))


@pytest.mark.parametrize(("threads", "instances"), [(32, 1), (32, 3), (64, 2)])
@pytest.mark.parametrize("name", SHARED)
def test_blocks_do_what_a_program_means(name: str, threads: int, instances: int) -> None:
    memory = run(EmulatedBackend(Precision.FLOAT64, threads), SHARED[name], instances, Layout.TEAM)
    check(name, memory, meaning(name, instances))


def check(name: str, memory: Memory, expected: Memory) -> None:
    for array in SHARED[name].program.all_arrays().values():
        np.testing.assert_allclose(
            memory.read(array.name),
            expected.read(array.name),
            rtol=200 * 2.2e-16,
            atol=1e-14,
            err_msg=array.name,
        )
