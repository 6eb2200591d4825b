"""EventProp on MNIST: 100 hidden neurons, every image as the times of single spikes.

The last 5,000 training images are held out for validation, on which the settings below were
chosen; the test images are looked at once, after the last epoch. ``--data`` names a folder with
the four IDX files, as published; without it they are downloaded. ``--kept FOLDER`` keeps
checkpoints and results: what is there is gone on from.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device, start_scope
from kept import Kept
from learning import Split, line, summary, trained
from machine import heading

import brian2eprop as b2e

N_STEPS, LAST_SPIKE = 40, 20
BATCH = 64


def load(folder: Path | None, split: str) -> tuple[b2e.Spikes, Any]:
    """Spikes (one a pixel above 20 percent, the earlier the brighter) and labels."""
    return b2e.datasets.mnist(
        split,
        lambda images: b2e.encoding.latency(images, N_STEPS, threshold=0.2, last_step=LAST_SPIKE),
        folder=folder,
    )


def build(n_hidden: int, seed: int, learning_rate: float, updates: int) -> b2e.Trainer:
    """Two layers of leaky integrators with currents; the first one's neurons spike."""
    start_scope()
    set_device("eprop_cuda", seed=seed)
    defaultclock.dt = 1 * ms
    neurons = "dv/dt = (I - v)/(20*ms) : 1\ndI/dt = -I/(5*ms) : 1"
    inputs = b2e.SpikeSource(784, name="inputs")
    hidden = NeuronGroup(
        n_hidden, neurons, threshold="v > 1", reset="v = 0", method="exact", name="hidden"
    )
    readout = NeuronGroup(10, neurons, method="exact", name="readout")
    w_in = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w", name="w_in")
    w_out = Synapses(hidden, readout, "w : 1", on_pre="I_post += w", name="w_out")
    rng = np.random.default_rng(seed)
    for synapses, mean, deviation in ((w_in, 0.078, 0.045), (w_out, 0.2, 0.37)):
        synapses.connect()
        synapses.w = rng.normal(mean, deviation, len(synapses))
    return b2e.Trainer(
        Network(inputs, hidden, readout, w_in, w_out),
        output=readout.v,
        loss=b2e.TrialCrossEntropy(of="mean"),
        rule=b2e.EventProp(),
        parameters=[w_in.w, w_out.w],
        optimiser=b2e.Adam(b2e.CosineDecay(learning_rate, decay_steps=updates)),
        seed=seed,
    )


def run(split: Split, options: argparse.Namespace, kept: Kept, seed: int) -> dict[str, Any]:
    """Train and test with one seed."""
    settings = {
        name: getattr(options, name) for name in ("hidden", "epochs", "learning_rate", "validation")
    }
    updates = options.epochs * -(-len(split.train[1]) // BATCH)

    def find() -> dict[str, Any]:
        trainer = build(options.hidden, seed, options.learning_rate, updates)
        return trained(trainer, kept, name, split, options.epochs, batch_size=BATCH)

    name = f"latency-mnist-{seed}"
    return kept.result(name, settings, find)


def main() -> None:
    """Run the seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--validation", type=int, default=5000, help="images that are held out")
    parser.add_argument("--kept", type=Path, help="folder in which checkpoints and results are")
    options = parser.parse_args()
    spikes, labels = load(options.data, "train")
    n = len(labels) - options.validation
    split = Split((spikes[:n], labels[:n]), (spikes[n:], labels[n:]), load(options.data, "test"))
    print(heading())
    kept, results = Kept(options.kept), []
    for seed in options.seeds:
        results.append(run(split, options, kept, seed))
        print(line(f"latency MNIST, seed {seed}", results[-1]), flush=True)
    print(summary(f"latency MNIST, {options.hidden} hidden, {options.epochs} epochs", results))


if __name__ == "__main__":
    main()
