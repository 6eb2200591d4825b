"""Spoken digits as an inner ear hears them, kept from one run to the next.

The ear takes seconds for a second of sound, so what it heard of each recording is kept in a file
of its own in ``folder``: an interrupted run goes on where it was, and more recordings may be
asked for later. ``python benchmarks/heard_digits.py --data FOLDER --heard FOLDER`` does that alone.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import brian2eprop as b2e
from brian2eprop.encoding import inner_ear_times

N_CHANNELS = 700


@dataclass(frozen=True, eq=False)
class HeardDigits:
    """Spike times of recordings, their words and speakers."""

    times: tuple[npt.NDArray[np.float64], ...]
    channels: tuple[npt.NDArray[np.int64], ...]
    labels: npt.NDArray[np.int64]
    speakers: npt.NDArray[Any]

    def of(self, speakers: list[str], duration: float, dt: float) -> tuple[b2e.Spikes, Any]:
        """Spikes and labels of some speakers' recordings; what comes later is left out."""
        chosen = np.flatnonzero(np.isin(self.speakers, speakers))
        within = [self.times[k] < duration * (1 - 1e-9) for k in chosen]
        spikes = b2e.Spikes.from_times(
            [self.times[k][kept] for k, kept in zip(chosen, within, strict=True)],
            [self.channels[k][kept] for k, kept in zip(chosen, within, strict=True)],
            N_CHANNELS,
            duration,
            dt,
            merge=True,
        )
        return spikes, self.labels[chosen]


@dataclass(frozen=True, eq=False)
class Recording:
    """A sound that is to be heard, and where what is heard is kept."""

    path: Path
    sound: npt.NDArray[np.int16]
    rate: int
    seed: tuple[int, int]


def first_of_each(labels: npt.NDArray[np.int64], speakers: tuple[str, ...], n: int) -> list[int]:
    """The first ``n`` recordings of every word by every speaker, all first ones first."""
    met: Counter[tuple[int, str]] = Counter()
    turns = []
    for number, who in enumerate(zip(labels.tolist(), speakers, strict=True)):
        turns.append((met[who], number))
        met[who] += 1
    return [number for turn, number in sorted(turns) if turn < n]


def hear_one(recording: Recording) -> None:
    """Keep what the ear hears of a recording."""
    times, channels = inner_ear_times(recording.sound, recording.rate, N_CHANNELS, recording.seed)
    partly = recording.path.with_suffix(f".{os.getpid()}.npz")
    np.savez_compressed(partly, times=times, channels=channels.astype(np.int16))
    partly.rename(recording.path)


def hear(data: Path, folder: Path, n: int, processes: int = 1) -> HeardDigits:
    """What the ear hears of the first ``n`` recordings of every word by every speaker."""
    recordings = b2e.datasets.fsdd(data)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = first_of_each(recordings.labels, recordings.speakers, n)
    wanted = [
        Recording(folder / f"{k}.npz", recordings.sounds[k], recordings.rate, (0, k))
        for k in chosen
    ]
    with ProcessPoolExecutor(processes) as workers:
        list(workers.map(hear_one, [each for each in wanted if not each.path.exists()]))
    trains = []
    for each in wanted:
        with np.load(each.path) as heard:
            trains.append((heard["times"], heard["channels"].astype(np.int64)))
    times, channels = zip(*trains, strict=True)
    speakers = np.array(recordings.speakers)[chosen]
    return HeardDigits(times, channels, recordings.labels[chosen], speakers)


def main() -> None:
    """Hear, and keep what was heard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the recordings")
    parser.add_argument("--heard", type=Path, required=True, help="where what is heard is kept")
    parser.add_argument("--recordings", type=int, default=50, help="of every word and speaker")
    parser.add_argument("--processes", type=int, default=2, help="recordings heard at a time")
    options = parser.parse_args()
    hear(options.data, options.heard, options.recordings, options.processes)


if __name__ == "__main__":
    main()
