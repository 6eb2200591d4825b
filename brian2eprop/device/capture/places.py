"""Where in a script stands what an object of Brian2 runs, for messages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from brian2.core.functions import Function

_TYPES = {"float": "double", "integer": "int", "bool": "bool", "boolean": "bool"}


def caller(owner: Any, name: str) -> str:
    """The beginning of a sentence on who calls a function, and in which line of the script.

    Parameters
    ----------
    owner : BrianObject
        The object that runs the code, such as a group's resetter.
    name : str
        Name of the function.

    Returns
    -------
    str
        Such as "'cells' calls 'f' in 'v = f(v)'".
    """
    called = re.compile(rf"\b{re.escape(name)}\s*\(")
    line = next((text for text in _lines(owner) if called.search(text)), None)
    return f"'{_users_object(owner).name}' calls '{name}'" + (f" in '{line}'" if line else "")


def example(name: str, function: Function) -> str:
    """What the user may write above a function in Python to have it in C++ too."""
    kind = "bool" if function._returns_bool else _TYPES[function._return_type]
    try:
        names = list(inspect.signature(function.pyfunc).parameters)
    except (TypeError, ValueError):  # one of NumPy's own
        names = [f"x{number}" for number in range(len(function._arg_units))]
    arguments = ", ".join(f"double {argument}" for argument in names)
    return f"@implementation('cpp', 'inline {kind} {name}({arguments}) {{ return ...; }}')"


def _users_object(owner: Any) -> Any:
    return getattr(owner, "synapses", None) or getattr(owner, "group", owner)


def _lines(owner: Any) -> Iterator[str]:
    """The lines that the user has written for an object, what it runs itself first."""
    group, event = _users_object(owner), getattr(owner, "event", None)
    for texts in (getattr(group, "event_codes", {}), getattr(group, "events", {})):
        yield from _split(texts.get(event))
    equations = getattr(group, "user_equations", None) or getattr(group, "equations", {})
    yield from (str(equation) for equation in equations.values())
    yield from _split(getattr(owner, "abstract_code", None))


def _split(code: Any) -> list[str]:
    return [line.strip() for line in code.splitlines()] if isinstance(code, str) else []
