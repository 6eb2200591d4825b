"""Sound as the spikes of the cochlear nucleus, as the Heidelberg data sets were made."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.units import second
from scipy.signal import resample_poly

from brian2eprop.encoding.ear import BasilarMembrane, BushyCell, HairCell
from brian2eprop.encoding.ear.bushy_cell import BushyCells
from brian2eprop.encoding.ear.hair_cell import HairCells
from brian2eprop.encoding.ear.membrane import MovingMembrane
from brian2eprop.number_checks import positive, whole
from brian2eprop.spikes import Spikes

# The Heidelberg recordings of 48 kHz were heard at half that.
EAR_RATE = 24_000
LEVEL = 0.3

Train = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]


def inner_ear(
    sounds: Sequence[npt.ArrayLike],
    rate: int,
    duration: Any,
    dt: Any,
    n_channels: int = 700,
    seed: int = 0,
    membrane: BasilarMembrane | None = None,
    hair_cell: HairCell | None = None,
    bushy_cell: BushyCell | None = None,
) -> Spikes:
    """Recordings of sound as spikes in channels from high to low pitch.

    Each recording is brought to one loudness, faded in and out over its whole length, moves a
    model of the basilar membrane, excites hair cells and is heard by bushy cells, which spike in
    phase with it: the conversion of Cramer et al., "The Heidelberg Spiking Data Sets for the
    Systematic Evaluation of Spiking Neural Networks",
    https://doi.org/10.1109/TNNLS.2020.3044364. It takes about 3 s for a second of sound in 700
    channels, and memory that does not grow with the recordings.

    Parameters
    ----------
    sounds : sequence of arrays, each of shape (samples,)
        The recordings; their scale does not matter.
    rate : int
        Samples in a second.
    duration : float or Quantity
        Length of every sample of the spikes (seconds, or a Quantity); what follows is left out.
    dt : float or Quantity
        Length of a time step (seconds, or a Quantity); several spikes within one become one.
    n_channels : int
        Number of channels, evenly spaced on the membrane.
    seed : int
        Decides what the nerve fibres draw; that of a recording depends on it and on the
        recording's place in the sequence, on nothing else.
    membrane, hair_cell, bushy_cell : BasilarMembrane, HairCell, BushyCell, optional
        Other parameters than the published ones (``brian2eprop.encoding.ear``).

    Returns
    -------
    Spikes
        ``n_channels`` neurons; a sample a recording.

    Raises
    ------
    ValueError
        If a recording is no one-dimensional array of finite real numbers, is empty, or if a
        number is not what it should be.

    Examples
    --------
    >>> tone = np.sin(2*np.pi*440*np.arange(4000)/16000)
    >>> inner_ear([tone], 16000, duration=0.3, dt=0.001, n_channels=20)
    Spikes(1 samples, 300 steps, 20 neurons, ...
    """
    length = positive("inner_ear", "duration", duration, second.dim)
    step = positive("inner_ear", "dt", dt, second.dim)
    seed = whole("inner_ear", "seed", seed, 0)
    trains = [
        inner_ear_times(sound, rate, n_channels, (seed, number), membrane, hair_cell, bushy_cell)
        for number, sound in enumerate(sounds)
    ]
    within = [times < length * (1 - 1e-9) for times, _ in trains]
    return Spikes.from_times(
        [times[kept] for (times, _), kept in zip(trains, within, strict=True)],
        [channels[kept] for (_, channels), kept in zip(trains, within, strict=True)],
        n_channels,
        length,
        step,
        merge=True,
    )


def inner_ear_times(
    sound: npt.ArrayLike,
    rate: int,
    n_channels: int = 700,
    seed: int | tuple[int, ...] = 0,
    membrane: BasilarMembrane | None = None,
    hair_cell: HairCell | None = None,
    bushy_cell: BushyCell | None = None,
) -> Train:
    """The spikes of one recording before they are put on a grid; see :func:`inner_ear`.

    Returns
    -------
    times : array of float, shape (spikes,)
        Ascending, in seconds.
    channels : array of int, shape (spikes,)
        Channel of each spike.
    """
    n_channels = whole("inner_ear", "n_channels", n_channels, 1)
    heard = _prepared(sound, rate)
    moving = MovingMembrane(membrane or BasilarMembrane(), n_channels, EAR_RATE)
    hairs = HairCells(hair_cell or HairCell(), n_channels, EAR_RATE)
    rng = np.random.default_rng(seed)
    bushes = BushyCells(bushy_cell or BushyCell(), n_channels, EAR_RATE, rng)
    spikes = [bushes.hear(hairs.fire(velocity)) for velocity in moving.blocks(heard)]
    steps, channels = (np.concatenate(column) for column in zip(*spikes, strict=True))
    return steps / EAR_RATE, channels


def _prepared(sound: npt.ArrayLike, rate: int) -> npt.NDArray[np.float64]:
    """The recording at the ear's rate and loudness, faded in and out."""
    rate = whole("inner_ear", "rate", rate, 1)
    x = np.asarray(sound)
    if x.ndim != 1 or x.size == 0 or x.dtype.kind not in "iuf":
        raise ValueError(
            f"inner_ear: a recording has the shape {x.shape} and holds {x.dtype}; give one "
            "channel of at least one real number."
        )
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError("inner_ear: a recording holds NaN or infinity; replace these.")
    loudness = np.sqrt(np.mean(x**2))
    if loudness > 0:
        x = x * (LEVEL / loudness)
    common = gcd(rate, EAR_RATE)
    return np.asarray(resample_poly(x * np.hanning(x.size), EAR_RATE // common, rate // common))
