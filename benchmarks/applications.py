"""Networks of keras.applications with random weights, converted by few-spike: errors and memory.

Printed are what Keras and the stages that a network is merged into say (``stages``: the largest
difference by the largest output), by how much what neurons sent differs from the stages' own
numbers (``mean error`` of the layer where it is largest, by the scale of each channel), and what it
takes. Errors are those of rounding to digits, which add up from layer to layer.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import keras
import numpy as np
from brian2 import Synapses, set_device, start_scope
from machine import heading

from brian2eprop import ml
from brian2eprop.ml.read_keras import read_keras
from brian2eprop.ml.simplify import simplify
from brian2eprop.ml.stages import activations

NETWORKS = {
    "mobilenet": keras.applications.MobileNet,
    "mobilenetv2": keras.applications.MobileNetV2,
    "resnet50": keras.applications.ResNet50,
    "vgg16": keras.applications.VGG16,
    "inception": keras.applications.InceptionV3,
}


def random_model(name: str, size: int) -> Any:
    """A network with random weights, whose normalisations are those of its activations."""
    keras.utils.set_random_seed(1)
    model = NETWORKS[name](weights=None, input_shape=(size, size, 3), classes=10)
    x = np.random.default_rng(2).normal(size=(16, size, size, 3)).astype("float32")
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(x, training=True)
    return model


def report(name: str, arguments: argparse.Namespace) -> None:
    """Print the lines of one network."""
    model = random_model(name, arguments.size)
    size = (arguments.batch, arguments.size, arguments.size, 3)
    x = np.random.default_rng(3).normal(size=size).astype("float32")
    stages, ports = simplify(read_keras(model))
    known = activations(stages, {ports.inputs: x})
    outputs = np.log(model.predict(x, verbose=0))
    found = known[ports.outputs] - known[ports.outputs].mean(axis=1, keepdims=True)
    apart = np.abs(found - outputs + outputs.mean(axis=1, keepdims=True)).max()
    start_scope()
    set_device("eprop_cuda", backend="cpu", batch_size=arguments.batch)
    snn = ml.from_keras(model, x, timesteps=arguments.digits)
    before = time.perf_counter()
    sent = snn.activations(x)
    seconds = time.perf_counter() - before
    errors = {
        stage: np.abs(values - known[stage]).mean() / np.abs(known[stage]).max()
        for stage, values in sent.items()
    }
    worst = max(errors, key=lambda stage: errors[stage])
    synapses = [each for each in snn.network.objects if isinstance(each, Synapses)]
    weights = sum(each.w[:].size for each in synapses)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    neurons = sum(stage.size for stage in stages)
    print(f"{name}, {arguments.size} x {arguments.size}, {arguments.digits} digits")
    print(f"  {len(stages)} stages, {neurons:,} neurons, {weights:,} weights stored,")
    print(f"  {sum(map(len, synapses)):,} synapses")
    print(f"  stages {apart / np.abs(found).max():.1e}, mean error {errors[worst]:.4f} ({worst})")
    print(f"  {seconds:.0f} s with compiling, at most {memory:.1f} GiB of memory", flush=True)


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", choices=NETWORKS)
    parser.add_argument("--size", type=int, default=64, help="rows and columns of an image")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--digits", type=int, default=10)
    arguments = parser.parse_args()
    print(heading())
    for name in arguments.networks:
        report(name, arguments)


if __name__ == "__main__":
    main()
