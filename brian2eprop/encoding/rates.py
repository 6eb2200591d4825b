"""Values as the rates of random spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.units import hertz, second

from brian2eprop.encoding.checks import Floats, flattened, unit_interval
from brian2eprop.number_checks import positive, whole
from brian2eprop.spikes import Spikes

# Draws that are held at once: 32 MiB of them.
CHUNK = 1 << 22


def poisson(
    values: npt.ArrayLike,
    n_steps: int,
    max_rate: Any,
    dt: Any,
    seed: int,
) -> Spikes:
    """Random spikes, independent in every step, at rates in proportion to the values.

    In each step a neuron spikes with the probability ``value * max_rate * dt``, as in Brian2's
    PoissonGroup.

    Parameters
    ----------
    values : array, shape (samples, ...)
        Values in [0, 1]; the trailing axes, flattened in C order, are the neurons.
    n_steps : int
        Number of time steps of every sample.
    max_rate : float or Quantity
        Rate of a value of 1 (hertz, or a Quantity).
    dt : float or Quantity
        Length of a time step (seconds, or a Quantity).
    seed : int
        Decides what is drawn: the same for the same values and seed.

    Returns
    -------
    Spikes
        ``n_steps`` steps; the number of spikes of a neuron is binomial.

    Raises
    ------
    ValueError
        If a value is outside [0, 1] or NaN, a number is not what it should be, or
        ``max_rate * dt`` is above one.

    Examples
    --------
    >>> poisson([[0.0, 1.0]], n_steps=3, max_rate=1000, dt=0.001, seed=0).to_dense()[0, :, 1]
    array([ True,  True,  True])
    """
    flat = flattened(unit_interval("poisson", values))
    n_steps = whole("poisson", "n_steps", n_steps, 0)
    seed = whole("poisson", "seed", seed, 0)
    rate = positive("poisson", "max_rate", max_rate, hertz.dim)
    step = positive("poisson", "dt", dt, second.dim)
    # Rounding may put a rate of one spike a step a little above one.
    if rate * step > 1 + 1e-9:
        raise ValueError(
            f"poisson: max_rate * dt is {rate * step:g} spikes a step; give a lower rate or a "
            "smaller dt, so that it is at most 1."
        )
    return _drawn(flat * (rate * step), n_steps, np.random.default_rng(seed))


def _drawn(probability: Floats, n_steps: int, rng: np.random.Generator) -> Spikes:
    """Spikes of these probabilities a step, shape (samples, neurons).

    Rows of (sample, step) are drawn some at a time, in order, so what is drawn does not depend
    on how many these are.
    """
    n_samples, n_neurons = probability.shape
    n_rows, at_once = n_samples * n_steps, max(1, CHUNK // max(n_neurons, 1))
    found = [np.empty((2, 0), np.int64)]
    for first in range(0, n_rows, at_once):
        rows = np.arange(first, min(first + at_once, n_rows))
        drawn = rng.random((rows.size, n_neurons)) < probability[rows // n_steps]
        row, neurons = np.nonzero(drawn)
        found.append(np.stack([row + first, neurons]))
    row, neurons = np.concatenate(found, axis=1)
    samples, steps = np.divmod(row, max(n_steps, 1))
    return Spikes.from_events(samples, steps, neurons, (n_samples, n_steps, n_neurons))
