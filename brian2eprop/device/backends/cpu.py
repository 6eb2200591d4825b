"""The CPU backend: one fused C++ unit, OpenMP over instances, SIMD over elements."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.allocation import zeros
from brian2eprop.device.backends.base import NOTHING_GIVEN, Backend, Call, Kernel, Memory
from brian2eprop.device.backends.compile import shared_library
from brian2eprop.device.backends.crew import Crew
from brian2eprop.device.backends.forks import parallel_function
from brian2eprop.device.backends.streams import check_streams
from brian2eprop.device.codegen.dialect import CPU
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.codegen.source import Source, generate
from brian2eprop.device.program import Precision, Program

# No -ffast-math: NaN and infinity must stay what they are. The rest of what it allows is asked
# for where it matters: vectors by "omp simd". No contraction either: which of two products is
# rounded together with their sum is another one in what a loop leaves over, and equal neurons
# would not stay equal.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
    "-mprefer-vector-width=512",
    "-w",
)


# No machine has more use for, and OpenMP ends the process if it cannot start as many.
MOST_WORKERS = 1024


def default_workers() -> int:
    """Threads to use: ``OMP_NUM_THREADS``, or the processors this process may run on."""
    named = os.environ.get("OMP_NUM_THREADS", "").strip()
    wanted = int(named) if named.isascii() and named.isdecimal() else 0
    return min(wanted, MOST_WORKERS) or len(os.sched_getaffinity(0))


def pointers(arrays: Sequence[npt.NDArray[Any]]) -> Any:
    """A C array of the arrays' addresses."""
    return (ctypes.c_void_p * max(1, len(arrays)))(*[array.ctypes.data for array in arrays])


def integers(values: Sequence[int]) -> Any:
    """A C array of long long."""
    return (ctypes.c_longlong * max(1, len(values)))(*values)


@dataclass(frozen=True)
class Bound:
    """The arguments of a kernel that stay the same from call to call.

    ``held`` keeps the arrays alive whose addresses they are.
    """

    held: tuple[npt.NDArray[Any], ...]
    workers: int
    arrays: Any
    lengths: Any
    depths: Any
    partial_sums: Any

    def fits(self, arrays: Sequence[npt.NDArray[Any]], workers: int) -> bool:
        """Whether the arrays are still the same ones, for as many workers."""
        same = all(one is other for one, other in zip(self.held, arrays, strict=False))
        return same and workers == self.workers


def raise_thrown(thrown: Any) -> None:
    """Raise what a function that the script gives in C++ has thrown, if one has."""
    text = ctypes.create_string_buffer(1000)
    thrown(text, len(text))
    name, _, what = text.value.decode(errors="replace").partition(": ")
    if name:
        raise RuntimeError(
            f"The function '{name}', which the script gives in C++, threw an exception: {what}. "
            "Mend the function, or what it is called with, and set what the run changes anew."
        )


class CpuKernel(Kernel):
    """A Program compiled by g++, and the crew that shares an instance where a team does."""

    def __init__(
        self, program: Program, precision: Precision, layout: Layout, threads: int
    ) -> None:
        self.program = program
        self.layout = layout
        self.crew = Crew(threads)
        self.source: Source = generate(program, precision, CPU, layout)
        library = shared_library(self.source.text, FLAGS, f"program '{program.name}'")
        self._entry = parallel_function(library, "b2e_run")
        self._thrown = getattr(library, "b2e_thrown", None)  # where the script gives functions
        self._constants = (ctypes.c_double * len(self.source.constants))(*self.source.constants)
        self._bound: Bound | None = None

    def run(self, memory: Memory, call: Call = NOTHING_GIVEN) -> None:
        """See :meth:`Kernel.run`."""
        check_streams(self.program, memory.instances, call.streams)
        given = [call.streams[name] for name in self.source.streams]
        memory.derive_tables(self.program)
        bound = self._bind(memory)
        inputs = pointers([part for stream in given for part in (stream.start, stream.index)])
        input_steps = integers([n for s in given for n in (s.first_step, s.start.shape[1] - 1)])

        def steps(before: int, number: int, workers: int) -> None:
            self._entry(
                bound.arrays,
                bound.lengths,
                bound.depths,
                self._constants,
                inputs,
                input_steps,
                bound.partial_sums,
                ctypes.c_longlong(call.first_step + before),
                ctypes.c_longlong(number),
                memory.instances,
                workers,
            )

        if self.layout is Layout.TEAM:
            self.crew.run(call.n_steps, steps)
        else:
            steps(0, call.n_steps, memory.workers)
        memory.touch(self.program.written_tables)
        if self._thrown is not None:
            raise_thrown(self._thrown)

    def _bind(self, memory: Memory) -> Bound:
        arrays = [memory.arrays[name] for name in self.source.arrays]
        if self._bound is None or not self._bound.fits(arrays, memory.workers):
            sums = self._partial_sums(memory)
            self._bound = Bound(
                held=(*arrays, *sums),
                workers=memory.workers,
                arrays=pointers(arrays),
                lengths=integers([array.size for array in arrays]),
                depths=integers(slot_counts(self.source, memory)),
                partial_sums=pointers(sums),
            )
        return self._bound

    def _partial_sums(self, memory: Memory) -> list[npt.NDArray[Any]]:
        """The copies of what instances add to, one for every worker but the first."""
        arrays = [self.program.all_arrays()[name] for name in self.source.sums]
        return [zeros((memory.workers - 1, a.size), memory.dtype(a)) for a in arrays]


def slot_counts(source: Source, memory: Memory) -> list[int]:
    """Number of slots that the memory has for each kind of slots the source knows."""
    counts = {slots: memory.arrays[name].shape[1] for name, slots in source.slots.items()}
    return [counts[slots] for slots in source.depths]


class CpuBackend(Backend):
    """Runs Programs on the CPU.

    Parameters
    ----------
    precision : Precision
        Type of REAL arrays.
    workers : int, optional
        Number of threads; by default what the machine offers.
    """

    name = "cpu"

    def __init__(self, precision: Precision, workers: int | None = None) -> None:
        super().__init__(precision)
        self.workers = workers or default_workers()

    def memory(self, instances: int) -> Memory:
        """See :meth:`Backend.memory`."""
        return Memory(np, self.precision, instances, min(self.workers, instances))

    def compile(self, program: Program, layout: Layout = Layout.PER_INSTANCE) -> CpuKernel:
        """See :meth:`Backend.compile`.

        Raises
        ------
        CompileError
            If there is no compiler, or it fails.
        """
        return CpuKernel(program, self.precision, layout, self.workers)
