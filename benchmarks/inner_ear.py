"""The inner-ear encoder beside published spikes of the same recording.

``--sound`` is a recording (FLAC needs ``pip install soundfile``, WAVE nothing), ``--spikes`` an
``.npz`` with the array ``arr_0``: times in seconds, then channels, as the converter of the
Heidelberg data sets writes them. Printed are correlations with ours, means over seeds: of the
rates of channels, and of spike counts in bins, of all channels together and of each channel.
Spikes are drawn at random, so the last line says how well ours agree with ours of other seeds:
no encoder can be expected to do better.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

from brian2eprop.encoding import inner_ear_times
from brian2eprop.encoding.ear import BasilarMembrane

BINS = (0.001, 0.005, 0.02)
Train = tuple[Any, Any]


def read(path: Path) -> tuple[Any, int]:
    """Samples of a recording, and how many there are in a second."""
    if path.suffix == ".wav":
        rate, samples = wavfile.read(path)
        return samples, rate
    try:
        import soundfile
    except ImportError as error:
        raise SystemExit("Reading FLAC needs soundfile. Run pip install soundfile.") from error
    return soundfile.read(path)


def counts(train: Train, n_channels: int, duration: float, width: float) -> Any:
    """Spikes of each channel in each bin."""
    times, channels = train
    edges = np.arange(0, duration + width, width)
    return np.histogram2d(channels, times, [np.arange(n_channels + 1), edges])[0]


def agreement(ours: Train, theirs: Train, n_channels: int, duration: float) -> list[float]:
    """Spikes in proportion, correlation of rates, then two correlations for every bin width."""
    found = [len(ours[0]) / len(theirs[0])]
    rates = [np.bincount(train[1], minlength=n_channels) for train in (ours, theirs)]
    found.append(np.corrcoef(*rates)[0, 1])
    for width in BINS:
        a, b = (counts(train, n_channels, duration, width) for train in (ours, theirs))
        found.append(np.corrcoef(a.sum(axis=0), b.sum(axis=0))[0, 1])
        found.append(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    return found


def show(name: str, rows: list[list[float]]) -> None:
    """One line of means."""
    spikes, rates, *bins = np.mean(rows, axis=0)
    pairs = "  ".join(
        f"{1e3 * width:g} ms: {bins[2 * k]:.3f} all, {bins[2 * k + 1]:.3f} each"
        for k, width in enumerate(BINS)
    )
    print(f"{name:34s}  spikes {spikes:.3f}  rates {rates:.3f}  {pairs}", flush=True)


def main() -> None:
    """Compare, and take the time with 700 channels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sound", type=Path, required=True)
    parser.add_argument("--spikes", type=Path, required=True)
    parser.add_argument("--channels", type=int, default=70)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    sound, rate = read(options.sound)
    times, channels = np.load(options.spikes)["arr_0"]
    theirs, duration, n = (times, channels.astype(int)), len(sound) / rate, options.channels
    for causal in (False, True):
        membrane = BasilarMembrane(causal=causal)
        ours = [inner_ear_times(sound, rate, n, s, membrane) for s in range(options.seeds)]
        name = "causal membrane" if causal else "inner ear"
        show(f"{name}, theirs", [agreement(train, theirs, n, duration) for train in ours])
        pairs = zip(ours[1:], ours[:-1], strict=True)
        show(f"{name}, ours", [agreement(a, b, n, duration) for a, b in pairs])
    inner_ear_times(sound, rate, 700)
    began = time.perf_counter()
    found = inner_ear_times(sound, rate, 700)
    seconds = time.perf_counter() - began
    print(
        f"{'700 channels':34s}  {len(found[0])} spikes, {seconds / duration:.2f} s for a second of "
        "sound"
    )


if __name__ == "__main__":
    main()
