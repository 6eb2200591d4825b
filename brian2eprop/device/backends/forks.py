"""What a fork does to parallel kernels: a child has one thread, and nothing of CUDA.

OpenMP keeps its threads from one kernel to the next. A child inherits the list of them without the
threads, and would wait for them for ever. So they are ended before each fork; the parent and the
child start new ones with their next kernel.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

_HARD = 2  # omp_pause_hard

FORKED = (
    "CUDA was in use before this process was forked, and does not survive that. Start processes "
    "with multiprocessing's start method 'spawn', or use backend='cpu'."
)

_endings: dict[int | None, Callable[[int], int]] = {}
_cuda_in: int | None = None
_openmp_in: int | None = None


def parallel_function(library: ctypes.CDLL, name: str) -> Callable[..., Any]:
    """A function that may use OpenMP, from then on callable in forked processes as well.

    Parameters
    ----------
    library : ctypes.CDLL
        The library.
    name : str
        The function's name.

    Returns
    -------
    callable
        The function. With an OpenMP that cannot end its threads (before version 5.0) it raises a
        RuntimeError in a process that was forked after its first call.
    """
    function: Callable[..., Any] = getattr(library, name)
    # The linker leaves OpenMP out where a library does without.
    if not hasattr(library, "omp_get_max_threads"):
        return function
    end = getattr(library, "omp_pause_resource_all", None)
    if end is None:
        return _for_one_process(function)
    _endings[ctypes.cast(end, ctypes.c_void_p).value] = end
    return function


def _for_one_process(function: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*arguments: Any) -> Any:
        global _openmp_in
        _openmp_in = _openmp_in or os.getpid()
        if _openmp_in != os.getpid():
            raise RuntimeError(
                "This process was forked, and the threads of this machine's OpenMP do not survive "
                "that. Start processes with multiprocessing's start method 'spawn', or install a "
                "newer g++."
            )
        return function(*arguments)

    return checked


def _end_threads() -> None:
    for end in _endings.values():
        end(_HARD)


os.register_at_fork(before=_end_threads)


def opens_cuda() -> None:
    """Remember that this process uses CUDA."""
    global _cuda_in
    _cuda_in = os.getpid()


def opened_before_a_fork() -> bool:
    """Whether a parent of this process used CUDA before it was forked."""
    return _cuda_in not in (None, os.getpid())
