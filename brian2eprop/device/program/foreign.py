"""Functions that whoever made the model wrote in C++ or CUDA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Foreign:
    """A function without memory.

    Parameters
    ----------
    symbol : str
        Its name in C++.
    code : mapping of str to tuple of str
        The code of the functions it calls, and its own, by the dialects that it is given for.
    n_arguments : int
        Number of arguments.
    returns : str
        What it returns: ``"float"``, ``"integer"`` or ``"boolean"``.
    python : callable
        The same for arrays of numbers in SI units.
    """

    symbol: str
    code: Mapping[str, tuple[str, ...]]
    n_arguments: int
    returns: str
    python: Callable[..., Any] = field(compare=False)
