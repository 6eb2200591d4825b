"""Whether arguments of the trainer are of the kind they must be."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from brian2eprop.learning.objective.loss import Loss
from brian2eprop.number_checks import as_real

T = TypeVar("T")

# What users of other packages look for, and what is meant by it here.
MADE_WITH = {
    "optimizer": "optimiser",
    "regularizers": "regularisers",
    "params": "parameters",
    "model": "network",
    **{
        name: f"give {name} to fit"
        for name in ("epochs", "batch_size", "callbacks", "validation_data")
    },
    **dict.fromkeys(("lr", "learning_rate"), "the optimiser has it: optimiser=Adam(1e-3)"),
    "metrics": "give metrics to fit or evaluate",
    "device": "set_device('eprop_cuda', backend=...) chooses where it runs",
}
FITTED_WITH = {
    "x": "spikes",
    "y": "labels",
    "targets": "labels",
    "validation_split": "split the data and give validation_data=(spikes, labels)",
    "optimizer": "give optimiser to the Trainer",
    "optimiser": "give it to the Trainer",
    "lr": "the Trainer's optimiser has it: optimiser=Adam(1e-3)",
    "learning_rate": "the Trainer's optimiser has it: optimiser=Adam(1e-3)",
}


def explains_arguments(hints: Mapping[str, str]) -> Callable[[T], T]:
    """A decorator: unknown arguments are answered by a sentence that names the right one.

    Parameters
    ----------
    hints : mapping of str to str
        For names from elsewhere the argument that is meant.

    Returns
    -------
    callable
        Decorates a function, a method, or a class (its constructor).
    """

    def decorate(what: Any) -> Any:
        if not isinstance(what, type):
            return _explained(what, what.__qualname__.removesuffix(".__init__"), hints)
        constructor: Any = vars(what)["__init__"]
        setattr(what, "__init__", _explained(constructor, what.__name__, hints))  # noqa: B010
        return what

    return decorate


def _explained(function: Any, name: str, hints: Mapping[str, str]) -> Any:
    known = [argument for argument in inspect.signature(function).parameters if argument != "self"]

    @functools.wraps(function)
    def explained(*arguments: Any, **named: Any) -> Any:
        unknown = next((argument for argument in named if argument not in known), None)
        if unknown is not None:
            meant = hints.get(unknown)
            advice = f"it is called {meant} here" if meant in known else meant
            raise TypeError(
                f"{name} has no argument '{unknown}'; {advice or 'it takes ' + ', '.join(known)}."
            )
        return function(*arguments, **named)

    return explained


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
        raise TypeError(f"Trainer: {role} is {shown(value)}; give {example}.")


def check_list(owner: str, role: str, values: Any, kind: type, example: str) -> tuple[Any, ...]:
    """An argument that holds several objects of a kind.

    Parameters
    ----------
    owner, role : str
        Whose argument, and its name.
    values : object
        The argument.
    kind : type
        What its elements must be instances of.
    example : str
        Code that makes one.

    Returns
    -------
    tuple
        The elements.

    Raises
    ------
    TypeError
        If it is no list or tuple, or holds something else.
    """
    if not isinstance(values, list | tuple):
        raise TypeError(f"{owner}: {role} is {shown(values)}; give a list, such as [{example}].")
    for value in values:
        if isinstance(value, type) or not isinstance(value, kind):
            raise TypeError(
                f"{owner}: {role} holds {shown(value)}; give a list of such as {example}."
            )
    return tuple(values)


def check_heads(output: Any, loss: Any, weights: Any) -> list[tuple[Any, Loss, float]]:
    """Each output with its loss and what that counts.

    Parameters
    ----------
    output, loss, weights
        The Trainer's ``output``, ``loss`` and ``loss_weights``.

    Raises
    ------
    TypeError, ValueError
        If there are not as many of each, a loss is none, or a weight is no finite number from 0
        up.
    """
    if not isinstance(output, list | tuple):
        check_kind("loss", loss, Loss, "one, such as CrossEntropy()")
        outputs, losses = [output], [loss]
    else:
        outputs = list(output)
        losses = list(check_list("Trainer", "loss", loss, Loss, "CrossEntropy()"))
    given = [1.0] * len(losses) if weights is None else weights
    if not isinstance(given, list | tuple) or not len(outputs) == len(losses) == len(given) > 0:
        raise ValueError(
            f"Trainer: there are {len(outputs)} outputs, {len(losses)} losses and loss_weights "
            f"{shown(weights)}; give one loss, and if any one weight, for each output."
        )
    for weight in given:
        if as_real(weight) is None:
            raise TypeError(f"Trainer: loss_weights holds {shown(weight)}; give numbers.")
        if not 0 <= weight < float("inf"):
            raise ValueError(
                f"Trainer: loss_weights holds {weight}; give finite numbers from 0 up."
            )
    return list(zip(outputs, losses, map(float, given), strict=True))


def check_count(name: str, value: Any) -> int:
    """The value of an argument, refused where it is no positive whole number."""
    sentence = f"{name} is {value!r}; give a positive whole number."
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(sentence)
    if value < 1:
        raise ValueError(sentence)
    return int(value)


def check_seed(value: Any) -> None:
    """Refuse what is no seed of random numbers."""
    if value is None or (isinstance(value, int | np.integer) and value >= 0):
        return
    raise ValueError(f"Trainer: seed is {value!r}; give None or a whole number not below zero.")


def shown(value: Any) -> str:
    """A value as it is named in a sentence."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if value is None or isinstance(value, str | int | float):
        return repr(value)
    return f"of type {type(value).__name__}"
