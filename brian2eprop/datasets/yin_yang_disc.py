"""The Yin-Yang data set: points of a disc in three classes, made as many as are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.encoding.latencies import linear_latency
from brian2eprop.number_checks import whole
from brian2eprop.spikes import Spikes

Labels = npt.NDArray[np.int64]

RADIUS, DOT = 0.5, 0.1
YIN, YANG, DOTS = 0, 1, 2
# Points drawn at once, of which about a third are kept.
DRAWN = 4096


def yin_yang(
    n_samples: int,
    n_steps: int,
    seed: int,
    first_step: int = 0,
    last_step: int | None = None,
    bias_step: int | None = 0,
) -> tuple[Spikes, Labels]:
    """Points of the Yin-Yang symbol as spike times.

    Parameters
    ----------
    n_samples : int
        Number of points.
    n_steps : int
        Number of time steps of every sample.
    seed : int
        Decides the points: another one for training, validation and test each.
    first_step, last_step, bias_step : int
        As in :func:`brian2eprop.encoding.linear_latency`; ``bias_step=None`` is without the bias.

    Returns
    -------
    Spikes
        Five neurons, for x, y, 1 - x, 1 - y and the bias, one spike each.
    array of int, shape (n_samples,)
        0 for yin, 1 for yang, 2 for the dots.

    Raises
    ------
    ValueError
        If a number is not whole or the steps do not lie in order.

    Examples
    --------
    >>> spikes, labels = yin_yang(300, n_steps=30, seed=0, first_step=1)
    >>> spikes.n_neurons, spikes.index.size
    (5, 1500)
    """
    points, labels = yin_yang_points(n_samples, seed)
    return linear_latency(points, n_steps, first_step, last_step, bias_step), labels


def yin_yang_points(n_samples: int, seed: int) -> tuple[npt.NDArray[np.float64], Labels]:
    """Points of the Yin-Yang symbol: a third of them, by chance, in each class.

    L. Kriener, J. Göltz, M. A. Petrovici, "The Yin-Yang dataset", 2022,
    https://doi.org/10.1145/3517343.3517380.

    Parameters
    ----------
    n_samples : int
        Number of points.
    seed : int
        Decides the points.

    Returns
    -------
    array of float, shape (n_samples, 4)
        x, y, 1 - x and 1 - y of each point, in [0, 1].
    array of int, shape (n_samples,)
        0 for yin, 1 for yang, 2 for the dots.

    Raises
    ------
    ValueError
        If a number is not whole, or negative.

    Examples
    --------
    >>> points, labels = yin_yang_points(5, seed=1)
    >>> points.shape, labels.shape
    ((5, 4), (5,))
    """
    n_samples = whole("yin_yang", "n_samples", n_samples, 0)
    seed = whole("yin_yang", "seed", seed, 0)
    rng = np.random.default_rng(seed)
    wanted = rng.integers(3, size=n_samples)
    points = np.empty((n_samples, 2))
    waiting = [np.flatnonzero(wanted == label) for label in range(3)]
    while any(map(len, waiting)):
        drawn = rng.random((DRAWN, 2)) * (2 * RADIUS)
        drawn = drawn[_distance(drawn, RADIUS) <= RADIUS]
        classes = _classes(drawn)
        for label in range(3):
            fitting = drawn[classes == label][: len(waiting[label])]
            points[waiting[label][: len(fitting)]] = fitting
            waiting[label] = waiting[label][len(fitting) :]
    return np.concatenate([points, 1 - points], axis=1), wanted.astype(np.int64)


def _distance(points: npt.NDArray[Any], x: float) -> npt.NDArray[np.float64]:
    """Distance from a point on the horizontal diameter."""
    return np.asarray(np.hypot(points[:, 0] - x, points[:, 1] - RADIUS))


def _classes(points: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    left, right = _distance(points, 0.5 * RADIUS), _distance(points, 1.5 * RADIUS)
    upper = (points[:, 1] > RADIUS) & (right > 0.5 * RADIUS)
    yin = upper | (left <= 0.5 * RADIUS)
    return np.where((left <= DOT) | (right <= DOT), DOTS, np.where(yin, YIN, YANG))
