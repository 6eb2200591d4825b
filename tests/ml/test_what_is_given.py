"""What a conversion is given: ceilings that hold, and numbers and names that cannot be."""

from __future__ import annotations

import brian2 as b
import numpy as np
import pytest

import brian2eprop as b2e
from brian2eprop import Unsupported, ml
from brian2eprop.ml.convert import ALGORITHMS


def rectified(ceiling, size=2):
    return [
        ml.Input(name="x", shape=(size,)),
        ml.Dense(name="h", inputs=("x",), kernel=np.eye(size)),
        ml.ReLU(name="r", inputs=("h",), ceiling=ceiling),
        ml.Dense(name="y", inputs=("r",), kernel=np.eye(size)),
    ]


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@pytest.mark.parametrize("samples", [-np.ones((3, 2)), np.full((3, 2), 4.0)], ids=["none", "high"])
def test_nothing_goes_above_a_ceiling(algorithm, samples):
    b.set_device("eprop_cuda", backend="reference", batch_size=1)
    snn = ml.convert(rectified(0.3), samples, algorithm=algorithm, timesteps=32)
    np.testing.assert_allclose(snn.predict([[4.0, 0.15]]), [[0.3, 0.15]], atol=0.02)


def kernel(**options):
    given = {"kernel": np.ones((3, 3, 2, 4)), "padding": "same"} | options
    return [ml.Input(name="x", shape=(5, 5, 2)), ml.Convolution(name="c", inputs=("x",), **given)]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: kernel(bias=np.ones((5, 1))),
            r"bias of 'c' has the shape \(5, 1\); .* 4 cha",
        ),
        (lambda: kernel(bias=np.ones(3)), r"The bias of 'c' has the shape \(3,\)"),
        (lambda: kernel(strides=1.5), "The strides of 'c' are 1.5; give whole numbers from 1 up"),
        (lambda: kernel(dilation="2"), "The dilation of 'c' are '2'; give whole numbers"),
        (lambda: kernel(strides=0), "The strides of 'c' are 0"),
        (
            lambda: kernel(strides=2**31),
            "the strides of 'x_to_c' is .*; give whole numbers",
        ),
        (lambda: rectified(0.0), "The ceiling of 'r' is 0.0; give a number above zero"),
        (lambda: rectified(np.nan), "The ceiling of 'r' is nan"),
    ],
)
def test_numbers_that_cannot_be(make, sentence):
    b.set_device("eprop_cuda", backend="reference")
    with pytest.raises(ValueError, match=sentence):
        layers = make()
        ml.convert(layers, np.ones((1, *layers[0].shape)), timesteps=3)


def test_a_stride_beyond_all_images():
    source = b.NeuronGroup(8, "a : 1", threshold="a > 1", reset="")
    synapses = b.Synapses(source, b.NeuronGroup(1, "v : 1"), "w : 1", on_pre="v_post += w")
    with pytest.raises(ValueError, match="give whole numbers from 1 to 1073741824"):
        b2e.connect_kernel(synapses, np.ones((3, 1, 1)), (8, 1), strides=2**31)


def test_a_layer_that_is_called_as_what_is_made_beside_layers():
    layers = rectified(1.0)[:3]
    layers += [
        ml.Dense(name="q", inputs=("r",), kernel=np.eye(2)),
        ml.ReLU(name="s", inputs=("q",)),
        ml.Dense(name="h_to_q", inputs=("s",), kernel=np.eye(2)),
    ]
    b.set_device("eprop_cuda", backend="reference")
    with pytest.raises(ValueError, match="The layer 'h_to_q' is called as the synapses"):
        ml.convert(layers, np.eye(2), timesteps=3)


def test_classes():
    b.set_device("eprop_cuda", backend="reference", batch_size=2)
    snn = ml.convert(rectified(1.0), np.eye(2), algorithm="rate", timesteps=4)
    assert snn.evaluate(np.eye(2), np.array([[0], [0]])).tolist() == [0.5] * 4
    with pytest.raises(ValueError, match="y has classes from 1 to 2; those of the output 'y'"):
        snn.evaluate(np.eye(2), np.array([1, 2]))
    with pytest.raises(ValueError, match=r"shape \(2, 2\) .*one-hot classes y.argmax"):
        snn.evaluate(np.eye(2), np.eye(2))
    places = kernel(padding="valid")
    image = np.ones((1, 5, 5, 2))
    snn = ml.convert(places, image, algorithm="rate", timesteps=3)
    with pytest.raises(Unsupported, match=r"predict_early: the output 'c' has the shape"):
        snn.predict_early(image, 0.1)


def test_what_it_is_called():
    b.set_device("eprop_cuda", backend="reference")
    snn = ml.convert(rectified(1.0), np.eye(2), timesteps=4)
    assert repr(snn) == "<ConvertedNetwork by 'few-spike': x, h, y>"
    with pytest.raises(AttributeError):
        snn.stages = ()
