"""The encoders against their definition, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brian2eprop.encoding import latency, row_scan

unit = st.floats(0, 1)


def test_latency_of_known_values():
    spikes = latency([[1.0, 0.5, 0.0, 0.75]], n_steps=5)
    step_of = {n: s for s, n in np.argwhere(spikes.to_dense()[0]).tolist()}
    assert step_of == {0: 0, 1: 2, 3: 1}


def test_latency_between_steps_and_above_a_threshold():
    spikes = latency([[1.0, 0.6, 0.2, 0.21]], 10, threshold=0.2, first_step=2, last_step=6)
    step_of = {n: s for s, n in np.argwhere(spikes.to_dense()[0]).tolist()}
    assert step_of == {0: 2, 1: 4, 3: 6}


@given(arrays(np.float64, (2, 3, 2), elements=unit), st.integers(1, 20), st.floats(0, 0.9))
def test_latency_orders_spikes_by_value(values, n_steps, threshold):
    dense = latency(values, n_steps, threshold).to_dense()
    flat = values.reshape(2, 6)
    assert dense.shape == (2, n_steps, 6)
    assert np.array_equal(dense.sum(axis=1), flat > threshold)
    for sample in range(2):
        steps = dense[sample].argmax(axis=0)
        seen = np.flatnonzero(flat[sample] > threshold)
        by_value = seen[np.argsort(-flat[sample, seen], kind="stable")]
        assert (np.diff(steps[by_value]) >= 0).all()


@given(arrays(np.float64, (2, 3, 4), elements=unit), st.integers(1, 4), st.integers(0, 3))
def test_row_scan_is_the_latency_of_each_row(images, steps, blank):
    dense = row_scan(images, steps, threshold=0.1, blank_steps=blank).to_dense()
    assert dense.shape == (2, 3 * steps + blank, 4)
    assert not dense[:, 3 * steps :].any()
    for row in range(3):
        shown = latency(images[:, row], steps, threshold=0.1).to_dense()
        assert np.array_equal(dense[:, row * steps : (row + 1) * steps], shown)


def test_no_samples():
    spikes = latency(np.empty((0, 3)), 4)
    assert (len(spikes), spikes.n_steps, spikes.n_neurons) == (0, 4, 3)


BAD = [
    (lambda: latency([[1.5]], 3), "latency: the values lie between 1.5 and 1.5; scale them to"),
    (lambda: latency([[np.nan]], 3), "latency: the values lie between nan and nan; .*replace NaN"),
    (lambda: latency([0.5], 3), r"latency: the values have the shape \(1,\); let the first"),
    (lambda: latency([[0.5]], 3, last_step=3), r"the steps 0 .. 3 of 3; give 0 <= first_step"),
    (
        lambda: latency([[0.5]], 3, threshold=1),
        "latency: threshold is 1; give a number below 1",
    ),
    (lambda: latency([[0.5]], 7, last_step=5.5), "latency: last_step is 5.5; give a whole number"),
    (lambda: latency([[0.5]], 7.0), "latency: n_steps is 7.0; give a whole number"),
    (lambda: latency([[0.5]], 7, first_step=True), "latency: first_step is True; give a whole num"),
    (lambda: latency([["a"]], 3), "latency: the values are <U1; give real numbers in"),
    (lambda: latency([[1j]], 3), "latency: the values are complex128; give real numbers in"),
    (
        lambda: latency([[0.5]], 3, threshold="a"),
        "threshold is 'a'; give a number below 1",
    ),
    (lambda: row_scan([[[0.5]]], 1.5), "row_scan: steps_per_row is 1.5; give a whole number"),
    (
        lambda: row_scan([[[0.5]]], 1, threshold=2),
        "threshold is 2; give a number below 1",
    ),
    (lambda: row_scan([[0.5]], 3), r"row_scan: the images have the shape \(1, 1\); give an arr"),
    (lambda: row_scan([[[0.5]]], 0), "row_scan: steps_per_row is 0 .*give at least 1 step a row"),
    (lambda: row_scan([[[-1.0]]], 2), "row_scan: the values lie between -1.0 and -1.0; scale"),
]


@pytest.mark.parametrize(("call", "sentence"), BAD)
def test_bad_input(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
