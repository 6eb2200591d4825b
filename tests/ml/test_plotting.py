"""The picture of accuracy against timesteps has the numbers that it should."""

from __future__ import annotations

import brian2 as b
import matplotlib
import numpy as np
import pytest

from brian2eprop import ml
from tests.ml.plain import forward


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
    np.testing.assert_allclose(spiking.get_ydata(), 100 * snn.evaluate(x, y))
    assert set(model.get_ydata()) == {75.0}
    axes = matplotlib.figure.Figure().subplots()
    assert snn.plot_accuracy(x, y, axes) is axes
