"""Few-spike conversion: what a layer sends are the digits of the quantised activation."""

from __future__ import annotations

import brian2 as b
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from brian2eprop import ml
from tests.ml.plain import branched_network, forward, residual_network
from tests.samples import examples

K = 6


def check(layers, stages, x):
    """Each stage sends what its ANN gives of what came in, to half a step; the output exactly.

    ``stages`` has the layer that each stage gives, or that several give side by side.
    """
    samples = np.concatenate([x, 0.7 * x, -x])
    snn = ml.convert(layers, samples, algorithm="few-spike", timesteps=K)
    parts, answers = snn.activations(x), snn.predict(x)
    kinds = {layer.name: layer for layer in layers}
    typical = [forward(layers, image) for image in samples]
    sent = {}
    for names, layer in stages.items():
        values = np.concatenate([parts[stage] for stage in names.split()], axis=-1)
        sent[layer] = values.reshape(len(x), *typical[0][layer].shape)
    for number, image in enumerate(x):
        known = {layer: values[number] for layer, values in sent.items()}
        exact = forward(layers, image, known)
        for layer in known:
            before = {name: known[name] for name in known if name != layer}
            wanted = forward(layers, image, before)[layer]
            scale = largest(np.array([values[scaled_as(layer, kinds)] for values in typical]))
            step = 2.0**-K * scale / (1 - 2.0**-K)
            error = np.abs(known[layer] - np.clip(wanted, -scale, scale))
            is_largest = isinstance(kinds[layer], ml.MaxPooling)
            assert (error <= (0 if is_largest else 0.5) * step + 1e-9).all(), layer
            digits = known[layer] / step
            np.testing.assert_allclose(digits, np.round(digits), atol=1e-6)
        outputs = answers if isinstance(answers, dict) else {layers[-1].name: answers}
        for name, values in outputs.items():
            np.testing.assert_allclose(values[number], exact[name], atol=1e-9)


def scaled_as(layer, kinds):
    """The layer whose scale a layer has: a maximum has that of what it compares."""
    while isinstance(kinds[layer], ml.MaxPooling):
        (layer,) = kinds[layer].inputs
    return layer


def largest(values):
    """The largest activation of each channel; of the layer, in channels that are silent."""
    found = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
    return np.where(found > 0, found, np.abs(values).max() or 1)


def test_a_network_with_skips(backend):
    rng = np.random.default_rng(1)
    b.set_device("eprop_cuda", backend=backend, batch_size=2, precision="float64")
    stages = {"image": "image", "conv": "relu", "add": "relu_1", "pool": "pool"}
    check(residual_network(rng), stages, rng.normal(size=(3, 6, 5, 2)))


def test_a_network_with_branches():
    rng = np.random.default_rng(2)
    b.set_device("eprop_cuda", backend="cpu", batch_size=2, precision="float64")
    stages = {
        "image": "image", "late": "relu", "max": "max", "mean": "mean",
        "all_0 all_1": "all",
    }  # fmt: skip
    check(branched_network(rng), stages, rng.normal(size=(3, 6, 5, 2)))


def convolution(draw):
    """A convolution along one or two directions, followed by another."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    n = draw(st.integers(1, 2))
    groups = draw(st.sampled_from([1, 2]))
    shape = (*(draw(st.integers(4, 6)) for _ in range(n)), 2)
    window = tuple(draw(st.integers(1, 3)) for _ in range(n))
    strides = tuple(draw(st.integers(1, 2)) for _ in range(n))
    dilation = 1 if max(strides) > 1 or max(window) > 2 else draw(st.integers(1, 2))
    padding = draw(st.sampled_from(["valid", "same", ((1, 2),) * n]))
    options = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    kernel = rng.normal(size=(*window, 2 // groups, 4))
    bias = rng.normal(size=4)
    return shape, ml.Convolution(name="a", inputs=("x",), kernel=kernel, bias=bias, **options), rng


def behind(draw, shape, rng):
    """Layers behind a ReLU, of the kinds that may follow one, and which of them neurons are."""
    n, channels = len(shape) - 1, shape[-1]
    window = tuple(draw(st.integers(1, min(3, size))) for size in shape[:-1])
    options = {
        "window": window if draw(st.booleans()) else None,
        "strides": tuple(draw(st.integers(1, 2)) for _ in range(n)),
        "padding": draw(st.sampled_from(["valid", "same"])),
    }
    scale, shift = rng.normal(size=channels), rng.normal(size=channels)
    found = [
        ml.MaxPooling(name="max", inputs=("relu",), **options),
        ml.AveragePooling(name="mean", inputs=("relu",), **options),
        ml.Normalisation(name="norm", inputs=("max",), scale=scale, shift=shift),
        ml.Concatenate(name="both", inputs=("max", "mean", "norm")),
        ml.Reshape(name="flat", inputs=("both",)),
    ]
    return found, {"max": "max", "mean": "mean"}


@settings(deadline=None, max_examples=examples(3, 60))
@given(st.data())
def test_convolutions(data):
    """And poolings, normalisations and sums of channels behind them."""
    shape, layer, rng = convolution(data.draw)
    layers = [ml.Input(name="x", shape=shape), layer, ml.ReLU(name="relu", inputs=("a",))]
    seen = forward(layers, np.zeros(shape))["relu"].shape
    more, stages = behind(data.draw, seen, rng)
    n = forward([*layers, *more], np.zeros(shape))["flat"].size
    last = ml.Dense(name="y", inputs=("flat",), kernel=rng.normal(size=(n, 2)))
    b.start_scope()
    b.set_device("eprop_cuda", backend="reference", precision="float64")
    stages = {"x": "x", "a": "relu", **stages}
    check([*layers, *more, last], stages, rng.normal(size=(2, *shape)))


def test_channels_that_become_places():
    """Units of a dense layer have scales of their own, unless a kernel sees them as places."""
    rng = np.random.default_rng(4)
    sizes = np.geomspace(0.1, 10, 12)
    layers = [
        ml.Input(name="x", shape=(5,)),
        ml.Dense(name="a", inputs=("x",), kernel=rng.normal(size=(5, 12)) * sizes),
        ml.ReLU(name="relu", inputs=("a",)),
        ml.Reshape(name="steps", inputs=("relu",), shape=(6, 2)),
        ml.MaxPooling(name="max", inputs=("steps",), window=(2,), strides=(1,)),
        ml.Reshape(name="others", inputs=("max",), shape=(2, 5)),
        ml.Convolution(name="y", inputs=("others",), kernel=rng.normal(size=(1, 5, 3))),
    ]
    x = rng.normal(size=(3, 5))
    places = [
        ml.Input(name="x", shape=(6, 2)),
        ml.Convolution(name="a", inputs=("x",), kernel=rng.normal(size=(1, 2, 4))),
        ml.Reshape(name="units", inputs=("a",)),
        ml.ReLU(name="relu", inputs=("units",)),
        ml.Dense(name="y", inputs=("relu",), kernel=rng.normal(size=(24, 3))),
    ]
    for network, values in ((layers, x), (places, rng.normal(size=(3, 6, 2)) * sizes[::2, None])):
        b.start_scope()
        b.set_device("eprop_cuda", backend="reference", batch_size=3, precision="float64")
        answers = ml.convert(network, values, algorithm="few-spike", timesteps=16).predict(values)
        expected = [forward(network, each)["y"] for each in values]
        np.testing.assert_allclose(answers, expected, atol=0.01)
