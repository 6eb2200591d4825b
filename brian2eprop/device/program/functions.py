"""The functions that bodies may call: Brian2's own, and what makes of a uniform number another."""

from __future__ import annotations

# Name and number of arguments.
FUNCTIONS: dict[str, int] = {
    "_binomial": 3,  # of n and p, and a uniform number in double precision
    "_hashed": 3,  # of a seed and two whole numbers: a uniform number, always the same
    "_poisson": 2,  # of the mean, and the same
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

# Those that a user may call by these names; Brian2 gives no user's name an underscore in front.
PLAIN_FUNCTIONS = tuple(name for name in FUNCTIONS if not name.startswith("_"))
