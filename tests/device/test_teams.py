"""Teams that share the loops of an instance: the same numbers as one worker alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
)

from brian2eprop.device.backends.base import Backend, Call, Memory
from brian2eprop.device.backends.cpu import CpuBackend
from brian2eprop.device.backends.crew import Crew
from brian2eprop.device.backends.emulated import EmulatedBackend
from brian2eprop.device.backends.nvrtc import machine_code
from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.codegen.dialect import CUDA
from brian2eprop.device.codegen.parts import Layout, may_share
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import Precision
from tests.device.alike import Found, assert_alike, drives, on_device
from tests.device.programs import CASES, Case, simulation, spikes
from tests.device.test_nvrtc import ARCHITECTURES

STEPS = 20


SHARED = {name: simulation(case) for name, case in CASES.items()}
SHARED = {name: case for name, case in SHARED.items() if may_share(case.program)}


@pytest.fixture(autouse=True)
def everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads share every step, however long that takes."""

    def run(crew: Crew, n_steps: int, steps: Callable[[int, int, int], None]) -> None:
        steps(0, n_steps, crew.choices[-1])

    monkeypatch.setattr(Crew, "run", run)


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


def test_most_kinds_of_phases_are_shared() -> None:
    kinds = {type(phase).__name__ for case in SHARED.values() for phase in case.program.phases()}
    assert kinds >= {
        "ForEach", "ForEachEvent", "Detect", "Propagate", "Feed", "Record", "Count", "TreeSolve",
    }  # fmt: skip


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


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", SHARED)
def test_kernels_of_teams_compile(name: str, architecture: str) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    precision = tuple(Precision)[ARCHITECTURES.index(architecture) % 2]
    source = generate(SHARED[name].program, precision, CUDA, Layout.TEAM)
    assert machine_code(source.text, architecture).startswith(b"\x7fELF")


def check(name: str, memory: Memory, expected: Memory) -> None:
    for array in SHARED[name].program.all_arrays().values():
        np.testing.assert_allclose(
            memory.read(array.name),
            expected.read(array.name),
            rtol=200 * 2.2e-16,
            atol=1e-14,
            err_msg=array.name,
        )


SIZE = 700  # more than five ranges of 128


def busy(drive: np.ndarray) -> Found:
    """Many neurons that are coupled in every way, and all that is recorded of them."""
    rng = np.random.default_rng(1)
    cells = NeuronGroup(
        SIZE,
        """dv/dt = (drive - v + 0.05*total)/(10*ms) : 1 (unless refractory)
           total : 1
           drive : 1""",
        threshold="v > 1",
        reset="v = 0",
        refractory=2 * ms,
        method="euler",
        name="cells",
    )
    cells.drive = drive
    fast = Synapses(cells, cells, "w : 1", on_pre="v_post += w", delay=0.3 * ms, name="fast")
    fast.connect(i=rng.integers(0, SIZE, 6000), j=rng.integers(0, SIZE, 6000))
    fast.w = rng.normal(0, 0.02, 6000)
    plastic = Synapses(
        cells,
        cells,
        """w : 1
           dpre/dt = -pre/(20*ms) : 1 (event-driven)
           dpost/dt = -post/(20*ms) : 1 (event-driven)""",
        on_pre="v_post += w; pre += 0.01; w = clip(w + post, 0, 0.1)",
        on_post="post -= 0.01; w = clip(w + pre, 0, 0.1)",
        name="plastic",
    )
    plastic.connect(i=rng.integers(0, SIZE, 3000), j=rng.integers(0, SIZE, 3000))
    plastic.w = 0.01
    plastic.delay = rng.integers(0, 12, 3000) * 0.1 * ms
    gaps = Synapses(cells, cells, "total_post = v_pre - v_post : 1 (summed)", name="gaps")
    gaps.connect(i=rng.integers(0, SIZE, 2000), j=rng.integers(0, SIZE, 2000))
    spikes, rate = SpikeMonitor(cells, name="spikes"), PopulationRateMonitor(cells, name="rate")
    trace = StateMonitor(cells, "v", record=[0, 130, 699], name="trace")
    network = Network(cells, fast, plastic, gaps, spikes, rate, trace)
    network.run(15 * ms)
    cells.drive *= 0.9
    network.run(5 * ms)
    single = spikes.i if drive.ndim == 1 else spikes.count
    return {
        "i": np.asarray(single),
        "rate": np.asarray(rate.rate),
        "trace": np.asarray(trace.v),
        "v": np.asarray(cells.v),
        "w": np.asarray(plastic.w),
    }


@pytest.mark.parametrize("batch", [None, 2])
def test_a_network_is_the_same_by_a_team(
    batch: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums of a row's terms may be in another order: over 200 steps some rounding."""
    found = {}
    for threads, layout in ((1, "per_instance"), (1, "team"), (2, "team"), (3, "team")):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        found[threads, layout] = on_device(
            busy,
            drives(SIZE, batch),
            "eprop_cuda",
            backend="cpu",
            precision="float64",
            batch_size=batch,
            layout=layout,
        )
    alone = found[1, "team"]
    assert alone["i"].size > 100
    assert_alike(alone, found[1, "per_instance"], 1e-9)
    for threads in (2, 3):
        for name, values in found[threads, "team"].items():
            np.testing.assert_array_equal(values, alone[name], name)


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="layout"):
        on_device(busy, drives(SIZE), "eprop_cuda", layout="torus")
