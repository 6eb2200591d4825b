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


def vgg():
    keras.utils.set_random_seed(3)
    return trained(
        keras.Sequential(
            [
                keras.Input((12, 11, 3)),
                layers.Rescaling(0.5, offset=0.3),
                layers.Conv2D(6, 3, padding="same"),
                layers.MaxPooling2D(2),
                layers.ReLU(),
                layers.BatchNormalization(),
                layers.Conv2D(7, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(3, strides=2, padding="same"),
                layers.Flatten(),
                layers.Dense(24, activation="relu"),
                layers.Reshape((6, 4)),
                layers.MaxPooling1D(2),
                layers.GlobalMaxPooling1D(),
                layers.Dense(5, activation="sigmoid", name="logits"),
            ]
        )
    )


def inception():
    """Branches side by side, means over borders, linear layers of one place, a model within."""
    keras.utils.set_random_seed(4)
    image = keras.Input((9, 9, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    again = layers.Conv2D(6, 1, activation="relu", name="again")
    block = keras.Input((9, 9, 6))
    parts = [
        layers.Conv2D(3, 1, activation="relu", name="again")(block),
        layers.AveragePooling2D(3, strides=1, padding="same")(block),
        layers.MaxPooling2D(3, strides=1, padding="same")(block),
    ]
    within = keras.Model(block, layers.Concatenate()(parts), name="within")
    x = within(again(again(x)))
    y = layers.Conv2D(4, 1)(layers.BatchNormalization()(x))
    y = layers.Add()([layers.Conv2D(4, 1)(x), y, y])
    x = layers.Conv2D(8, 1, activation="relu")(y)
    x = keras.Sequential([layers.MaxPooling2D(2), layers.GlobalAveragePooling2D()], name="end")(x)
    return trained(keras.Model(image, layers.Dense(4, activation="softmax", name="logits")(x)))


def softmax(values):
    return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)


ENDS = {vgg: lambda values: 1 / (1 + np.exp(-values))}


@pytest.mark.parametrize("make", [mobile, sequence, vgg, inception])
def test_models(make):
    model = make()
    x = np.random.default_rng(3).normal(size=(6, *model.input_shape[1:])).astype("float32")
    stages, ports = simplify(read_keras(model))
    found = activations(stages, {ports.inputs: x})[ports.outputs]
    ends = ENDS.get(make, softmax)(found)
    np.testing.assert_allclose(ends, model.predict(x, verbose=0), rtol=1e-4, atol=1e-6)


def test_several_inputs_and_outputs():
    """Also an output that others take, and one in which a softmax is left out."""
    keras.utils.set_random_seed(5)
    a, b_ = keras.Input((4,), name="a"), keras.Input((5,), name="b")
    hidden = layers.Dense(6, activation="relu", name="hidden")(a)
    x = layers.Concatenate()([hidden, layers.Dense(3, activation="relu")(b_)])
    ends = [layers.Dense(2, activation="softmax")(x), hidden, layers.Dense(3)(b_)]
    given = [np.random.default_rng(seed).normal(size=(3, n)) for seed, n in ((1, 4), (2, 5))]
    expected = keras.Model([a, b_], ends).predict(given, verbose=0)
    b.set_device("eprop_cuda", backend="reference", batch_size=2, precision="float64")
    listed = ml.from_keras(keras.Model([a, b_], ends), given, timesteps=12)
    first, second, third = listed.predict(given)
    np.testing.assert_allclose(softmax(first), expected[0], atol=2e-3)
    np.testing.assert_allclose(second, expected[1], atol=2e-3)
    np.testing.assert_allclose(third, expected[2], atol=2e-3)
    b.start_scope()
    named = keras.Model({"a": a, "b": b_}, dict(zip("xyz", ends, strict=True)))
    found = ml.from_keras(named, {"b": given[1], "a": given[0]}, timesteps=12).predict(
        {"a": given[0], "b": given[1]}
    )
    np.testing.assert_allclose([*found["x"]], first)
    np.testing.assert_allclose([*found["z"]], third)
    with pytest.raises(ValueError, match="several inputs, a, b; give samples for each, in a list"):
        listed.predict(given[0])
    with pytest.raises(ValueError, match="samples of the inputs; give as many of each"):
        listed.predict([given[0], given[1][:2]])


def test_a_softmax_that_others_take():
    x = keras.Input((4,))
    y = layers.Dense(3, activation="softmax", name="shares")(x)
    model = keras.Model(x, [y, layers.Dense(2)(y)])
    with pytest.raises(Unsupported, match="'shares' has the activation softmax"):
        read_keras(model)


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
        (lambda: layers.MaxPooling3D(name="pool"), "'pool' is of the kind MaxPooling3D.*Pooling2D"),
        (lambda: layers.LeakyReLU(name="leaky"), "'leaky' is of the kind LeakyReLU.*ReLU"),
        (lambda: layers.UpSampling2D(name="up"), "'up' is of the kind UpSampling2D.*Conv2D"),
        (lambda: layers.Conv2D(2, 3, activation="tanh", name="c"), "'c' has the activation tanh"),
        (lambda: layers.Conv2D(2, 3, activation=layers.LeakyReLU(), name="c"), "activation.*Leaky"),
        (
            lambda: layers.Conv2D(2, 3, activation=relu, name="c"),
            "'c' has the activation <function",
        ),
        (lambda: layers.BatchNormalization(axis=1, name="n"), "'n' does not have its channels"),
        (lambda: layers.ReLU(negative_slope=0.1, name="r"), "'r' is a ReLU with a slope"),
    ],
)
def test_refusals(layer, sentence):
    shape = (6, 6, 6, 2) if sentence.startswith("'pool'") else (6, 6, 2)
    model = keras.Sequential([keras.Input(shape), layer(), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(Unsupported, match=sentence):
        read_keras(model)


def relu(x):
    """A user's own function, whatever it is called."""
    return keras.ops.tanh(x)


def test_layers_as_activations():
    x = keras.Input((4,))
    y = layers.Dense(5, activation=layers.ReLU(max_value=0.5))(x)
    model = keras.Model(x, layers.Dense(3)(layers.Dense(5, activation="relu6")(y)))
    given = np.random.default_rng(4).normal(size=(6, 4)).astype("float32")
    stages, ports = simplify(read_keras(model))
    found = activations(stages, {ports.inputs: given})[ports.outputs]
    np.testing.assert_allclose(found, model.predict(given, verbose=0), rtol=1e-4, atol=1e-6)


def test_what_is_no_model_or_not_built():
    with pytest.raises(TypeError, match="give a Sequential or Functional model"):
        ml.from_keras("model.keras", np.ones((1, 2)))
    with pytest.raises(ValueError, match="has no graph of layers; call build"):
        ml.from_keras(keras.Sequential([layers.Dense(2)]), np.ones((1, 2)))
