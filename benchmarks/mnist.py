"""E-prop on MNIST: 60,000 training and 10,000 test images as spike latencies, several seeds.

``--data`` names a folder with the four IDX files, as published; without it they are downloaded.
The last 5,000 training images are held out for validation; the test images are looked at once,
after the last epoch.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, set_device, start_scope

import brian2eprop as b2e

N_STEPS, LAST_SPIKE = 40, 25
LEARNING_RATE = 5e-3


def load(folder: Path | None, split: str) -> tuple[b2e.Spikes, Any]:
    """Spikes (one a pixel above 20 percent, the earlier the brighter) and labels."""
    return b2e.datasets.mnist(
        split,
        lambda images: b2e.encoding.latency(images, N_STEPS, threshold=0.2, last_step=LAST_SPIKE),
        folder=folder,
    )


def build(n_hidden: int, seed: int) -> b2e.Trainer:
    """A recurrent network of adaptive neurons with a leaky readout."""
    start_scope()
    set_device("eprop_cuda", seed=seed)
    defaultclock.dt = 1 * ms
    inputs = b2e.SpikeSource(784, name="inputs")
    hidden = NeuronGroup(
        n_hidden,
        "dv/dt = -v/(20*ms) : 1\nda/dt = -a/(100*ms) : 1",
        threshold="v > 1 + 0.2*a",
        reset="v -= 1; a += 1",
        method="exact",
        name="hidden",
    )
    readout = NeuronGroup(10, "dy/dt = (b - y)/(30*ms) : 1\nb : 1", method="exact", name="readout")
    w_in = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w", name="w_in")
    w_rec = Synapses(hidden, hidden, "w : 1", on_pre="v_post += w", delay=1 * ms, name="w_rec")
    w_out = Synapses(hidden, readout, "w : 1", on_pre="y_post += w", name="w_out")
    for synapses in (w_in, w_rec, w_out):
        synapses.connect()
    rng = np.random.default_rng(seed)
    w_in.w = rng.normal(0, 2 / 784**0.5, len(w_in))
    w_rec.w = rng.normal(0, 0.5 / n_hidden**0.5, len(w_rec))
    w_out.w = rng.normal(0, n_hidden**-0.5, len(w_out))
    return b2e.Trainer(
        Network(inputs, hidden, readout, w_in, w_rec, w_out),
        output=readout.y,
        loss=b2e.CrossEntropy(window=(15 * ms, N_STEPS * ms)),
        rule=b2e.EProp(),
        parameters=[w_in.w, w_rec.w, w_out.w, readout.b],
        optimiser=b2e.Adam(LEARNING_RATE),
        regularisers=[b2e.FiringRate(20 * Hz)],
        seed=seed,
    )


def run(data: dict[str, tuple[b2e.Spikes, Any]], options: argparse.Namespace, seed: int) -> float:
    """Train and test with one seed; prints its line and returns the test accuracy."""
    trainer = build(options.hidden, seed)
    spikes, labels = data["train"]
    kept = len(labels) - options.validation

    def rate(epoch: int) -> float:
        return LEARNING_RATE * (1 + math.cos(math.pi * (epoch - 1) / options.epochs)) / 2

    began = time.perf_counter()
    history = trainer.fit(
        spikes[:kept],
        labels[:kept],
        epochs=options.epochs,
        batch_size=128,
        validation_data=(spikes[kept:], labels[kept:]),
        callbacks=[b2e.LearningRateSchedule(rate)],
        verbose=False,
    )
    seconds = (time.perf_counter() - began) / options.epochs
    accuracy = trainer.evaluate(*data["test"], batch_size=128).accuracy
    assert accuracy is not None
    print(
        f"{f'MNIST, seed {seed}':34s}  test {100 * accuracy:.2f} %  "
        f"validation {100 * history['val_accuracy'][-1]:.2f} %  {seconds:.1f} s an epoch",
        flush=True,
    )
    return accuracy


def main() -> None:
    """Run all seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", type=int, default=5000, help="images that are held out")
    options = parser.parse_args()
    data = {"train": load(options.data, "train"), "test": load(options.data, "test")}
    found = [100 * run(data, options, seed) for seed in range(options.seeds)]
    if len(found) > 1:
        label = f"MNIST, {options.hidden} hidden, {options.epochs} epochs"
        print(f"{label:34s}  mean {np.mean(found):.2f} %  deviation {np.std(found, ddof=1):.2f}")


if __name__ == "__main__":
    main()
