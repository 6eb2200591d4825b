"""Numbers that are made where the arrays lie, and fetched all at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Key = tuple[str, str]
Numbers = Mapping[Key, Any]


def fetch(xp: Any, numbers: Numbers) -> dict[Key, float]:
    """The numbers on the host: on a GPU, one read for all of them.

    Parameters
    ----------
    xp : module
        ``numpy`` or ``cupy``.
    numbers : mapping of (str, str) to array without axes
        What is wanted.

    Returns
    -------
    dict of (str, str) to float
        The same as Python's numbers.
    """
    if xp is np or not numbers:
        return {key: float(value) for key, value in numbers.items()}
    joined = xp.stack([xp.asarray(value, np.float64) for value in numbers.values()])
    return dict(zip(numbers, xp.asnumpy(joined).tolist(), strict=True))
