"""What stands in a checkpoint's texts: a ValueError where it is not what it should be."""

from __future__ import annotations

from typing import Any

from brian2eprop.learning.training.checkpoint import MAX_COUNT


def read_count(value: Any) -> int:
    """A number of things that were done."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise ValueError("count")
    return value


def read_callbacks(found: Any) -> list[tuple[str, Any]] | None:
    """Classes and states of callbacks, refused where they are none."""
    if found is None:
        return None
    states = [(kind, state) for kind, state in found]
    if not all(isinstance(kind, str) and isinstance(state, dict) for kind, state in states):
        raise ValueError("callbacks")
    return states


def _is_numbers(entry: Any) -> bool:
    """Whether it is a number, or a list of these, or of such lists."""
    if isinstance(entry, list):
        return all(map(_is_numbers, entry))
    return isinstance(entry, int | float)


def read_history(found: Any, epochs: int) -> dict[str, list[Any]]:
    """The history, refused where it is none: lists with at most one entry an epoch."""
    if not isinstance(found, dict):
        raise ValueError("history")
    for values in found.values():
        if not isinstance(values, list) or len(values) > epochs:
            raise ValueError("history")
        for value in values:
            entries = value.values() if isinstance(value, dict) else [value]
            if not all(map(_is_numbers, entries)):
                raise ValueError("history")
    return found
