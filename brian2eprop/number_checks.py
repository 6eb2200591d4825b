"""What numbers may be given: each fault is one sentence that says what to do.

``owner`` and ``name`` say in it whose number it is and how that is called.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.units import Quantity
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    Dimension,
    fail_for_dimension_mismatch,
    get_dimensions,
    get_unit_for_display,
    is_dimensionless,
)

# Longer whole numbers are not written out: Python itself refuses to from some thousand digits on.
_LONGEST = 10**20


def as_real(value: Any) -> float | None:
    """One real number without a unit as a float, anything else as None."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and is_dimensionless(value):
        value = np.asarray(value).item()
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def without_unit(value: Any) -> float | None:
    """One real number, whatever its unit (SI), as a float, anything else as None."""
    return as_real(np.asarray(value) if isinstance(value, Quantity) else value)


def number(
    owner: str,
    name: str,
    value: Any,
    low: float = 0.0,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """A number, refused where it is not in ``[low, below)``, or ``[low, most]`` if that is given.

    Raises
    ------
    ValueError
        If it is none, has a unit, or lies outside.
    """
    found = as_real(value)
    if found is None or not (low <= found < below and found <= most):
        limit = f"a finite number, not below {low:g}"
        if below < math.inf:
            limit = f"a number below {below:g}, not below {low:g}"
        elif most < math.inf:
            limit = f"a number from {low:g} to {most:g}"
        raise ValueError(f"{owner}: {name} is {shown(value)}; give {limit}.")
    return found


def above_zero(owner: str, name: str, value: Any, example: str = "1e-8") -> float:
    """A number, refused where it is not finite and above zero.

    Raises
    ------
    ValueError
        If it is not.
    """
    found = number(owner, name, value)
    if found == 0:
        raise ValueError(f"{owner}: {name} is 0; give a number above zero, such as {example}.")
    return found


def whole(owner: str, name: str, value: Any, low: float = -math.inf, most: float = math.inf) -> int:
    """A whole number, refused where it is not in ``[low, most]``.

    Raises
    ------
    ValueError
        If it is none, or lies outside.
    """
    known = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not known or not low <= value <= most:
        end = "up" if most == math.inf else f"to {most}"
        limit = "" if low == -math.inf else f" from {low} {end}"
        raise ValueError(f"{owner}: {name} is {shown(value)}; give a whole number{limit}.")
    return int(value)


def positive(owner: str, name: str, value: Any, dimension: Dimension) -> float:
    """One finite number above zero of a dimension, or without a unit, in SI units.

    Raises
    ------
    ValueError
        If it is none, or has another unit.
    """
    fault = unit_fault(value, dimension)
    if fault is not None:
        raise ValueError(f"{owner}: {name} has {fault}.")
    found = without_unit(value)
    if found is None or not 0 < found < math.inf:
        raise ValueError(f"{owner}: {name} is {shown(value)}; give one number above zero.")
    return found


def flag(owner: str, name: str, value: Any) -> bool:
    """A truth value, refused where it is not True or False.

    Raises
    ------
    ValueError
        If it is something else, even if Python would take it for one.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{owner}: {name} is {shown(value)}; give True or False.")
    return bool(value)


def in_unit(role: str, value: Any, unit: Quantity, kind: str, example: str) -> float:
    """One finite number of a unit, without it (SI).

    Parameters
    ----------
    role : str
        Whose it is and how it is called, such as ``"FiringRate's target"``.
    value : object
        What was given.
    unit : Quantity
        The unit; another one of its dimension will do, and zero without a unit.
    kind, example : str
        What it is, such as ``"a rate"``, and code for one.

    Raises
    ------
    ValueError
        If it is no number.
    DimensionMismatchError
        If it has another unit.
    """
    sentence = f"{role} is {kind}; give one such as {example}"
    bare = without_unit(value)
    if bare is None or not math.isfinite(bare):
        raise ValueError(f"{sentence}, not {shown(value)}.")
    fail_for_dimension_mismatch(value, unit, f"{sentence}.")
    return bare


def shown(value: Any) -> str:
    """A value as it is named in a sentence."""
    if isinstance(value, int) and abs(value) >= _LONGEST:
        return "a whole number of more than 20 digits"
    return repr(value)


def real_array(values: Any) -> npt.NDArray[Any] | None:
    """Real numbers as an array without a unit (SI); None for anything else."""
    try:
        found = np.asarray(values)
    except (ValueError, TypeError):  # rows of unequal length
        return None
    return found if found.dtype.kind in "biuf" else None


def unit_fault(values: Any, wanted: Dimension) -> str | None:
    """What is wrong with the unit of some numbers; those without one are in SI units."""
    try:
        found = get_dimensions(values)
    except (TypeError, ValueError):  # no numbers, which is refused elsewhere
        return None
    if found is DIMENSIONLESS or found is wanted:
        return None
    unit = "no unit" if wanted is DIMENSIONLESS else f"{get_unit_for_display(wanted)}"
    return (
        f"the unit {get_unit_for_display(found)}; give values in {unit}, or plain numbers in SI "
        "units"
    )
