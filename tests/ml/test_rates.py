"""Other conversions by rates: which spikes are taken back, which scales there are, which biases."""

from __future__ import annotations

import brian2 as b
import numpy as np
import pytest

from brian2eprop import ml
from tests.ml.plain import forward, residual_network

EARLY, LATE = 2.0, -3.0


def competing():
    """A neuron that two others lead to, of which one may spike before the other does."""
    return [
        ml.Input(name="x", shape=(2,)),
        ml.Dense(name="a", inputs=("x",), kernel=np.eye(2)),
        ml.ReLU(name="a_relu", inputs=("a",)),
        ml.Dense(name="b", inputs=("a_relu",), kernel=np.array([[EARLY], [LATE]])),
        ml.ReLU(name="b_relu", inputs=("b",)),
        ml.Dense(name="y", inputs=("b_relu",), kernel=np.ones((1, 1))),
    ]


def spikes_by_hand(x, lowest, steps):
    """Spikes of the last neuron that are left after each step; the first two spike as x says."""
    first, v, sent, found = np.full(2, 0.5), 0.5, 0, []
    for _ in range(steps):
        first += x
        spikes = first >= 1
        first -= spikes
        v += spikes @ np.array([EARLY, LATE]) / EARLY  # its scale is the largest activation
        fired = 1 if v >= 1 else -1 if v <= lowest and sent > 0 else 0
        v, sent = v - fired, sent + fired
        found.append(sent)
    return np.array(found)


@pytest.mark.parametrize(("algorithm", "lowest"), [("rate", -np.inf), ("signed-rate", -0.5)])
def test_spikes_that_are_not_due_are_taken_back(backend, algorithm, lowest):
    b.set_device("eprop_cuda", backend=backend, batch_size=4, precision="float64")
    x = np.array([[0.9, 0.3], [0.49, 0.4], [0.3, 0.9], [0.45, 0.3]])
    snn = ml.convert(competing(), np.eye(2), algorithm=algorithm, timesteps=40)
    said = snn.activations(x)["b"][:, 0] * 40 / EARLY
    expected = [spikes_by_hand(each, lowest, 40) for each in x]
    np.testing.assert_allclose(said, [each[-1] for each in expected])
    np.testing.assert_allclose(snn.predict(x)[:, 0] * 40 / EARLY, said)
    if algorithm == "signed-rate":
        assert any(each[-1] < each.max() for each in expected)
        due = np.maximum(np.floor(40 * (x @ [EARLY, LATE]) / EARLY + 0.5), 0)
        assert (abs(said - due) <= 1).all()


def test_what_is_taken_back_is_so_past_layers_too():
    # Each neuron of the second layer sends on what the first sent, and takes it back as well.
    layers = [
        *competing()[:-1],
        ml.Dense(name="c", inputs=("b_relu",), kernel=np.eye(1)),
        ml.ReLU(name="c_relu", inputs=("c",)),
        ml.Dense(name="d", inputs=("c_relu",), kernel=np.eye(1)),
        ml.ReLU(name="d_relu", inputs=("d",)),
        ml.Add(name="y", inputs=("b_relu", "d_relu")),
    ]
    x = np.array([[0.9, 0.3], [0.49, 0.4]])
    b.set_device("eprop_cuda", backend="reference", batch_size=2, precision="float64")
    snn = ml.convert(layers, np.eye(2), algorithm="signed-rate", timesteps=40)
    expected = [2 * spikes_by_hand(each, -0.5, 40) for each in x]
    said = snn.predict_each_step(x)[:, :, 0] * np.arange(1, 41) / EARLY
    np.testing.assert_allclose(said, expected)


SAMPLES = np.array([[0.2, 4.0], [0.4, -1.0], [0.8, 1.0]])
PLAIN = [
    ml.Input(name="x", shape=(2,)),
    ml.Dense(name="a", inputs=("x",), kernel=np.eye(2)),
    ml.ReLU(name="relu", inputs=("a",)),
    ml.Dense(name="y", inputs=("relu",), kernel=np.eye(2)),
]


@pytest.mark.parametrize(
    ("options", "scales"),
    [
        ({"percentile": 100}, [0.8, 4.0]),
        ({"percentile": 50}, [0.4, 2.5]),
        ({"percentile": 100, "per": "layer"}, [4.0, 4.0]),
        ({"percentile": 50, "per": "layer"}, [0.8, 0.8]),
    ],
)
def test_scales(options, scales):
    b.set_device("eprop_cuda", backend="reference", precision="float64")
    snn = ml.convert(PLAIN, SAMPLES, algorithm=ml.Rate(8, **options))
    # What is far above the scale is a spike in every step.
    np.testing.assert_allclose(snn.activations(np.full((1, 2), 100.0))["a"], [scales])


def test_balanced_thresholds_are_the_largest_input_of_a_step():
    layers = [
        ml.Input(name="x", shape=(3,)),
        ml.Dense(name="a", inputs=("x",), kernel=np.eye(3)),
        ml.ReLU(name="a_relu", inputs=("a",)),
        ml.Dense(name="b", inputs=("a_relu",), kernel=np.array([[0.0], [1], [1.5]])),
        ml.ReLU(name="b_relu", inputs=("b",)),
        ml.Dense(name="y", inputs=("b_relu",), kernel=np.ones((1, 1))),
    ]
    b.set_device("eprop_cuda", backend="reference", precision="float64")
    # They spike in every step, in those of odd numbers, and in each second of the others: the
    # second and the third never at once, though they say 0.5 + 1.5*0.25 in the mean.
    samples = np.array([[1.0, 0.5, 0.25]])
    snn = ml.convert(layers, samples, algorithm="threshold-balancing", timesteps=16)
    said = snn.activations(np.array([[100.0, 100.0, 100.0]]))
    np.testing.assert_allclose(said["a"], [[1.0, 1.0, 1.0]])
    np.testing.assert_allclose(said["b"], [[1.5]])


def test_calibrated_layers_say_what_the_model_gives_on_average():
    rng = np.random.default_rng(5)
    layers, x = residual_network(rng), rng.normal(size=(12, 6, 5, 2))
    b.set_device("eprop_cuda", backend="cpu", batch_size=12, precision="float64")
    lost = {}
    for calibrated in (False, True):
        snn = ml.convert(layers, x, algorithm=ml.Rate(12, percentile=100, calibrated=calibrated))
        said = snn.activations(x)
        known = {"relu": said["conv"], "relu_1": said["add"]}
        lost[calibrated] = {}
        for stage, layer, takes in (("add", "relu_1", ["relu"]), ("pool", "pool", ["relu_1"])):
            wanted = [
                forward(layers, image, {name: known[name][n] for name in takes})[layer]
                for n, image in enumerate(x)
            ]
            mean = np.mean(said[stage] - np.array(wanted), axis=(0, 1, 2))
            lost[calibrated][stage] = np.abs(mean).mean()
    assert sum(lost[True].values()) < 0.5 * sum(lost[False].values())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ml.Rate(8, percentile=101), "Rate: percentile is 101; give a number from 0 to"),
        (lambda: ml.Rate(8, per="neuron"), "Rate: per is 'neuron'; give 'channel' or 'layer'"),
        (lambda: ml.SignedRate(0), "timesteps is 0; give a whole number from 1 up"),
        (
            lambda: ml.convert(PLAIN, SAMPLES, algorithm=ml.Rate(8), timesteps=9),
            "timesteps is 9, and the algorithm is made with 8; give them to the algorithm alone",
        ),
    ],
)
def test_what_is_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
