"""Generated sources are what they were; what they do is what their Programs mean."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys

import numpy as np
import pytest

from brian2eprop.device.backends import registry
from brian2eprop.device.backends.base import Call, Memory
from brian2eprop.device.program import Access, Precision, Program, Sparse
from tests.device.test_reference import stream_of
from tests.golden.programs import CONNECTIVITIES, DELAY, LAYOUTS, N_IN, PROGRAMS, N
from tests.golden.renew import COMMAND, DIALECTS, NAMES, generated, path
from tests.golden.trainings import RULES

STEPS, INSTANCES = 30, 3


@pytest.mark.parametrize("name", [*NAMES, *RULES])
def test_the_source_is_as_it_was(name: str) -> None:
    golden, now = path(name).read_text(encoding="utf-8"), generated(name)
    if now != golden:
        pytest.fail(changes(name, golden, now), pytrace=False)


def changes(name: str, golden: str, now: str) -> str:
    """The difference, and what to do about it."""
    before, after = golden.splitlines(), now.splitlines()
    lines = difflib.unified_diff(before, after, path(name).name, "generated now", lineterm="")
    return "\n".join(
        [
            f"The source of {name} has changed. If it was meant to, run",
            f"'{COMMAND}' and commit what it writes; if not, the change is at fault.",
            *lines,
        ]
    )


def test_a_change_is_shown_with_the_way_out() -> None:
    shown = changes("per_instance_cpu", "same\nold\n", "same\nnew\n")
    assert "\n-old\n+new" in shown
    assert f"source of per_instance_cpu has changed. If it was meant to, run\n'{COMMAND}'" in shown


def test_every_template_of_a_layout_has_a_golden_source() -> None:
    for name, dialect in DIALECTS.items():
        templates = {words.template.removesuffix(".cpp") for words in dialect.words.values()}
        assert {f"{template.removesuffix(f'_{name}')}_{name}" for template in templates} == {
            golden for golden in NAMES if golden.endswith(name)
        }


def memory_of(backend: registry.Backend, program: Program) -> Memory:
    """Memory with random contents; indices are legal ones."""
    memory = backend.memory(INSTANCES)
    memory.reserve(program, STEPS)
    rng = np.random.default_rng(1)
    for array in program.arrays:
        # The content of SCRATCH arrays is nobody's, and their number a backend's own.
        if array.access is not Access.SCRATCH:
            values = rng.normal(0.1, 0.3, memory.arrays[array.name].shape)
            memory.write(array.name, values)
    for connectivity in program.connectivities:
        if isinstance(connectivity, Sparse):
            write_synapses(memory, connectivity, rng)
    n_sparse, n_repeated = (CONNECTIVITIES[name].n_synapses for name in ("sparse", "repeated"))
    given = {
        "group": rng.integers(0, 3, N),
        "order": np.arange(N)[::-1],
        "delays": rng.integers(0, DELAY + 1, n_sparse),
        "late": rng.integers(0, DELAY + 1, n_repeated),
        "formed": rng.integers(0, STEPS, n_repeated),
        "until": rng.integers(0, STEPS, n_repeated),
    }
    for name, indices in given.items():
        if name in memory.arrays:
            memory.write(name, indices)
    return memory


def write_synapses(memory: Memory, connectivity: Sparse, rng: np.random.Generator) -> None:
    pairs = rng.choice(N * N, connectivity.n_synapses, replace=not connectivity.unique)
    source, target = np.divmod(np.sort(pairs), N)
    memory.write(connectivity.table("row"), np.searchsorted(source, np.arange(N + 1)))
    memory.write(connectivity.table("target"), target)


def run(backend_name: str, layout: str) -> Memory:
    program = PROGRAMS[layout]
    backend = registry.create(backend_name, Precision.FLOAT64)
    memory = memory_of(backend, program)
    rng = np.random.default_rng(2)
    trains = [
        [np.flatnonzero(rng.random(N_IN) < 0.3).tolist() for _ in range(STEPS)]
        for _ in range(INSTANCES)
    ]
    streams = {"source": stream_of(trains)} if program.streams else {}
    backend.compile(program, LAYOUTS[layout]).run(memory, Call(0, STEPS, streams))
    return memory


@pytest.mark.parametrize("layout", PROGRAMS)
def test_every_backend_does_what_the_program_means(layout: str, backend: str) -> None:
    program = PROGRAMS[layout]
    expected, memory = run("reference", layout), run(backend, layout)
    if layout != "grid":
        assert expected.read("spikes:count").sum() > 0
        assert (expected.read("count") > 1).any()
    for array in program.arrays:
        if array.access is not Access.SCRATCH:
            found, wanted = memory.read(array.name), expected.read(array.name)
            # Sums of at most a few hundred terms in another order.
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12, err_msg=array.name)


SCRIPT = """
from brian2 import NeuronGroup, SpikeMonitor, StateMonitor, defaultclock, run, set_device
import brian2eprop.device.backends.cpu as cpu
sources = cpu.generate
cpu.generate = lambda *given: print(sources(*given).text) or sources(*given)
set_device("eprop_cuda", backend="cpu")
cells = NeuronGroup(3, "v : 1\\nw : 1\\nx : 1", threshold="v > 1", reset="v = 0")
spikes = SpikeMonitor(cells, variables=["v", "w", "x"])
states = StateMonitor(cells, ["v", "w", "x"], record=True)
run(defaultclock.dt)
"""


def test_the_source_does_not_depend_on_hashes() -> None:
    """A script that is started again would otherwise be compiled again."""
    texts = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in "12"
    }  # fmt: skip
    (text,) = texts
    assert "b2e_run" in text
