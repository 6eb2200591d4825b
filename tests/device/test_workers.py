"""OpenMP may start fewer threads than it is asked for, another number in each call."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from brian2eprop.device.backends.base import Call
from brian2eprop.device.backends.cpu import CpuBackend
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Direction,
    DType,
    ForEach,
    Index,
    Precision,
    Program,
    Ref,
    Sweep,
)

# More than there are processors, of which OpenMP starts at most one for each if it may choose.
THREADS, N = 100, 3


def program() -> Program:
    """Every instance adds its own values to what all of them share."""
    value = Array("value", DType.REAL, N, Access.PER_INSTANCE)
    total = Array("total", DType.REAL, N, Access.SHARED)
    refs = {name: Ref(name, Index.ELEMENT) for name in ("value", "total")}
    add = ForEach("add", N, Body("total += value", refs))
    return Program("sums", 1e-3, (value, total), (Sweep(Direction.FORWARD, (add,)),))


@contextmanager
def openmp_may_choose() -> Iterator[None]:
    openmp = ctypes.CDLL("libgomp.so.1")
    openmp.omp_set_dynamic(1)
    try:
        yield
    finally:
        openmp.omp_set_dynamic(0)


def test_sums_have_a_part_of_every_thread_that_ran() -> None:
    backend = CpuBackend(Precision.FLOAT64, workers=THREADS)
    memory = backend.memory(THREADS)
    memory.reserve(program(), 1)
    values = np.arange(THREADS * N).reshape(THREADS, N) % 7
    memory.write("value", values)
    kernel = backend.compile(program(), Layout.PER_INSTANCE)
    kernel.run(memory, Call(0, 1))
    np.testing.assert_array_equal(memory.read("total"), values.sum(axis=0))
    with openmp_may_choose():
        kernel.run(memory, Call(1, 1))
    np.testing.assert_array_equal(memory.read("total"), 2 * values.sum(axis=0))
