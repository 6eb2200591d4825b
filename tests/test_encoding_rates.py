"""Random, level-crossing and pixel-sequence encoders against statistics and plain Python."""

import numpy as np
import pytest
from brian2 import Hz, ms, mV
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brian2eprop.encoding import level_crossing, linear_latency, pixel_sequence, poisson, rates

unit = st.floats(0, 1)


def test_poisson_counts_are_binomial():
    values = np.repeat([[0.1, 0.5, 1.0]], 2000, axis=0)
    dense = poisson(values, 50, 400 * Hz, 1 * ms, seed=1).to_dense()
    for neuron, value in enumerate(values[0]):
        p, count = 0.4 * value, dense[:, :, neuron].sum(axis=1)
        assert count.mean() == pytest.approx(50 * p, abs=5 * (50 * p * (1 - p) / 2000) ** 0.5)
        assert count.var() == pytest.approx(50 * p * (1 - p), rel=0.2)
    # No step and no neuron knows of another one.
    rows = dense[:, :, 1:].reshape(2000, 100).astype(float)
    correlation = np.corrcoef(rows.T) - np.eye(100)
    assert np.abs(correlation).max() < 6 / 2000**0.5


def test_poisson_is_a_function_of_the_seed_alone(monkeypatch):
    values = np.random.default_rng(0).random((7, 3, 5))
    first, again, other = (poisson(values, 11, 500, 1e-3, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.index, again.index) and np.array_equal(first.start, again.start)
    assert not np.array_equal(first.to_dense(), other.to_dense())
    monkeypatch.setattr(rates, "CHUNK", 40)
    small = poisson(values, 11, 500, 1e-3, 3)
    assert np.array_equal(first.to_dense(), small.to_dense())


def test_poisson_at_the_ends_of_the_interval():
    dense = poisson([[0.0, 1.0]], 20, 1 / 1e-3, 1e-3, seed=0).to_dense()
    assert not dense[..., 0].any() and dense[..., 1].all()
    values = np.random.default_rng(0).integers(0, 2, (6, 4))
    dense = poisson(values, 3, 1000 * Hz, 1 * ms, seed=0).to_dense()
    assert np.array_equal(dense, np.repeat(values[:, None], 3, axis=1))
    assert len(poisson(np.empty((0, 3)), 4, 10, 1e-3, 0)) == 0
    assert poisson([[0.5]], 0, 10, 1e-3, 0).n_steps == 0


@given(arrays(np.float64, (2, 4), elements=unit), st.integers(2, 30), st.integers(0, 1))
def test_linear_latency_is_linear(values, n_steps, first):
    dense = linear_latency(values, n_steps, first, bias_step=1).to_dense()
    assert np.array_equal(dense.sum(axis=1), np.ones((2, 5)))
    for sample in range(2):
        for neuron in range(4):
            exact = first + values[sample, neuron] * (n_steps - 1 - first)
            assert abs(dense[sample, :, neuron].argmax() - exact) <= 0.5
        assert dense[sample, 1, 4]


def signal_and_delta():
    return st.tuples(
        arrays(np.float64, (2, 12, 2), elements=st.floats(-5, 5, width=16)),
        st.sampled_from([0.25, 0.5, 2.0]),
    )


@given(signal_and_delta())
def test_level_crossing_is_delta_modulation(given):
    signals, delta = given
    dense = level_crossing(signals, delta).to_dense()
    for sample in range(2):
        for channel in range(2):
            reference = signals[sample, 0, channel]
            for step, value in enumerate(signals[sample, :, channel]):
                up, down = dense[sample, step, channel], dense[sample, step, channel + 2]
                assert up == (value - reference >= delta)
                assert down == (value - reference <= -delta)
                reference += delta * (int(up) - int(down))


def test_a_slow_signal_is_got_back_to_within_a_level():
    t = np.linspace(0, 1, 500)
    signal = (np.sin(7 * t) + 0.5 * np.cos(19 * t))[None, :, None]
    dense = level_crossing(signal, 0.05).to_dense()[0].astype(int)
    back = signal[0, 0, 0] + 0.05 * np.cumsum(dense[:, 0] - dense[:, 1])
    assert np.abs(back - signal[0, :, 0]).max() < 0.05


@given(arrays(np.float64, (2, 9), elements=st.sampled_from([0, 0.2, 1 / 3, 0.5, 2 / 3, 0.9, 1])))
def test_pixel_sequence_pixel_by_pixel(images):
    dense = pixel_sequence(images, n_thresholds=4, steps_per_pixel=2, prompt_steps=3).to_dense()
    expected = np.zeros((2, 21, 8), bool)
    for sample, image in enumerate(images):
        for at, pixel in enumerate(image):
            expected[sample, 2 * at, 6] = pixel == 1
            for number in range(3):
                if at:
                    threshold, before = number / 3, image[at - 1]
                    expected[sample, 2 * at, number] = before < threshold <= pixel
                    expected[sample, 2 * at, number + 3] = pixel < threshold <= before
    expected[:, 18:, 7] = True
    assert np.array_equal(dense, expected)


def test_the_published_pixel_sequence_has_79_neurons():
    images = np.random.default_rng(0).random((501, 28, 28))
    spikes = pixel_sequence(images)
    assert (len(spikes), spikes.n_steps, spikes.n_neurons) == (501, 784, 79)
    assert np.array_equal(spikes[500].index, pixel_sequence(images[500:]).index)
    prompted = pixel_sequence(images[:1], prompt_steps=56)
    assert (prompted.n_steps, prompted.n_neurons) == (840, 80)
    assert len(pixel_sequence(np.empty((0, 4)))) == 0


BAD = [
    (lambda: poisson([[0.5]], 3, 2000, 1e-3, 0), r"max_rate \* dt is 2 spikes a step; give a low"),
    (
        lambda: poisson([[0.5]], 3, 2 * mV, 1e-3, 0),
        "max_rate has the unit .*; give values in Hz",
    ),
    (lambda: poisson([[0.5]], 3, -1, 1e-3, 0), "max_rate is -1; give one number above zero"),
    (
        lambda: poisson([[0.5]], 3, 10, 1e-3, -1),
        "seed is -1; give a whole number from 0 up",
    ),
    (lambda: poisson([[0.5]], 3, 10, "a", 0), "dt is 'a'; give one number above zero"),
    (lambda: poisson([[2]], 3, 10, 1e-3, 0), "poisson: the values lie between 2 and 2; scale"),
    (lambda: linear_latency([[0.5]], 3, 3), r"linear_latency: the spikes are to lie in the steps"),
    (lambda: linear_latency([[0.5]], 3, bias_step=4), "lie in the steps 4 .. 2 of 3"),
    (lambda: level_crossing([[1.0]], 0), "level_crossing: delta is 0; give one number above zero"),
    (lambda: level_crossing([[np.inf]], 1), "the values hold NaN or infinity; replace these"),
    (lambda: level_crossing([1.0], 1), r"the values have the shape \(1,\); let the first of"),
    (lambda: level_crossing([["a"]], 1), "the values are <U1; give real numbers"),
    (lambda: pixel_sequence([[0.5]], 1), "n_thresholds is 1; give a whole number from 2 up"),
    (lambda: pixel_sequence([[0.5]], 2, 0), "steps_per_pixel is 0; give a whole number from 1 up"),
    (
        lambda: pixel_sequence([[0.5]], 2, 1, -1),
        "prompt_steps is -1; give a whole number from 0",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), BAD)
def test_bad_input(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
