"""Kernels on a GPU: CUDA's words, and whole Programs."""

import numpy as np
import pytest

from brian2eprop.device.backends.base import Call
from brian2eprop.device.backends.cuda import CudaBackend
from brian2eprop.device.backends.nvrtc import code_file
from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.program import Access, Precision
from tests.device.kernels import C_TYPES, source
from tests.device.programs import CASES, spikes

pytestmark = pytest.mark.gpu


def launch(gpu, body, n=0, blocks=1, threads=64, dynamic_bytes=0, **arrays):
    """Run a kernel's body over copies of NumPy arrays, and copy them back."""
    cupy = gpu.cupy
    types = {name: C_TYPES[str(array.dtype)] for name, array in arrays.items()}
    path = code_file(source(body, types), gpu.architecture)
    kernel = cupy.RawModule(path=str(path)).get_function("k")
    copies = {name: cupy.asarray(array) for name, array in arrays.items()}
    table = cupy.asarray(np.array([copy.data.ptr for copy in copies.values()], np.int64))
    lengths = cupy.asarray(np.array([copy.size for copy in copies.values()], np.int64))
    values = (table, lengths, np.int32(n))
    kernel((blocks,), (threads,), values, shared_mem=dynamic_bytes)
    for name, copy in copies.items():
        arrays[name][...] = cupy.asnumpy(copy)


@pytest.mark.parametrize("threads", [32, 64, 256, 512])
@pytest.mark.parametrize("n", [0, 1, 33, 512, 1500])
def test_compaction_keeps_the_order(gpu, threads, n):
    flags = (np.random.default_rng(n).random(n) < 0.3).astype(np.int32)
    indices, count = np.full(n, -1, np.int32), np.zeros(threads, np.int32)
    body = """
    B2E_SHARED(unsigned char, flags, 1500);
    B2E_FOR(i, n) flags[i] = given[i];
    count[threadIdx.x] = b2e::compact(flags, n, indices);"""
    launch(gpu, body, n, threads=threads, given=flags, indices=indices, count=count)
    expected = np.flatnonzero(flags)
    np.testing.assert_array_equal(count, len(expected))
    np.testing.assert_array_equal(indices[: len(expected)], expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [32, 64, 512])
def test_reductions_and_additions(gpu, dtype, threads):
    x = np.arange(threads, dtype=dtype) - 7
    total, largest, added = np.zeros(threads, dtype), np.zeros(threads, dtype), np.zeros(1, dtype)
    body = """
    total[threadIdx.x] = b2e::block_sum(x[threadIdx.x]);
    B2E_BARRIER();
    largest[threadIdx.x] = b2e::block_max(x[threadIdx.x]);
    b2e::add(added, 0, x[threadIdx.x]);"""
    launch(gpu, body, threads=threads, x=x, total=total, largest=largest, added=added)
    # Whole numbers: every order of additions is exact.
    np.testing.assert_array_equal(total, x.sum())
    np.testing.assert_array_equal(largest, x.max())
    np.testing.assert_array_equal(added, x.sum())


def run(backend, case, instances=300, n_steps=20):
    memory = backend.memory(instances)
    memory.reserve(case.program, n_steps)
    for name, value in case.values.items():
        memory.write(name, value)
    kernel = backend.compile(case.program)
    for first_step in (0, n_steps):
        kernel.run(memory, Call(first_step, n_steps, spikes(instances, 2 * n_steps)))
    return memory


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("name", CASES)
def test_a_kernel_does_what_its_program_means(gpu, name, precision):
    case = CASES[name]
    instances = 20
    memory = run(CudaBackend(precision), case, instances)
    expected = run(ReferenceBackend(Precision.FLOAT64), case, instances)
    # A few hundred operations on a value, on numbers of about one.
    tolerance = 1000 * np.finfo(precision.dtype).eps
    for array in case.program.all_arrays().values():
        if array.access is not Access.SCRATCH:
            values, wanted = memory.read(array.name), expected.read(array.name)
            np.testing.assert_allclose(
                values, wanted, rtol=tolerance, atol=tolerance, err_msg=array.name
            )


def test_more_instances_than_blocks(gpu):
    case = CASES["lif"]
    instances = 8 * gpu.multiprocessors + 3
    backend = CudaBackend(Precision.FLOAT64)
    assert backend.memory(instances).workers < instances
    memory = run(backend, case, instances, n_steps=5)
    expected = run(ReferenceBackend(Precision.FLOAT64), case, instances, n_steps=5)
    np.testing.assert_array_equal(memory.read("spikes:count"), expected.read("spikes:count"))
    np.testing.assert_allclose(memory.read("v"), expected.read("v"), rtol=1e-12, atol=1e-14)


def test_memory_that_does_not_fit(gpu):
    memory = CudaBackend(Precision.FLOAT64).memory(10**6)
    with pytest.raises(MemoryError, match=r"for 1000000 instances and 10000 steps a call"):
        memory.reserve(CASES["lif"].program, 10**4)
