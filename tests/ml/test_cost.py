"""Spikes and additions of a sample, against NumPy's count of every synapse that a spike met."""

from __future__ import annotations

import brian2 as b
import numpy as np
import pytest

from brian2eprop import ml
from tests.ml.plain import convolve

K1, K2 = np.ones((3, 3, 2, 4)), np.ones((2, 2, 1, 4))


def layers(rng):
    return [
        ml.Input(name="image", shape=(5, 4, 2)),
        ml.Convolution(
            name="conv", inputs=("image",), kernel=rng.normal(0, 0.5, K1.shape), padding="same",
            bias=rng.normal(0, 0.3, 4),
        ),
        ml.ReLU(name="relu", inputs=("conv",)),
        ml.Convolution(
            name="depthwise", inputs=("relu",), kernel=rng.normal(0, 0.5, K2.shape), groups=4,
            strides=2,
        ),
        ml.ReLU(name="relu_1", inputs=("depthwise",)),
        ml.Reshape(name="flat", inputs=("relu_1",)),
        ml.Dense(name="y", inputs=("flat",), kernel=rng.normal(size=(16, 3))),
    ]  # fmt: skip


def met(spikes):
    """How many synapses the spikes of each layer meet, by the layer that they lead to."""
    first, second = (spikes[name].astype(float) for name in ("image", "conv"))
    same = [(1, 1), (1, 1)]
    return {
        "conv": convolve(first.reshape(5, 4, 2), K1, (1, 1), same, (1, 1), 1).sum(),
        "depthwise": convolve(second.reshape(5, 4, 4), K2, (2, 2), [(0, 0)] * 2, (1, 1), 4).sum(),
        "y": 3 * spikes["depthwise"].sum(),
    }


@pytest.mark.parametrize("algorithm", ["few-spike", "rate"])
def test_what_spikes_cause_is_counted(backend, algorithm):
    rng = np.random.default_rng(5)
    model, x = layers(rng), rng.normal(size=(3, 5, 4, 2))
    b.set_device("eprop_cuda", backend=backend, batch_size=2)
    snn = ml.convert(model, x, algorithm=algorithm, timesteps=6)
    cost = snn.cost(x)
    monitors = {name: b.SpikeMonitor(snn.network[name]) for name in ("image", "conv", "depthwise")}
    snn.network.add(*monitors.values())
    snn.network.store()
    wanted, spikes = {"conv": 0.0, "depthwise": 0.0, "y": 0.0}, dict.fromkeys(monitors, 0.0)
    for image in x:
        snn.predict(image[None])
        counts = {name: monitor.count[:][0] for name, monitor in monitors.items()}
        for name, number in met(counts).items():
            wanted[name] += number / 3
        for name in spikes:
            spikes[name] += counts[name].sum() / 3
    found = {layer.name: layer for layer in cost.layers}
    graded = algorithm == "rate"
    assert found["conv"].multiplications == pytest.approx(graded * wanted["conv"])
    assert found["conv"].additions == pytest.approx((not graded) * wanted["conv"])
    assert found["depthwise"].additions == pytest.approx(wanted["depthwise"]) and wanted["y"] > 3
    assert found["y"].additions == pytest.approx(wanted["y"])
    spikes["image"] *= not graded
    assert {name: found[name].spikes for name in spikes} == pytest.approx(spikes)


def test_energies_and_tables():
    rng = np.random.default_rng(6)
    model, x = layers(rng), rng.normal(size=(1, 5, 4, 2))
    b.set_device("eprop_cuda", backend="reference")
    snn = ml.convert(model, x, algorithm="rate", timesteps=3)
    cost = snn.cost(x)
    added, multiplied = cost.additions, cost.multiplications
    assert cost.energy_nj == pytest.approx((0.9 * added + 4.6 * multiplied) / 1000)
    # Each kernel as often as it fits, whatever lies beyond the image.
    synapses = [0, convolve(np.ones((5, 4, 2)), K1, (1, 1), [(1, 1)] * 2, (1, 1), 1).sum(), 64, 48]
    assert [layer.synapses for layer in cost.layers] == synapses
    assert cost.model_energy_nj == pytest.approx(4.6e-3 * sum(synapses))
    largest = [ml.Input(name="x", shape=(4, 1)), ml.ReLU(name="r", inputs=("x",)),
               ml.MaxPooling(name="m", inputs=("r",), window=(2,), strides=(2,)),
               ml.Dense(name="y", inputs=("flat",), kernel=np.ones((2, 3))),
               ml.Reshape(name="flat", inputs=("m",))]  # fmt: skip
    # What a maximum compares, nobody multiplies: 4 by the rectifier's stage, and 2 x 3.
    maxima = ml.convert(largest, np.ones((1, 4, 1)), timesteps=3).cost(np.ones((1, 4, 1)))
    assert maxima.model_energy_nj == pytest.approx(4.6e-3 * (4 + 6))
    assert [layer.weights for layer in cost.layers] == [0, 72, 16, 48]
    assert "estimated energy a sample" in snn.summary(x) and "45 nm" in cost._repr_html_()
    assert snn.summary().splitlines()[-1].split() == ["sum", "139", f"{sum(synapses):,.0f}", "136"]
