"""Samples of their own lengths and weights: as if each had been run alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e

STEPS, N_IN, N_HIDDEN, N_OUT = 24, 5, 6, 3
LENGTHS = np.array([24, 9, 15])
LABELS = np.array([0, 2, 1])
PATHS = np.random.default_rng(2).normal(0, 1, (3, STEPS, N_OUT))
WEIGHTS = np.array([0.5, 3.0, 0.0])


class Case:
    def __init__(
        self,
        loss: Any = None,
        form: str = "adjoint",
        backend: str = "cpu",
        regularised: bool = False,
    ) -> None:
        set_device("eprop_cuda", backend=backend, precision="float64")
        defaultclock.dt = 1 * ms
        rng = np.random.default_rng(4)
        inputs = b2e.SpikeSource(N_IN, name="inputs")
        hidden = NeuronGroup(
            N_HIDDEN, "dv/dt = -v/(20*ms) : 1", threshold="v > 0.6", reset="v -= 0.6",
            method="exact", refractory=2 * ms, name="hidden",
        )  # fmt: skip
        readout = NeuronGroup(N_OUT, "dy/dt = -y/(15*ms) : 1", method="exact", name="readout")
        w_in = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w", name="w_in")
        w_out = Synapses(hidden, readout, "w : 1", on_pre="y_post += w", delay=3 * ms, name="w_out")
        w_in.connect(), w_out.connect()
        w_in.w, w_out.w = rng.normal(0.4, 0.3, len(w_in)), rng.normal(0, 0.5, len(w_out))
        self.trainer = b2e.Trainer(
            Network(inputs, hidden, readout, w_in, w_out),
            output=readout.y,
            loss=loss or b2e.CrossEntropy(),
            rule=b2e.EProp(form=form),  # type: ignore[arg-type]
            parameters=[w_in.w, w_out.w],
            optimiser=b2e.SGD(0.1),
            regularisers=[b2e.FiringRate(50 * Hz, 5.0)] if regularised else [],
        )
        self.dense = rng.random((3, STEPS, N_IN)) < 0.3
        self.spikes = b2e.Spikes.from_dense(self.dense)
        self.labels = PATHS if isinstance(loss, b2e.MeanSquaredError) else LABELS

    def alone(self, b: int) -> tuple[Any, Any]:
        """A sample cut to its length, and its label."""
        n = LENGTHS[b]
        label = self.labels[b : b + 1]
        spikes = b2e.Spikes.from_dense(self.dense[b : b + 1, :n])
        return spikes, label[:, :n] if self.labels is PATHS else label


def assert_same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-10, atol=1e-14)
        assert np.abs(values).max() > 1e-4


LOSSES = [
    b2e.CrossEntropy(),
    b2e.CrossEntropy(window=(4 * ms, 40 * ms)),
    b2e.MeanSquaredError(window=(0 * ms, 12 * ms)),
]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_a_sample_ends_after_its_own_steps(loss: Any, form: str) -> None:
    case = Case(loss, form, regularised=True)
    alone = [case.trainer.gradients(*case.alone(b)) for b in range(3)]
    wanted = {name: np.mean([g[name] for g in alone], axis=0) for name in alone[0]}
    for size in (3, 2):  # the last batch is a short one
        found = case.trainer.gradients(case.spikes, case.labels, size, lengths=LENGTHS)
        assert_same(found, wanted)


@pytest.mark.parametrize("backend", ["emulated", "reference"])
def test_a_sample_ends_after_its_own_steps_on_every_backend(backend: str) -> None:
    case = Case()
    wanted = case.trainer.gradients(case.spikes, LABELS, lengths=LENGTHS)
    case = Case(backend=backend)
    assert_same(case.trainer.gradients(case.spikes, LABELS, lengths=LENGTHS), wanted)


def test_metrics_and_predictions_of_samples_that_end() -> None:
    case = Case(b2e.MeanSquaredError())
    alone = [case.trainer.evaluate(*case.alone(b)) for b in range(3)]
    found = case.trainer.evaluate(case.spikes, PATHS, lengths=LENGTHS)
    assert found.loss == pytest.approx(np.mean([m.loss for m in alone]), rel=1e-12)
    spikes = sum(m.rates["hidden"] * n for m, n in zip(alone, LENGTHS, strict=True))
    assert found.rates["hidden"] == pytest.approx(spikes / LENGTHS.sum(), rel=1e-12)
    predicted = case.trainer.predict(case.spikes, lengths=LENGTHS)
    for b, n in enumerate(LENGTHS):
        np.testing.assert_allclose(
            predicted[b, :n], case.trainer.predict(case.alone(b)[0])[0], rtol=1e-12
        )
        assert np.isnan(predicted[b, n:]).all()


@pytest.mark.parametrize("loss", LOSSES[1:], ids=repr)
@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_what_a_sample_counts(loss: Any, form: str) -> None:
    case = Case(loss, form)
    rows = [slice(b, b + 1) for b in range(3)]
    alone = [case.trainer.gradients(case.spikes[row], case.labels[row]) for row in rows]
    wanted = {
        name: sum(w * g[name] for w, g in zip(WEIGHTS, alone, strict=True)) / 3 for name in alone[0]
    }
    for size in (3, 2):
        found = case.trainer.gradients(case.spikes, case.labels, size, sample_weight=WEIGHTS)
        assert_same(found, wanted)
    losses = [case.trainer.evaluate(case.spikes[row], case.labels[row]).loss for row in rows]
    found = case.trainer.evaluate(case.spikes, case.labels, sample_weight=WEIGHTS)
    assert found.loss == pytest.approx(np.dot(WEIGHTS, losses) / 3, rel=1e-12)


def test_weights_are_the_losses_not_the_regularisers() -> None:
    nothing = {"sample_weight": np.zeros(3)}
    bare, regularised = Case(), Case(regularised=True)
    plain = bare.trainer.gradients(bare.spikes, LABELS)["w_in_w"]
    both = regularised.trainer.gradients(regularised.spikes, LABELS)["w_in_w"]
    found = regularised.trainer.gradients(regularised.spikes, LABELS, **nothing)["w_in_w"]
    np.testing.assert_allclose(found, both - plain, rtol=1e-10, atol=1e-14)
    assert np.abs(found).max() > 1e-4
    np.testing.assert_array_equal(
        regularised.trainer.predict(regularised.spikes), bare.trainer.predict(bare.spikes)
    )


def test_weights_of_classes() -> None:
    case = Case()
    found = case.trainer.gradients(case.spikes, LABELS, class_weight={2: 3.0, 1: 0.5})
    wanted = case.trainer.gradients(case.spikes, LABELS, sample_weight=[1, 3, 0.5])
    assert_same(found, wanted)
    both = case.trainer.gradients(
        case.spikes, LABELS, class_weight={2: 3.0}, sample_weight=[1, 2, 0.5]
    )
    assert_same(both, case.trainer.gradients(case.spikes, LABELS, sample_weight=[1, 6, 0.5]))


def test_fit_and_validation_take_them() -> None:
    one, other = Case(), Case()
    given = {"sample_weight": WEIGHTS, "lengths": LENGTHS}
    gradients = one.trainer.gradients(one.spikes, LABELS, **given)
    before = one.trainer.parameter_values()
    held_out = {"spikes": one.spikes, "labels": LABELS, **given}
    history = other.trainer.fit(
        other.spikes, LABELS, validation_data=held_out, shuffle=False, verbose=False, **given
    )
    after = other.trainer.parameter_values()
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values - 0.1 * gradients[name], rtol=1e-12)
    found = other.trainer.evaluate(one.spikes, LABELS, **given)
    assert history["val_loss"] == [pytest.approx(found.loss, rel=1e-12)]


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"lengths": [1, 2]},
        r"lengths is an array of int64 of shape \(2,\); give one whole number fr",
    ),
    ({"lengths": [1.0, 2, 3]}, r"lengths is an array of float64 of shape \(3,\); give one whole"),
    ({"lengths": [1, 0, 3]}, r"lengths has 0 for sample 1; give one whole number from 1 to 24 for"),
    ({"lengths": [1, 2, 25]}, r"lengths has 25 for sample 2; give"),
    ({"sample_weight": [1, 2]}, r"sample_weight is int64 of shape \(2,\); give a finite number fr"),
    ({"sample_weight": [1, -2, 3]}, r"sample_weight holds -2; give a finite number from 0 up for"),
    ({"sample_weight": [1, np.nan, 3]}, r"sample_weight holds nan; give"),
    ({"sample_weight": "abc"}, r"sample_weight is <U3 of shape \(\); give"),
    ({"class_weight": [1, 2, 3]}, r"class_weight is of type list; give a dictionary with a weight"),
    ({"class_weight": {7: 1.0}}, r"class_weight has 7, but the classes are 0 to 2, one for each"),
    ({"class_weight": {"a": 1.0}}, r"class_weight has 'a', but the classes are 0 to 2"),
    ({"class_weight": {0: -1}}, r"class_weight\[0\] holds -1; give a finite number from 0 up"),
]


@pytest.mark.parametrize(("given", "sentence"), WRONG)
def test_what_they_cannot_be(given: dict[str, Any], sentence: str) -> None:
    case = Case()
    with pytest.raises((TypeError, ValueError), match=sentence):
        case.trainer.gradients(case.spikes, LABELS, **given)


def test_a_window_that_a_sample_does_not_reach() -> None:
    case = Case(b2e.CrossEntropy(window=(10 * ms, 20 * ms)))
    with pytest.raises(ValueError, match=r"contains no step of a trial of 9 steps"):
        case.trainer.gradients(case.spikes, LABELS, lengths=LENGTHS)


def test_validation_data_of_another_form() -> None:
    case = Case()
    with pytest.raises(
        TypeError, match=r"validation_data has 'spikes'; give 'spikes' and 'labels'"
    ):
        case.trainer.fit(case.spikes, LABELS, validation_data={"spikes": case.spikes})
