"""Scikit-learn's digits as spikes: 1797 images of 8 by 8 pixels, handwritten by 43 people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.encoding import latency
from brian2eprop.spikes import Spikes

N_STEPS = 40
LAST_SPIKE = 25
SPLIT_SEED = 0


@dataclass(frozen=True)
class Part:
    """A part of the data: images (samples, 8, 8), spikes of them, labels (samples,)."""

    images: npt.NDArray[Any]
    spikes: Spikes
    labels: npt.NDArray[Any]


@dataclass(frozen=True)
class Digits:
    """Training, validation and test part: 60, 20 and 20 percent, always the same."""

    train: Part
    validation: Part
    test: Part


def load() -> Digits:
    """Load and encode the digits.

    Two neurons stand for a pixel, one for ink and one for paper: each spikes once, the earlier
    the more of it there is, and not at all below 30 percent.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "The demonstration takes its images from scikit-learn, which is not installed. Run "
            "pip install scikit-learn."
        ) from error
    digits = load_digits()
    ink = digits.data / digits.data.max()
    spikes = latency(
        np.concatenate([ink, 1 - ink], axis=1), N_STEPS, threshold=0.3, last_step=LAST_SPIKE
    )
    order = np.random.default_rng(SPLIT_SEED).permutation(len(ink))
    first, second = int(0.6 * len(ink)), int(0.8 * len(ink))
    chosen = (order[:first], order[first:second], order[second:])
    parts = (Part(digits.images[part], spikes[part], digits.target[part]) for part in chosen)
    return Digits(*parts)
