"""Models of Keras: what they say is what their conversion says. Run where Keras is."""

from __future__ import annotations

import brian2 as b
import numpy as np
import pytest

from brian2eprop import Unsupported, ml
from brian2eprop.ml.read_keras import read_keras
from brian2eprop.ml.simplify import simplify
from brian2eprop.ml.stages import activations

keras = pytest.importorskip("keras")
layers = keras.layers


def trained(model, seed=1):
    """A model whose normalisation and biases are not those of the start."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name != "kernel" and not weight.name.endswith("_kernel"):
            low, high = (0.5, 1.5) if weight.name in ("gamma", "moving_variance") else (-0.3, 0.3)
            weight.assign(rng.uniform(low, high, weight.shape))
    return model


def mobile():
    keras.utils.set_random_seed(1)
    image = keras.Input((12, 12, 3), name="image")
    x = layers.ZeroPadding2D(((1, 0), (0, 1)))(image)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="1st conv-1")(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    y = layers.Dropout(0.5)(layers.SeparableConv2D(8, 3, padding="same")(y))
    x = layers.Activation("relu")(layers.Add()([x, y]))
    x = layers.Dense(7, activation="relu")(layers.AveragePooling2D(2)(x))
    x = layers.Dense(5, name="logits")(layers.Flatten()(x))
    return trained(keras.Model(image, layers.Softmax()(x)))


def sequence():
    keras.utils.set_random_seed(2)
    return trained(
        keras.Sequential(
            [
                keras.Input((20, 4)),
                layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"),
                layers.Conv1D(6, 3, strides=2, groups=2, padding="same"),
                layers.BatchNormalization(center=False),
                layers.Activation("relu6"),
                layers.GlobalAveragePooling1D(),
                layers.Dense(3, activation="softmax", name="logits"),
            ]
        )
    )


@pytest.mark.parametrize("make", [mobile, sequence])
def test_models(make):
    model = make()
    x = np.random.default_rng(3).normal(size=(6, *model.input_shape[1:])).astype("float32")
    stages = simplify(read_keras(model))
    found = activations(stages, x)[stages[-1].name]
    shares = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, model.predict(x, verbose=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("algorithm", "timesteps"), [("few-spike", 12), ("rate", 400)])
def test_conversions(algorithm, timesteps):
    model = sequence()
    x = np.random.default_rng(3).normal(size=(6, 20, 4)).astype("float32")
    b.set_device("eprop_cuda", backend="cpu", batch_size=3, precision="float64")
    snn = ml.from_keras(model, x, algorithm=algorithm, timesteps=timesteps)
    answers = np.exp(snn.predict(x))
    shares = answers / answers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, model.predict(x, verbose=0), atol=0.02)
    assert "conv1d" in snn.summary() and len(snn.network["logits"]) == 3


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (lambda: layers.MaxPooling2D(name="pool"), "'pool' is of the kind MaxPooling2D.*Average"),
        (lambda: layers.LeakyReLU(name="leaky"), "'leaky' is of the kind LeakyReLU.*ReLU"),
        (lambda: layers.UpSampling2D(name="up"), "'up' is of the kind UpSampling2D.*Conv2D"),
        (lambda: layers.Conv2D(2, 3, activation="tanh", name="c"), "'c' has the activation tanh"),
        (lambda: layers.BatchNormalization(axis=1, name="n"), "'n' does not have its channels"),
        (lambda: layers.ReLU(negative_slope=0.1, name="r"), "'r' is a ReLU with a slope"),
    ],
)
def test_refusals(layer, sentence):
    model = keras.Sequential([keras.Input((6, 6, 2)), layer(), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(Unsupported, match=sentence):
        read_keras(model)


def test_what_is_no_model_or_not_built():
    with pytest.raises(TypeError, match="give a Sequential or Functional model"):
        ml.from_keras("model.keras", np.ones((1, 2)))
    with pytest.raises(ValueError, match="has no graph of layers; call build"):
        ml.from_keras(keras.Sequential([layers.Dense(2)]), np.ones((1, 2)))
