"""The functions that bodies may call: Brian2's own, without its random ones."""

from __future__ import annotations

from collections.abc import Mapping

# Name and number of arguments.
FUNCTIONS: Mapping[str, int] = {
    "abs": 1,
    "arccos": 1,
    "arcsin": 1,
    "arctan": 1,
    "ceil": 1,
    "clip": 3,
    "cos": 1,
    "cosh": 1,
    "exp": 1,
    "expm1": 1,
    "exprel": 1,
    "floor": 1,
    "int": 1,
    "log": 1,
    "log10": 1,
    "log1p": 1,
    "sign": 1,
    "sin": 1,
    "sinh": 1,
    "sqrt": 1,
    "tan": 1,
    "tanh": 1,
    "timestep": 2,
}
