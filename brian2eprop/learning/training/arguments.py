"""Whether arguments of the trainer are of the kind they must be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brian2eprop.learning.training.callbacks import Callback


def check_kind(role: str, value: Any, kind: type, example: str) -> None:
    """Check an argument's type.

    Parameters
    ----------
    role : str
        Name of the argument.
    value : object
        The argument.
    kind : type
        What it must be an instance of.
    example : str
        Code that makes one.

    Raises
    ------
    TypeError
        If it is something else, the class instead of an instance for example.
    """
    if isinstance(value, type) or not isinstance(value, kind):
        raise TypeError(f"Trainer: {role} is {_shown(value)}; give {example}.")


def check_callbacks(callbacks: Sequence[Callback]) -> None:
    """Check the callbacks of a training.

    Parameters
    ----------
    callbacks : sequence of Callback
        The argument.

    Raises
    ------
    TypeError
        If it is no list, or one of its elements is no callback.
    """
    if not isinstance(callbacks, Sequence):
        raise TypeError(f"fit: callbacks is {_shown(callbacks)}; give a list of callbacks.")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(
                f"fit: {_shown(callback)} is no callback; give an instance of "
                "brian2eprop.Callback, such as EarlyStopping('val_loss')."
            )


def _shown(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, str | int | float):
        return repr(value)
    return f"of type {type(value).__name__}"
