"""Layers become stages that give what the layers give, and what does not convert is refused."""

from __future__ import annotations

import numpy as np
import pytest

from brian2eprop import Unsupported, ml
from brian2eprop.ml.graph import graph_of
from brian2eprop.ml.simplify import simplify
from brian2eprop.ml.stages import activations
from tests.ml.plain import branched_network, forward, residual_network

RNG = np.random.default_rng(3)
IMAGE = ml.Input(name="image", shape=(6, 5, 2))


def conv(name="conv", takes="image", channels=2, **options):
    shape = (3, 3, channels // options.get("groups", 1), 4)
    kernel = RNG.normal(size=shape)
    return ml.Convolution(name=name, inputs=(takes,), kernel=kernel, **options)


def norm(name, takes, n):
    return ml.Normalisation(
        name=name, inputs=(takes,), scale=RNG.normal(size=n), shift=RNG.normal(size=n)
    )


def dense(name, takes, n, outputs=3):
    return ml.Dense(name=name, inputs=(takes,), kernel=RNG.normal(size=(n, outputs)))


def stages_of(layers):
    """The stages of layers."""
    return simplify(graph_of(layers))[0]


def found_in(layers, x):
    """Values of the stages of layers with one input."""
    return activations(stages_of(layers), {layers[0].name: x})


def test_stages_give_what_the_layers_give():
    rng = np.random.default_rng(1)
    layers = residual_network(rng)
    x = rng.normal(size=(6, 5, 2))
    stages = stages_of(layers)
    found = found_in(layers, x[None])
    expected = forward(layers, x)
    assert [stage.name for stage in stages] == ["image", "conv", "add", "pool", "dense"]
    for stage, name in (("conv", "relu"), ("add", "relu_1"), ("pool", "pool"), ("dense", "dense")):
        np.testing.assert_allclose(found[stage][0], expected[name], rtol=1e-12, atol=1e-12)


MORE = {
    "means of what is side by side": [
        ml.AveragePooling(name="pool", inputs=("both",), window=(2, 2), strides=(1, 1)),
        conv("y", "pool", 8, padding="same"),
    ],
    "what is side by side, and may be negative": [
        conv("a", "relu", 4, padding="same"),
        ml.Concatenate(name="next", inputs=("a", "relu", "a")),
        norm("n", "next", 12),
        ml.ReLU(name="r", inputs=("n",), ceiling=1.5),
        conv("y", "r", 12, groups=2),
    ],
    "groups across what is side by side": [conv("y", "both", 8, groups=4, padding="same")],
    "zeros before a rectifier": [
        conv("a", "max", 4, padding="same"),
        ml.ZeroPadding(name="zeros", inputs=("a",), places=((1, 0), (2, 1))),
        ml.ReLU(name="r", inputs=("zeros",)),
        conv("y", "r", 4),
    ],
    "zeros before and behind a normalisation": [
        ml.ZeroPadding(name="zeros", inputs=("max",), places=((1, 0), (2, 1))),
        norm("n", "zeros", 4),
        ml.ZeroPadding(name="more", inputs=("n",), places=((0, 1), (1, 0))),
        conv("y", "more", 4, padding="same"),
    ],
    "zeros that are flattened": [
        ml.ZeroPadding(name="zeros", inputs=("both",), places=((1, 0), (0, 1))),
        ml.Reshape(name="f", inputs=("zeros",)),
        dense("y", "f", 96),
    ],
    "a sum that is normalised and summed": [
        conv("a", "max", 4, padding="same"),
        ml.Add(name="sum", inputs=("a", "max", "mean")),
        norm("n", "sum", 4),
        ml.Add(name="y", inputs=("n", "mean", "max")),
    ],
    "kernels of one place behind others": [
        conv("a", "relu", 4, padding="same", strides=2),
        ml.Add(name="sum", inputs=("a", "mean")),
        ml.Convolution(name="y", inputs=("sum",), kernel=RNG.normal(size=(1, 1, 4, 3))),
    ],
    "means over borders that are multiplied": [
        norm("n", "mean", 4),
        ml.Convolution(name="y", inputs=("n",), kernel=RNG.normal(size=(1, 1, 4, 3))),
    ],
    "channels that become steps": [
        dense("a", "all", 8, 24),
        ml.Reshape(name="steps", inputs=("a",), shape=(6, 4)),
        norm("n", "steps", 4),
        ml.ReLU(name="r", inputs=("n",)),
        ml.MaxPooling(name="m", inputs=("r",), window=(3,), strides=(1,), padding="same"),
        ml.Reshape(name="pairs", inputs=("m",), shape=(-1, 2)),
        ml.Convolution(name="y", inputs=("pairs",), kernel=RNG.normal(size=(3, 2, 3))),
    ],
    "a normalisation that flattens nothing": [
        ml.Reshape(name="f", inputs=("conv",)),
        norm("n", "f", 120),
        ml.ReLU(name="r", inputs=("n",)),
        dense("y", "r", 120),
    ],
    "a maximum of what is scaled": [
        ml.Normalisation(
            name="n", inputs=("relu",), scale=np.array([2, 0.5, 1, 3]), shift=np.zeros(4)
        ),
        ml.MaxPooling(name="m", inputs=("n",), window=(2, 2)),
        conv("y", "m", 4, padding="same"),
    ],
    "a maximum that is an output": [ml.Identity(name="y", inputs=("max",))],
}


@pytest.mark.parametrize("name", MORE)
def test_branches(name):
    """Of all that some layers may lead to, each output is theirs."""
    layers = [*branched_network(np.random.default_rng(5)), *MORE[name]]
    x = np.random.default_rng(6).normal(size=(2, 6, 5, 2))
    stages, ports = simplify(graph_of(layers))
    found = activations(stages, {"image": x})
    expected = [forward(layers, image) for image in x]
    for layer, stage in ports.outputs.items():
        wanted = [each[layer] for each in expected]
        np.testing.assert_allclose(found[stage], wanted, rtol=1e-11, atol=1e-11)
    assert {"y", "dense", "classes"} == set(ports.outputs)


@pytest.mark.parametrize(
    "options",
    [
        {"strides": 2, "padding": "same"},
        {"strides": (1, 2), "dilation": (2, 1)},
        {"groups": 2, "padding": ((1, 0), (0, 2))},
    ],
)
def test_convolutions(options):
    layers = [IMAGE, conv(**options)]
    x = np.random.default_rng(2).normal(size=(2, 6, 5, 2))
    found = found_in(layers, x)["conv"]
    expected = [forward(layers, image)["conv"] for image in x]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_padding_before_a_padded_convolution():
    places = ml.ZeroPadding(name="zeros", inputs=("image",), places=((1, 1), (2, 0)))
    layers = [IMAGE, places, conv(takes="zeros", padding="same", strides=2)]
    x = np.random.default_rng(3).normal(size=(6, 5, 2))
    found = found_in(layers, x[None])["conv"][0]
    np.testing.assert_allclose(found, forward(layers, x)["conv"], rtol=1e-12, atol=1e-12)


def test_what_two_layers_take_is_one_stage():
    layers = [
        IMAGE,
        conv(),
        ml.ReLU(name="relu", inputs=("conv",)),
        ml.AveragePooling(name="pool", inputs=("relu",), window=(2, 1)),
        conv("a", "pool", 4, padding="same"),
        conv("b", "pool", 4, padding="same"),
        ml.Add(name="add", inputs=("a", "b")),
    ]
    assert [stage.name for stage in stages_of(layers)] == ["image", "conv", "pool", "add"]


def test_a_model_that_ends_in_a_relu():
    layers = [IMAGE, conv(), ml.ReLU(name="relu", inputs=("conv",))]
    x = np.random.default_rng(4).normal(size=(6, 5, 2))
    found = found_in(layers, x[None])
    np.testing.assert_allclose(found["conv_output"][0], forward(layers, x)["relu"], atol=1e-12)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([IMAGE, conv(), conv("next", "conv", 4)], "'next' takes what 'conv' gives, which may be"),
        ([IMAGE, conv(padding="full")], "padding of 'conv' is 'full'; give 'valid'"),
        ([IMAGE, conv(channels=4)], "'conv' takes 4 channels, and 'image' has 2; give"),
        ([IMAGE, conv(takes="imag")], "'conv' takes 'imag', which is not there"),
        ([IMAGE, conv(), conv()], "Two layers are called 'conv'"),
        ([IMAGE, conv(dilation=3)], "window of 'conv' .* is larger than what it"),
        ([IMAGE, ml.MaxPooling(name="m", inputs=("image",))], "'m' takes the largest .* 'image'"),
        (
            [IMAGE, conv(), ml.MaxPooling(name="m", inputs=("conv",)), conv("next", "m", 4)],
            "'m' takes the largest of what 'conv' gives, which may be negative.*ReLU before 'm'",
        ),
        (
            [IMAGE, ml.AveragePooling(name="m", inputs=("image",), window=(7, 2))],
            "The window of 'm' of the shape .7, 2. is larger",
        ),
        ([IMAGE, ml.AveragePooling(name="m", inputs=("image",), window=(2,))], "'m' has a window"),
        ([conv()], "None of the layers is an Input|takes 'image', which is not there"),
        (
            [IMAGE, conv(), ml.Concatenate(name="both", inputs=("conv", "image"))],
            "'both' takes values of the shapes .*only their channels",
        ),
        ([IMAGE, ml.Reshape(name="r", inputs=("image",), shape=(7, -1))], "'r' gives"),
        ([IMAGE, ml.ZeroPadding(name="z", inputs=("image",), places=((1, 1),))], "'z' pads"),
        ([IMAGE, ml.Dense(name="d", inputs=("image",), kernel=np.ones((3, 2)))], "'d' has"),
        (
            [IMAGE, conv(), ml.MaxPooling(name="m", inputs=("conv",)),
             ml.Normalisation(name="n", inputs=("m",), scale=-np.ones(4), shift=np.zeros(4)),
             ml.ReLU(name="r", inputs=("n",))],
            "'m' takes the largest of what 'conv' gives, which may be negative",
        ),
        (
            [IMAGE, conv(), ml.MaxPooling(name="m", inputs=("conv",)),
             ml.ReLU(name="r", inputs=("m",)), ml.Identity(name="y", inputs=("m",))],
            "'m' takes the largest of what 'conv' gives, which may be negative",
        ),
        (
            [IMAGE, conv(padding="same"), ml.Reshape(name="f", inputs=("conv",)),
             norm("n", "f", 120), ml.Reshape(name="r", inputs=("n",), shape=(6, 5, 4)),
             ml.Convolution(name="y", inputs=("r",), kernel=np.ones((1, 1, 4, 3)))],
            "'y' takes what 'conv' gives, which may be negative",
        ),
        ([IMAGE, conv(), ml.Add(name="add", inputs=("conv", "image"))], "'add' adds values of"),
    ],
)  # fmt: skip
def test_refusals(layers, sentence):
    with pytest.raises((Unsupported, ValueError), match=sentence):
        stages_of(layers)
