"""Memory is asked for before it is taken: a system that has too little kills without a word."""

from __future__ import annotations

from brian2eprop.device.backends.available import free_bytes

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


def in_words(n_bytes: int) -> str:
    """A number of bytes in the unit that suits it."""
    size, unit = float(n_bytes), 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.3g} {UNITS[unit]}"
