"""Numbers and truth values that objects are made with: what is none is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Quantity, ms, mV
from brian2.units.fundamentalunits import DimensionMismatchError

import brian2eprop as b2e
from brian2eprop import augmentation
from brian2eprop.number_checks import number

CONTEXT, WINDOW = (0 * ms, 5 * ms), (6 * ms, 9 * ms)
NUMBERS: dict[str, Callable[[Any], Any]] = {
    "FirstSpikeTime: alpha": lambda x: b2e.FirstSpikeTime(alpha=x),
    "SpikeCount: scale": lambda x: b2e.SpikeCount(scale=x),
    "ContrastivePrediction: margin": lambda x: b2e.ContrastivePrediction(WINDOW, CONTEXT, margin=x),
    "Value: discount": lambda x: b2e.Value(discount=x),
    "FiringRate: strength": lambda x: b2e.FiringRate(10 * Hz, x),
    "ExponentialDecay: initial_learning_rate": lambda x: b2e.ExponentialDecay(x, 1, 1),
    "ExponentialDecay: decay_steps": lambda x: b2e.ExponentialDecay(1, x, 1),
    "ExponentialDecay: decay_rate": lambda x: b2e.ExponentialDecay(1, 1, x),
    "CosineDecay: alpha": lambda x: b2e.CosineDecay(1, 1, x),
    "PiecewiseConstantDecay: the boundaries": lambda x: b2e.PiecewiseConstantDecay([x], [1, 2]),
    "PiecewiseConstantDecay: the boundaries are .* and the values": (
        lambda x: b2e.PiecewiseConstantDecay([1], [1, x])
    ),
    "Adam: learning_rate": b2e.Adam,
    "Adam: epsilon": lambda x: b2e.Adam(epsilon=x),
    "SGD: momentum": lambda x: b2e.SGD(momentum=x),
    "Shift: neurons": augmentation.Shift,
    "Shift: steps": lambda x: augmentation.Shift(steps=x),
    "Jitter: steps": augmentation.Jitter,
    "Drop: probability": augmentation.Drop,
    "Blend: probability": augmentation.Blend,
}
NONE = [1 * ms, True, np.True_, "x", 10**400, 1j, [1.0], np.array([0.5]), float("nan"), -1]


@pytest.mark.parametrize("value", [*NONE, None], ids=lambda value: repr(value)[:10])
@pytest.mark.parametrize("role", NUMBERS)
def test_what_is_no_number_is_refused(role: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{role}.*; give "):
        NUMBERS[role](value)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int64(1), np.array(0.5), ms / ms])
def test_what_is_one_number_is_taken(value: Any) -> None:
    for role in NUMBERS.keys() - {"Shift: neurons", "Shift: steps", "SGD: momentum"}:
        if not role.endswith("decay_steps") or value == 1:
            NUMBERS[role](value)


TIMES: dict[str, Callable[[Any], Any]] = {
    "FirstSpikeTime's tau is a time": lambda x: b2e.FirstSpikeTime(tau=x),
    "FirstSpikeTime's tau_late is a time": lambda x: b2e.FirstSpikeTime(tau_late=x),
    "TrialCrossEntropy's tau is a time": lambda x: b2e.TrialCrossEntropy(tau=x),
    "FiringRate's target is a rate": b2e.FiringRate,
    "Each end of a loss's window is a time": lambda x: b2e.SpikeCount(window=(0 * ms, x)),
    "Each end of a loss's context is a time": (
        lambda x: b2e.ContrastivePrediction(WINDOW, (x, 5 * ms))
    ),
}


@pytest.mark.parametrize(
    "value",
    [None, True, "x", 10**400, 1j, [1, 2] * ms, float("inf") * ms, 5 * mV, 5],
    ids=lambda value: repr(value)[:10],
)
@pytest.mark.parametrize("role", TIMES)
def test_what_is_no_time_or_rate_is_refused(role: str, value: Any) -> None:
    with pytest.raises((ValueError, DimensionMismatchError), match=f"{role}; give one such as"):
        TIMES[role](value)


FLAGS: dict[str, Callable[[Any], Any]] = {
    "staircase": lambda x: b2e.ExponentialDecay(1, 1, 1, staircase=x).staircase,
    "nesterov": lambda x: b2e.SGD(nesterov=x).nesterov,
    "follow_context": lambda x: b2e.ContrastivePrediction(WINDOW, CONTEXT, 1, x).follow_context,
}


@pytest.mark.parametrize("name", FLAGS)
def test_truth_values(name: str) -> None:
    for value in (True, False, np.True_, np.False_):
        assert FLAGS[name](value) == value
    for wrong in ("x", 1, 0, None, [True], Quantity(1)):
        with pytest.raises(ValueError, match=f": {name} is .*; give True or False"):
            FLAGS[name](wrong)


@pytest.mark.parametrize(
    "make",
    [
        lambda: augmentation.Shift(2**63),
        lambda: augmentation.Shift(10**9 + 1),
        lambda: augmentation.Jitter(1e300),
        lambda: augmentation.Jitter(float("inf")),
        lambda: number("Adam", "beta_1", 10**5000),
    ],
)
def test_what_is_too_far_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"give a .*number"):
        make()


def test_the_farthest_is_not_wrapped_around() -> None:
    """Whatever is moved so far leaves the sample."""
    spikes = b2e.Spikes.from_dense(np.ones((2, 4, 3), bool))
    for step in (augmentation.Shift(10**9, 10**9), augmentation.Jitter(1e9)):
        assert step(spikes, [0, 0], np.random.default_rng(0)).index.size == 0


def test_a_window_beyond_all_steps() -> None:
    loss = b2e.CrossEntropy((0 * ms, 1e306 * ms))
    assert loss.window_steps(30, 1e-4) == 30
    with pytest.raises(ValueError, match="contains no step of a trial"):
        b2e.CrossEntropy((1e305 * ms, 1e306 * ms)).window_steps(30, 1e-9)


def test_a_schedule_that_grows_without_end() -> None:
    rate = b2e.ExponentialDecay(0.1, decay_steps=1, decay_rate=10.0)
    assert rate(400) == float("inf")
