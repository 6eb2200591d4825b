"""What of the CUDA backend needs no GPU: arguments, launches and refusals."""

import re
import sys

import numpy as np
import pytest

from brian2eprop.device.backends.base import Call
from brian2eprop.device.backends.cuda import CudaBackend
from brian2eprop.device.backends.gpu import GpuUnavailable, find
from brian2eprop.device.backends.launch import block_threads
from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.program import Access, Precision
from tests.device.fake_cupy import CUDADriverError, CUDARuntimeError, installed
from tests.device.programs import CASES, spikes


def refusal(kind, text):
    return pytest.raises(kind, match=re.escape(text))


def run(backend, case, instances=5, n_steps=10):
    memory = backend.memory(instances)
    memory.reserve(case.program, n_steps)
    for name, value in case.values.items():
        memory.write(name, value)
    kernel = backend.compile(case.program)
    for first_step in (0, n_steps):
        kernel.run(memory, Call(first_step, n_steps, spikes(instances, 2 * n_steps)))
    return memory


@pytest.fixture
def cupy(monkeypatch, tmp_path):
    with installed(monkeypatch, tmp_path) as module:
        yield module


@pytest.mark.parametrize("name", ["alif", "sparse", "training", "optimiser"])
def test_a_kernel_gets_what_its_program_needs(cupy, name):
    case = CASES[name]
    memory = run(CudaBackend(Precision.FLOAT64), case)
    expected = run(ReferenceBackend(Precision.FLOAT64), case)
    for array in case.program.all_arrays().values():
        if array.access is not Access.SCRATCH:
            np.testing.assert_allclose(
                memory.read(array.name), expected.read(array.name), rtol=200 * 2.2e-16, atol=1e-14
            )


@pytest.mark.parametrize(
    ("largest_loop", "threads"), [(0, 32), (1, 32), (32, 32), (33, 64), (500, 512), (9999, 512)]
)
def test_a_block_is_as_many_warps_as_its_largest_loop_needs(largest_loop, threads):
    assert block_threads(largest_loop) == threads


@pytest.mark.parametrize(("instances", "blocks"), [(3, 3), (8, 8), (20, 8)])
def test_a_grid_is_at_most_four_blocks_a_multiprocessor(cupy, instances, blocks):
    run(CudaBackend(Precision.FLOAT32), CASES["lif"], instances)
    assert [launch[:2] for launch in cupy.kernels[0].launches] == [((blocks,), (96,))] * 2


def test_an_elementwise_grid_has_a_thread_for_each_element(cupy):
    run(CudaBackend(Precision.FLOAT32), CASES["optimiser"])
    assert cupy.kernels[0].launches[0] == ((2,), (512,), 0)


def test_large_shared_memory_is_asked_for(cupy, monkeypatch):
    backend = CudaBackend(Precision.FLOAT64)
    assert backend.compile(CASES["lif"].program)._functions[0].max_dynamic_shared_size_bytes is None
    monkeypatch.setattr("brian2eprop.device.backends.cuda.DEFAULT_SHARED_BYTES", 1000)
    kernel = backend.compile(CASES["lif"].program)
    assert (
        kernel._functions[-1].max_dynamic_shared_size_bytes
        == kernel.source.launches[-1].resident_bytes
        > 1000
    )


# Refusals


def test_no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with refusal(GpuUnavailable, "CuPy, which reaches the GPU, could not be loaded") as caught:
        CudaBackend(Precision.FLOAT32)
    assert "'pip install brian2eprop[cuda13]'" in str(caught.value)
    assert "backend='cpu'" in str(caught.value)


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        ({"driver": 0}, "There is no NVIDIA driver on this machine. Install one"),
        ({"count": 0}, "There is no GPU to use (none is visible to CUDA)."),
        (
            {"driver": 12040, "runtime": 13000},
            "it runs CUDA 12, but CuPy was built for CUDA 13. Update the driver, install "
            "brian2eprop[cuda12] instead, or use backend='cpu'.",
        ),
        (
            {"driver": 12040, "runtime": 12040},
            "it runs CUDA 12, but NVRTC compiles for CUDA 13. Update the driver",
        ),
    ],
)
def test_a_machine_without_a_usable_gpu(monkeypatch, tmp_path, machine, text):
    with installed(monkeypatch, tmp_path, **machine), refusal(GpuUnavailable, text):
        find()


def test_cuda_refuses_to_count_devices(cupy):
    def refuse():
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    cupy.cuda.runtime.getDeviceCount = refuse
    with refusal(GpuUnavailable, "There is no GPU to use (cudaErrorNoDevice") as caught:
        find()
    assert "CUDA_VISIBLE_DEVICES" in str(caught.value)


def test_a_gpu_is_described(cupy):
    gpu = find()
    assert (gpu.name, gpu.architecture, gpu.multiprocessors) == ("Fake GPU", "sm_90", 2)


def test_memory_that_does_not_fit(monkeypatch, tmp_path):
    with installed(monkeypatch, tmp_path, limit=2**20):
        memory = CudaBackend(Precision.FLOAT64).memory(100)
        program = CASES["lif"].program
        # kept: 100 x 1000 x 70 doubles are 53.4 MiB, the indices of spikes half of it.
        message = "The GPU has not enough memory for program 'network': "
        with refusal(MemoryError, message) as caught:
            memory.reserve(program, 1000)
    asked = re.search(r"(\d+) MiB for 100 instances and 1000 steps a call", str(caught.value))
    assert 80 < int(asked[1]) < 90
    assert "1 MiB of 2 MiB are free. Take a smaller batch_size" in str(caught.value)


def test_a_launch_that_fails(cupy):
    case = CASES["lif"]
    backend = CudaBackend(Precision.FLOAT64)
    memory, kernel = backend.memory(2), backend.compile(case.program)
    memory.reserve(case.program, 10)

    def fail(*arguments, **options):
        raise CUDADriverError("CUDA_ERROR_LAUNCH_FAILED")

    kernel._functions = [fail]
    text = "The GPU 'Fake GPU' failed to run program 'network' (CUDA_ERROR_LAUNCH_FAILED)."
    with refusal(RuntimeError, text):
        kernel.run(memory, Call(0, 10, spikes(2, 10)))
