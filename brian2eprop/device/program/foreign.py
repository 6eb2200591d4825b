"""Functions that whoever made the model wrote in C++."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Foreign:
    """A function without memory, the same on every machine.

    Parameters
    ----------
    symbol : str
        Its name in C++.
    code : tuple of str
        The C++ of the functions it calls, and its own.
    n_arguments : int
        Number of arguments.
    returns : str
        What it returns: ``"float"``, ``"integer"`` or ``"boolean"``.
    python : callable
        The same for arrays of numbers in SI units.
    cuda : tuple of str
        As ``code``, for a GPU; empty where it is the same.
    """

    symbol: str
    code: tuple[str, ...]
    n_arguments: int
    returns: str
    python: Callable[..., Any] = field(compare=False)
    cuda: tuple[str, ...] = ()
