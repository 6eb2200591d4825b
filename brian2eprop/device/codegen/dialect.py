"""The words in which the CPU's and CUDA's sources differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """Words and templates of a target; everything else is the same source.

    Attributes
    ----------
    name : str
        ``cpu`` or ``cuda``.
    headers : tuple of str
        Templates put before the kernel.
    loop : callable
        Head of a parallel loop over ``0 <= index < n``, from the names of both.
    simd_loop : callable
        The same where the iterations are independent and may share a vector.
    reduction_loop : callable
        The same, adding (or taking the maximum of) into a variable.
    elementwise_loop : callable
        Head of a loop that the whole machine shares.
    splits_rows : bool
        Whether a row without its diagonal is two loops (contiguous, for vectors) or one (each
        target always with the same thread).
    resident_bytes : int
        How much of a worker's arrays is held in fast memory for a whole call.
    flag_bytes : int
        How much memory of a fixed size the flags of all thresholds together may take; those
        beyond stand in the events' own slot.
    """

    name: str
    headers: tuple[str, ...]
    loop: Callable[[str, str], str]
    simd_loop: Callable[[str, str], str]
    reduction_loop: Callable[[str, str, str, str], str]
    elementwise_loop: Callable[[str, str], str]
    splits_rows: bool
    resident_bytes: int
    flag_bytes: int


def _plain_loop(index: str, n: str) -> str:
    return f"for (int {index} = 0; {index} < {n}; ++{index})"


def _simd_loop(index: str, n: str) -> str:
    return f"B2E_SIMD\nfor (int {index} = 0; {index} < {n}; ++{index})"


def _simd_reduction(index: str, n: str, variable: str, operation: str) -> str:
    sign = {"sum": "+", "max": "max"}[operation]
    return f"B2E_SIMD_REDUCE({sign}, {variable})\n{_plain_loop(index, n)}"


# Fewer elements than this are done before another thread has woken up.
_WORTH_THREADS = 16384


def _threaded_loop(index: str, n: str) -> str:
    if int(n) < _WORTH_THREADS:
        return _simd_loop(index, n)
    return f"B2E_PARALLEL_SIMD\nfor (int {index} = 0; {index} < {n}; ++{index})"


def _grid_loop(index: str, n: str) -> str:
    return f"B2E_GRID_FOR({index}, {n})"


def _block_loop(index: str, n: str) -> str:
    return f"B2E_FOR({index}, {n})"


def _block_reduction(index: str, n: str, variable: str, operation: str) -> str:
    return _block_loop(index, n)


CPU = Dialect(
    name="cpu",
    headers=("cpu.h", "steps.h", "functions.h"),
    loop=_plain_loop,
    simd_loop=_simd_loop,
    reduction_loop=_simd_reduction,
    elementwise_loop=_threaded_loop,
    splits_rows=True,
    resident_bytes=0,
    flag_bytes=256 * 1024,  # of a thread's stack, which may be as small as 2 MiB
)

# 46 KiB: a block may use 48 KiB of shared memory on every architecture without asking for more,
# and the primitives keep some of it.
CUDA = Dialect(
    name="cuda",
    headers=("cuda.cuh", "steps.h", "functions.h"),
    loop=_block_loop,
    simd_loop=_block_loop,
    reduction_loop=_block_reduction,
    elementwise_loop=_grid_loop,
    splits_rows=False,
    resident_bytes=46 * 1024,
    flag_bytes=16 * 1024,  # of the 48 KiB that a kernel may declare
)
