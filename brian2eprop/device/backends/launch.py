"""What a CUDA kernel is launched with, whoever launches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brian2eprop.device.backends.base import Memory, SpikeStream
from brian2eprop.device.backends.cpu import slot_counts
from brian2eprop.device.backends.emulation import WARP
from brian2eprop.device.backends.streams import check_streams
from brian2eprop.device.codegen.source import Source
from brian2eprop.device.program import Access, Layout, Program

# More threads would leave less than 128 registers to each, and rarely have work.
MAX_THREADS = 512


@dataclass(frozen=True)
class Arguments:
    """A kernel's arguments on the host, in the order of its parameters.

    Attributes
    ----------
    arrays : list of array
        The Program's arrays.
    depths : list of int
        Number of slots for each kind of slots.
    streams : list of array
        ``start`` and ``index`` of each input stream.
    stream_steps : list of int
        First step, and number of steps, of each input stream.
    """

    arrays: list[Any]
    depths: list[int]
    streams: list[Any]
    stream_steps: list[int]


def arguments(
    program: Program, source: Source, memory: Memory, streams: Mapping[str, SpikeStream] | None
) -> Arguments:
    """Collect a kernel's arguments, with the accumulated arrays set to zero.

    Raises
    ------
    ValueError
        If an input stream is missing or does not fit.
    """
    given = streams or {}
    check_streams(program, memory.instances, given)
    if program.layout is Layout.PER_INSTANCE:
        _clear_accumulated(program, memory)
    used = [given[name] for name in source.streams]
    return Arguments(
        [memory.arrays[name] for name in source.arrays],
        slot_counts(source, memory),
        [part for stream in used for part in _parts(stream)],
        [n for stream in used for n in (stream.first_step, stream.start.shape[1] - 1)],
    )


def _clear_accumulated(program: Program, memory: Memory) -> None:
    for array in program.all_arrays().values():
        if array.access is Access.ACCUMULATED:
            memory.arrays[array.name].fill(0)


def _parts(stream: SpikeStream) -> tuple[Any, Any]:
    """A stream's two arrays as the kernel reads them."""
    return (
        np.ascontiguousarray(stream.start, np.int64),
        np.ascontiguousarray(stream.index, np.int32),
    )


def block_threads(largest_loop: int, limit: int = MAX_THREADS) -> int:
    """Threads of a block: enough for the largest loop, in whole warps, up to ``limit``."""
    warps = -(-largest_loop // WARP)
    return WARP * max(1, min(warps, limit // WARP))


def grid_blocks(program: Program, source: Source, memory: Memory, threads: int) -> int:
    """Blocks of a grid: the memory's workers or, without instances, one thread an element."""
    if program.layout is Layout.PER_INSTANCE:
        return memory.workers
    return max(1, -(-source.largest_loop // threads))
