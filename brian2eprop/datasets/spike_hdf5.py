"""HDF5 files of the Heidelberg data sets: times, units and labels of every sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.datasets.event_trains import on_a_grid
from brian2eprop.datasets.files import check_regular
from brian2eprop.errors import DatasetError
from brian2eprop.spikes import Spikes

Labels = npt.NDArray[np.int64]

N_UNITS = 700
# No file of these data sets has as many: what it claims is not to fill the memory.
MOST_SAMPLES = 1 << 24
# Samples read at once: some ten megabytes of them.
AT_ONCE = 512


def read_spikes(
    path: Path,
    n_classes: int,
    duration: Any,
    dt: Any,
    cut: bool,
    samples: Any,
    speakers: Sequence[int] | None,
) -> tuple[Spikes, Labels]:
    """Spikes and labels of a file; see :func:`brian2eprop.datasets.shd`.

    The file has ``spikes/times`` (seconds) and ``spikes/units``, an array of each for every
    sample, ``labels``, and ``extra/speaker`` if speakers are asked for.
    """
    h5py = _h5py()
    check_regular(path)
    try:
        with h5py.File(path, "r") as file:
            labels = _numbers(h5py, file, path, "labels")
            chosen = _chosen(h5py, file, path, len(labels), samples, speakers)
            columns = [_ragged(h5py, file, path, f"spikes/{what}") for what in ("times", "units")]
            if any(len(column) != len(labels) for column in columns):
                raise DatasetError(
                    f"{path} has times of {len(columns[0])} and units of {len(columns[1])} samples "
                    f"for {len(labels)} labels; download it again."
                )
            spikes = _spikes(path, columns, chosen, duration, dt, cut)
    except (OSError, RuntimeError, KeyError, TypeError, MemoryError) as error:
        raise DatasetError(f"{path} is damaged: {error}. Download it again.") from error
    if chosen.size and not ((labels[chosen] >= 0) & (labels[chosen] < n_classes)).all():
        raise DatasetError(f"{path} has labels outside 0 .. {n_classes - 1}; download it again.")
    return spikes, labels[chosen]


def _spikes(
    path: Path, columns: list[Any], chosen: Labels, duration: Any, dt: Any, cut: bool
) -> Spikes:
    """The chosen samples, read some at a time."""
    parts = []
    for first in range(0, max(chosen.size, 1), AT_ONCE):
        some = chosen[first : first + AT_ONCE]
        # The format reads ascending indices only, each once.
        ascending, back = np.unique(some, return_inverse=True)
        times, units = (
            list(column[ascending]) if ascending.size else [] for column in columns
        )  # fmt: skip
        parts.append(
            on_a_grid(
                f"{path}, samples {some[:1]} and on",
                [times[k].astype(np.float64) for k in back],
                [units[k] for k in back],
                N_UNITS,
                duration,
                dt,
                cut,
            )
        )
    return Spikes.concatenate(parts)


def _chosen(
    h5py: Any,
    file: Any,
    path: Path,
    n_samples: int,
    samples: Any,
    speakers: Sequence[int] | None,
) -> Labels:
    """Indices of the samples that are asked for."""
    try:
        chosen: Labels = np.atleast_1d(np.arange(n_samples)[samples])
    except IndexError as error:
        raise ValueError(
            f"{path} has {n_samples} samples, of which {samples!r} does not select any; give a "
            "slice, indices or a mask."
        ) from error
    if speakers is None:
        return chosen
    speaker = _numbers(h5py, file, path, "extra/speaker")
    unknown = set(speakers) - set(speaker.tolist())
    if unknown or len(speaker) != n_samples:
        raise ValueError(
            f"{path} has no samples of the speakers {sorted(unknown)}; it has those of "
            f"{sorted(set(speaker.tolist()))}."
        )
    return chosen[np.isin(speaker[chosen], list(speakers))]


def _dataset(h5py: Any, file: Any, path: Path, name: str) -> Any:
    """A dataset of one axis that lies in the file itself, not in another one that it names."""
    here = file
    for part in name.split("/"):
        is_group = isinstance(here, h5py.Group)
        if not is_group or not isinstance(here.get(part, getlink=True), h5py.HardLink):
            raise DatasetError(f"{path} has no {name}; give a file of SHD or SSC.")
        here = here[part]
    plain = isinstance(here, h5py.Dataset) and here.ndim == 1
    if not plain or here.external or here.is_virtual:
        raise DatasetError(f"{path} has no list {name}; give a file of SHD or SSC.")
    if len(here) > MOST_SAMPLES:
        raise DatasetError(f"{path} says that {name} holds {len(here)}, too much to be believed.")
    return here


def _numbers(h5py: Any, file: Any, path: Path, name: str) -> Labels:
    found = _dataset(h5py, file, path, name)
    if found.dtype.kind not in "iu":
        raise DatasetError(f"{path}: {name} holds {found.dtype}; give a file of SHD or SSC.")
    return np.asarray(found[:]).astype(np.int64)


def _ragged(h5py: Any, file: Any, path: Path, name: str) -> Any:
    found = _dataset(h5py, file, path, name)
    inner = h5py.check_vlen_dtype(found.dtype)
    if inner is None or inner.kind not in "iuf":
        raise DatasetError(f"{path}: {name} is no list of arrays; give a file of SHD or SSC.")
    return found


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "SHD and SSC are HDF5 files, which need h5py. Run pip install h5py, or pip install "
            "'.[data]' in the folder of brian2eprop's source."
        ) from error
    return h5py
