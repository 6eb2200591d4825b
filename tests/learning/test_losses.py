"""Losses and the firing-rate regulariser: what they take, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, mV, set_device
from brian2.units.fundamentalunits import DimensionMismatchError

from brian2eprop import (
    SGD,
    CrossEntropy,
    EProp,
    FiringRate,
    MeanSquaredError,
    Spikes,
    SpikeSource,
    Trainer,
    Triangular,
)
from brian2eprop.device.program import Body
from brian2eprop.learning.model.linearise import Condition
from brian2eprop.learning.model.symbolic import parse, render


def test_window_counts_steps_that_start_in_it() -> None:
    # 2.9 ms to 7.1 ms contains the starts of steps 3 to 7; a decimal edge on the grid belongs.
    assert CrossEntropy().window_steps(50, 1e-3) == 50
    assert CrossEntropy(window=(3 * ms, 7 * ms)).window_steps(50, 1e-3) == 4
    assert CrossEntropy(window=(0.3 * ms, 0.6 * ms)).window_steps(50, 1e-4) == 3


@pytest.mark.parametrize(
    ("window", "error", "text"),
    [
        ((5 * ms, 5 * ms), ValueError, "must start at zero or later and end after its start"),
        ((-1 * ms, 5 * ms), ValueError, "must start at zero or later"),
        (5 * ms, ValueError, r"window 5. ms is no pair of times; give its start and its end, such"),
        ((1 * ms, 2 * ms, 3 * ms), ValueError, "is no pair of times; give its start and its end"),
        ("ab", ValueError, "window ab is no pair of times"),
        (
            (1 * mV, 5 * mV),
            DimensionMismatchError,
            "Each end of a loss's window is a time; give one such as 5",
        ),
    ],
)
def test_bad_window(window: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        CrossEntropy(window=window)


def test_window_outside_the_trial() -> None:
    with pytest.raises(ValueError, match=r"contains no step of a trial of 10 steps of 1 ms. Move"):
        MeanSquaredError(window=(20 * ms, 30 * ms)).window_steps(10, 1e-3)


def test_labels_become_one_hot_rows() -> None:
    rows = CrossEntropy().targets([2, 0], 3, 10)
    np.testing.assert_array_equal(rows, [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([0, 3], "label 3 is no class of an output of 3 neurons. Labels are whole numbers from 0"),
        ([0, -1], "label -1 is no class"),
        ([0.5, 1], "label 0.5 is no class"),
        ([0, np.nan], "Label 1 is not a finite number. Remove the sample or mend"),
        (["a", "b"], "labels are strings; give whole numbers, such as numpy.unique.*makes of na"),
        ([0, None], "labels are objects; give whole numbers"),
        ([1j, 0], "labels are complex numbers; give whole numbers"),
        ([[0], [0, 1]], "labels differ in shape; give whole numbers"),
        ([[0, 1]], r"one label a sample, an array of shape \(samples,\), not of shape \(1, 2\)"),
    ],
)
def test_bad_labels(labels: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        CrossEntropy().targets(labels, 3, 10)


def test_targets_of_squared_error() -> None:
    held = MeanSquaredError().targets([[1.0, 2.0]], 2, 4)
    np.testing.assert_array_equal(held, np.broadcast_to([1.0, 2.0], (1, 4, 2)))


@pytest.mark.parametrize(
    ("targets", "text"),
    [
        (np.zeros((3, 5, 2)), r"shape \(samples, 4, 2\) or \(samples, 2\), not \(3, 5, 2\)"),
        (np.zeros(3), r"not \(3,\)"),
        ([[0.0, 1.0], [np.inf, 0.0]], "target of sample 1 is not finite everywhere"),
    ],
)
def test_bad_targets(targets: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        MeanSquaredError().targets(targets, 2, 4)


def test_accuracy_is_the_share_of_right_answers() -> None:
    prediction = np.array([[0.2, 0.8], [0.6, 0.4], [0.1, 0.9], [0.7, 0.3]])
    assert CrossEntropy().accuracy(prediction, np.array([1, 1, 1, 0])) == 0.75
    assert MeanSquaredError().accuracy(prediction, prediction) is None


def test_bad_regulariser() -> None:
    with pytest.raises(
        DimensionMismatchError, match="FiringRate's target is a rate; give one such as 10"
    ):
        FiringRate(10 * ms)
    with pytest.raises(ValueError, match=r"target is -1\. Hz\. Give a rate of zero or more"):
        FiringRate(-1 * Hz)


def condition(code: str, distance: str) -> Condition:
    return Condition("group", code, Body(f"_cond = {code}"), ("v",), parse(distance), ())


def test_triangle_is_high_at_threshold_and_zero_a_width_away() -> None:
    """gamma/width at threshold, half of it half a width away; the default width is 2 here."""
    names = {"abs": abs, "clip": lambda x, low, high: min(max(x, low), high)}
    for surrogate, width in ((Triangular(0.3, width=0.5), 0.5), (Triangular(0.3), 2.0)):
        psi = render(surrogate(condition("v > 2", "v - 2")))
        at = (2.0, 2.0 + width / 2, 2.0 - width, 2.0 + 3 * width)
        found = [eval(psi, {**names, "v": v}) for v in at]
        assert found == pytest.approx([0.3 / width, 0.15 / width, 0.0, 0.0])


@pytest.mark.parametrize("width", [0, -0.5, np.nan, np.inf, 0 * mV, -20 * mV, True, [1.0], 1j])
def test_a_width_that_is_not_positive_is_refused(width: Any) -> None:
    with pytest.raises(ValueError) as caught:
        Triangular(width=width)
    assert str(caught.value) == (
        f"Triangular's width is {width!r}. Give a positive number or Quantity, or an expression "
        "such as 'v_th - E_L'."
    )


@pytest.mark.parametrize(
    "width", ["", "v_th -", "v_th; E_L", "sinc(v_th)", "'a'", "v_th < E_L < 1"]
)
def test_a_width_that_is_no_expression_is_refused(width: str) -> None:
    with pytest.raises(ValueError) as caught:
        Triangular(width=width)
    assert str(caught.value) == (
        f"Triangular's width '{width}' is no expression. Write one in the names of the neuron's "
        "equations, such as 'v_th - E_L', or give a number or Quantity."
    )


@pytest.mark.parametrize("gamma", [0, -0.3, np.nan, "high"])
def test_a_height_that_is_not_positive_is_refused(gamma: Any) -> None:
    with pytest.raises(ValueError) as caught:
        Triangular(gamma)
    assert str(caught.value) == f"Triangular's gamma is {gamma!r}. Give a positive number."


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("dt", "start", "stop"), [(0.1, 0.3, 2.1), (1.0, 3.0, 7.0), (0.3, 0.9, 2)])
def test_the_compiled_window_has_the_steps_that_are_counted(
    dt: float, start: float, stop: float, precision: str
) -> None:
    """The loss of an output that is off by one in every step is half the share of its steps."""
    set_device("eprop_cuda", backend="cpu", precision=precision)
    defaultclock.dt = dt * ms
    inputs = SpikeSource(1, name="inputs")
    readout = NeuronGroup(1, "dy/dt = 0*y/ms : 1", method="euler", name="readout")
    synapses = Synapses(inputs, readout, "w : 1", on_pre="y_post += w", name="w")
    synapses.connect()
    loss = MeanSquaredError(window=(start * ms, stop * ms))
    trainer = Trainer(
        Network(inputs, readout, synapses),
        output=readout.y,
        loss=loss,
        rule=EProp(),
        parameters=[synapses.w],
        optimiser=SGD(0.1),
    )
    n_steps = 40
    spikes = Spikes.from_dense(np.zeros((1, n_steps, 1), bool))
    # A step belongs to the window if it starts in it, by whole tenths of the numbers above.
    inside = [10 * start <= round(10 * n * dt) < 10 * stop for n in range(n_steps)]
    for counted in (inside, np.logical_not(inside)):
        target = np.asarray(counted, float)[None, :, None]
        expected = 0.5 if counted is inside else 0.0
        assert trainer.evaluate(spikes, target).loss == pytest.approx(expected, rel=1e-6)
    assert loss.window_steps(n_steps, dt * 1e-3) == sum(inside)
