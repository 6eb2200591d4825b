"""Signals as the levels they cross."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.encoding.checks import flattened, real, unit_interval
from brian2eprop.number_checks import whole, without_unit
from brian2eprop.spikes import Spikes

# Images whose crossings are found at once: their events take much more memory than their spikes.
AT_ONCE = 500


def level_crossing(signals: npt.ArrayLike, delta: float) -> Spikes:
    """Delta modulation: a spike for each rise, and for each fall, of a signal by ``delta``.

    A reference follows each signal from its first value on. In a step where the signal is
    ``delta`` or more above it, the reference rises by ``delta`` and the channel's "up" neuron
    spikes; where it is as much below, the reference falls and the "down" neuron spikes. One
    step moves the reference once: after a larger jump it takes the next steps to catch up. So
    the first value and ``delta`` times the sum of ups and downs are the signal to within
    ``delta``, wherever it changes by at most ``delta`` a step.

    Parameters
    ----------
    signals : array, shape (samples, steps, ...)
        The signals, finite real numbers; the trailing axes, flattened in C order, are the
        channels, a signal a sample where there are none.
    delta : float
        Distance of two levels, above zero.

    Returns
    -------
    Spikes
        Twice as many neurons as channels: the "up" neurons, then the "down" neurons.

    Raises
    ------
    ValueError
        If the signals are not of that form or ``delta`` is not above zero.

    Examples
    --------
    >>> level_crossing([[0.0, 1.0, 2.0, 1.0]], delta=1.0).to_dense()[0].astype(int).T
    array([[0, 1, 1, 0],
           [0, 0, 0, 1]])
    """
    x = real("level_crossing", signals)
    distance = _delta(delta)
    n_samples, n_steps = x.shape[:2]
    x = x.reshape(n_samples, n_steps, int(np.prod(x.shape[2:])))
    n_channels = x.shape[2]
    reference = x[:, 0].astype(np.float64) if n_steps else np.zeros((n_samples, n_channels))
    found = [np.empty((3, 0), np.int64)]
    for step in range(1, n_steps):
        change = x[:, step] - reference
        up, down = change >= distance, change <= -distance
        reference += distance * (up.astype(np.float64) - down)
        samples, neurons = np.nonzero(np.concatenate([up, down], axis=1))
        found.append(np.stack([samples, np.full(samples.size, step), neurons]))
    samples, steps, neurons = np.concatenate(found, axis=1)
    return Spikes.from_events(samples, steps, neurons, (n_samples, n_steps, 2 * n_channels))


def pixel_sequence(
    images: npt.ArrayLike,
    n_thresholds: int = 40,
    steps_per_pixel: int = 1,
    prompt_steps: int = 0,
) -> Spikes:
    """Images shown pixel by pixel, as spikes where the grey value crosses thresholds.

    This is the input of spiking sequential MNIST (Bellec et al., "A solution to the learning
    dilemma for recurrent networks of spiking neurons", 2020,
    https://doi.org/10.1038/s41467-020-17236-y). The thresholds are evenly spaced from 0 to 1.
    Each but the largest has two neurons: one spikes at a pixel that is at or above the threshold
    after one below, the other at a pixel below after one at or above. The largest one has a
    single neuron, which spikes at every pixel of the value 1. So 40 thresholds make 79 neurons.

    Parameters
    ----------
    images : array, shape (samples, ...)
        Pixels in [0, 1], shown in C order.
    n_thresholds : int
        Number of thresholds, at least 2.
    steps_per_pixel : int
        Time steps a pixel is shown for; it spikes in the first of them.
    prompt_steps : int
        Steps after the last pixel in which one more neuron, the last one, spikes in each step
        to ask for the answer (56 in the paper); with 0 there is no such neuron.

    Returns
    -------
    Spikes
        ``2*n_thresholds - 1`` neurons, one more with a prompt;
        ``pixels*steps_per_pixel + prompt_steps`` steps.

    Raises
    ------
    ValueError
        If a pixel is outside [0, 1] or NaN, or a number is too small or not whole.

    Examples
    --------
    >>> pixel_sequence([[0.0, 0.6, 1.0, 0.2]], n_thresholds=3).to_dense()[0].astype(int).T[1]
    array([0, 1, 0, 0])
    """
    pixels = flattened(unit_interval("pixel_sequence", images))
    n_thresholds = whole("pixel_sequence", "n_thresholds", n_thresholds, 2)
    per_pixel = whole("pixel_sequence", "steps_per_pixel", steps_per_pixel, 1)
    prompt = whole("pixel_sequence", "prompt_steps", prompt_steps, 0)
    parts = [
        _shown(pixels[first : first + AT_ONCE], n_thresholds, per_pixel, prompt)
        for first in range(0, max(len(pixels), 1), AT_ONCE)
    ]
    return Spikes.concatenate(parts)


def _shown(pixels: npt.NDArray[Any], n_thresholds: int, per_pixel: int, prompt: int) -> Spikes:
    n_samples, n_pixels = pixels.shape
    found = [_full(pixels, 2 * n_thresholds - 2)]
    for number in range(n_thresholds - 1):
        above = pixels >= number / (n_thresholds - 1)
        found += _onset_and_offset(above, number, number + n_thresholds - 1)
    samples, at, neurons = np.concatenate(found, axis=1)
    asked = np.indices((n_samples, prompt)).reshape(2, n_samples * prompt)
    n_shown = n_pixels * per_pixel
    return Spikes.from_events(
        np.concatenate([samples, asked[0]]),
        np.concatenate([at * per_pixel, asked[1] + n_shown]),
        np.concatenate([neurons, np.full(asked.shape[1], 2 * n_thresholds - 1)]),
        (n_samples, n_shown + prompt, 2 * n_thresholds - 1 + (prompt > 0)),
    )


def _full(pixels: npt.NDArray[Any], neuron: int) -> npt.NDArray[np.int64]:
    """Events (sample, pixel, neuron) of the pixels of the value 1."""
    samples, at = np.nonzero(pixels == 1)
    return np.stack([samples, at, np.full(samples.size, neuron)])


def _onset_and_offset(
    above: npt.NDArray[np.bool_], onset: int, offset: int
) -> list[npt.NDArray[np.int64]]:
    """Events (sample, pixel, neuron) of the crossings of one threshold."""
    events = []
    for neuron, crossed in (
        (onset, above[:, 1:] & ~above[:, :-1]),
        (offset, above[:, :-1] & ~above[:, 1:]),
    ):
        samples, before = np.nonzero(crossed)
        events.append(np.stack([samples, before + 1, np.full(samples.size, neuron)]))
    return events


def _delta(delta: Any) -> float:
    found = without_unit(delta)
    if found is None or not 0 < found < np.inf:
        raise ValueError(f"level_crossing: delta is {delta!r}; give one number above zero.")
    return found
