"""How numbers lie in a machine's memory: as what, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program import DType

CACHE_LINE = 64

NUMPY_TYPES: dict[DType, np.dtype[Any]] = {
    DType.DOUBLE: np.dtype(np.float64),
    DType.INT: np.dtype(np.int32),
    DType.BOOL: np.dtype(np.bool_),
}


def zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Zeros that start at a cache line: a vector that straddles two costs twice as much.

    Pages that nobody touches are never allocated.

    Parameters
    ----------
    shape : tuple of int
        The array's shape.
    dtype : dtype
        Its type.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def in_precision(name: str, values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Values in the precision of the array of that name.

    Raises
    ------
    ValueError
        If a number is too large for it.
    """
    try:
        with np.errstate(over="raise"):
            return values.astype(dtype, copy=False)
    except FloatingPointError:
        largest = float(np.abs(values[np.isfinite(values)]).max())
        raise ValueError(
            f"'{name}' is to hold {largest:g}, which is too large for {dtype}; scale it down, or "
            "use set_device('eprop_cuda', precision='float64')."
        ) from None
