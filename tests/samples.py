"""What of a long list of cases runs each time, and what where all are asked for.

``make oracles`` asks for all: for cases marked as long, and for the profile ``long`` of
hypothesis, which ``conftest`` declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings


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


def examples(few: int, many: int) -> int:
    """How many examples a property is tried on: few each time, many where all are asked for."""
    return many if settings.get_current_profile_name() == "long" else few


def _long(values: tuple[Any, ...]) -> Any:
    return pytest.param(*values, marks=pytest.mark.long)
