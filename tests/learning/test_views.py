"""Self-supervised losses: values, predictions, EventProp, and what they refuse.

Their gradients by rules with surrogates are compared in test_forward_mode.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, mV, set_device
from brian2.units.fundamentalunits import DimensionMismatchError

import brian2eprop as b2e
from tests.example_scripts import example
from tests.learning.test_trial_cross_entropy import STEPS, Model

CONTEXT, WINDOW = (3 * ms, 11 * ms), (12 * ms, 26 * ms)
CONTRAST = b2e.ContrastivePrediction(WINDOW, CONTEXT, margin=2.0)
LIKENESS = b2e.ActivitySimilarity(WINDOW, CONTEXT)
LABELS = {"ContrastivePrediction": [1.0, -1.0, 1.0], "ActivitySimilarity": [1.0, -0.5, 0.2]}
both = pytest.mark.parametrize("loss", [CONTRAST, LIKENESS], ids=list(LABELS))


def labels_of(loss: Any) -> Any:
    return LABELS[type(loss).__name__]


def judged(loss: Any, v: Any, length: int, label: float) -> tuple[float, float]:
    """Loss and prediction of what an output was in every step, shape (outputs, steps)."""
    context, window = v[:, 3:11].mean(axis=1), v[:, 12 : min(length, 26)]
    if loss is CONTRAST:
        scores = context @ window
        return float(np.maximum(0, 2.0 - label * scores).mean()), float(scores.mean())
    other = window.mean(axis=1)
    cosine = float(context @ other / np.linalg.norm(context) / np.linalg.norm(other))
    return 0.5 * (cosine - label) ** 2, cosine


@both
def test_it_judges_what_a_monitor_sees(loss: Any, backend: str) -> None:
    """Samples may be shorter than the window."""
    lengths, expected = [30, 15, 20], []
    set_device("runtime")
    for sample, (length, label) in enumerate(zip(lengths, labels_of(loss), strict=True)):
        model = Model(loss, "reference")
        model.inputs.spikes = model.spikes[[sample]]
        model.network.run(STEPS * ms)
        expected.append(judged(loss, np.array(model.seen.v), length, label))
    wanted, predicted = np.transpose(expected)
    for precision, tolerance in (("float64", 1e-10), ("float32", 1e-4)):
        model = Model(loss, backend, precision)
        found = model.trainer.predict(model.spikes, lengths=lengths)
        np.testing.assert_allclose(found, predicted[:, None], rtol=tolerance)
        metrics = model.trainer.evaluate(model.spikes, labels_of(loss), lengths=lengths)
        assert metrics.loss == pytest.approx(wanted.mean(), rel=tolerance)
        if loss is CONTRAST:
            assert metrics.accuracy == np.mean(predicted * labels_of(loss) > 0)
        else:
            assert metrics.accuracy is None


@both
def test_eventprop_follows_it(loss: Any, backend: str) -> None:
    """Weights onto the readout move no spike, so on the grid, too, the gradient is exact."""
    model, labels = Model(loss, backend), labels_of(loss)
    found = model.trainer.gradients(model.spikes, labels)["w_out_w"]
    weights, direction = np.array(model.w_out.w[:]), np.random.default_rng(1).normal(0, 1, 12)
    ends = []
    for step in (-1e-5, 1e-5):
        model.w_out.w = weights + step * direction
        ends.append(model.trainer.evaluate(model.spikes, labels).loss)
    expected = (ends[1] - ends[0]) / 2e-5
    assert np.abs(found).max() > 0
    assert abs(found @ direction - expected) < 1e-6 * np.abs(found).max()


@both
def test_samples_count_as_they_are_weighed(loss: Any) -> None:
    """A batch's loss and gradient are the mean of those of its samples, times their weights."""
    model, labels, weights = Model(loss, "reference"), labels_of(loss), np.array([2.0, 0.5, 3.0])
    given = {"sample_weight": weights}
    found = model.trainer.gradients(model.spikes, labels, **given)["w_out_w"]
    total = model.trainer.evaluate(model.spikes, labels, **given).loss
    each = [(model.spikes[[n]], [label]) for n, label in enumerate(labels)]
    gradients = [model.trainer.gradients(*sample)["w_out_w"] for sample in each]
    losses = [model.trainer.evaluate(*sample).loss for sample in each]
    np.testing.assert_allclose(found, weights @ gradients / 3, rtol=1e-9, atol=1e-12)
    assert total == pytest.approx(weights @ losses / 3, rel=1e-12)


@both
@pytest.mark.parametrize("backend", ["reference", "cpu"], indirect=True)
def test_silence_is_like_nothing(loss: Any, backend: str) -> None:
    """Of an output that is zero in the context, and in the window or not, nothing follows."""
    set_device("eprop_cuda", backend=backend, precision="float64")
    defaultclock.dt = 1 * ms
    inputs = b2e.SpikeSource(2, name="inputs")
    readout = NeuronGroup(2, "dy/dt = -y/(10*ms) : 1", method="exact", name="readout")
    w = Synapses(inputs, readout, "w : 1", on_pre="y_post += w", name="w")
    w.connect()
    w.w = [0, 0, 0.3, 0.4]  # who spikes in the context adds nothing, and may be blamed for it
    trainer = b2e.Trainer(
        Network(inputs, readout, w),
        output=readout.y,
        loss=loss,
        rule=b2e.SurrogateBPTT(),
        parameters=[w.w],
        optimiser=b2e.SGD(0.1),
    )
    spikes = np.zeros((2, STEPS, 2), bool)
    spikes[:, 4:9, 0] = True
    spikes[1, 14:20, 1] = True
    samples, labels = b2e.Spikes.from_dense(spikes), [1.0, 1.0]
    assert (trainer.predict(samples) == 0).all()
    metrics = trainer.evaluate(samples, labels)
    if loss is CONTRAST:
        assert (metrics.accuracy, metrics.loss) == (0, pytest.approx(2.0))
    else:
        assert (metrics.accuracy, metrics.loss) == (None, pytest.approx(0.5))
        assert (trainer.gradients(samples, labels)["w_w"] == 0).all()


@pytest.mark.parametrize("form", ["forward", "chunked"])
@both
def test_forms_that_do_not_wait_refuse(loss: Any, form: Any) -> None:
    with pytest.raises(b2e.LearningError, match=r"of 'readout\.v' is known only when a sample"):
        Model(loss, "reference", rule=b2e.EProp(form=form))


def test_labels_are_no_classes() -> None:
    model = Model(CONTRAST, "reference")
    with pytest.raises(ValueError, match="one class a sample, and there is none"):
        model.trainer.evaluate(model.spikes, labels_of(CONTRAST), metrics=[b2e.ConfusionMatrix()])


@pytest.mark.parametrize(
    ("loss", "labels", "sentence"),
    [
        (CONTRAST, [1, 0], "the label of sample 1 is 0; give 1 for what goes on as it began, -1"),
        (LIKENESS, [0.5, 1.5], "the label of sample 1 is 1.5; give how much alike"),
        (LIKENESS, [np.nan, 1], "the label of sample 0 is nan"),
        (LIKENESS, [[1.0], [0.0]], r"takes one label a sample, .* not of shape \(2, 1\)"),
        (LIKENESS, ["same", "other"], "the labels are strings; give one number a sample"),
    ],
)
def test_bad_labels(loss: b2e.ActivitySimilarity, labels: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"{type(loss).__name__}.*{sentence}"):
        loss.targets(labels, 4, 30)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "compares two windows; give context and window"),
        ({"window": WINDOW}, "compares two windows; give context and window"),
        ({"window": CONTEXT, "context": WINDOW}, "does not end before its window"),
        ({"window": WINDOW, "context": (5 * ms,)}, "The loss's context .* is no pair of times"),
        (
            {"window": WINDOW, "context": (0 * mV, 1 * mV)},
            "end of a loss's context is a time",
        ),
        (
            {"window": WINDOW, "context": CONTEXT, "margin": 0},
            "margin is 0; give a number above",
        ),
    ],
)
def test_bad_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValueError, DimensionMismatchError), match=sentence):
        b2e.ContrastivePrediction(**settings)


def test_a_context_between_two_steps() -> None:
    loss = b2e.ActivitySimilarity(WINDOW, (3.6 * ms, 4.4 * ms))
    with pytest.raises(ValueError, match=r"context .* contains no step of 1 ms"):
        loss.constants(1e-3)


def test_the_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr("sys.argv", ["self_supervised.py", "--epochs", "1", "--seeds", "1"])
    example("self_supervised", monkeypatch).main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(("Contrastive", "Activity")) for line in lines] == [True] * 8
