"""What of the CUDA backend needs no GPU: arguments, launches and refusals."""

import os
import re
import sys

import numpy as np
import pytest

from brian2eprop.device.backends import registry
from brian2eprop.device.backends.architecture import best_architecture
from brian2eprop.device.backends.base import Call
from brian2eprop.device.backends.cuda import CudaBackend
from brian2eprop.device.backends.gpu import Gpu, GpuUnavailable, find
from brian2eprop.device.backends.launch import block_threads
from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.program import Access, Precision
from tests.device.fake_cupy import (
    CUDADriverError,
    CUDARuntimeError,
    OutOfMemoryError,
    WrongPlace,
    installed,
)
from tests.device.programs import CASES, simulation, spikes


def refusal(kind, text):
    return pytest.raises(kind, match=re.escape(text))


def run(backend, case, instances=5, n_steps=10, layout=Layout.PER_INSTANCE):
    memory = backend.memory(instances)
    memory.reserve(case.program, n_steps)
    for name, value in case.values.items():
        memory.write(name, value)
    kernel = backend.compile(case.program, layout)
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
    with pytest.raises(GpuUnavailable) as caught:
        CudaBackend(Precision.FLOAT32)
    assert re.fullmatch(
        r"CuPy, which reaches the GPU, could not be loaded \(.*\)\. Run pip install "
        r"'\.\[cuda13\]' in the folder of brian2eprop's source \('\.\[cuda12\]' for a driver older "
        r"than 580\), or use backend='cpu'\.",
        str(caught.value),
    )


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        ({"driver": 0}, "There is no NVIDIA driver on this machine. Install one"),
        ({"count": 0}, "There is no GPU to use (none is visible to CUDA)."),
        (
            {"driver": 12040, "runtime": 13000},
            "it runs CUDA 12, but CuPy was built for CUDA 13. Update the driver, run pip install "
            "'.[cuda12]' in the folder of brian2eprop's source, or use backend='cpu'.",
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
    cupy.device = 1
    assert find() == Gpu(cupy, 1, "Fake GPU", "sm_90", 2)


@pytest.mark.parametrize(
    ("capability", "architecture"),
    [
        ("90", "sm_90"),
        ("121", "sm_120"),
        ("107", "sm_103"),
        ("87", "sm_86"),
        ("130", "compute_120"),
    ],
)
def test_a_gpu_that_is_newer_than_the_compiler(monkeypatch, tmp_path, capability, architecture):
    with installed(monkeypatch, tmp_path, capability=capability):
        assert find().architecture == architecture


def test_a_driver_that_is_older_than_the_compiler_takes_no_ptx():
    known = (80, 90, 120)
    assert best_architecture(130, known, takes_ptx=False) is None
    assert best_architecture(121, known, takes_ptx=False) == "sm_120"
    assert best_architecture(110, known, takes_ptx=True) == "compute_90"
    assert best_architecture(75, known, takes_ptx=True) is None


def test_ptx_is_for_a_driver_as_new_as_nvrtc(monkeypatch, tmp_path):
    with installed(monkeypatch, tmp_path, capability="130", driver=13000):
        monkeypatch.setattr("brian2eprop.device.backends.gpu.version", lambda: (13, 1))
        with refusal(GpuUnavailable, "Update the driver or NVRTC, or use backend='cpu'."):
            find()


def test_auto_takes_the_cpu_where_nvrtc_does_not_know_the_gpu(monkeypatch, tmp_path):
    with installed(monkeypatch, tmp_path, capability="70"):
        name, reason = registry.find_gpu()
    assert name is None
    assert reason.startswith("NVRTC 13.0 cannot compile for the GPU 'Fake GPU'")


# The device and the stream


def test_all_work_stays_on_the_device_and_in_the_stream_of_the_backend(cupy):
    cupy.device = 1
    backend = CudaBackend(Precision.FLOAT64)
    case = CASES["training"]
    memory, kernel = backend.memory(3), backend.compile(case.program)
    # The script goes elsewhere between any two calls.
    cupy.device, cupy.stream = 0, "the user's"
    memory.reserve(case.program, 10)
    for name, value in case.values.items():
        memory.write(name, value)
    kernel.run(memory, Call(0, 10, spikes(3, 10)))
    cupy.device, cupy.stream = 2, "another"
    kernel.run(memory, Call(0, 10, spikes(3, 10)))
    memory.read("v")
    memory.read_slots("spikes:count", np.arange(2))
    assert cupy.place() == (2, "another") and cupy.entered == []
    stream = backend.queue.stream
    assert {array.place for array in memory.arrays.values()} == {(1, stream.name)}
    assert cupy.kernels[0].loaded_in == (1, stream.name)
    assert stream.synchronized == 2


def test_two_backends_have_two_streams(cupy):
    first, second = CudaBackend(Precision.FLOAT64), CudaBackend(Precision.FLOAT64)
    assert first.queue.stream.name != second.queue.stream.name


def test_the_fake_device_notices_work_elsewhere(cupy):
    memory = CudaBackend(Precision.FLOAT64).memory(3)
    memory.reserve(CASES["lif"].program, 10)
    with pytest.raises(WrongPlace):
        memory.arrays["v"][...] = 1
    with pytest.raises(WrongPlace):
        cupy.asnumpy(memory.arrays["v"])


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


def test_half_the_batch_can_follow_a_whole_one_that_did_not_fit(monkeypatch, tmp_path):
    with installed(monkeypatch, tmp_path, limit=2**20) as cupy:
        backend, program = CudaBackend(Precision.FLOAT64), CASES["lif"].program
        whole = backend.memory(100)
        try:
            whole.reserve(program, 20)
        except MemoryError as error:
            kept = error  # its traceback is alive
            assert cupy.used == 0
            backend.memory(30).reserve(program, 20)
        assert isinstance(kept.__cause__, OutOfMemoryError)


def test_spikes_that_did_not_fit_are_gone(cupy):
    backend, case = CudaBackend(Precision.FLOAT64), CASES["lif"]
    memory, kernel = backend.memory(5), backend.compile(case.program)
    memory.reserve(case.program, 10)
    given, before = spikes(5, 10), cupy.used
    # There is room for the spikes, but not for the tables that come after them.
    cupy.limit = before + given["source"].start.nbytes + given["source"].index.nbytes
    try:
        kernel.run(memory, Call(0, 10, given))
    except MemoryError:
        assert cupy.used == before
    else:
        pytest.fail("there was room for everything")


def test_what_was_there_before_stays_where_more_does_not_fit(monkeypatch, tmp_path):
    with installed(monkeypatch, tmp_path, limit=2**20) as cupy:
        memory = CudaBackend(Precision.FLOAT64).memory(10)
        program = CASES["lif"].program
        memory.reserve(program, 10)
        memory.write("v", 3)
        with pytest.raises(MemoryError):
            memory.reserve(program, 10**4)
        np.testing.assert_array_equal(memory.read("v"), np.full((10, 70), 3))
        assert cupy.used == sum(array.nbytes for array in memory.arrays.values())
        memory.reserve(program, 10)
        np.testing.assert_array_equal(memory.read("v"), np.full((10, 70), 3))


AT_FAULT = "backend='emulated' tells whether the kernel itself is at fault."


@pytest.mark.parametrize(
    "work",
    [
        lambda memory, program: memory.read("v"),
        lambda memory, program: memory.read_slots("spikes:count", np.arange(1)),
        lambda memory, program: memory.write("v", 1),
        lambda memory, program: memory.reserve(program, 11),
    ],
)
def test_a_gpu_that_takes_no_more_work(cupy, work):
    memory, program = CudaBackend(Precision.FLOAT64).memory(2), CASES["lif"].program
    memory.reserve(program, 10)

    def fail(*_, **__):
        raise CUDARuntimeError("cudaErrorIllegalAddress")

    for name in ("zeros", "asarray", "asnumpy"):
        setattr(cupy, name, fail)
    cupy.cuda.runtime.deviceSynchronize = fail
    with pytest.raises(RuntimeError) as caught:
        work(memory, program)
    assert re.fullmatch(
        r"The GPU 'Fake GPU' failed to (read '[\w:]+'|write 'v'|reserve memory) "
        r"\(cudaErrorIllegalAddress\)\. It takes no more work from this process: restart Python; "
        + re.escape(AT_FAULT),
        str(caught.value),
    )


def test_cuda_does_not_survive_a_fork(cupy, monkeypatch):
    backend, case = CudaBackend(Precision.FLOAT64), CASES["lif"]
    memory, kernel = backend.memory(2), backend.compile(case.program)
    memory.reserve(case.program, 10)
    parent = os.getpid()
    monkeypatch.setattr("brian2eprop.device.backends.forks.os.getpid", lambda: parent + 1)
    sentence = (
        "CUDA was in use before this process was forked, and does not survive that. Start "
        "processes with multiprocessing's start method 'spawn', or use backend='cpu'."
    )
    for work in (
        lambda: kernel.run(memory, Call(0, 10, spikes(2, 10))),
        lambda: memory.read("v"),
        lambda: memory.write("v", 0),
        lambda: memory.reserve(case.program, 20),
        lambda: backend.compile(case.program),
    ):
        with pytest.raises(RuntimeError, match=f"^{re.escape(sentence)}$"):
            work()
    assert registry.find_gpu() == (None, sentence.rstrip("."))


def test_a_machine_without_a_gpu_says_so_after_a_fork_too(monkeypatch, tmp_path):
    with installed(monkeypatch, tmp_path, count=0):
        assert registry.find_gpu()[0] is None
        parent = os.getpid()
        monkeypatch.setattr("brian2eprop.device.backends.forks.os.getpid", lambda: parent + 1)
        with refusal(GpuUnavailable, "There is no GPU to use (none is visible to CUDA)."):
            find()


@pytest.mark.parametrize(("n_steps", "graphs"), [(7, 0), (8, 2), (11, 2), (12, 3)])
def test_the_steps_of_a_team_are_launched_as_graphs(cupy, monkeypatch, n_steps, graphs):
    monkeypatch.setattr("brian2eprop.device.backends.cuda.GRAPH_STEPS", 4)
    case = simulation(CASES["alif"])
    memory = run(CudaBackend(Precision.FLOAT64), case, 2, n_steps, Layout.TEAM)
    expected = run(ReferenceBackend(Precision.FLOAT64), case, 2, n_steps)
    for array in case.program.all_arrays().values():
        np.testing.assert_allclose(
            memory.read(array.name), expected.read(array.name), rtol=200 * 2.2e-16, atol=1e-14
        )
    assert cupy.graphs == 2 * graphs  # in each of two calls
    assert {len(kernel.launches) for kernel in cupy.kernels} == {2 * n_steps}


def test_a_stream_takes_work_after_a_launch_that_was_not_captured(cupy, monkeypatch):
    monkeypatch.setattr("brian2eprop.device.backends.cuda.GRAPH_STEPS", 4)
    case = simulation(CASES["alif"])
    backend = CudaBackend(Precision.FLOAT64)
    memory = backend.memory(2)
    memory.reserve(case.program, 10)
    kernel = backend.compile(case.program, Layout.TEAM)
    functions, kernel._functions = kernel._functions, [fail for _ in kernel._functions]
    with refusal(RuntimeError, "failed to run program 'network' (CUDA_ERROR_LAUNCH_FAILED)"):
        kernel.run(memory, Call(0, 10, spikes(2, 10)))
    kernel._functions = functions
    kernel.run(memory, Call(0, 10, spikes(2, 10)))


def fail(*arguments, **options):
    raise CUDADriverError("CUDA_ERROR_LAUNCH_FAILED")


def test_a_launch_that_fails(cupy):
    case = CASES["lif"]
    backend = CudaBackend(Precision.FLOAT64)
    memory, kernel = backend.memory(2), backend.compile(case.program)
    memory.reserve(case.program, 10)

    kernel._functions = [fail]
    text = (
        "The GPU 'Fake GPU' failed to run program 'network' (CUDA_ERROR_LAUNCH_FAILED). Look at "
        f"'nvidia-smi' for the state of the GPU; {AT_FAULT}"
    )
    with pytest.raises(RuntimeError, match=f"^{re.escape(text)}$"):
        kernel.run(memory, Call(0, 10, spikes(2, 10)))
