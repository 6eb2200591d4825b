"""The CUDA source on a CPU, with real blocks, threads, barriers and votes, for tests.

The very source that runs on a GPU is compiled by g++; see ``emulation`` for what is checked.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from brian2eprop.device.backends.base import NOTHING_GIVEN, Backend, Call, Kernel, Memory
from brian2eprop.device.backends.cpu import integers, pointers
from brian2eprop.device.backends.emulation import EmulatedFunction
from brian2eprop.device.backends.launch import Arguments, arguments, grid_blocks, in_turns
from brian2eprop.device.codegen.dialect import CUDA
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import Precision, Program


class EmulatedKernel(Kernel):
    """A Program's CUDA source, to be run on a CPU."""

    def __init__(
        self, program: Program, precision: Precision, threads: int, layout: Layout
    ) -> None:
        self.program = program
        self.layout = layout
        self.threads = threads
        self.source = generate(program, precision, CUDA, layout)
        launches = self.source.launches
        entries = tuple(launch.entry for launch in launches)
        self._functions = [
            EmulatedFunction(self.source.text, launch.entry, among=entries) for launch in launches
        ]
        self._constants = np.array(self.source.constants, np.float64)

    def run(self, memory: Memory, call: Call = NOTHING_GIVEN) -> None:
        """See :meth:`Kernel.run`.

        Raises
        ------
        EmulationError
            If the kernel does what no CUDA kernel may do.
        """
        given = arguments(self.program, self.source, memory, call)
        lengths = {
            name: array.size for name, array in zip(self.source.arrays, given.arrays, strict=True)
        }
        tables = self._tables(given)
        now = np.array([call.first_step], np.int64)
        numbers = [ctypes.c_longlong(call.n_steps), ctypes.c_int(memory.instances)]
        pairs = zip(self.source.launches, self._functions, strict=True)
        for by_step, launched in in_turns((pair[0], pair) for pair in pairs):
            # Kernels of a step count the steps themselves.
            counted = ctypes.c_void_p(now.ctypes.data)
            first = counted if by_step else ctypes.c_longlong(call.first_step)
            for _ in range(call.n_steps if by_step else 1):
                for launch, function in launched:
                    function.launch(
                        grid_blocks(launch, memory, self.threads),
                        self.threads,
                        [*tables, first, *numbers],
                        lengths,
                        launch.resident_bytes,
                    )
        memory.touch(self.program.written_tables)

    def _tables(self, given: Arguments) -> list[Any]:
        """The pointer arguments; each keeps what it points to alive."""
        constants = ctypes.c_void_p(self._constants.ctypes.data)
        return [
            ctypes.pointer(pointers(given.arrays)),
            ctypes.pointer(integers([array.size for array in given.arrays])),
            ctypes.pointer(integers(given.depths)),
            constants,
            ctypes.pointer(pointers(given.streams)),
            ctypes.pointer(integers(given.stream_steps)),
        ]


class EmulatedBackend(Backend):
    """Runs the CUDA source of Programs on the CPU: slow, and strict.

    Parameters
    ----------
    precision : Precision
        Type of REAL arrays.
    threads : int
        Threads of a block, a multiple of 32.
    blocks : int
        Most blocks of a grid in the PER_INSTANCE layout.
    """

    name = "emulated"

    def __init__(self, precision: Precision, threads: int = 64, blocks: int = 3) -> None:
        super().__init__(precision)
        self.threads = threads
        self.blocks = blocks

    def memory(self, instances: int) -> Memory:
        """See :meth:`Backend.memory`."""
        return Memory(np, self.precision, instances, min(self.blocks, instances))

    def compile(self, program: Program, layout: Layout = Layout.PER_INSTANCE) -> EmulatedKernel:
        """See :meth:`Backend.compile`.

        Raises
        ------
        CompileError
            If there is no compiler, or it fails.
        """
        return EmulatedKernel(program, self.precision, self.threads, layout)
