"""The Heidelberg spiking data sets: spoken digits (SHD) and speech commands (SSC)."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.units import ms, second

from brian2eprop.datasets.download import Resource, fetch
from brian2eprop.datasets.files import data_folder, writing
from brian2eprop.datasets.spike_hdf5 import read_spikes
from brian2eprop.errors import DatasetError
from brian2eprop.spikes import Spikes

Labels = npt.NDArray[np.int64]

BASES = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")
SUMS = {
    "shd_train": "f3252aeb598ac776c1b526422d90eecb",
    "shd_test": "1503a5064faa34311c398fb0a1ed0a6f",
    "ssc_train": "d102be95e7144fcc0553d1f45ba94170",
    "ssc_valid": "b4eee3516a4a90dd0c71a6ac23a8ae43",
    "ssc_test": "a35ff1e9cffdd02a20eb850c17c37748",
}
DURATION = 1.4 * second


def shd(
    split: str,
    dt: Any = ms,
    duration: Any = DURATION,
    cut: bool = False,
    speakers: Sequence[int] | None = None,
    samples: Any = slice(None),
    folder: str | os.PathLike[str] | None = None,
) -> tuple[Spikes, Labels]:
    """Spoken digits in English and German, in 700 channels of an inner ear.

    B. Cramer, Y. Stradmann, J. Schemmel, F. Zenke, "The Heidelberg Spiking Data Sets for the
    Systematic Evaluation of Spiking Neural Networks", 2022,
    https://doi.org/10.1109/TNNLS.2020.3044364. Needs h5py (the extra ``data``).

    Parameters
    ----------
    split : {'train', 'test'}
        Which part: 8156 and 2264 samples. Two of the twelve speakers are in the test part only.
    dt : float or Quantity
        Length of a time step (seconds, or a Quantity); several spikes within one become one.
    duration : float or Quantity
        Length of every sample (seconds, or a Quantity).
    cut : bool
        Whether spikes after the duration are left out; otherwise they are an error.
    speakers : sequence of int, optional
        Samples of these speakers only, to hold some out for validation.
    samples : slice, or array of int or bool
        Which samples of the file (those of the speakers among them); all unless given.
    folder : path, optional
        Where ``shd_train.h5`` and ``shd_test.h5`` are, or else are downloaded to; a folder in
        the cache (``$BRIAN2EPROP_DATA``) unless given.

    Returns
    -------
    Spikes
        700 neurons.
    array of int, shape (samples,)
        0 to 9 for zero to nine, 10 to 19 for null to neun.

    Raises
    ------
    DatasetError
        If a file cannot be had, or is not what it should be.
    ImportError
        If h5py is not installed.
    ValueError
        If there is no such split or speaker, or a number is not what it should be.

    Examples
    --------
    >>> spikes, labels = shd("train", speakers=[0, 1, 2])  # doctest: +SKIP
    """
    path = _file("shd", split, ("train", "test"), folder)
    return read_spikes(path, 20, duration, dt, cut, samples, speakers)


def ssc(
    split: str,
    dt: Any = ms,
    duration: Any = DURATION,
    cut: bool = False,
    samples: Any = slice(None),
    folder: str | os.PathLike[str] | None = None,
) -> tuple[Spikes, Labels]:
    """Speech commands, 35 words, in 700 channels of an inner ear.

    The source and what is needed are those of :func:`shd`.

    Parameters
    ----------
    split : {'train', 'valid', 'test'}
        Which part: 75,466, 9,981 and 20,382 samples. All spikes of the training part take some
        gigabytes: ``samples`` and a larger ``dt`` make it less.
    dt, duration, cut, samples, folder
        As in :func:`shd`; the files are ``ssc_train.h5`` and so on.

    Returns
    -------
    Spikes
        700 neurons.
    array of int, shape (samples,)
        The word, 0 to 34.

    Raises
    ------
    DatasetError, ImportError, ValueError
        As in :func:`shd`.

    Examples
    --------
    >>> spikes, labels = ssc("valid", dt=2*ms, samples=slice(1000))  # doctest: +SKIP
    """
    path = _file("ssc", split, ("train", "valid", "test"), folder)
    return read_spikes(path, 35, duration, dt, cut, samples, None)


def _file(name: str, split: str, splits: tuple[str, ...], folder: Any) -> Path:
    if split not in splits:
        raise ValueError(f"{name}: split is {split!r}; give one of {', '.join(splits)}.")
    where = data_folder(folder, name)
    stem = f"{name}_{split}"
    path = where / f"{stem}.h5"
    if not path.exists():
        archive = fetch(Resource(f"{stem}.h5.zip", BASES, SUMS[stem]), where)
        _unpack(archive, path)
    return path


def _unpack(archive: Path, path: Path) -> None:
    """Unpack the one file of an archive; it gets its name when it is whole."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(archive) as packed, packed.open(path.name) as source, writing(part):
            with part.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            part.replace(path)
            archive.unlink(missing_ok=True)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise DatasetError(
            f"{archive} does not hold {path.name} ({error}); remove it to have it downloaded again."
        ) from error
    finally:
        part.unlink(missing_ok=True)
