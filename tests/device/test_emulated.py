"""Whole Programs: the CUDA source in the emulation against the interpreter that defines them."""

from dataclasses import replace

import numpy as np
import pytest

from brian2eprop.device.backends import emulated, registry
from brian2eprop.device.backends.base import Call
from brian2eprop.device.backends.emulated import EmulatedBackend
from brian2eprop.device.backends.emulation import EmulationError
from brian2eprop.device.backends.reference import ReferenceBackend
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
from tests.device.programs import CASES, DT, SHARED, elements, real, spikes

STEPS = 20


def prepared(backend, case, instances, n_steps=STEPS):
    memory = backend.memory(instances)
    memory.reserve(case.program, n_steps)
    for name, value in case.values.items():
        memory.write(name, value)
    return memory


def run(backend, case, instances=4, n_steps=STEPS):
    """Two calls, so that state is taken over from one to the next."""
    memory = prepared(backend, case, instances, n_steps)
    kernel = backend.compile(case.program)
    for first_step in (0, n_steps):
        kernel.run(memory, Call(first_step, n_steps, spikes(instances, 2 * n_steps)))
    return memory


def assert_same(case, memory, expected, **tolerance):
    for array in case.program.all_arrays().values():
        if array.access is not Access.SCRATCH:
            values, wanted = memory.read(array.name), expected.read(array.name)
            np.testing.assert_allclose(values, wanted, **tolerance, err_msg=array.name)


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_does_what_its_program_means(name):
    case = CASES[name]
    expected = run(ReferenceBackend(Precision.FLOAT64), case)
    memory = run(EmulatedBackend(Precision.FLOAT64), case)
    # Sums of at most 200 terms, in another order.
    assert_same(case, memory, expected, rtol=200 * 2.2e-16, atol=1e-14)
    if "spikes:count" in expected.arrays:
        assert expected.read("spikes:count").sum() > 100


@pytest.mark.parametrize("name", CASES)
def test_single_precision(name):
    case = CASES[name]
    expected = run(ReferenceBackend(Precision.FLOAT64), case)
    memory = run(EmulatedBackend(Precision.FLOAT32), case)
    assert all(
        memory.read(array.name).dtype == np.float32
        for array in case.program.arrays
        if array.name in "vwp"
    )
    assert_same(case, memory, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("threads", "blocks"), [(32, 1), (128, 4), (256, 2)])
@pytest.mark.parametrize("name", ["sparse", "training"])
def test_the_size_of_blocks_and_grids_is_free(name, threads, blocks):
    case = CASES[name]
    expected = run(ReferenceBackend(Precision.FLOAT64), case)
    memory = run(EmulatedBackend(Precision.FLOAT64, threads, blocks), case)
    assert_same(case, memory, expected, rtol=200 * 2.2e-16, atol=1e-14)


SIZE = 1000  # more than one block
REVERSED = np.arange(SIZE)[::-1]
# What each element reads, and where that lies by the table `which`.
ELSEWHERE = {
    "via": (Ref("x", Index.ELEMENT, via="which"), REVERSED),
    "scalar": (Ref("x", Index.SCALAR), 0),
    "scalar via": (Ref("x", Index.SCALAR, via="which"), SIZE - 1),
}


def run_over_shared(backend, *bodies):
    """Bodies one after the other over arrays that all instances share."""
    arrays = (real("x", SIZE, SHARED), real("y", SIZE, SHARED))
    table = Array("which", DType.INT, SIZE, SHARED)
    phases = tuple(ForEach(f"phase {k}", SIZE, body) for k, body in enumerate(bodies))
    sweep = Sweep(Direction.ONCE, phases, Over.SHARED)
    program = Program("shared", DT, (*arrays, table), (sweep,))
    found = registry.create(backend, Precision.FLOAT64)
    memory = found.memory(1)
    memory.reserve(program, 1)
    memory.write("x", np.arange(SIZE) + 1)
    memory.write("which", REVERSED)
    found.compile(program).run(memory)
    return memory


@pytest.mark.parametrize("written", ["x", "which"])
@pytest.mark.parametrize("kind", ELSEWHERE)
def test_nothing_is_written_before_other_elements_have_read_it(backend, kind, written):
    ref, where = ELSEWHERE[kind]
    look = Body("y = there", {**elements("y"), "there": ref})
    write = Body(f"{written} = 0", elements(written))
    memory = run_over_shared(backend, look, write)
    np.testing.assert_array_equal(memory.read("y"), np.broadcast_to(where, SIZE) + 1)
    np.testing.assert_array_equal(memory.read(written), 0)


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_nothing_is_read_before_other_elements_have_written_it(backend, kind):
    ref, where = ELSEWHERE[kind]
    write = Body("x = 2*x", elements("x"))
    look = Body("y = there", {**elements("y"), "there": ref})
    memory = run_over_shared(backend, write, look)
    np.testing.assert_array_equal(memory.read("y"), 2 * (np.broadcast_to(where, SIZE) + 1))


def test_steps_outside_the_stream_have_no_input():
    case = CASES["lif"]
    memory = prepared(EmulatedBackend(Precision.FLOAT64), case, 2)
    kernel = EmulatedBackend(Precision.FLOAT64).compile(case.program)
    kernel.run(memory, Call(100, STEPS, spikes(2, STEPS)))
    np.testing.assert_array_equal(memory.read("inputs:count"), 0)
    np.testing.assert_array_equal(memory.read("v"), 0)


def test_a_missing_stream_is_named():
    case = CASES["lif"]
    backend = EmulatedBackend(Precision.FLOAT64)
    memory = prepared(backend, case, 2)
    with pytest.raises(
        ValueError, match="input stream 'source' of program 'network' has no spikes"
    ):
        backend.compile(case.program).run(memory, Call(0, STEPS))


def without_barrier_after(text, label):
    """The source without the first barrier from the beginning of a phase on."""
    start = text.index("B2E_BARRIER();\n", text.index(f"{{ // {label}"))
    return text[:start] + text[start + len("B2E_BARRIER();") :]


@pytest.mark.parametrize("label", ["input", "w_rec propagates"])
def test_a_barrier_left_out_is_noticed(monkeypatch, label):
    generate = emulated.generate

    def broken(*arguments):
        source = generate(*arguments)
        return replace(source, text=without_barrier_after(source.text, label))

    monkeypatch.setattr(emulated, "generate", broken)
    with pytest.raises(EmulationError, match="Race in array"):
        run(EmulatedBackend(Precision.FLOAT64), CASES["lif"])


def test_an_access_outside_an_array_is_named():
    case = CASES["sparse"]
    backend = EmulatedBackend(Precision.FLOAT64)
    memory = prepared(backend, case, 2)
    memory.arrays["w_rec:target"][:] = 70
    with pytest.raises(EmulationError, match=r"element 70 of array '.*', which has 70 elements"):
        backend.compile(case.program).run(memory, Call(0, STEPS, spikes(2, STEPS)))
