"""Networks trained by others, converted: accuracy beside the original's, and time.

``resnet8``, ``resnet20`` and ``lenet5`` take ``--weights`` and ``--images``, the folders of their
files (``trained_networks.py`` says which), ``random`` takes none. Scales are those of training
images. Accuracies are given after several numbers of steps of one run, with what is lost beside
the original and its standard error, from the images about which the two disagree. With ``--kept``
what was judged is kept in a folder, image by image, and the next run goes on from there.

``--keras`` times a batch in turns with the same network in Keras. Additions are those of weights
at spikes; below them is the time in which a core could add as many, each of which is read, and each
sum of which is read and written, at the speed of an addition of two arrays in the second cache.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import set_device, start_scope
from limit import cache_bandwidth
from machine import heading
from trained_networks import cifar10, lenet5, mnist, normalised, random, resnet8, resnet20

from brian2eprop import ml
from brian2eprop.ml.graph import graph_of
from brian2eprop.ml.simplify import simplify
from brian2eprop.ml.stages import activations

COUNTED = (16, 32, 64, 128)
NETWORKS = {"resnet8": resnet8, "resnet20": resnet20, "lenet5": lenet5}
BYTES_OF_AN_ADDITION = 3 * 4


def original(layers: Any, x: Any) -> Any:
    """Outputs of the network of artificial neurons."""
    stages, ports = simplify(graph_of(layers))
    parts = [
        activations(stages, {ports.inputs: x[i : i + 50]})[ports.outputs]
        for i in range(0, len(x), 50)
    ]
    return np.concatenate(parts)


def load(arguments: Any) -> tuple[Any, Any, Any, Any]:
    """Layers, samples for the scales, test images and their classes."""
    if arguments.network == "random":
        layers, x = random(), np.random.default_rng(1).normal(size=(arguments.n, 8, 8, 3))
        return layers, x, x, original(layers, x).argmax(axis=1)
    if arguments.weights is None or arguments.images is None:
        raise SystemExit("conversion.py: give --weights and --images, folders of the files.")
    layers = NETWORKS[arguments.network](arguments.weights)
    if arguments.network == "lenet5":
        samples, _ = mnist(arguments.images, "train")
        x, y = mnist(arguments.images, "t10k")
        return layers, samples[: arguments.samples], x[: arguments.n], y[: arguments.n]
    prepare = normalised if arguments.network == "resnet20" else np.asarray
    samples = prepare(cifar10(arguments.images, "train_2000")[: arguments.samples])
    x = prepare(cifar10(arguments.images, "test_4000")[: arguments.n])
    return layers, samples, x, np.arange(len(x)) % 10


class Judged:
    """Which images are classified as they should be, after several numbers of steps.

    Parameters
    ----------
    snn : ConvertedNetwork
        The network.
    path : Path, optional
        Where what was judged is kept.
    """

    def __init__(self, snn: Any, path: Path | None) -> None:
        self.snn, self.path = snn, path
        self.right: list[Any] = []
        self.ms: list[float] = []
        if path is not None and path.exists():
            self.right = list(np.load(path))

    def judge(self, x: Any, y: Any, part: int) -> None:
        """Judge those that are not judged yet, and keep them part by part."""
        for first in range(len(self.right), len(x), part):
            begin = time.perf_counter()
            found = self.snn.predict_each_step(x[first : first + part]).argmax(axis=-1)
            self.ms.append(1e3 * (time.perf_counter() - begin) / len(found))
            self.right += list(found == y[first : first + part, None])
            if self.path is not None:
                np.save(self.path, self.right)

    def rows(self, timesteps: int, original: Any) -> Iterator[str]:
        """Accuracy after some steps, and what is lost beside the original."""
        right = np.array(self.right)
        lost = 100 * (original[: len(right), None].astype(float) - right)
        error = lost.std(axis=0) / np.sqrt(len(right))
        for column in sorted({n for n in COUNTED if n < right.shape[1]} | {right.shape[1]}):
            steps = timesteps if column == right.shape[1] else column
            accuracy, at = 100 * right[:, column - 1].mean(), column - 1
            yield f"{steps:6}{accuracy:10.2f}{lost[:, at].mean():10.2f} +- {error[at]:.2f}"


def converted(arguments: Any, layers: Any, samples: Any, algorithm: str, timesteps: int) -> Any:
    """A new network on the CPU."""
    start_scope()
    set_device("eprop_cuda", backend="cpu", batch_size=arguments.batch)
    if arguments.calibrated:
        kind = {"rate": ml.Rate, "signed-rate": ml.SignedRate}[algorithm]
        return ml.convert(layers, samples, algorithm=kind(timesteps, calibrated=True))
    return ml.convert(layers, samples, algorithm=algorithm, timesteps=timesteps)


def compare_times(arguments: Any, layers: Any, snn: Any, x: Any) -> None:
    """Print the time of a batch, beside the limit and beside Keras, in turns."""
    x = x[: arguments.batch]
    runs = {"spikes": lambda: snn.predict(x)}
    if arguments.keras:
        from in_keras import keras_model

        model, images = keras_model(layers), np.asarray(x, np.float32)
        runs["Keras"] = lambda: np.asarray(model(images))
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(arguments.rounds + 1):
        for name, run in runs.items():
            begin, busy = time.perf_counter(), time.process_time()
            run()
            took = time.perf_counter() - begin, time.process_time() - busy
            spent[name].append((1e3 * took[0] / len(x), 1e3 * took[1] / len(x)))
    # The first round compiles.
    ms = {name: np.median(found[1:], axis=0) for name, found in spent.items()}
    for name, (wall, busy) in ms.items():
        print(f"    {name}: {wall:.2f} ms/image, cores busy {busy:.2f} ms")
    if arguments.keras:
        ratio = ms["spikes"] / ms["Keras"]
        print(f"    {ratio[0]:.1f} times Keras's time, {ratio[1]:.1f} times its cores' time")
    added = snn.cost(x).additions
    limit = 1e3 * added * BYTES_OF_AN_ADDITION / cache_bandwidth()
    print(f"    {added / 1e6:.1f} million additions: cores busy {limit:.2f} ms", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=("resnet8", "resnet20", "lenet5", "random"))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--algorithms", nargs="+", default=["few-spike", "rate"])
    parser.add_argument("-n", type=int, default=200, help="test images")
    parser.add_argument("--samples", type=int, default=256, help="images for the scales")
    parser.add_argument("--digits", type=int, default=10, help="timesteps of few-spike")
    parser.add_argument("--steps", type=int, default=128, help="timesteps of the others")
    parser.add_argument("--calibrated", action="store_true", help="biases of rates, signed or not")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--kept", type=Path, help="folder for what was judged")
    parser.add_argument("--rounds", type=int, default=0, help="batches that are timed")
    parser.add_argument("--keras", action="store_true", help="time Keras in turns with them")
    arguments = parser.parse_args()
    layers, samples, x, y = load(arguments)
    exact = original(layers, x).argmax(axis=1) == y
    print(heading())
    print(f"{arguments.network}, {len(x)} images, batches of {arguments.batch}")
    print(f"{'':12}{'steps':>6}{'accuracy':>10}{'lost':>10}")
    print(f"{'original':12}{'':6}{100 * exact.mean():10.2f}", flush=True)
    for algorithm in arguments.algorithms:
        timesteps = arguments.digits if algorithm == "few-spike" else arguments.steps
        snn = converted(arguments, layers, samples, algorithm, timesteps)
        name = (
            f"{arguments.network}-{algorithm}-{timesteps}{'-calibrated' * arguments.calibrated}.npy"
        )
        judged = Judged(snn, arguments.kept and arguments.kept / name)
        judged.judge(x, y, 4 * arguments.batch)
        for row in judged.rows(timesteps, exact):
            print(f"{algorithm:12}{row}", flush=True)
        if arguments.rounds:
            compare_times(arguments, layers, snn, x)


if __name__ == "__main__":
    main()
