"""The loss of what an output comes to over a sample: values, predictions, EventProp, refusals."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, StateMonitor, Synapses, defaultclock, ms, mV, set_device
from brian2.units.fundamentalunits import DimensionMismatchError

import brian2eprop as b2e
from tests.conftest import BACKENDS
from tests.samples import sampled

STEPS, KINDS = 30, ("mean", "sum", "exponential", "linear", "max")


class Model:
    """Hidden neurons with a readout whose current they feed."""

    def __init__(self, loss: Any, backend: str, precision: str = "float64", rule: Any = None):
        set_device("eprop_cuda", backend=backend, precision=precision)
        defaultclock.dt = 1 * ms
        rng = np.random.default_rng(2)
        current = "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1"
        self.inputs = b2e.SpikeSource(3, name="inputs")
        hidden = NeuronGroup(
            4, current, threshold="v > 1", reset="v = 0", method="exact", name="hidden"
        )
        # Below zero from the start, so that a maximum may be, too.
        below = current.replace("I - v", "I - 4 - v")
        readout = NeuronGroup(3, below, method="exact", name="readout")
        self.w_in = Synapses(self.inputs, hidden, "w : 1", on_pre="I_post += w", name="w_in")
        self.w_out = Synapses(hidden, readout, "w : 1", on_pre="I_post += w", name="w_out")
        for made, scale in ((self.w_in, 4.0), (self.w_out, 2.0)):
            made.connect()
            made.w = scale * rng.normal(0.6, 0.6, len(made))
        self.seen = StateMonitor(readout, "v", record=True, when="end")
        self.network = Network(self.inputs, hidden, readout, self.w_in, self.w_out, self.seen)
        self.trainer = b2e.Trainer(
            self.network,
            output=readout.v,
            loss=loss,
            rule=rule or b2e.EventProp(),
            parameters=[self.w_in.w, self.w_out.w],
            optimiser=b2e.SGD(0.1),
        )
        self.spikes = b2e.Spikes.from_dense(rng.random((3, STEPS, 3)) < 0.3)
        self.labels = [2, 0, 1]


def logits(of: str, v: Any) -> Any:
    """What outputs come to, of their values in the steps of a window, shape (outputs, steps)."""
    n = v.shape[1]
    past = np.arange(n)
    counts = {
        "mean": np.full(n, 1 / n),
        "sum": np.ones(n),
        "exponential": np.exp(-past / 8) / n,
        "linear": (1 - past / n) / n,
    }
    return v.max(axis=1) if of == "max" else v @ counts[of]


@pytest.mark.parametrize(
    ("of", "backend"),
    sampled(product(KINDS, BACKENDS), lambda case: case[1] == "cpu" or case[0] == "exponential"),
    indirect=["backend"],
)
def test_predictions_are_those_of_what_a_monitor_sees(of: str, backend: str) -> None:
    """Samples may be shorter than the window."""
    loss = b2e.TrialCrossEntropy((4 * ms, 25 * ms), of, 8 * ms)
    lengths, expected = [30, 12, 20], []
    set_device("runtime")
    for sample, length in enumerate(lengths):
        model = Model(loss, "reference")
        model.inputs.spikes = model.spikes[[sample]]
        model.network.run(STEPS * ms)
        found = logits(of, np.array(model.seen.v)[:, 4 : min(length, 25)])
        expected.append(np.exp(found - found.max()) / np.exp(found - found.max()).sum())
    for precision, tolerance in (("float64", 1e-10), ("float32", 1e-4)):
        model = Model(loss, backend, precision)
        found = model.trainer.predict(model.spikes, lengths=lengths)
        np.testing.assert_allclose(found, expected, rtol=tolerance)
        judged = model.trainer.evaluate(model.spikes, model.labels, lengths=lengths)
        wanted = -np.log([row[label] for row, label in zip(expected, model.labels, strict=True)])
        assert judged.loss == pytest.approx(wanted.mean(), rel=tolerance)
        assert judged.accuracy == np.mean(np.argmax(expected, axis=1) == model.labels)


@pytest.mark.parametrize("of", KINDS)
def test_eventprop_follows_it(of: str, backend: str) -> None:
    """Weights onto the readout move no spike, so on the grid, too, the gradient is exact."""
    model = Model(b2e.TrialCrossEntropy((4 * ms, 25 * ms), of, 8 * ms), backend)
    found = model.trainer.gradients(model.spikes, model.labels)["w_out_w"]
    weights, direction = np.array(model.w_out.w[:]), np.random.default_rng(1).normal(0, 1, 12)
    ends = []
    for step in (-1e-5, 1e-5):
        model.w_out.w = weights + step * direction
        ends.append(model.trainer.evaluate(model.spikes, model.labels).loss)
    expected = (ends[1] - ends[0]) / 2e-5
    assert abs(found @ direction - expected) < 1e-6 * np.abs(found).max()


def test_the_forward_form_refuses() -> None:
    with pytest.raises(b2e.LearningError, match=r"of 'readout\.v' is known only when"):
        Model(b2e.TrialCrossEntropy(), "reference", rule=b2e.EProp(form="forward"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"of": "median"}, "is not of 'median'. Choose one of mean, sum, exponential, linear, max"),
        ({"tau": 0 * ms}, "TrialCrossEntropy's tau is 0. s. Give a positive time"),
        ({"tau": 5 * mV}, "TrialCrossEntropy's tau is a time; give one such as 100"),
    ],
)
def test_bad_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValueError, DimensionMismatchError), match=sentence):
        b2e.TrialCrossEntropy(**settings)
