"""State updates that Brian2 has derived from equations are kept from one start to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import brian2
import sympy
from brian2.core.functions import Function
from brian2.stateupdaters.base import StateUpdateMethod

from brian2eprop.device import brian
from brian2eprop.device.cache import cached, content_key
from brian2eprop.errors import CompileError

# The methods whose code follows from the equations alone.
METHODS = frozenset(
    {"exact", "linear", "exponential_euler", "euler", "heun", "milstein", "rk2", "rk4"}
)


@contextmanager
def kept_updates(objects: Iterable[Any]) -> Iterator[None]:
    """Have state updaters look up what was derived before; some take sympy a second.

    Parameters
    ----------
    objects : iterable of brian2 object
        The objects of a network, as its ``before_run`` prepares them.
    """
    updaters = [found for found in objects if hasattr(found, "method_choice")]
    choices = [updater.method_choice for updater in updaters]
    try:
        for updater, choice in zip(updaters, choices, strict=True):
            updater.method_choice = _keeping(choice)
        yield
    finally:
        for updater, choice in zip(updaters, choices, strict=True):
            updater.method_choice = choice


def _keeping(choice: Any) -> Any:
    """A user's choice of a method, or of several in order, with known ones in our keeping."""
    if isinstance(choice, str):
        return _Kept(choice.lower()) if choice.lower() in METHODS else choice
    if isinstance(choice, list | tuple):
        return [_keeping(one) for one in choice]
    return choice


class _Kept(StateUpdateMethod):  # type: ignore[misc]
    """A method of Brian2's, by name, whose results are kept."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __str__(self) -> str:
        return self.__name__

    def __call__(self, equations: Any, variables: Any = None, method_options: Any = None) -> str:
        """The abstract code of one step; see Brian2's methods."""
        method = StateUpdateMethod.stateupdaters[self.__name__]

        def derive() -> str:
            return str(method(equations, variables, method_options))

        if any(_is_users(found) for found in (variables or {}).values()):
            return derive()
        identity = _identity(equations, variables or {})
        key = content_key(self.__name__, repr(method_options), *identity)
        return _looked_up(key, derive)


def _is_users(variable: Any) -> bool:
    """Whether it is a function that may be constant over a step or not, or be changed."""
    return isinstance(variable, Function) and variable not in brian.DEFAULT_FUNCTIONS.values()


def _identity(equations: Any, variables: Mapping[str, Any]) -> Iterator[str]:
    """All that decides over the code: no method looks at values."""
    yield brian2.__version__
    yield sympy.__version__
    for name, equation in sorted(equations.items()):
        yield f"{name}: {equation.type} {equation.expr} {equation.dim!r} {sorted(equation.flags)}"
    for name, variable in sorted(variables.items()):
        constant, scalar = (getattr(variable, what, None) for what in ("constant", "scalar"))
        yield f"{name}: {type(variable).__name__} {constant} {scalar}"


def _looked_up(key: str, derive: Any) -> str:
    derived: list[str] = []

    def make(_: Path) -> bytes:
        derived.append(derive())
        return derived[0].encode()

    try:
        return cached(key, ".update", make).read_text(encoding="utf-8")
    except (CompileError, OSError):  # a folder that cannot be used is no matter here
        return derived[0] if derived else str(derive())
