"""The layer in which a conversion goes wrong is named, and why."""

from __future__ import annotations

from dataclasses import replace

import brian2 as b
import numpy as np
import pytest

from brian2eprop.ml.building import scale_stages
from brian2eprop.ml.converted import ConvertedNetwork
from brian2eprop.ml.few_spike import FewSpike
from brian2eprop.ml.graph import graph_of
from brian2eprop.ml.rate import Rate
from brian2eprop.ml.simplify import simplify
from brian2eprop.ml.stages import activations
from tests.ml.plain import forward, residual_network


def converted(algorithm, broken=None, factor=1.0):
    """A conversion in which the scale of one layer is another one."""
    rng = np.random.default_rng(1)
    layers, x = residual_network(rng), rng.normal(size=(4, 6, 5, 2))
    stages, ports = simplify(graph_of(layers))
    scaled = scale_stages(stages, activations(stages, {"image": x}), algorithm)
    changed = tuple(
        replace(each, scale=each.scale * (factor if each.stage.name == broken else 1))
        for each in scaled
    )
    return ConvertedNetwork(changed, algorithm, ports), layers, x


@pytest.mark.parametrize(
    ("algorithm", "broken", "factor", "remedy"),
    [
        (FewSpike(8), "add", 0.2, "activations are above its scale"),
        (FewSpike(8), "conv", 40.0, "activations are rounded"),
        (Rate(60), "add", 0.2, "activations are above its scale"),
    ],
)
def test_a_wrong_scale_is_found(algorithm, broken, factor, remedy):
    b.set_device("eprop_cuda", backend="cpu", batch_size=4)
    snn, _, x = converted(algorithm, broken, factor)
    diagnosis = snn.diagnose(x)
    assert diagnosis.worst.name == broken and remedy in diagnosis.sentence
    others = [layer.own_error for layer in diagnosis.layers if layer.name != broken]
    assert diagnosis.worst.own_error > 4 * max(others)
    # What comes after is further from the model, though it does what it should.
    assert diagnosis.layers[-1].error > 4 * diagnosis.layers[-1].own_error
    assert diagnosis.sentence in str(diagnosis) and diagnosis.sentence in diagnosis._repr_html_()


def test_other_weights_are_found(backend):
    b.set_device("eprop_cuda", backend=backend, batch_size=2)
    snn, _, x = converted(FewSpike(8))
    assert max(layer.own_error for layer in snn.diagnose(x).layers) < 0.01
    snn.network.restore()
    snn.network["add_to_pool"].w = 1.5 * snn.network["add_to_pool"].w[:]
    snn.network.store()
    diagnosis = snn.diagnose(x)
    assert diagnosis.worst.name == "pool" and "look at its synapses" in diagnosis.sentence
    assert diagnosis.worst.own_error > 0.2


def test_numbers_are_those_of_the_layers():
    b.set_device("eprop_cuda", backend="reference", batch_size=4, precision="float64")
    snn, layers, x = converted(FewSpike(5), "conv", 0.5)
    found = {layer.name: layer for layer in snn.diagnose(x).layers}
    model = np.array([forward(layers, image)["relu"] for image in x])
    said = snn.activations(x)["conv"]
    wanted = np.array([forward(layers, image)["relu"] for image in snn.activations(x)["image"]])
    largest = model.max(axis=(0, 1, 2)) / 2
    cut = np.maximum(wanted - largest, 0)
    conv = found["conv"]
    assert conv.error == pytest.approx(np.abs(said - model).mean() / model.mean())
    assert conv.own_error == pytest.approx(np.abs(said - wanted).mean() / wanted.mean())
    assert conv.cut_off == pytest.approx(cut.mean() / wanted.mean())
    assert conv.saturated == pytest.approx((cut > 0).mean()) and conv.saturated > 0.01
    assert conv.correlation == pytest.approx(np.corrcoef(said.ravel(), model.ravel())[0, 1])
    step = 2.0**-5 * largest / (1 - 2.0**-5)
    rounded = np.abs(np.minimum(np.floor(wanted / step + 0.5), 31) * step - (wanted - cut))
    assert conv.rounding == pytest.approx(rounded.mean() / wanted.mean())
    assert conv.rounding <= conv.own_error < conv.rounding + conv.cut_off + 1e-9
