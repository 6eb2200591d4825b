"""Events with times of their own, as spikes on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.errors import DatasetError
from brian2eprop.spike_checks import as_positive_seconds
from brian2eprop.spikes import Spikes


def on_a_grid(
    source: str,
    times: Sequence[npt.NDArray[np.float64]],
    neurons: Sequence[npt.NDArray[Any]],
    n_neurons: int,
    duration: Any,
    dt: Any,
    cut: bool,
) -> Spikes:
    """The samples as Spikes: sorted, several spikes within a step as one.

    Parameters
    ----------
    source : str
        What sentences about the samples begin with.
    times : sequence of arrays
        Times of the events of each sample, in seconds, in any order.
    neurons : sequence of arrays
        Neuron of each event.
    n_neurons : int
        Number of neurons.
    duration, dt : float or Quantity
        Length of a sample and of a time step.
    cut : bool
        Whether events after the duration are left out; otherwise they are an error.

    Returns
    -------
    Spikes
        A sample each.

    Raises
    ------
    DatasetError
        If the events are not such.
    """
    length = as_positive_seconds("duration", duration)
    step = as_positive_seconds("dt", dt)
    # The last moment that Spikes.from_times, which allows for rounding, puts into the last step.
    end = length - 1e-3 * step
    kept_times, kept_neurons = [], []
    for number, (at, who) in enumerate(zip(times, neurons, strict=True)):
        if at.shape != who.shape:
            raise DatasetError(
                f"{source}: sample {number} of these has {at.size} times for {who.size} neurons."
            )
        order = np.argsort(at, kind="stable")
        if cut:
            order = order[~(at[order] >= end)]
        elif at.size and at[order[-1]] >= end:
            raise DatasetError(
                f"{source}: sample {number} of these has a spike at {at[order[-1]]:g} s, after "
                f"the duration of {length:g} s; give a longer duration, or cut=True."
            )
        kept_times.append(at[order])
        kept_neurons.append(who[order])
    try:
        return Spikes.from_times(kept_times, kept_neurons, n_neurons, length, step, merge=True)
    except ValueError as error:
        raise DatasetError(f"{source}: {error}") from error
