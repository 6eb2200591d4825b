"""Self-supervised learning: a hidden layer learns from pairs of views, without class labels.

``python examples/self_supervised.py`` takes scikit-learn's 8 x 8 images of digits. A sample is two
views of images, one after the other: both of the same image, shifted, noisy and with pixels missing
(label 1), or of two images (the other label). A layer of spiking neurons is trained on such pairs
by the two self-supervised losses, with e-prop. Before and after, a linear probe (ridge regression
on the layer's spike counts for one view of each image) is fitted to the training images' classes,
and its accuracy on the test images printed for every seed. As a control the same is done with the
pairs' labels in random order.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from typing import Any

import numpy as np
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, set_device, start_scope

import brian2eprop as b2e

N_TRAIN, N_HIDDEN, N_OUT = 1200, 32, 32
VIEW, GAP = 20, 10  # in steps of a millisecond
FIRST, SECOND = (5 * ms, VIEW * ms), ((VIEW + GAP + 5) * ms, (2 * VIEW + GAP) * ms)
LOSSES = {
    "ContrastivePrediction": (b2e.ContrastivePrediction(SECOND, FIRST), -1.0),
    "ActivitySimilarity": (b2e.ActivitySimilarity(SECOND, FIRST), 0.0),
}


def load() -> tuple[Any, Any]:
    """Images with pixels from 0 to 1, shape (images, 8, 8), and their classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images / 16, found.target


def view(images: Any, rng: np.random.Generator) -> Any:
    """Each image, moved by up to a pixel, with noise, and a tenth of its pixels missing."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    moves = rng.integers(3, size=(len(images), 2))
    moved = np.stack([p[y : y + 8, x : x + 8] for p, (y, x) in zip(padded, moves, strict=True)])
    noisy = moved + rng.normal(0, 0.1, moved.shape)
    return np.clip(noisy, 0, 1) * (rng.random(moved.shape) > 0.1)


def spikes_of(images: Any) -> Any:
    """The brighter a pixel, the earlier its spike, shape (images, steps, pixels)."""
    flat = images.reshape(len(images), -1)
    return b2e.encoding.latency(flat, VIEW, threshold=0.2, last_step=VIEW - 5).to_dense()


def pairs(images: Any, unlike: float, rng: np.random.Generator) -> tuple[b2e.Spikes, Any]:
    """Every image twice, or followed by another one, half and half."""
    same = rng.random(len(images)) < 0.5
    others = rng.permutation(len(images))
    second = np.where(same[:, None, None], images, images[others])
    gap = np.zeros((len(images), GAP, 64), bool)
    both = [spikes_of(view(images, rng)), gap, spikes_of(view(second, rng))]
    return b2e.Spikes.from_dense(np.concatenate(both, axis=1)), np.where(same, 1.0, unlike)


class Layer:
    """Spiking neurons, read by a projection whose views are compared."""

    def __init__(self, loss: b2e.Loss, seed: int) -> None:
        start_scope()
        set_device("eprop_cuda", seed=seed)
        defaultclock.dt = 1 * ms
        inputs = b2e.SpikeSource(64, name="inputs")
        hidden = NeuronGroup(
            N_HIDDEN, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v -= 1", method="exact"
        )
        projection = NeuronGroup(N_OUT, "dy/dt = -y/(10*ms) : 1", method="exact")
        w_in = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w", name="w_in")
        w_out = Synapses(hidden, projection, "w : 1", on_pre="y_post += w", name="w_out")
        rng = np.random.default_rng(seed)
        for synapses, scale in ((w_in, 0.6), (w_out, N_HIDDEN**-0.5)):
            synapses.connect()
            synapses.w = rng.normal(0, scale, len(synapses))
        common = {"rule": b2e.EProp(), "optimiser": b2e.Adam(1e-2), "seed": seed}
        network = Network(inputs, hidden, projection, w_in, w_out)
        self.trainer = b2e.Trainer(
            network, output=projection.y, loss=loss, parameters=[w_in.w, w_out.w],
            regularisers=[b2e.FiringRate(40 * Hz, 1.0)], **common,
        )  # fmt: skip
        self.counter = b2e.Trainer(
            network, output=hidden, loss=b2e.SpikeCount(), parameters=[w_in.w], **common
        )

    def counts(self, images: Any) -> Any:
        """Spikes of each neuron for one view of each image, as it lies."""
        return self.counter.predict(b2e.Spikes.from_dense(spikes_of(images)), 200)


def probe(features: Any, classes: Any) -> float:
    """Accuracy on the test images of ridge regression onto the training images' classes."""
    x = np.column_stack([features, np.ones(len(features))])
    train, test = x[:N_TRAIN], x[N_TRAIN:]
    wanted = np.eye(10)[classes[:N_TRAIN]]
    weights = np.linalg.solve(train.T @ train + np.eye(x.shape[1]), train.T @ wanted)
    return float(np.mean((test @ weights).argmax(axis=1) == classes[N_TRAIN:]))


def run(name: str, seed: int, epochs: int, control: bool) -> tuple[float, float]:
    """Accuracy of the probe before and after."""
    images, classes = load()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    images, classes = images[order], classes[order]
    seen = view(images, rng)
    loss, unlike = LOSSES[name]
    layer = Layer(loss, seed)
    before = probe(layer.counts(seen), classes)
    for _ in range(epochs):
        spikes, labels = pairs(images[:N_TRAIN], unlike, rng)
        labels = rng.permutation(labels) if control else labels
        layer.trainer.fit(spikes, labels, batch_size=50, verbose=False)
    return before, probe(layer.counts(seen), classes)


def main() -> None:
    """Train with every loss and seed, and print the probe's accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for name, control in product(LOSSES, (False, True)):
        found = []
        label = f"{name}, labels in random order" if control else name
        for seed in range(options.seeds):
            began = time.perf_counter()
            found.append(run(name, seed, options.epochs, control))
            before, after = (f"{100 * value:.1f} %" for value in found[-1])
            took = time.perf_counter() - began
            print(
                f"{label}, seed {seed}: {before} before, {after} after ({took:.0f} s)", flush=True
            )
        mean = 100 * np.mean(found, axis=0)
        print(f"{label}: mean {mean[0]:.1f} % before, {mean[1]:.1f} % after", flush=True)


if __name__ == "__main__":
    main()
