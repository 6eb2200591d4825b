"""Layers become stages that give what the layers give, and what does not convert is refused."""

from __future__ import annotations

import numpy as np
import pytest

from brian2eprop import Unsupported, ml
from brian2eprop.ml.simplify import simplify
from brian2eprop.ml.stages import activations
from tests.ml.plain import forward, residual_network

IMAGE = ml.Input(name="image", shape=(6, 5, 2))


def conv(name="conv", takes="image", channels=2, **options):
    shape = (3, 3, channels // options.get("groups", 1), 4)
    kernel = np.random.default_rng(0).normal(size=shape)
    return ml.Convolution(name=name, inputs=(takes,), kernel=kernel, **options)


def test_stages_give_what_the_layers_give():
    rng = np.random.default_rng(1)
    layers = residual_network(rng)
    x = rng.normal(size=(6, 5, 2))
    stages = simplify(layers)
    found = activations(stages, x[None])
    expected = forward(layers, x)
    assert [stage.name for stage in stages] == ["image", "conv", "add", "pool", "dense"]
    for stage, name in (("conv", "relu"), ("add", "relu_1"), ("pool", "pool"), ("dense", "dense")):
        np.testing.assert_allclose(found[stage][0], expected[name], rtol=1e-12, atol=1e-12)


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
    found = activations(simplify(layers), x)["conv"]
    expected = [forward(layers, image)["conv"] for image in x]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_padding_before_a_padded_convolution():
    places = ml.ZeroPadding(name="zeros", inputs=("image",), places=((1, 1), (2, 0)))
    layers = [IMAGE, places, conv(takes="zeros", padding="same", strides=2)]
    x = np.random.default_rng(3).normal(size=(6, 5, 2))
    found = activations(simplify(layers), x[None])["conv"][0]
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
    assert [stage.name for stage in simplify(layers)] == ["image", "conv", "pool", "add"]


def test_a_model_that_ends_in_a_relu():
    layers = [IMAGE, conv(), ml.ReLU(name="relu", inputs=("conv",))]
    x = np.random.default_rng(4).normal(size=(6, 5, 2))
    found = activations(simplify(layers), x[None])
    np.testing.assert_allclose(found["conv_output"][0], forward(layers, x)["relu"], atol=1e-12)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([IMAGE, conv(), conv("next", "conv", 4)], "'next' takes what 'conv' gives, which may be"),
        ([IMAGE, conv(padding="full")], "padding of 'conv' is 'full'; give 'valid'"),
        ([IMAGE, conv(channels=4)], "'conv' takes 4 channels, and 'image' has 2; give"),
        ([IMAGE, conv(takes="imag")], "'conv' takes 'imag', which is not there"),
        ([IMAGE, conv(), conv()], "Two layers are called 'conv'"),
        ([IMAGE, conv(dilation=3)], "kernel of 'conv' .* is larger than 'image'"),
        ([IMAGE, conv(), conv("other")], "2 outputs .conv, other."),
        (
            [IMAGE, conv(), ml.ReLU(name="relu", inputs=("conv",)),
             ml.Normalisation(name="norm", inputs=("relu",), scale=np.ones(4), shift=np.ones(4))],
            "'norm' normalises what 'conv' has already sent; put it before the ReLU",
        ),
        (
            [IMAGE, ml.AveragePooling(name="p", inputs=("image",), window=(4, 4), padding="same")],
            "'p' averages over windows that reach beyond the image",
        ),
        ([IMAGE, conv(), ml.Add(name="add", inputs=("conv", "image"))], "'add' adds values of"),
    ],
)  # fmt: skip
def test_refusals(layers, sentence):
    with pytest.raises((Unsupported, ValueError), match=sentence):
        simplify(layers)
