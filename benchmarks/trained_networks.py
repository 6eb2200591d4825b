"""Networks that others trained on CIFAR-10 and MNIST, as layers, and the images of their tests.

``cifar10`` has test_4000.npy.xz and train_2000.npy.xz: planes of differences, as their README says.
``resnet8`` is MLPerf Tiny's, of Keras (resnet8_cifar10_keras.npz and resnet8_cifar10_layers.json),
``resnet20`` Idelbayev's, of PyTorch (resnet20.npz). ``mnist`` has the four files of MNIST,
``lenet5`` is that of SNN Toolbox's examples, of Lasagne (lenet5_mnist.npz). ``random`` needs no
file: a small network with random weights, and images of noise.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np

from brian2eprop import ml
from brian2eprop.datasets.idx import read_idx


def cifar10(folder: Path, split: str) -> Any:
    """Images of shape (samples, 32, 32, 3), from 0 to 255; the class is the number modulo 10."""
    with lzma.open(folder / f"{split}.npy.xz") as file:
        planes = np.cumsum(np.load(file), axis=3, dtype=np.uint8)
    planes[0] += planes[1]
    planes[2] += planes[1]
    return planes.transpose(1, 2, 3, 0).astype(np.float32)


def resnet8(folder: Path) -> list[ml.graph.Layer]:
    """MLPerf Tiny's network, which takes images as they are."""
    weights = np.load(folder / "resnet8_cifar10_keras.npz")
    listed = json.loads((folder / "resnet8_cifar10_layers.json").read_text())
    return [_of_keras(each, weights) for each in listed]


def _of_keras(listed: dict[str, Any], weights: Any) -> ml.graph.Layer:
    config, name = listed["config"], listed["name"]
    nodes = listed["inbound_nodes"]
    own = {"name": name, "inputs": tuple(node[0] for node in nodes[0]) if nodes else ()}
    match listed["class_name"]:
        case "InputLayer":
            return ml.Input(name=name, shape=tuple(config["batch_input_shape"][1:]))
        case "Conv2D":
            kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
            strides, padding = tuple(config["strides"]), config["padding"]
            return ml.Convolution(**own, kernel=kernel, bias=bias, strides=strides, padding=padding)
        case "BatchNormalization":
            spread = np.sqrt(weights[f"{name}/moving_variance"] + config["epsilon"])
            scale = weights[f"{name}/gamma"] / spread
            shift = weights[f"{name}/beta"] - weights[f"{name}/moving_mean"] * scale
            return ml.Normalisation(**own, scale=scale, shift=shift)
        case "Activation":
            return ml.ReLU(**own)
        case "Add":
            return ml.Add(**own)
        case "AveragePooling2D":
            return ml.AveragePooling(**own, window=tuple(config["pool_size"]))
        case "Flatten":
            return ml.Reshape(**own)
        case "Dense":
            return ml.Dense(**own, kernel=weights[f"{name}/kernel"], bias=weights[f"{name}/bias"])
    raise ValueError(f"'{name}' is a {listed['class_name']}, of which there is none in ResNet-8.")


def resnet20(folder: Path) -> list[ml.graph.Layer]:
    """Idelbayev's network; the normalisation of its images is that of ``normalised``."""
    weights = np.load(folder / "resnet20.npz")
    layers: list[ml.graph.Layer] = [ml.Input(name="image", shape=(32, 32, 3))]
    last = _normalised(layers, weights, "conv1", "bn1", "image", 1)
    last = _relu(layers, last)
    for stage, channels in enumerate((16, 32, 64), start=1):
        for block in range(3):
            part, stride = f"layer{stage}.{block}", 1 + (stage > 1 and block == 0)
            inner = _normalised(layers, weights, f"{part}.conv1", f"{part}.bn1", last, stride)
            inner = _relu(layers, inner)
            inner = _normalised(layers, weights, f"{part}.conv2", f"{part}.bn2", inner, 1)
            short = last if stride == 1 else _shortcut(layers, f"{part}.shortcut", last, channels)
            name = f"{part}.add".replace(".", "_")
            layers.append(ml.Add(name=name, inputs=(inner, short)))
            last = _relu(layers, name)
    layers.append(ml.AveragePooling(name="mean", inputs=(last,), keep_directions=False))
    kernel, bias = weights["linear.weight"].T, weights["linear.bias"]
    layers.append(ml.Dense(name="classes", inputs=("mean",), kernel=kernel, bias=bias))
    return layers


def normalised(images: Any) -> Any:
    """Images as ResNet-20 takes them."""
    return (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


def _relu(layers: list[ml.graph.Layer], name: str) -> str:
    layers.append(ml.ReLU(name=f"{name}_relu", inputs=(name,)))
    return f"{name}_relu"


def _normalised(
    layers: list[ml.graph.Layer], weights: Any, conv: str, norm: str, takes: str, stride: int
) -> str:
    """A convolution of 3 by 3, padded by 1 as PyTorch does, and its normalisation."""
    name = conv.replace(".", "_")
    kernel = weights[f"{conv}.weight"].transpose(2, 3, 1, 0)
    layers.append(
        ml.Convolution(
            name=name, inputs=(takes,), kernel=kernel, strides=stride, padding=((1, 1), (1, 1))
        )
    )
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + 1e-5)
    shift = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    layers.append(ml.Normalisation(name=f"{name}_bn", inputs=(name,), scale=scale, shift=shift))
    return f"{name}_bn"


def _shortcut(layers: list[ml.graph.Layer], name: str, takes: str, channels: int) -> str:
    """Every other place, and as many silent channels before as behind: a kernel of ones."""
    kernel = np.eye(channels // 2, channels, channels // 4)[None, None]
    name = name.replace(".", "_")
    layers.append(ml.Convolution(name=name, inputs=(takes,), kernel=kernel, strides=2))
    return name


def mnist(folder: Path, split: str) -> tuple[Any, Any]:
    """Images of shape (samples, 28, 28, 1), from 0 to 1, and their classes."""
    images = read_idx(folder / f"{split}-images-idx3-ubyte.gz", 3)
    labels = read_idx(folder / f"{split}-labels-idx1-ubyte.gz", 1)
    return images[..., None] / np.float32(255), labels.astype(int)


def lenet5(folder: Path) -> list[ml.graph.Layer]:
    """SNN Toolbox's network, whose dense layer takes channel after channel."""
    weights = np.load(folder / "lenet5_mnist.npz")
    layers: list[ml.graph.Layer] = [ml.Input(name="image", shape=(28, 28, 1))]
    for n, stride in ((1, 2), (2, 1)):
        takes = layers[-1].name
        kernel, bias = weights[f"conv{n}_W"].transpose(2, 3, 1, 0), weights[f"conv{n}_b"]
        conv = {"kernel": kernel, "bias": bias, "strides": stride}
        layers.append(ml.Convolution(name=f"conv{n}", inputs=(takes,), **conv))
        layers += _lasagne(weights, n)
    layers.append(ml.MaxPooling(name="pool", inputs=("relu2",), window=(2, 2)))
    layers.append(ml.Reshape(name="flat", inputs=("pool",)))
    kernel = weights["fc1_W"].reshape(32, 5, 5, -1).transpose(1, 2, 0, 3).reshape(800, -1)
    layers.append(ml.Dense(name="fc1", inputs=("flat",), kernel=kernel, bias=weights["fc1_b"]))
    layers += _lasagne(weights, 3)
    kernel, bias = weights["fc2_W"], weights["fc2_b"]
    layers.append(ml.Dense(name="fc2", inputs=("relu3",), kernel=kernel, bias=bias))
    return layers


def _lasagne(weights: Any, n: int) -> list[ml.graph.Layer]:
    """A normalisation and a ReLU, after a convolution or the dense layer."""
    takes = f"conv{n}" if n < 3 else "fc1"
    scale = weights[f"bn{n}_gamma"] * weights[f"bn{n}_invstd"]
    shift = weights[f"bn{n}_beta"] - weights[f"bn{n}_mean"] * scale
    return [
        ml.Normalisation(name=f"bn{n}", inputs=(takes,), scale=scale, shift=shift),
        ml.ReLU(name=f"relu{n}", inputs=(f"bn{n}",)),
    ]


def random() -> list[ml.graph.Layer]:
    """A network of one convolution."""
    rng = np.random.default_rng(0)
    return [
        ml.Input(name="image", shape=(8, 8, 3)),
        ml.Convolution(name="conv", inputs=("image",), kernel=rng.normal(size=(3, 3, 3, 4))),
        ml.ReLU(name="relu", inputs=("conv",)),
        ml.AveragePooling(name="mean", inputs=("relu",), keep_directions=False),
        ml.Dense(name="classes", inputs=("mean",), kernel=rng.normal(size=(4, 10))),
    ]
