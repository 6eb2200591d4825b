"""What of a long list of cases runs each time, and what where all are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], kept: Callable[[Any], bool]) -> list[Any]:
    """Cases for ``pytest.mark.parametrize``; those that are not kept are marked as long.

    Parameters
    ----------
    cases : iterable
        The cases, each a value or a tuple of values.
    kept : callable
        Whether a case runs each time.
    """
    return [
        case if kept(case) else _long(case if isinstance(case, tuple) else (case,))
        for case in cases
    ]


def _long(values: tuple[Any, ...]) -> Any:
    return pytest.param(*values, marks=pytest.mark.long)
