"""The CUDA backend: NVRTC for the kernels, CuPy for the memory and the launches."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import NOTHING_GIVEN, Backend, Call, Kernel, Memory
from brian2eprop.device.backends.gpu import find
from brian2eprop.device.backends.launch import (
    MAX_THREADS,
    Arguments,
    arguments,
    block_threads,
    grid_blocks,
    in_turns,
)
from brian2eprop.device.backends.nvrtc import code_file
from brian2eprop.device.backends.queue import Queue
from brian2eprop.device.codegen.dialect import CUDA
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.codegen.source import Launch, generate
from brian2eprop.device.program import Array, Precision, Program

# Blocks wait for barriers and for memory; while one waits, its neighbours on the multiprocessor
# work. More than these would mostly queue, and each has SCRATCH arrays of its own.
BLOCKS_PER_MULTIPROCESSOR = 4

# A team has as many blocks as it takes for a thread for each element: small ones reach more
# multiprocessors.
TEAM_THREADS = 128

# Steps whose kernels are launched as one graph: enough that its launch costs little beside them.
GRAPH_STEPS = 64

# Static and dynamic shared memory beyond this has to be asked for.
DEFAULT_SHARED_BYTES = 48 * 1024


class CudaMemory(Memory):
    """Memory on a GPU.

    Parameters
    ----------
    queue : Queue
        Where it is allocated, and everything with it is done.
    precision, instances, workers
        See :class:`Memory`.
    """

    lazy = False

    def __init__(self, queue: Queue, precision: Precision, instances: int, workers: int) -> None:
        super().__init__(queue.gpu.cupy, precision, instances, workers)
        self.queue = queue

    def reserve(self, program: Program, n_steps: int) -> None:
        """See :meth:`Memory.reserve`.

        Raises
        ------
        MemoryError
            If the GPU has not enough memory. Arrays that this call made are gone again.
        """
        work = self.queue.work(f"reserve memory for program '{program.name}'")
        with work, self.enough_for(program, n_steps):
            super().reserve(program, n_steps)

    def reserve_arrays(self, arrays: Iterable[Array], n_steps: int = 0) -> None:
        """See :meth:`Memory.reserve_arrays`."""
        wanted = list(arrays)
        stale = [array.name for array in wanted if not self.fits(array, n_steps)]
        with self.queue.work("reserve memory"):
            try:
                super().reserve_arrays(wanted, n_steps)
            except self.xp.cuda.memory.OutOfMemoryError:
                for name in stale:
                    self.arrays.pop(name, None)
                raise

    def wait(self) -> None:
        """See :meth:`Memory.wait`."""
        with self.queue.work("end what it computes"):
            self.queue.stream.synchronize()

    def zeros(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """See :meth:`Memory.zeros`."""
        return self.xp.zeros(shape, dtype)

    def on_host(self, values: Any) -> npt.NDArray[Any]:
        """See :meth:`Memory.on_host`."""
        found: npt.NDArray[Any] = self.xp.asnumpy(values)
        return found

    def read(self, name: str) -> npt.NDArray[Any]:
        """See :meth:`Memory.read`."""
        with self.queue.work(f"read '{name}'"):
            return super().read(name)

    def read_slots(self, name: str, steps: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """See :meth:`Memory.read_slots`."""
        with self.queue.work(f"read '{name}'"):
            return super().read_slots(name, steps)

    def write_slots(self, name: str, steps: npt.NDArray[np.int64], values: npt.ArrayLike) -> None:
        """See :meth:`Memory.write_slots`."""
        with self.queue.work(f"write '{name}'"):
            super().write_slots(name, steps, values)

    def write(self, name: str, values: npt.ArrayLike, owners: int | None = None) -> None:
        """See :meth:`Memory.write`."""
        with self.queue.work(f"write '{name}'"):
            super().write(name, values, owners)

    @contextmanager
    def enough_for(self, program: Program, n_steps: int) -> Iterator[None]:
        """Say in a sentence what did not fit; within the queue's work."""
        try:
            yield
        except self.xp.cuda.memory.OutOfMemoryError as error:
            # Whoever catches the error and tries less finds the memory free: the error keeps its
            # frames, and they what they had on the GPU.
            traceback.clear_frames(error.__traceback__)
            raise MemoryError(self._too_much(program, n_steps)) from error

    def free_bytes(self) -> int:
        """See :meth:`Memory.free_bytes`."""
        free, _ = self.xp.cuda.runtime.memGetInfo()
        return int(free)

    def _too_much(self, program: Program, n_steps: int) -> str:
        needed = self.bytes_of(program, n_steps)
        free, total = self.xp.cuda.runtime.memGetInfo()
        return (
            f"The GPU has not enough memory for program '{program.name}': {_mib(needed)} for "
            f"{self.instances} instances and {n_steps} steps a call; {_mib(free)} of "
            f"{_mib(total)} are free. Take a smaller batch_size, or fewer steps at a time."
        )


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.0f} MiB"


class CudaKernel(Kernel):
    """A Program compiled for a GPU."""

    def __init__(
        self, program: Program, precision: Precision, queue: Queue, layout: Layout
    ) -> None:
        self.program = program
        self.layout = layout
        self.queue = queue
        self.source = generate(program, precision, CUDA, layout)
        what = f"program '{program.name}'"
        path = code_file(self.source.text, queue.gpu.architecture, what)
        cupy = queue.gpu.cupy
        with queue.work(f"load {what}"):
            module = cupy.RawModule(path=str(path))
            self._functions = [self._function(module, launch) for launch in self.source.launches]
            self._constants = _upload(cupy, self.source.constants, np.float64)

    def run(self, memory: Memory, call: Call = NOTHING_GIVEN) -> None:
        """See :meth:`Kernel.run`.

        Raises
        ------
        MemoryError
            If the GPU has not enough memory for the input spikes.
        RuntimeError
            If the kernel fails on the GPU.
        """
        assert isinstance(memory, CudaMemory)
        work = self.queue.work(f"run program '{self.program.name}'")
        with work, memory.enough_for(self.program, call.n_steps):
            self._launch(memory, call)
        memory.touch(self.program.written_tables)

    def _launch(self, memory: CudaMemory, call: Call) -> None:
        given = arguments(self.program, self.source, memory, call)
        cupy = self.queue.gpu.cupy
        inputs = [cupy.asarray(part) for part in given.streams]
        tables = self._tables(given, inputs)
        numbers = (np.int64(call.n_steps), np.int32(memory.instances))
        launched = zip(self.source.launches, self._functions, strict=True)
        for by_step, found in in_turns((pair[0], pair) for pair in launched):
            if by_step:
                now = _upload(cupy, [call.first_step], np.int64)
                values = (*tables, now, *numbers)
                step = partial(self._start, found, memory, values, TEAM_THREADS)
                self._repeat(step, call.n_steps)
            else:
                first = np.int64(call.first_step)
                self._start(found, memory, (*tables, first, *numbers), MAX_THREADS)
        # Until then the tables and the spikes must stay.
        self.queue.stream.synchronize()

    def _repeat(self, step: Callable[[], None], n_steps: int) -> None:
        """Launch a step's kernels for each step; those of some steps are one launch of a graph."""
        graphs, alone = divmod(n_steps, GRAPH_STEPS)
        if graphs > 1:
            graph = self.queue.graph(step, GRAPH_STEPS)
            for _ in range(graphs):
                graph.launch(self.queue.stream)
        else:
            alone = n_steps
        for _ in range(alone):
            step()

    @staticmethod
    def _start(
        launched: Sequence[tuple[Launch, Any]],
        memory: CudaMemory,
        values: tuple[Any, ...],
        most_threads: int,
    ) -> None:
        for launch, function in launched:
            threads = block_threads(launch.largest_loop, most_threads)
            blocks = grid_blocks(launch, memory, threads)
            function((blocks,), (threads,), values, shared_mem=launch.resident_bytes)

    def _tables(self, given: Arguments, inputs: Sequence[Any]) -> list[Any]:
        """The pointer arguments, on the GPU."""
        cupy = self.queue.gpu.cupy
        return [
            _upload(cupy, [array.data.ptr for array in given.arrays], np.int64),
            _upload(cupy, [array.size for array in given.arrays], np.int64),
            _upload(cupy, given.depths, np.int64),
            self._constants,
            _upload(cupy, [part.data.ptr for part in inputs], np.int64),
            _upload(cupy, given.stream_steps, np.int64),
        ]

    @staticmethod
    def _function(module: Any, launch: Launch) -> Any:
        function = module.get_function(launch.entry)
        dynamic = launch.resident_bytes
        if function.shared_size_bytes + dynamic > DEFAULT_SHARED_BYTES:
            function.max_dynamic_shared_size_bytes = dynamic
        return function


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
        self.queue = Queue(find())

    def memory(self, instances: int) -> CudaMemory:
        """See :meth:`Backend.memory`."""
        workers = min(instances, BLOCKS_PER_MULTIPROCESSOR * self.queue.gpu.multiprocessors)
        return CudaMemory(self.queue, self.precision, instances, workers)

    def compile(self, program: Program, layout: Layout = Layout.PER_INSTANCE) -> CudaKernel:
        """See :meth:`Backend.compile`.

        Raises
        ------
        CompileError
            If NVRTC cannot compile for this GPU.
        RuntimeError
            If the GPU does not take the kernel.
        """
        return CudaKernel(program, self.precision, self.queue, layout)
