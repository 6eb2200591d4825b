"""The picture of accuracy against timesteps has the numbers that it should."""

from __future__ import annotations

import brian2 as b
import matplotlib
import numpy as np
import pytest

from brian2eprop import Unsupported, ml
from tests.ml.plain import forward


def steps_of(snn, x):
    """Answers after each step."""
    return np.moveaxis(snn.predict_each_step(x), 1, 0)


@pytest.mark.parametrize(("algorithm", "steps"), [("rate", list(range(1, 8))), ("few-spike", [7])])
def test_accuracies_are_drawn(algorithm, steps, monkeypatch):
    matplotlib.use("agg")
    rng = np.random.default_rng(8)
    layers = [
        ml.Input(name="x", shape=(3,)),
        ml.Dense(name="hidden", inputs=("x",), kernel=rng.normal(size=(3, 9))),
        ml.ReLU(name="relu", inputs=("hidden",)),
        ml.Dense(name="y", inputs=("relu",), kernel=rng.normal(size=(9, 3))),
    ]
    x = rng.normal(size=(20, 3))
    y = np.array([forward(layers, each)["y"].argmax() for each in x])
    y[:5] = (y[:5] + 1) % 3
    b.set_device("eprop_cuda", backend="cpu", batch_size=20)
    snn = ml.convert(layers, x, algorithm=algorithm, timesteps=7)
    spiking, model = snn.plot_accuracy(x, y).lines
    assert list(spiking.get_xdata()) == steps
    shares = [100 * (each.argmax(axis=1) == y).mean() for each in steps_of(snn, x)]
    np.testing.assert_allclose(spiking.get_ydata(), shares)
    np.testing.assert_allclose(100 * snn.evaluate(x, y), shares)
    assert 0 < shares[-1] < 100
    assert set(model.get_ydata()) == {75.0}
    axes = matplotlib.figure.Figure().subplots()
    assert snn.plot_accuracy(x, y, axes) is axes


def test_accuracies_are_of_classes():
    places = [
        ml.Input(name="x", shape=(3, 2)),
        ml.Convolution(name="y", inputs=("x",), kernel=np.ones((1, 2, 4))),
    ]
    b.set_device("eprop_cuda", backend="reference")
    snn = ml.convert(places, np.ones((3, 3, 2)), algorithm="rate", timesteps=3)
    for ask in (snn.evaluate, snn.plot_accuracy):
        with pytest.raises(
            Unsupported, match=r"'y' has the shape \(3, 4\), and not one number for"
        ):
            ask(np.ones((3, 3, 2)), np.zeros(3, int))
    flat = [*places, ml.Reshape(name="z", inputs=("y",))]
    snn = ml.convert(flat, np.ones((3, 3, 2)), timesteps=3)
    with pytest.raises(ValueError, match=r"plot_accuracy: y has the shape \(2,\)"):
        snn.plot_accuracy(np.ones((3, 3, 2)), np.zeros(2, int))


def test_numbers_that_are_none_are_refused():
    layers = [
        ml.Input(name="x", shape=(2,)),
        ml.Dense(name="y", inputs=("x",), kernel=np.eye(2)),
    ]
    b.set_device("eprop_cuda", backend="reference")
    with pytest.raises(
        ValueError, match="samples of the input 'x' have numbers that are not finite"
    ):
        ml.convert(layers, [[1, np.inf]])
    with pytest.raises(
        ValueError, match="samples of the input 'x' have numbers that are not finite"
    ):
        ml.convert(layers, np.eye(2), timesteps=3).predict([[np.nan, 1]])
    with pytest.raises(
        ValueError, match="The layer 'y' has a kernel with numbers that are not fini"
    ):
        ml.Dense(name="y", inputs=("x",), kernel=np.eye(2) * np.nan)
