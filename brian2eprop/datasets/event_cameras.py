"""Recordings of event cameras, read by tonic if it is installed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.units import ms, second

from brian2eprop.datasets.event_trains import on_a_grid
from brian2eprop.datasets.files import data_folder
from brian2eprop.errors import DatasetError
from brian2eprop.number_checks import whole
from brian2eprop.spikes import Spikes

Labels = npt.NDArray[np.int64]

# Recordings read at once.
AT_ONCE = 64


def nmnist(
    split: str,
    dt: Any = ms,
    duration: Any = 0.4 * second,
    cut: bool = False,
    samples: Any = slice(None),
    folder: str | os.PathLike[str] | None = None,
) -> tuple[Spikes, Labels]:
    """MNIST seen by a moving event camera (Orchard et al., 2015).

    https://doi.org/10.3389/fnins.2015.00437. Needs tonic: ``pip install tonic``.

    Parameters
    ----------
    split : {'train', 'test'}
        Which part: 60,000 and 10,000 samples, in the order of the classes.
    dt : float or Quantity
        Length of a time step (seconds, or a Quantity); several events of a pixel within one
        become one.
    duration : float or Quantity
        Length of every sample (seconds, or a Quantity).
    cut : bool
        Whether events after the duration are left out; otherwise they are an error.
    samples : slice, or array of int or bool
        Which samples; all unless given.
    folder : path, optional
        Where tonic keeps, or puts, the files; a folder in the cache (``$BRIAN2EPROP_DATA``)
        unless given.

    Returns
    -------
    Spikes
        2312 neurons: polarity, row and column of 2 by 34 by 34, in C order.
    array of int, shape (samples,)
        The digit.

    Raises
    ------
    DatasetError
        If a recording is not what it should be.
    ImportError
        If tonic is not installed.
    ValueError
        If there is no such split, or a number is not what it should be.

    Examples
    --------
    >>> spikes, labels = nmnist("test", samples=slice(0, None, 10))  # doctest: +SKIP
    """
    found = _tonic("nmnist", "NMNIST", split, folder)
    return _recordings("nmnist", found, (34, 34), 1, duration, dt, cut, samples)


def dvs_gesture(
    split: str,
    duration: Any,
    dt: Any = ms,
    cut: bool = False,
    pool: int = 1,
    samples: Any = slice(None),
    folder: str | os.PathLike[str] | None = None,
) -> tuple[Spikes, Labels]:
    """Gestures of hands and arms seen by an event camera (Amir et al., 2017).

    https://doi.org/10.1109/CVPR.2017.781. Needs tonic: ``pip install tonic``.

    Parameters
    ----------
    split : {'train', 'test'}
        Which part: 1077 and 264 samples.
    duration, dt, cut, samples, folder
        As in :func:`nmnist`; the recordings last 2 to 19 s, so ``cut=True`` is usual.
    pool : int
        Squares of so many pixels a side are one neuron: 1, 2, 4, 8 and so on to 128.

    Returns
    -------
    Spikes
        ``2*(128/pool)**2`` neurons: polarity, row and column, in C order.
    array of int, shape (samples,)
        The gesture, 0 to 10.

    Raises
    ------
    DatasetError, ImportError, ValueError
        As in :func:`nmnist`.

    Examples
    --------
    >>> spikes, labels = dvs_gesture("train", 1*second, cut=True, pool=4)  # doctest: +SKIP
    """
    pool = whole("dvs_gesture", "pool", pool, 1)
    if 128 % pool:
        raise ValueError(f"dvs_gesture: pool is {pool}; give a number that divides 128.")
    found = _tonic("dvs_gesture", "DVSGesture", split, folder)
    return _recordings("dvs_gesture", found, (128, 128), pool, duration, dt, cut, samples)


def _tonic(name: str, kind: str, split: str, folder: Any) -> Any:
    if split not in ("train", "test"):
        raise ValueError(f"{name}: split is {split!r}; give 'train' or 'test'.")
    try:
        import tonic
    except ImportError as error:
        raise ImportError(f"{name} is read by tonic. Run pip install tonic.") from error
    where = data_folder(folder, name)
    return getattr(tonic.datasets, kind)(save_to=str(where), train=split == "train")


def _recordings(
    name: str,
    found: Any,
    size: tuple[int, int],
    pool: int,
    duration: Any,
    dt: Any,
    cut: bool,
    samples: Any,
) -> tuple[Spikes, Labels]:
    chosen = np.atleast_1d(np.arange(len(found))[samples])
    rows, columns = size[0] // pool, size[1] // pool
    parts, labels = [], np.empty(chosen.size, np.int64)
    for first in range(0, max(chosen.size, 1), AT_ONCE):
        some = chosen[first : first + AT_ONCE].tolist()
        pairs = [found[number] for number in some]
        labels[first : first + len(some)] = [int(label) for _, label in pairs]
        for number, (events, _) in zip(some, pairs, strict=True):
            _check(f"{name}, sample {number}", events, size)
        times = [np.asarray(events["t"], np.float64) * 1e-6 for events, _ in pairs]
        neurons = [
            (events["p"].astype(np.int64) * rows + events["y"].astype(np.int64) // pool) * columns
            + events["x"].astype(np.int64) // pool
            for events, _ in pairs
        ]
        source = f"{name}, samples {first} and on"
        parts.append(on_a_grid(source, times, neurons, 2 * rows * columns, duration, dt, cut))
    return Spikes.concatenate(parts), labels


def _check(source: str, events: Any, size: tuple[int, int]) -> None:
    """Refuse events that are none of such a camera."""
    names = getattr(getattr(events, "dtype", None), "names", None) or ()
    if not {"t", "x", "y", "p"} <= set(names):
        raise DatasetError(f"{source}: tonic gives no events with t, x, y and p; update tonic.")
    for field, limit in (("y", size[0]), ("x", size[1]), ("p", 2)):
        values = events[field]
        if values.size and not (values.min() >= 0 and values.max() < limit):
            raise DatasetError(f"{source} has an event with {field} outside 0 .. {limit - 1}.")
