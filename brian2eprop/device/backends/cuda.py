"""The CUDA backend: NVRTC for the kernels, CuPy for the memory and the launches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from brian2eprop.device.backends.base import Backend, Kernel, Memory, SpikeStream
from brian2eprop.device.backends.gpu import Gpu, find
from brian2eprop.device.backends.launch import Arguments, arguments, block_threads, grid_blocks
from brian2eprop.device.backends.nvrtc import code_file
from brian2eprop.device.codegen.dialect import CUDA
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import Precision, Program

# Blocks wait for barriers and for memory; while one waits, its neighbours on the multiprocessor
# work. More than these would mostly queue, and each has SCRATCH arrays of its own.
BLOCKS_PER_MULTIPROCESSOR = 4

# Static and dynamic shared memory beyond this has to be asked for.
DEFAULT_SHARED_BYTES = 48 * 1024


class CudaMemory(Memory):
    """Memory on a GPU."""

    def reserve(self, program: Program, n_steps: int) -> None:
        """See :meth:`Memory.reserve`.

        Raises
        ------
        MemoryError
            If the GPU has not enough memory.
        """
        with self.enough_for(program, n_steps):
            super().reserve(program, n_steps)

    @contextmanager
    def enough_for(self, program: Program, n_steps: int) -> Iterator[None]:
        """Say in a sentence what did not fit."""
        try:
            yield
        except self.xp.cuda.memory.OutOfMemoryError as error:
            needed = sum(
                math.prod(self.shape(array, n_steps)) * self.dtype(array).itemsize
                for array in program.all_arrays().values()
            )
            free, total = self.xp.cuda.runtime.memGetInfo()
            raise MemoryError(
                f"The GPU has not enough memory for program '{program.name}': {_mib(needed)} for "
                f"{self.instances} instances and {n_steps} steps a call; {_mib(free)} of "
                f"{_mib(total)} are free. Take a smaller batch_size, or fewer steps at a time."
            ) from error


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.0f} MiB"


class CudaKernel(Kernel):
    """A Program compiled for a GPU."""

    def __init__(self, program: Program, precision: Precision, gpu: Gpu) -> None:
        self.program = program
        self.gpu = gpu
        self.source = generate(program, precision, CUDA)
        self.threads = block_threads(self.source.largest_loop)
        path = code_file(self.source.text, gpu.architecture)
        with self._failures():
            self._function = gpu.cupy.RawModule(path=str(path)).get_function("b2e_run")
            self._allow_shared_memory()
        self._constants = _upload(gpu.cupy, self.source.constants, np.float64)

    def run(
        self,
        memory: Memory,
        first_step: int = 0,
        n_steps: int = 0,
        streams: Mapping[str, SpikeStream] | None = None,
    ) -> None:
        """See :meth:`Kernel.run`.

        Raises
        ------
        MemoryError
            If the GPU has not enough memory for the input spikes.
        RuntimeError
            If the kernel fails on the GPU.
        """
        assert isinstance(memory, CudaMemory)
        given = arguments(self.program, self.source, memory, streams)
        blocks = grid_blocks(self.program, self.source, memory, self.threads)
        steps = (np.int64(first_step), np.int64(n_steps), np.int32(memory.instances))
        with memory.enough_for(self.program, n_steps), self._failures():
            inputs = [self.gpu.cupy.asarray(part) for part in given.streams]
            values = (*self._tables(given, inputs), *steps)
            shared = self.source.resident_bytes
            self._function((blocks,), (self.threads,), values, shared_mem=shared)
            # Until then the tables and the spikes must stay.
            self.gpu.cupy.cuda.get_current_stream().synchronize()

    def _tables(self, given: Arguments, inputs: Sequence[Any]) -> list[Any]:
        """The pointer arguments, on the GPU."""
        cupy = self.gpu.cupy
        return [
            _upload(cupy, [array.data.ptr for array in given.arrays], np.int64),
            _upload(cupy, [array.size for array in given.arrays], np.int64),
            _upload(cupy, given.depths, np.int64),
            self._constants,
            _upload(cupy, [part.data.ptr for part in inputs], np.int64),
            _upload(cupy, given.stream_steps, np.int64),
        ]

    def _allow_shared_memory(self) -> None:
        dynamic = self.source.resident_bytes
        if self._function.shared_size_bytes + dynamic > DEFAULT_SHARED_BYTES:
            self._function.max_dynamic_shared_size_bytes = dynamic

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Say in a sentence what the GPU refused."""
        cuda = self.gpu.cupy.cuda
        try:
            yield
        except (cuda.driver.CUDADriverError, cuda.runtime.CUDARuntimeError) as error:
            raise RuntimeError(
                f"The GPU '{self.gpu.name}' failed to run program '{self.program.name}' ({error}). "
                "Look at 'nvidia-smi' for the state of the GPU; backend='emulated' tells whether "
                "the kernel itself is at fault."
            ) from error


def _upload(cupy: Any, values: Sequence[float], dtype: Any) -> Any:
    """Numbers on the GPU; at least one, so that there is an address."""
    return cupy.asarray(np.array(values if len(values) else [0], dtype))


class CudaBackend(Backend):
    """Runs Programs on a GPU.

    Parameters
    ----------
    precision : Precision
        Type of REAL arrays.

    Raises
    ------
    GpuUnavailable
        If there is no GPU to use.
    CompileError
        If NVRTC is not installed.
    """

    name = "cuda"

    def __init__(self, precision: Precision) -> None:
        super().__init__(precision)
        self.gpu = find()

    def memory(self, instances: int) -> CudaMemory:
        """See :meth:`Backend.memory`."""
        workers = min(instances, BLOCKS_PER_MULTIPROCESSOR * self.gpu.multiprocessors)
        return CudaMemory(self.gpu.cupy, self.precision, instances, workers)

    def compile(self, program: Program) -> CudaKernel:
        """See :meth:`Backend.compile`.

        Raises
        ------
        CompileError
            If NVRTC cannot compile for this GPU.
        RuntimeError
            If the GPU does not take the kernel.
        """
        return CudaKernel(program, self.precision, self.gpu)
