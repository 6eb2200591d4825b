"""Which class an output answers: the one whose score is the largest, and alone so."""

from __future__ import annotations

from typing import Any

import numpy as np


def rank(scores: Any, labels: Any) -> Any:
    """The place of each sample's class, from 1 for the best; of those that tie the last.

    Parameters
    ----------
    scores : array, shape (samples, classes)
        In NumPy or CuPy; the largest is the class that is answered, minus infinity is none.
    labels : array, shape (samples,)
        The classes.

    Returns
    -------
    array, shape (samples,)
        Whole numbers; infinity where the class's score is not finite, as that of a neuron that
        is silent.
    """
    own = np.take_along_axis(scores, labels.astype(int)[:, None], axis=1)
    return np.where(np.isfinite(own[:, 0]), (~(scores < own)).sum(axis=1), np.inf)


def share_right(scores: Any, labels: Any) -> Any:
    """Share of the samples whose class has the largest score, and alone; see :func:`rank`."""
    return (rank(scores, labels) == 1).mean()
