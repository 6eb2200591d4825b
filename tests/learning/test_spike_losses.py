"""Losses that judge spikes: by their exact times, and by what a Trainer takes and gives."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    SpikeMonitor,
    Synapses,
    defaultclock,
    ms,
    mV,
    set_device,
)
from brian2.units.fundamentalunits import DimensionMismatchError

import brian2eprop as b2e
from tests.conftest import BACKENDS
from tests.oracles import event_adjoint, event_exact
from tests.oracles.event_adjoint import Watched
from tests.oracles.event_convergence import errors
from tests.oracles.event_models import (
    MODELS,
    judged_by_spikes,
    network,
    trainer_of,
)
from tests.samples import sampled

SMOOTH = ["LIF, hard reset", "ALIF", "alpha synapse", "conductance", "quadratic"]


@pytest.mark.parametrize("name", SMOOTH)
def test_first_spikes_are_followed_exactly(name: str) -> None:
    """Without a grid the derived adjoint equals central differences."""
    neurons = MODELS[name]
    net = judged_by_spikes(network(neurons, seed=1))
    trainer_of(neurons, net, Watched(), "reference", 0.1)
    found = event_adjoint.gradients(Watched.seen[0], net)
    scale = max(np.abs(values).max() for values in found.values())
    rng = np.random.default_rng(0)
    for key, direction in event_exact.directions(net, ("w_in", "w_rec", "hidden.tau"), rng):
        expected = event_exact.slope(net, {key: direction})
        assert abs(expected) > 1e-3 * scale
        assert abs((found[key] * direction).sum() - expected) < 1e-6 * scale, key


def test_first_spikes_on_a_grid_converge() -> None:
    steps, keys = (0.1, 0.05, 0.025), ("w_in", "w_rec")
    found = [
        errors("LIF, hard reset", seed, steps, change=judged_by_spikes, keys=keys)
        for seed in range(10, 20)
    ]
    median = np.nanmedian(found, axis=0)
    assert median[-1] < 0.02
    assert np.polyfit(np.log(steps), np.log(median), 1)[0] > 0.7


class Layers:
    """Two layers of two neurons each, the second of which is judged."""

    def __init__(
        self,
        rule: Any,
        loss: Any,
        backend: str = "reference",
        precision: str = "float64",
        drive: float = 4.0,
        recurrent: bool = False,
        output: str = "group",
    ) -> None:
        set_device("eprop_cuda", backend=backend, precision=precision)
        defaultclock.dt = 1 * ms
        rng = np.random.default_rng(4)
        equations = "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1"
        spiking = {"threshold": "v > 1", "reset": "v = 0", "method": "exact"}
        inputs = b2e.SpikeSource(3, name="inputs")
        first = NeuronGroup(2, equations, name="first", **spiking)
        self.second = NeuronGroup(2, equations, name="second", **spiking)
        self.monitor = SpikeMonitor(self.second)
        silent = NeuronGroup(2, "dy/dt = -y/(9*ms) : 1", method="exact", name="silent")
        self.inputs, self.synapses = inputs, []
        pairs = [(inputs, first), (first, self.second)]
        pairs += [(self.second, self.second)] * recurrent
        for n, (source, target) in enumerate(pairs):
            made = Synapses(
                source, target, "w : 1", on_pre="I_post += w", delay=1 * ms, name=f"s{n}"
            )
            made.connect()
            made.w = drive * rng.uniform(0.5, 1, len(made))
            self.synapses.append(made)
        self.network = Network(inputs, first, self.second, silent, *self.synapses, self.monitor)
        outputs = {
            "group": self.second,
            "variable": self.second.v,
            "silent": silent,
            "part": self.second[:1],
        }
        self.trainer = b2e.Trainer(
            self.network,
            output=outputs[output],
            loss=loss,
            rule=rule,
            parameters=[made.w for made in self.synapses],
            optimiser=b2e.Adam(0.05),
        )
        self.sent = rng.random((3, 30, 3)) < 0.2
        self.spikes, self.labels = b2e.Spikes.from_dense(self.sent), [1, 0, 1]


RULES = [b2e.EventProp(), b2e.SurrogateBPTT(), b2e.EProp()]
LOSSES = [b2e.FirstSpikeTime((3 * ms, 25 * ms), alpha=0.1), b2e.SpikeCount(scale=0.5)]


@pytest.mark.parametrize(
    ("rule", "loss", "backend"),
    sampled(
        product(RULES, LOSSES, BACKENDS),
        lambda case: (
            case[2] != "emulated" or case[:2] in ((RULES[0], LOSSES[0]), (RULES[1], LOSSES[1]))
        ),
    ),
    indirect=["backend"],
)
def test_backends_and_precisions_agree(rule: Any, loss: Any, backend: str) -> None:
    """Gradients of a batch are the means of its samples', on every backend."""
    first = Layers(rule, loss)
    alone = [
        first.trainer.gradients(first.spikes[[n]], [label]) for n, label in enumerate(first.labels)
    ]
    for precision, tolerance in (("float64", 1e-10), ("float32", 1e-4)):
        model = Layers(rule, loss, backend, precision)
        found = model.trainer.gradients(model.spikes, model.labels, batch_size=2)
        for key, values in found.items():
            expected = np.mean([each[key] for each in alone], axis=0)
            assert np.abs(expected).max() > 0, key
            assert np.abs(values - expected).max() < tolerance * np.abs(expected).max(), key


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_eprop_goes_on_through_the_judged_neurons(loss: Any) -> None:
    """Without recurrence e-prop is backpropagation; the judged neurons' own synapses are left."""
    same = [
        Layers(rule(surrogate=b2e.Triangular()), loss) for rule in (b2e.EProp, b2e.SurrogateBPTT)
    ]
    found = [model.trainer.gradients(model.spikes, model.labels) for model in same]
    for key, expected in found[1].items():
        np.testing.assert_allclose(found[0][key], expected, rtol=1e-9, atol=1e-12)
    other = [
        Layers(rule(surrogate=b2e.Triangular()), loss, recurrent=True)
        for rule in (b2e.EProp, b2e.SurrogateBPTT)
    ]
    apart = [model.trainer.gradients(model.spikes, model.labels) for model in other]
    assert not np.allclose(apart[0]["s0_w"], apart[1]["s0_w"], rtol=1e-3)


def test_predictions_are_what_a_monitor_sees(backend: str) -> None:
    """First times and numbers of spikes in a window; the silent spike never."""
    set_device("runtime")
    expected = []
    for sample in range(3):
        model = Layers(RULES[0], LOSSES[0])
        model.inputs.spikes = model.spikes[[sample]]
        model.network.run(30 * ms)
        times, neurons = model.monitor.t / ms, model.monitor.i
        inside = (times > 2.5) & (times < 24.5)
        each = [times[inside & (neurons == neuron)] for neuron in range(2)]
        expected.append([(each[n].min(initial=np.inf) * 1e-3, len(each[n])) for n in range(2)])
    assert np.isfinite(np.array(expected)[..., 0]).any()
    for which, loss in enumerate((LOSSES[0], b2e.SpikeCount((3 * ms, 25 * ms)))):
        model = Layers(RULES[0], loss, backend)
        found = model.trainer.predict(model.spikes)
        np.testing.assert_allclose(found, np.array(expected)[..., which], rtol=1e-12)
    silent = Layers(RULES[0], LOSSES[0], backend, drive=0.01)
    assert np.isposinf(silent.trainer.predict(silent.spikes)).all()
    assert silent.trainer.evaluate(silent.spikes, silent.labels).accuracy == 0


def test_a_shorter_sample_ends_sooner() -> None:
    """Who is silent counts as a neuron that spikes at the end of its own sample."""
    loss = b2e.FirstSpikeTime(tau=4 * ms, alpha=0.5, tau_late=10 * ms)
    model = Layers(RULES[0], loss, drive=0.01)
    found = model.trainer.evaluate(model.spikes, model.labels, lengths=[30, 20, 10])
    late = np.exp(np.array([30, 20, 10]) / 10) - 1
    assert found.loss == pytest.approx(np.log(2) + 0.5 * late.mean(), rel=1e-12)


def test_metrics_of_first_spikes_take_the_earliest(backend: str) -> None:
    """The class that is answered is that of the least time; who ties is taken for none."""
    model = Layers(RULES[0], b2e.FirstSpikeTime(), backend)
    labels = np.array(model.labels)
    metrics = [b2e.TopKAccuracy(1), b2e.ConfusionMatrix()]
    found = model.trainer.evaluate(model.spikes, labels, metrics=metrics)
    matrix = np.zeros((2, 2), int)
    for (one, other), label in zip(model.trainer.predict(model.spikes), labels, strict=True):
        if one != other:
            matrix[label, int(other < one)] += 1
    assert matrix.sum() > 0
    assert found.extra == {
        "top_1_accuracy": found.accuracy,
        "confusion_matrix": matrix.tolist(),
    }
    assert found.accuracy == matrix.trace() / 3


@pytest.mark.parametrize("loss", LOSSES)
def test_a_sample_that_ends_before_the_window_is_refused(backend: str, loss: Any) -> None:
    """Else its neurons would count as ones that spike before the window begins."""
    late = replace(loss, window=(15 * ms, 25 * ms))
    model = Layers(RULES[0], late, backend)
    model.trainer.evaluate(model.spikes, model.labels, lengths=[30, 20, 16])
    sentence = "contains no step of a trial of 15 steps"
    for call in (model.trainer.evaluate, partial(model.trainer.fit, verbose=False)):
        with pytest.raises(ValueError, match=sentence):
            call(model.spikes, model.labels, lengths=[30, 20, 15])
    with pytest.raises(ValueError, match=sentence):
        model.trainer.gradients(model.spikes, model.labels, lengths=[30, 20, 15])
    with pytest.raises(ValueError, match=sentence):
        model.trainer.predict(model.spikes, lengths=[30, 20, 15])


def test_a_phantom_spike_wakes_the_silent_class(backend: str) -> None:
    """It moves by the potential that was reached, at the least slope; others stay as they are."""
    loss = b2e.FirstSpikeTime(tau=4 * ms, alpha=0.2, tau_late=20 * ms)
    model = Layers(b2e.EventProp(min_slope=50.0), loss, backend, drive=0.01)
    model.synapses[0].w = 20.0  # the first layer spikes, the second does not
    found = model.trainer.gradients(model.spikes[[0]], [1])["s1_w"].reshape(2, 2)
    by_time = 0.5 / 4e-3 + 0.2 / 20e-3 * np.exp(30 / 20)
    # What the last potential gains by each weight, by running it.
    weights = np.array(model.synapses[1].w[:])
    reached = []
    for step in (-0.005, 0.005):
        for source in range(2):
            again = Layers(RULES[0], loss, drive=0.01)
            again.synapses[0].w = 20.0
            again.synapses[1].w = weights + step * (np.arange(4) == 2 * source + 1)
            again.inputs.spikes = again.spikes[[0]]
            again.network.run(30 * ms)
            reached.append(again.second.v[1])
    slopes = (np.array(reached[2:]) - reached[:2]) / 0.01
    assert (slopes > 0).all()
    np.testing.assert_allclose(found[:, 1], -by_time / 50 * slopes, rtol=1e-9)
    np.testing.assert_array_equal(found[:, 0], 0)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("loss", [b2e.FirstSpikeTime(), b2e.SpikeCount()])
def test_training_lowers_the_loss(rule: Any, loss: Any) -> None:
    model = Layers(rule, loss, "cpu", drive=2.0)
    history = model.trainer.fit(model.spikes, model.labels, epochs=30, verbose=False)
    assert history["loss"][-1] < 0.9 * history["loss"][0]


@pytest.mark.parametrize(
    ("output", "loss", "sentence"),
    [
        ("variable", LOSSES[0], "FirstSpikeTime judges spikes, and the output is of type Variable"),
        ("part", LOSSES[1], "SpikeCount judges spikes, and the output is of type Subgroup; give a"),
        ("silent", LOSSES[1], "'silent' has none in this network; give a group with a threshold"),
        ("group", b2e.CrossEntropy(), "output is the group 'second', and CrossEntropy reads a var"),
    ],
)
def test_outputs_that_do_not_fit(output: str, loss: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        Layers(RULES[0], loss, output=output)


def test_the_forward_form_refuses() -> None:
    with pytest.raises(
        b2e.LearningError, match="FirstSpikeTime of 'second' is known only when a sample is over"
    ):
        Layers(b2e.EProp(form="forward"), LOSSES[0])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: b2e.FirstSpikeTime(tau=0 * ms), "FirstSpikeTime's tau is 0. s. Give a positive"),
        (lambda: b2e.FirstSpikeTime(tau_late=-1 * ms), "FirstSpikeTime's tau_late is -1. ms. Give"),
        (lambda: b2e.FirstSpikeTime(tau=5), "FirstSpikeTime's tau is a time; give one such as 5"),
        (lambda: b2e.FirstSpikeTime(tau=5 * mV), "FirstSpikeTime's tau is a time"),
        (lambda: b2e.FirstSpikeTime(alpha=-1), "FirstSpikeTime: alpha is -1; give a finite num"),
        (lambda: b2e.FirstSpikeTime(alpha=float("nan")), "FirstSpikeTime: alpha is nan; give"),
        (lambda: b2e.SpikeCount(scale=0), "SpikeCount: scale is 0; give a number above"),
    ],
)
def test_bad_settings(make: Any, sentence: str) -> None:
    with pytest.raises((ValueError, DimensionMismatchError), match=sentence):
        make()


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_are_classes(loss: Any) -> None:
    with pytest.raises(ValueError, match="label 2 is no class of an output of 2 neurons"):
        Layers(RULES[0], loss).trainer.evaluate(Layers(RULES[0], loss).spikes, [0, 1, 2])


def test_rates_may_be_regularised_beside() -> None:
    """Regularisers add what they add without the loss."""
    model = Layers(RULES[0], LOSSES[0])
    found = {}
    for strength in (0.0, 1.0, 2.0):
        trainer = b2e.Trainer(
            model.network,
            output=model.second,
            loss=LOSSES[0],
            rule=RULES[0],
            parameters=[model.synapses[1].w],
            optimiser=b2e.SGD(0.1),
            regularisers=[b2e.FiringRate(10 * Hz, strength)],
        )
        found[strength] = trainer.gradients(model.spikes, model.labels)["s1_w"]
    one, two = found[1.0] - found[0.0], found[2.0] - found[0.0]
    assert np.abs(one).max() > 0
    np.testing.assert_allclose(two, 2 * one, rtol=1e-9, atol=1e-15)
