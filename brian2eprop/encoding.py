"""Encoders: real-valued data become spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

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
    x = _unit_interval("latency", values)
    n_steps, first_step = _whole("latency", n_steps=n_steps, first_step=first_step)
    (last,) = _whole("latency", last_step=n_steps - 1 if last_step is None else last_step)
    if not 0 <= first_step <= last < n_steps:
        raise ValueError(
            f"latency: the spikes are to lie in the steps {first_step} .. {last} of {n_steps}; "
            "give 0 <= first_step <= last_step < n_steps."
        )
    _check_threshold("latency", threshold)
    flat = x.reshape(len(x), int(np.prod(x.shape[1:])))
    samples, neurons = np.nonzero(flat > threshold)
    lateness = (1 - flat[samples, neurons]) / (1 - threshold)
    steps = first_step + np.rint(lateness * (last - first_step)).astype(np.int64)
    return Spikes.from_events(samples, steps, neurons, (len(flat), n_steps, flat.shape[1]))


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
    pixels = _unit_interval("row_scan", images)
    if pixels.ndim != 3:
        raise ValueError(
            f"row_scan: the images have the shape {pixels.shape}; "
            "give an array of shape (samples, rows, columns)."
        )
    steps_per_row, blank_steps = _whole(
        "row_scan", steps_per_row=steps_per_row, blank_steps=blank_steps
    )
    _check_threshold("row_scan", threshold)
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


def _whole(name: str, **steps: Any) -> tuple[int, ...]:
    """Numbers of steps as ints, refused where they are not whole."""
    for argument, value in steps.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ValueError(f"{name}: {argument} is {value!r}; give a whole number.")
    return tuple(int(value) for value in steps.values())


def _check_threshold(name: str, threshold: Any) -> None:
    if not (isinstance(threshold, int | float | np.number) and 0 <= threshold < 1):
        raise ValueError(f"{name}: threshold is {threshold!r}; give a number in [0, 1).")


def _unit_interval(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """The values as floats, refused where they are no numbers in [0, 1]."""
    x = np.asarray(values)
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{name}: the values are {x.dtype}; give real numbers in [0, 1].")
    if x.ndim < 2:
        raise ValueError(
            f"{name}: the values have the shape {x.shape}; let the first of at least two axes "
            "count the samples."
        )
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError(
            f"{name}: the values lie between {x.min()} and {x.max()}; scale them to [0, 1] "
            "and replace NaN."
        )
    return x.astype(np.float64)
