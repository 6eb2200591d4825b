"""Answers that are given when they are sure, beside those of all steps."""

from __future__ import annotations

import brian2 as b
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brian2eprop import Unsupported, ml
from tests.samples import examples

T = 21


def network(batch_size=None, backend="reference"):
    rng = np.random.default_rng(2)
    layers = [
        ml.Input(name="x", shape=(5,)),
        ml.Dense(name="hidden", inputs=("x",), kernel=rng.normal(size=(5, 8))),
        ml.ReLU(name="relu", inputs=("hidden",)),
        ml.Dense(name="y", inputs=("relu",), kernel=rng.normal(size=(8, 4))),
    ]
    x = rng.normal(size=(7, 5))
    b.set_device("eprop_cuda", backend=backend, batch_size=batch_size)
    return ml.convert(layers, x, algorithm="rate", timesteps=T), x


def expected(every, margin):
    """Step by step: the first answer whose lead is enough, or the last one."""
    for n, outputs in enumerate(every, start=1):
        second, first = np.sort(outputs)[-2:]
        if (first - second) * n / T >= margin or n == T:
            return n, outputs
    raise AssertionError


def test_each_sample_ends_when_it_is_sure(backend):
    snn, x = network(3, backend)
    every = snn.predict_each_step(x)
    assert sorted(snn.predict_early(x, 1.0).steps[:3] > 8) == [False, False, True]
    for margin in (0.0, 0.5, 1.0, 1e9):
        early = snn.predict_early(x, margin)
        steps, outputs = zip(*(expected(each, margin) for each in every), strict=True)
        assert early.steps.tolist() == list(steps)
        np.testing.assert_array_equal(early.outputs, outputs)
    assert (early.steps == T).all()


@settings(max_examples=examples(3, 30), deadline=None)
@given(st.floats(0, 2), st.sampled_from([None, 2, 7]))
def test_batches_and_margins(margin, batch_size):
    b.start_scope()
    snn, x = network(batch_size)
    early = snn.predict_early(x, margin)
    found = [expected(each, margin)[0] for each in snn.predict_each_step(x)]
    assert early.steps.tolist() == found


def test_a_batch_ends_when_all_are_sure():
    snn, x = network(7)
    snn.predict_early(x, 0.0)
    assert snn.network.t < T / 2 * b.ms


def test_refusals():
    snn, x = network(7)
    with pytest.raises(ValueError, match="predict_early: margin is -1; give a finite number"):
        snn.predict_early(x, -1)
    layers = [ml.Input(name="x", shape=(5,)), ml.Dense(name="y", inputs=("x",), kernel=np.eye(5))]
    with pytest.raises(Unsupported, match=r"'few-spike' has an answer when all is over only"):
        ml.convert(layers, x).predict_early(x, 1)
    layers = [ml.Input(name="x", shape=(5,)), ml.Dense(name="y", inputs=("x",), kernel=x.T[:, :1])]
    with pytest.raises(Unsupported, match="'y' has a single output, which leads no other"):
        ml.convert(layers, x, algorithm="rate").predict_early(x, 1)
