"""Networks trained by others, converted: accuracy beside the original's, and time.

``resnet8`` and ``resnet20`` take ``--weights`` and ``--images``, the folders of their files
(``trained_networks.py`` says which), ``random`` takes none. Scales are those of training images.
For rates the accuracy is given after several numbers of steps of one run. Times are those of all
images with what a first run compiles left out, by a run of one batch before.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import set_device, start_scope
from machine import heading
from trained_networks import cifar10, normalised, random, resnet8, resnet20

from brian2eprop import ml
from brian2eprop.ml.graph import graph_of
from brian2eprop.ml.simplify import simplify
from brian2eprop.ml.stages import activations


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
    prepare = normalised if arguments.network == "resnet20" else np.asarray
    samples = prepare(cifar10(arguments.images, "train_2000")[: arguments.samples])
    x = prepare(cifar10(arguments.images, "test_4000")[: arguments.n])
    build = {"resnet8": resnet8, "resnet20": resnet20}[arguments.network]
    return build(arguments.weights), samples, x, np.arange(len(x)) % 10


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=("resnet8", "resnet20", "random"))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("-n", type=int, default=200, help="test images")
    parser.add_argument("--samples", type=int, default=256, help="images for the scales")
    parser.add_argument("--digits", type=int, default=10, help="timesteps of few-spike")
    parser.add_argument("--steps", type=int, default=128, help="timesteps of rates")
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()
    layers, samples, x, y = load(arguments)
    print(heading())
    right = (original(layers, x).argmax(axis=1) == y).mean()
    print(f"{arguments.network}, {len(x)} images, batches of {arguments.batch}")
    print(f"{'original':12}{'':6}{100 * right:8.2f} %")
    for algorithm, timesteps in (("few-spike", arguments.digits), ("rate", arguments.steps)):
        start_scope()
        set_device("eprop_cuda", backend="cpu", batch_size=arguments.batch)
        snn = ml.convert(layers, samples, algorithm=algorithm, timesteps=timesteps)
        snn.predict(x[: arguments.batch])
        begin = time.perf_counter()
        accuracies = snn.evaluate(x, y)
        ms = 1e3 * (time.perf_counter() - begin) / len(x)
        counted = [n for n in (16, 32, 64) if n < len(accuracies)] + [len(accuracies)]
        for n in counted:
            steps = timesteps if n == len(accuracies) else n
            spent = f"{ms:10.1f} ms/image" if n == counted[-1] else ""
            print(f"{algorithm:12}{steps:6}{100 * accuracies[n - 1]:8.2f} %{spent}", flush=True)


if __name__ == "__main__":
    main()
