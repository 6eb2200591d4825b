"""What encoders are given: each fault is one sentence that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.units.fundamentalunits import Dimension, get_dimensions

Floats = npt.NDArray[np.float64]


def whole(encoder: str, **numbers: Any) -> tuple[int, ...]:
    """Numbers of steps and the like as ints, refused where they are not whole."""
    for argument, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ValueError(f"{encoder}: {argument} is {value!r}; give a whole number.")
    return tuple(int(value) for value in numbers.values())


def at_least(encoder: str, least: int, **numbers: Any) -> tuple[int, ...]:
    """Whole numbers, refused where they are below ``least``."""
    found = whole(encoder, **numbers)
    for argument, value in zip(numbers, found, strict=True):
        if value < least:
            raise ValueError(f"{encoder}: {argument} is {value}; give at least {least}.")
    return found


def check_threshold(encoder: str, threshold: Any) -> None:
    """Refuse a threshold outside [0, 1)."""
    if not (isinstance(threshold, int | float | np.number) and 0 <= threshold < 1):
        raise ValueError(f"{encoder}: threshold is {threshold!r}; give a number in [0, 1).")


def positive(encoder: str, name: str, value: Any, dimension: Dimension, unit: str) -> float:
    """One number above zero of that dimension, a Quantity or a plain number in SI units."""
    try:
        known = get_dimensions(value)
    except TypeError:
        known = dimension
    if not (known is dimension or known.is_dimensionless):
        raise ValueError(f"{encoder}: {name} is {value!r}, which is not in {unit}.")
    number = np.asarray(value)
    if number.dtype.kind not in "iuf" or number.ndim or not np.isfinite(number) or number <= 0:
        raise ValueError(f"{encoder}: {name} is {value!r}; give one number above zero.")
    return float(number)


def real(encoder: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """The values as an array of finite real numbers with an axis for the samples."""
    x = np.asarray(values)
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{encoder}: the values are {x.dtype}; give real numbers.")
    if x.ndim < 2:
        raise ValueError(
            f"{encoder}: the values have the shape {x.shape}; let the first of at least two axes "
            "count the samples."
        )
    if not np.isfinite(x).all():
        raise ValueError(f"{encoder}: the values hold NaN or infinity; replace these.")
    return x


def unit_interval(encoder: str, values: npt.ArrayLike) -> Floats:
    """The values as floats, refused where they are no numbers in [0, 1]."""
    x = np.asarray(values)
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{encoder}: the values are {x.dtype}; give real numbers in [0, 1].")
    if x.ndim < 2:
        raise ValueError(
            f"{encoder}: the values have the shape {x.shape}; let the first of at least two axes "
            "count the samples."
        )
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError(
            f"{encoder}: the values lie between {x.min()} and {x.max()}; scale them to [0, 1] "
            "and replace NaN."
        )
    return x.astype(np.float64, copy=False)


def flattened(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """All axes but the first as one, also where there are no samples."""
    return x.reshape(len(x), int(np.prod(x.shape[1:])))
