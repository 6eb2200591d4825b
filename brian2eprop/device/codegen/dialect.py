"""The words in which the CPU's and CUDA's sources differ, for each layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.program import Access

LoopHead = Callable[[str, object], str]


@dataclass(frozen=True)
class Words:
    """Heads of parallel loops, from the name of the index and the number of iterations.

    Attributes
    ----------
    loop : callable
        The iterations may meet one element.
    simd_loop : callable
        The iterations are independent and may share a vector.
    long_loop : callable
        The iterations are independent, and each takes long.
    reduction_loop : callable
        The same, adding (or taking the maximum of) into variables.
    clear : callable
        Sets as many elements from a pointer on to zero, from the texts of both.
    template : str
        Name of the template of a part that is spread so.
    blocks : callable
        Number of blocks of a GPU, from that of workers, of instances, and of blocks in which
        every element of an instance has a thread.
    by_instance : bool
        Whether a worker goes through instance after instance: what is an instance's may then
        lie in fast memory, and what instances share is added up from copies or atomically.
    """

    loop: LoopHead
    simd_loop: LoopHead
    long_loop: LoopHead
    reduction_loop: Callable[[str, object, Sequence[str], str], str]
    clear: Callable[[str, object], str]
    template: str
    blocks: Callable[[int, int, int], int]
    by_instance: bool = False


@dataclass(frozen=True)
class Dialect:
    """Words and templates of a target; everything else is the same source.

    Attributes
    ----------
    name : str
        ``cpu`` or ``cuda``.
    owners : mapping of Access to str
        C++ of which copy of an array belongs to the instance in hand.
    headers, team_headers : tuple of str
        Templates put before the kernel, and those that teams need besides.
    words : mapping of Layout to Words
        Its loops.
    splits_rows : bool
        Whether a row without its diagonal is two loops (contiguous, for vectors) or one (each
        target always with the same thread).
    shares_rows : bool
        Whether the iterations of a loop along a row are those of several threads.
    resident_bytes : int
        How much of a worker's arrays is held in fast memory for a whole call.
    flag_bytes : int
        How much memory of a fixed size the flags of all thresholds together may take; those
        beyond stand in the events' own slot.
    own_loop : callable
        The head of a loop over a team member's own elements, as ``Words.simd_loop``.
    meets : bool
        Whether members of a team can meet within a launch.
    draws_in_groups : bool
        Whether one thread draws the random numbers of neighbouring elements together.
    fetches : bool
        Whether a thread that goes along a row asks for the next one.
    """

    name: str
    owners: dict[Access, str]
    headers: tuple[str, ...]
    team_headers: tuple[str, ...]
    words: dict[Layout, Words]
    splits_rows: bool
    shares_rows: bool
    resident_bytes: int
    flag_bytes: int
    own_loop: LoopHead
    meets: bool
    draws_in_groups: bool
    fetches: bool


def _plain_loop(index: str, n: object) -> str:
    return f"for (int {index} = 0; {index} < {n}; ++{index})"


def _simd_loop(index: str, n: object) -> str:
    return f"B2E_SIMD\n{_plain_loop(index, n)}"


def _simd_reduction(index: str, n: object, variables: Sequence[str], operation: str) -> str:
    sign = {"sum": "+", "max": "max"}[operation]
    return f"B2E_SIMD_REDUCE({sign}, {', '.join(variables)})\n{_plain_loop(index, n)}"


# Fewer elements than this are done before another thread has woken up.
_WORTH_THREADS = 16384


def _threaded_loop(index: str, n: object) -> str:
    # A name stands for those of many elements that are done at once.
    if not str(n).isdigit() or int(str(n)) < _WORTH_THREADS:
        return _simd_loop(index, n)
    return f"B2E_PARALLEL_SIMD\n{_plain_loop(index, n)}"


def _long_threaded_loop(index: str, n: object) -> str:
    return f"B2E_PARALLEL\n{_plain_loop(index, n)}"


def _grid_loop(index: str, n: object) -> str:
    return f"B2E_GRID_FOR({index}, {n})"


def _block_loop(index: str, n: object) -> str:
    return f"B2E_FOR({index}, {n})"


def _block_reduction(index: str, n: object, variables: Sequence[str], operation: str) -> str:
    return _block_loop(index, n)


def _clear(pointer: str, n: object) -> str:
    return f"b2e::clear({pointer}, {n});"


def _threaded_clear(pointer: str, n: object) -> str:
    return f"{_threaded_loop('element', n)} {pointer}[element] = 0;"


def _grid_clear(pointer: str, n: object) -> str:
    return f"{_grid_loop('element', n)} {pointer}[element] = 0;"


def _own_simd_loop(index: str, n: object) -> str:
    own = f"int {index} = mine.first({n}); {index} < mine.last({n}); ++{index}"
    return f"B2E_SIMD\nfor ({own})"


def _own_block_loop(index: str, n: object) -> str:
    own = f"int {index} = mine.first({n}) + threadIdx.x; {index} < mine.last({n})"
    return f"for ({own}; {index} += blockDim.x)"


def _a_worker_each(workers: int, instances: int, enough: int) -> int:
    return workers


def _an_element_each(workers: int, instances: int, enough: int) -> int:
    return enough


def _a_team_each(workers: int, instances: int, enough: int) -> int:
    return instances * enough


def one_block(workers: int, instances: int, enough: int) -> int:
    """One, however much there is to do."""
    return 1


_THREAD = (_plain_loop, _simd_loop, _plain_loop, _simd_reduction, _clear)
_BLOCK = (_block_loop, _block_loop, _block_loop, _block_reduction, _clear)
_THREADS = (_threaded_loop, _threaded_loop, _long_threaded_loop, _simd_reduction, _threaded_clear)
_BLOCKS = (_grid_loop, _grid_loop, _grid_loop, _block_reduction, _grid_clear)
_GRID = "grid.cpp"


CPU = Dialect(
    name="cpu",
    owners={Access.PER_INSTANCE: "instance", Access.SCRATCH: "worker", Access.SHARED: "0"},
    headers=("cpu.h", "vector_functions.h", "steps.h", "numbers.h", "functions.h"),
    team_headers=("team.h", "team_cpu.h"),
    words={
        Layout.PER_INSTANCE: Words(*_THREAD, "per_instance_cpu.cpp", _a_worker_each, True),
        Layout.TEAM: Words(*_THREAD, "team_cpu.cpp", _a_team_each),
        Layout.GRID: Words(*_THREADS, _GRID, _an_element_each),
        Layout.BLOCK: Words(*_THREAD, _GRID, one_block),
    },
    splits_rows=True,
    shares_rows=False,
    resident_bytes=0,
    flag_bytes=256 * 1024,  # of a thread's stack, which may be as small as 2 MiB
    own_loop=_own_simd_loop,
    meets=True,
    draws_in_groups=True,
    fetches=True,
)

# 46 KiB: a block may use 48 KiB of shared memory on every architecture without asking for more,
# and the primitives keep some of it.
CUDA = Dialect(
    name="cuda",
    owners={Access.PER_INSTANCE: "instance", Access.SCRATCH: "blockIdx.x", Access.SHARED: "0"},
    headers=("cuda.cuh", "steps.h", "numbers.h", "functions.h"),
    team_headers=("team.h",),
    words={
        Layout.PER_INSTANCE: Words(*_BLOCK, "per_instance_cuda.cpp", _a_worker_each, True),
        Layout.TEAM: Words(*_BLOCK, "team_cuda.cpp", _a_team_each),
        Layout.GRID: Words(*_BLOCKS, _GRID, _an_element_each),
        Layout.BLOCK: Words(*_BLOCK, _GRID, one_block),
    },
    splits_rows=False,
    shares_rows=True,
    resident_bytes=46 * 1024,
    flag_bytes=16 * 1024,  # of the 48 KiB that a kernel may declare
    own_loop=_own_block_loop,
    meets=False,
    draws_in_groups=False,
    fetches=False,
)
