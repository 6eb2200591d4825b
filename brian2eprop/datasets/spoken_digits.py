"""The Free Spoken Digit Dataset: ten digits, six speakers, 3000 recordings."""

from __future__ import annotations

import os
import re
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.datasets.files import reading
from brian2eprop.encoding.hearing import inner_ear
from brian2eprop.errors import DatasetError
from brian2eprop.spikes import Spikes

RATE = 8000
N_CLASSES = 10
# The longest recording has 2.3 s.
MOST_SAMPLES = 60 * RATE
ARCHIVE = "fsdd_8khz_int16.npz"


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recordings of speech, whose words and speakers are known.

    Parameters
    ----------
    sounds : tuple of int16 arrays, each of shape (samples,)
        The recordings.
    labels : array of int, shape (recordings,)
        The word of each.
    speakers : tuple of str
        The speaker of each.
    rate : int
        Samples in a second.
    """

    sounds: tuple[npt.NDArray[np.int16], ...]
    labels: npt.NDArray[np.int64]
    speakers: tuple[str, ...]
    rate: int = RATE

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self.sounds)

    def of(self, speakers: Iterable[str]) -> Recordings:
        """The recordings of some speakers.

        Parameters
        ----------
        speakers : iterable of str
            Their names.

        Returns
        -------
        Recordings
            In the same order.

        Raises
        ------
        ValueError
            If there is no recording of one of them.
        """
        names = _names(speakers)
        unknown = names - set(self.speakers)
        if unknown:
            raise ValueError(
                f"There are no recordings of {', '.join(sorted(unknown))}; there are those of "
                f"{', '.join(sorted(set(self.speakers)))}."
            )
        kept = [number for number, speaker in enumerate(self.speakers) if speaker in names]
        return Recordings(
            tuple(self.sounds[number] for number in kept),
            self.labels[kept],
            tuple(self.speakers[number] for number in kept),
            self.rate,
        )

    def split(self, *held_out: Iterable[str]) -> tuple[Recordings, ...]:
        """Parts of which no two share a speaker.

        Parameters
        ----------
        *held_out : iterables of str
            The speakers of each part but the first, which gets all others.

        Returns
        -------
        tuple of Recordings
            The recordings of all other speakers, then those of each group.

        Raises
        ------
        ValueError
            If a speaker is in two groups, or unknown.

        Examples
        --------
        >>> train, validation, test = fsdd(folder).split(["lucas"], ["theo"])  # doctest: +SKIP
        """
        groups = [_names(speakers) for speakers in held_out]
        named = set().union(*groups)
        if len(named) != sum(map(len, groups)):
            raise ValueError("Recordings.split: a speaker is in two groups; give each only once.")
        return (self.of(set(self.speakers) - named), *(self.of(group) for group in groups))

    def spikes(
        self, duration: Any, dt: Any, n_channels: int = 700, seed: int = 0
    ) -> tuple[Spikes, npt.NDArray[np.int64]]:
        """The recordings as an inner ear hears them, and their labels.

        Parameters
        ----------
        duration, dt, n_channels, seed
            As in :func:`brian2eprop.encoding.inner_ear`.

        Returns
        -------
        Spikes
            ``n_channels`` neurons.
        array of int, shape (recordings,)
            The labels.

        Raises
        ------
        ValueError
            As in :func:`brian2eprop.encoding.inner_ear`.
        """
        heard = inner_ear(self.sounds, self.rate, duration, dt, n_channels, seed)
        return heard, self.labels


def fsdd(
    folder: str | os.PathLike[str], speakers: Sequence[str] | None = None
) -> Recordings:  # fmt: skip
    """Spoken digits (https://github.com/Jakobovski/free-spoken-digit-dataset).

    Parameters
    ----------
    folder : path
        A folder with recordings as they are published, ``<digit>_<speaker>_<number>.wav`` of
        8 kHz and 16 bits; or with all of them in one archive, ``fsdd_8khz_int16.npz``, with the
        arrays ``pcm`` (all recordings joined), ``offsets`` (where each begins, and the end),
        ``label``, ``speaker`` (an index into ``speakers``) and ``rate``.
    speakers : sequence of str, optional
        Recordings of these only.

    Returns
    -------
    Recordings
        Ordered by the names of the files, or as in the archive.

    Raises
    ------
    DatasetError
        If there are no recordings, or one is not what it should be.
    ValueError
        If there is no recording of a speaker.

    Examples
    --------
    >>> train, test = fsdd("recordings").split(["theo"])  # doctest: +SKIP
    >>> spikes, labels = train.spikes(duration=1.0, dt=0.002, n_channels=140)  # doctest: +SKIP
    """
    where = Path(folder).expanduser()
    archive = where / ARCHIVE
    found = _from_archive(archive) if archive.exists() else _from_waves(where)
    return found if speakers is None else found.of(speakers)


def _names(speakers: Iterable[str]) -> set[str]:
    if isinstance(speakers, str):
        raise ValueError(f"speakers is {speakers!r}; give a list of names, as [{speakers!r}].")
    return set(speakers)


def _from_waves(folder: Path) -> Recordings:
    named = [
        (path, match)
        for path in sorted(folder.glob("*.wav"))
        if (match := re.fullmatch(r"(\d)_(\w+?)_\d+", path.stem))
    ]
    if not named:
        raise DatasetError(
            f"{folder} has no recordings <digit>_<speaker>_<number>.wav; give the folder "
            "'recordings' of the data set."
        )
    return Recordings(
        tuple(_wave(path) for path, _ in named),
        np.array([int(match[1]) for _, match in named], np.int64),
        tuple(match[2] for _, match in named),
    )


def _wave(path: Path) -> npt.NDArray[np.int16]:
    with reading(path) as file:
        try:
            with wave.open(file, "rb") as sound:
                form = (sound.getnchannels(), sound.getsampwidth(), sound.getframerate())
                size = sound.getnframes()
                content = sound.readframes(min(size, MOST_SAMPLES))
        except (wave.Error, EOFError, OSError, RuntimeError) as error:
            # The module says nothing of a chunk that ends outside the file.
            raise DatasetError(
                f"{path} is no whole WAVE file: {error or 'a chunk ends outside it'}."
            ) from error
    if form != (1, 2, RATE):
        raise DatasetError(
            f"{path} has {form[0]} channels of {8 * form[1]} bits at {form[2]} Hz; give recordings "
            f"of one channel of 16 bits at {RATE} Hz."
        )
    if size == 0 or len(content) != 2 * size:
        raise DatasetError(f"{path} should hold {size} samples but holds {len(content) // 2}.")
    return np.frombuffer(content, "<i2").astype(np.int16)


def _from_archive(path: Path) -> Recordings:
    with reading(path) as file:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                pcm, offsets, label, speaker, names, rate = (
                    arrays[key]
                    for key in ("pcm", "offsets", "label", "speaker", "speakers", "rate")
                )
        except Exception as error:  # A damaged archive fails in many ways.
            raise DatasetError(f"{path} is no such archive: {error}.") from error
    ends = offsets.astype(np.int64)
    whole = (
        pcm.dtype == np.int16
        and pcm.ndim == ends.ndim == label.ndim == speaker.ndim == names.ndim == 1
        and ends.size == label.size + 1 == speaker.size + 1
        and ends.size > 1
        and ends[0] == 0
        and ends[-1] == pcm.size
        and bool((np.diff(ends) > 0).all())
        and label.min() >= 0
        and label.max() < N_CLASSES
        and speaker.min() >= 0
        and speaker.max() < names.size
        and int(rate) == RATE
    )
    if not whole:
        raise DatasetError(f"{path} is no such archive: its arrays do not fit together.")
    return Recordings(
        tuple(pcm[first:last] for first, last in pairwise(ends)),
        label.astype(np.int64),
        tuple(str(names[who]) for who in speaker),
    )
