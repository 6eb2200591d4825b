"""What values encoders are given: each fault is one sentence that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


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
