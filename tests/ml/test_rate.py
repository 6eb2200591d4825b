"""Rate conversion: numbers of spikes that can be worked out, and what they converge to."""

from __future__ import annotations

import brian2 as b
import numpy as np

from brian2eprop import ml
from tests.ml.plain import forward, residual_network

LAYERS = [
    ml.Input(name="x", shape=(5,)),
    ml.Dense(name="hidden", inputs=("x",), kernel=np.eye(5), bias=np.full(5, 0.1)),
    ml.ReLU(name="relu", inputs=("hidden",)),
    ml.Dense(name="y", inputs=("relu",), kernel=np.diag([1.0, 2, 3, 4, 5]), bias=np.arange(5.0)),
]


def test_spikes_are_the_rounded_activation(backend):
    # By the samples each scale is 1: a neuron spikes floor(T a + 1/2) times in T steps.
    x = np.array([[-0.5, 0.0, 0.33, 0.77, 1.9], [0.2, 0.41, -0.1, 0.9, 0.6], [0.05] * 5])
    b.set_device("eprop_cuda", backend=backend, batch_size=2, precision="float64")
    snn = ml.convert(LAYERS, np.full((1, 5), 0.9), algorithm="rate", timesteps=21)
    spikes = np.floor(21 * np.clip(x + 0.1, 0, 1) + 0.5)
    expected = spikes / 21 * np.arange(1, 6) + np.arange(5)
    np.testing.assert_allclose(snn.predict(x), expected, rtol=1e-12)
    np.testing.assert_allclose(snn.activations(x)["hidden"], spikes / 21, rtol=1e-12)


def test_an_output_that_the_input_leads_to_is_exact_after_every_step():
    """Alone, and past a layer, whose spikes are rounded."""
    x = np.array([[-0.5, 0.0, 0.33, 0.77, 1.9]])
    direct = ml.Dense(name="y", inputs=("x",), kernel=np.eye(5), bias=np.arange(5.0))
    b.set_device("eprop_cuda", backend="cpu", precision="float64")
    every = ml.convert([LAYERS[0], direct], x, algorithm="rate", timesteps=3).predict_each_step(x)
    np.testing.assert_allclose(every, np.broadcast_to(x + np.arange(5), (1, 3, 5)), rtol=1e-12)
    past = ml.Add(name="sum", inputs=("relu", "x"))
    snn = ml.convert([*LAYERS[:3], past], np.full((1, 5), 0.9), algorithm="rate", timesteps=21)
    spikes = np.floor(21 * np.clip(x + 0.1, 0, 1) + 0.5) / 21
    np.testing.assert_allclose(snn.predict(x), spikes + x, rtol=1e-12)


def test_what_leads_past_a_layer_waits_for_it(backend):
    # Each layer sends on what the one before sent, so the sum counts the same spikes twice.
    layers = [
        ml.Input(name="x", shape=(4,)),
        ml.Dense(name="a", inputs=("x",), kernel=np.eye(4)),
        ml.ReLU(name="a_relu", inputs=("a",)),
        ml.Dense(name="b", inputs=("a_relu",), kernel=np.eye(4)),
        ml.ReLU(name="b_relu", inputs=("b",)),
        ml.Add(name="y", inputs=("a_relu", "b_relu")),
    ]
    x = np.array([[0.05, 0.45, 0.77, 0.95]])
    b.set_device("eprop_cuda", backend=backend, precision="float64")
    snn = ml.convert(layers, np.ones((1, 4)), algorithm="rate", timesteps=21)
    np.testing.assert_allclose(snn.predict(x), 2 / 21 * np.floor(21 * x + 0.5), rtol=1e-12)


def test_a_maximum_spikes_as_often_as_the_first_of_its_inputs(backend):
    layers = [
        ml.Input(name="x", shape=(6, 2)),
        ml.Convolution(name="a", inputs=("x",), kernel=np.eye(2)[None]),
        ml.ReLU(name="relu", inputs=("a",)),
        ml.MaxPooling(name="max", inputs=("relu",), window=(3,), strides=(2,), padding="same"),
        ml.Identity(name="y", inputs=("max",)),
    ]
    x = np.random.default_rng(1).uniform(-0.3, 1, (2, 6, 2))
    b.set_device("eprop_cuda", backend=backend, batch_size=2, precision="float64")
    snn = ml.convert(layers, np.ones((1, 6, 2)), algorithm="rate", timesteps=21)
    spikes = np.floor(21 * np.clip(x, 0, 1) + 0.5)
    # Three windows of three, the last of which has two places.
    largest = [spikes[:, a : a + 3].max(axis=1) for a in (0, 2, 4)]
    np.testing.assert_allclose(snn.predict(x), np.stack(largest, axis=1) / 21, rtol=1e-12)


def test_each_step_is_that_of_a_shorter_run():
    x = np.random.default_rng(0).normal(size=(3, 5))
    b.set_device("eprop_cuda", backend="reference", batch_size=3, precision="float64")
    short, long = (ml.convert(LAYERS, x, algorithm="rate", timesteps=n) for n in (6, 11))
    every = long.predict_each_step(x)
    assert every.shape == (3, 11, 5)
    np.testing.assert_allclose(every[:, :6], short.predict_each_step(x), rtol=1e-12)
    classes = every[:, 4].argmax(axis=-1)
    accuracies = long.evaluate(x, classes)
    assert accuracies.shape == (11,) and accuracies[4] == 1


def test_errors_fall_with_the_number_of_steps():
    rng = np.random.default_rng(4)
    layers = residual_network(rng)
    x = rng.normal(size=(1, 6, 5, 2))
    b.set_device("eprop_cuda", backend="cpu", precision="float64")
    every = ml.convert(layers, x, algorithm="rate", timesteps=1000).predict_each_step(x)[0]
    errors = np.abs(every - forward(layers, x[0])["dense"]).max(axis=-1)
    assert errors[-1] < 0.02 and errors[99:].max() < 0.3
