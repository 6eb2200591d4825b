"""What a CUDA kernel is launched with, whoever launches it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from brian2eprop.device.backends.base import Call, Memory
from brian2eprop.device.backends.cpu import slot_counts
from brian2eprop.device.backends.emulation import WARP
from brian2eprop.device.backends.streams import check_streams
from brian2eprop.device.codegen.source import Launch, Source
from brian2eprop.device.program import Program

# More threads would leave less than 128 registers to each, and rarely have work.
MAX_THREADS = 512


@dataclass(frozen=True)
class Arguments:
    """A kernel's arguments, in the order of its parameters.

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


def arguments(program: Program, source: Source, memory: Memory, call: Call) -> Arguments:
    """Collect a kernel's arguments, with the tables up to date.

    Raises
    ------
    ValueError
        If an input stream is missing or does not fit.
    """
    check_streams(program, memory.instances, call.streams)
    memory.derive_tables(program)
    used = [call.streams[name] for name in source.streams]
    return Arguments(
        [memory.arrays[name] for name in source.arrays],
        slot_counts(source, memory),
        [part for stream in used for part in (stream.start, stream.index)],
        [n for stream in used for n in (stream.first_step, stream.start.shape[1] - 1)],
    )


def block_threads(largest_loop: int, limit: int = MAX_THREADS) -> int:
    """Threads of a block: enough for the largest loop, in whole warps, up to ``limit``."""
    warps = -(-largest_loop // WARP)
    return WARP * max(1, min(warps, limit // WARP))


def grid_blocks(launch: Launch, memory: Memory, threads: int) -> int:
    """Blocks of a grid, as the part's layout wants it."""
    enough = max(1, -(-launch.largest_loop // threads))
    return launch.blocks(memory.workers, memory.instances, enough)


def in_turns[T](launched: Iterable[tuple[Launch, T]]) -> Iterator[tuple[bool, list[T]]]:
    """What is launched once in order, and what for each step in turns."""
    for by_step, group in groupby(launched, lambda pair: pair[0].by_step):
        yield by_step, [found for _, found in group]
