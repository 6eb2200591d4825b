"""Values as the times of single spikes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brian2eprop.encoding.checks import flattened, unit_interval
from brian2eprop.number_checks import number, whole
from brian2eprop.spikes import Spikes


def latency(
    values: npt.ArrayLike,
    n_steps: int,
    threshold: float = 0.0,
    first_step: int = 0,
    last_step: int | None = None,
) -> Spikes:
    """One spike a value, the earlier the larger the value.

    A value of 1 spikes at ``first_step``, a value just above ``threshold`` at ``last_step``,
    linearly between; values at or below the threshold do not spike.

    Parameters
    ----------
    values : array, shape (samples, ...)
        Values in [0, 1]; the trailing axes, flattened in C order, are the neurons.
    n_steps : int
        Number of time steps of every sample.
    threshold : float
        Largest value that does not spike, in [0, 1).
    first_step, last_step : int
        The steps of the largest and of the smallest value that spikes; ``last_step`` is
        ``n_steps - 1`` unless given.

    Returns
    -------
    Spikes
        At most one spike for every sample and neuron.

    Raises
    ------
    ValueError
        If a value is no number, outside [0, 1] or NaN, or if the steps are no whole numbers
        or do not lie in order.
    """
    x = unit_interval("latency", values)
    n_steps, first_step, last = _span("latency", n_steps, first_step, last_step)
    number("latency", "threshold", threshold, below=1.0)
    flat = flattened(x)
    samples, neurons = np.nonzero(flat > threshold)
    lateness = (1 - flat[samples, neurons]) / (1 - threshold)
    steps = first_step + np.rint(lateness * (last - first_step)).astype(np.int64)
    return Spikes.from_events(samples, steps, neurons, (len(flat), n_steps, flat.shape[1]))


def linear_latency(
    values: npt.ArrayLike,
    n_steps: int,
    first_step: int = 0,
    last_step: int | None = None,
    bias_step: int | None = None,
) -> Spikes:
    """Exactly one spike a value, the later the larger the value.

    A value of 0 spikes at ``first_step``, a value of 1 at ``last_step``, linearly between. So
    are the four values of a point of the Yin-Yang data set encoded (Kriener, Göltz and Petrovici,
    "The Yin-Yang dataset", 2022, https://doi.org/10.1145/3517343.3517380), together with a bias
    neuron that always spikes at the same time.

    Parameters
    ----------
    values : array, shape (samples, ...)
        Values in [0, 1]; the trailing axes, flattened in C order, are the neurons.
    n_steps : int
        Number of time steps of every sample.
    first_step, last_step : int
        The steps of the values 0 and 1; ``last_step`` is ``n_steps - 1`` unless given.
    bias_step : int, optional
        The step in which one more neuron, the last one, spikes in every sample.

    Returns
    -------
    Spikes
        One spike for every sample and neuron.

    Raises
    ------
    ValueError
        If a value is no number, outside [0, 1] or NaN, or if the steps are no whole numbers
        or do not lie in order.

    Examples
    --------
    >>> linear_latency([[0.0, 0.5, 1.0]], n_steps=5).to_dense()[0].argmax(axis=0)
    array([0, 2, 4])
    """
    flat = flattened(unit_interval("linear_latency", values))
    n_steps, first_step, last = _span("linear_latency", n_steps, first_step, last_step)
    steps = first_step + np.rint(flat * (last - first_step)).astype(np.int64)
    if bias_step is not None:
        _, bias, _ = _span("linear_latency", n_steps, bias_step, None)
        steps = np.concatenate([steps, np.full((len(flat), 1), bias)], axis=1)
    samples, neurons = np.indices(steps.shape)
    shape = (len(steps), n_steps, steps.shape[1])
    return Spikes.from_events(samples.ravel(), steps.ravel(), neurons.ravel(), shape)


def row_scan(
    images: npt.ArrayLike,
    steps_per_row: int,
    threshold: float = 0.0,
    blank_steps: int = 0,
) -> Spikes:
    """Images shown row by row: one neuron a column, one spike a pixel.

    While row ``r`` is shown, the neuron of column ``c`` spikes once if the pixel is above the
    threshold, the earlier the larger the pixel, as in :func:`latency`.

    Parameters
    ----------
    images : array, shape (samples, rows, columns)
        Pixels in [0, 1].
    steps_per_row : int
        Time steps each row is shown for.
    threshold : float
        Largest pixel that does not spike, in [0, 1).
    blank_steps : int
        Steps without spikes after the last row.

    Returns
    -------
    Spikes
        ``columns`` neurons, ``rows * steps_per_row + blank_steps`` steps.

    Raises
    ------
    ValueError
        If the array has another shape, a pixel is outside [0, 1] or NaN, or a number of
        steps is not positive (``blank_steps``: negative).
    """
    pixels = unit_interval("row_scan", images)
    if pixels.ndim != 3:
        raise ValueError(
            f"row_scan: the images have the shape {pixels.shape}; "
            "give an array of shape (samples, rows, columns)."
        )
    steps_per_row = whole("row_scan", "steps_per_row", steps_per_row)
    blank_steps = whole("row_scan", "blank_steps", blank_steps)
    number("row_scan", "threshold", threshold, below=1.0)
    if steps_per_row < 1 or blank_steps < 0:
        raise ValueError(
            f"row_scan: steps_per_row is {steps_per_row} and blank_steps is {blank_steps}; "
            "give at least 1 step a row, and no negative number of blank steps."
        )
    n, rows, columns = pixels.shape
    shown = latency(pixels.reshape(n * rows, columns), steps_per_row, threshold)
    return _one_after_another(shown, n, rows, blank_steps)


def _one_after_another(rows: Spikes, n_samples: int, n_rows: int, blank_steps: int) -> Spikes:
    """The samples of ``rows``, ``n_rows`` at a time, joined in time into one sample."""
    ends = rows.start[:, 1:].reshape(n_samples, n_rows * rows.n_steps)
    first = rows.start[::n_rows, :1]
    start = np.concatenate([first, ends], axis=1)
    start = np.concatenate([start, np.repeat(start[:, -1:], blank_steps, axis=1)], axis=1)
    return Spikes(rows.n_neurons, start.shape[1] - 1, start, rows.index)


def _span(encoder: str, n_steps: int, first: int, last: int | None) -> tuple[int, int, int]:
    """Number of steps, first and last step, refused where they do not lie in order."""
    n_steps = whole(encoder, "n_steps", n_steps)
    first = whole(encoder, "first_step", first)
    last = whole(encoder, "last_step", n_steps - 1 if last is None else last)
    if not 0 <= first <= last < n_steps:
        raise ValueError(
            f"{encoder}: the spikes are to lie in the steps {first} .. {last} of {n_steps}; "
            "give 0 <= first_step <= last_step < n_steps."
        )
    return n_steps, first, last
