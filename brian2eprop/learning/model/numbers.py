"""What expressions of a model's bodies amount to when the training begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from brian2eprop.device.program import Body, Ref
from brian2eprop.learning.model.symbolic import Expression, names

# The values of an array by its name.
Values = Callable[[str], npt.NDArray[Any]]
Numbers = Mapping[str, Any]

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "absolute": np.abs,
    "int_": lambda x: np.asarray(x, float),
    "clip": np.clip,
    "exprel": lambda x: np.where(x == 0, 1.0, np.expm1(x) / np.where(x == 0, 1.0, x)),
    "expm1": np.expm1,
    "log1p": np.log1p,
    "log10": np.log10,
    "timestep": lambda t, dt: np.floor(t / dt + 0.5),
}


def numbers_of(body: Body, expression: Expression, values: Values, dt: float) -> dict[str, Any]:
    """What the names of an expression in a body stand for at the start of a trial.

    Parameters
    ----------
    body : Body
        What the names mean.
    expression : Expression
        The expression.
    values : callable
        The values of an array by its name.
    dt : float
        Length of a step in seconds.
    """
    found: dict[str, Any] = {"t": 0.0, "dt": dt, "step": 0, **body.constants}
    for name in names(expression) & set(body.refs):
        found[name] = _element(body.refs[name], values)
    return found


def function_of(expression: Expression) -> Callable[[Numbers], npt.NDArray[np.float64]]:
    """An expression as a function of what its names stand for; NaN or infinite without a word."""
    arguments = sorted(names(expression))
    symbols = sorted(expression.free_symbols, key=lambda free: free.name)
    function = sympy.lambdify(symbols, expression, modules=[_FUNCTIONS, "numpy"])

    def evaluate(numbers: Numbers) -> npt.NDArray[np.float64]:
        with np.errstate(all="ignore"):
            return np.asarray(function(*(numbers[name] for name in arguments)), float)

    return evaluate


def _element(ref: Ref, values: Values) -> npt.NDArray[Any]:
    found = np.asarray(values(ref.array))
    return found if ref.via is None else found[..., values(ref.via)]
