"""What tells samples from others of the same number."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.learning.training.data import Dataset


def sample_digest(data: Dataset) -> str:
    """A hash of samples: spikes, analogue input, labels, weights, lengths.

    The same whatever types the values were given in, and in both precisions. It reads all
    of them, so it is asked for only where a training is cut or goes on.

    Parameters
    ----------
    data : Dataset
        The samples.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    found = blake2b(digest_size=16)
    for name, values in _parts(data):
        found.update(f"{name} {values.shape}".encode())
        found.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _parts(data: Dataset) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for name, spikes in sorted(data.spikes.items()):
        yield f"start {name}", spikes.start.astype("<i8", copy=False)
        yield f"index {name}", spikes.index.astype("<i4", copy=False)
    for name, values in sorted(data.inputs.items()):
        with np.errstate(over="ignore"):
            yield f"input {name}", values.astype("<f4", copy=False)
    for labels in data.labels:
        yield "labels", labels.astype("<f8", copy=False)
    if data.weights is not None:
        yield "weights", data.weights.astype("<f8", copy=False)
    if data.lengths is not None:
        yield "lengths", data.lengths.astype("<i8", copy=False)
