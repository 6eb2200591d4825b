"""Memory is asked for before it is taken: a system that has too little kills without a word."""

from __future__ import annotations

import os

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def require_memory(n_bytes: int, what: str, remedy: str) -> None:
    """Refuse what does not fit into the free memory of this machine.

    Parameters
    ----------
    n_bytes : int
        What is needed.
    what : str
        What it is for, as the start of a sentence.
    remedy : str
        What to do, as its end.

    Raises
    ------
    MemoryError
        If less is free.
    """
    free = free_bytes()
    if free is not None and n_bytes > free:
        raise MemoryError(
            f"{what} takes {in_words(n_bytes)} of memory but {in_words(free)} are free; {remedy}."
        )


def free_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not tell."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def in_words(n_bytes: int) -> str:
    """A number of bytes in the unit that suits it."""
    size, unit = float(n_bytes), 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.3g} {UNITS[unit]}"
