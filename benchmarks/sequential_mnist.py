"""Spiking sequential MNIST on a subset: e-prop beside surrogate backpropagation through time.

An image is shown pixel by pixel, a millisecond each; 79 neurons spike where the grey value crosses
a threshold, and an 80th one asks for the answer in the 56 ms after the image (Bellec et al. 2020).
Half of the recurrent neurons adapt. ``--data`` names a folder with the four IDX files, as
published; without it they are downloaded. ``--kept FOLDER`` keeps checkpoints and results: what is
there is gone on from.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, set_device, start_scope
from kept import Kept
from learning import Split, line, summary, trained
from machine import heading

import brian2eprop as b2e

PROMPT = 56
BATCH = 50
SURROGATE = b2e.Triangular(gamma=0.3)
RULES = {"e-prop": b2e.EProp(surrogate=SURROGATE), "BPTT": b2e.SurrogateBPTT(SURROGATE)}


def load(folder: Path | None, split: str, first: int, n: int) -> tuple[b2e.Spikes, Any]:
    """Some images, pixel by pixel, and their labels."""
    return b2e.datasets.mnist(
        split,
        lambda images: b2e.encoding.pixel_sequence(images, prompt_steps=PROMPT),
        folder=folder,
        samples=slice(first, first + n),
    )


def build(rule: str, options: argparse.Namespace, seed: int, n_steps: int) -> b2e.Trainer:
    """Recurrent neurons, of which the second half adapt, and a leaky readout."""
    start_scope()
    set_device("eprop_cuda", seed=seed)
    defaultclock.dt = 1 * ms
    inputs = b2e.SpikeSource(80, name="inputs")
    hidden = NeuronGroup(
        options.hidden,
        """dv/dt = -v/(20*ms) : 1 (unless refractory)
           da/dt = -a/(700*ms) : 1
           beta : 1 (constant)""",
        threshold="v > 1 + beta*a",
        reset="v -= 1 + beta*a; a += 1",
        refractory=2 * ms,
        method="exact",
        name="hidden",
    )
    hidden.beta[options.hidden // 2 :] = 0.05
    readout = NeuronGroup(10, "dy/dt = (b - y)/(20*ms) : 1\nb : 1", method="exact", name="readout")
    w_in = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w", name="w_in")
    w_rec = Synapses(hidden, hidden, "w : 1", on_pre="v_post += w", delay=1 * ms, name="w_rec")
    w_out = Synapses(hidden, readout, "w : 1", on_pre="y_post += w", name="w_out")
    rng = np.random.default_rng(seed)
    scale = options.hidden**-0.5
    for each, deviation in ((w_in, 80**-0.5), (w_rec, 0.5 * scale), (w_out, scale)):
        each.connect()
        each.w = rng.normal(0, 2 * deviation, len(each))
    updates = options.epochs * -(-options.images // BATCH)
    return b2e.Trainer(
        Network(inputs, hidden, readout, w_in, w_rec, w_out),
        output=readout.y,
        loss=b2e.CrossEntropy(window=((n_steps - PROMPT) * ms, n_steps * ms)),
        rule=RULES[rule],
        parameters=[w_in.w, w_rec.w, w_out.w, readout.b],
        optimiser=b2e.Adam(b2e.CosineDecay(options.learning_rate, decay_steps=updates)),
        regularisers=[b2e.FiringRate(10 * Hz, 10.0)],
        seed=seed,
    )


def run(
    rule: str, split: Split, options: argparse.Namespace, kept: Kept, seed: int
) -> dict[str, Any]:
    """Train and test with one rule and seed."""
    names = ("hidden", "epochs", "learning_rate", "images", "tested")
    settings = {name: getattr(options, name) for name in names}
    name = f"sequential-{rule}-{seed}"

    def find() -> dict[str, Any]:
        trainer = build(rule, options, seed, split.train[0].n_steps)
        return trained(trainer, kept, name, split, options.epochs, batch_size=BATCH)

    return kept.result(name, settings, find)


def main() -> None:
    """Run both rules and all seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=10_000, help="for training")
    parser.add_argument(
        "--tested", type=int, default=10_000, help="for testing; for validation 1/5"
    )
    parser.add_argument("--rules", nargs="*", choices=RULES, default=list(RULES))
    parser.add_argument("--hidden", type=int, default=220)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--kept", type=Path, help="folder in which checkpoints and results are")
    options = parser.parse_args()
    n = options.images
    split = Split(
        load(options.data, "train", 0, n),
        load(options.data, "train", n, max(1, options.tested // 5)),
        load(options.data, "test", 0, options.tested),
    )
    print(heading())
    kept = Kept(options.kept)
    for rule in options.rules:
        results = []
        for seed in options.seeds:
            results.append(run(rule, split, options, kept, seed))
            print(line(f"{rule}, seed {seed}", results[-1]), flush=True)
        print(summary(f"sequential MNIST, {rule}", results), flush=True)


if __name__ == "__main__":
    main()
