"""Models that are legal and rare: the same gradient however they are written, or a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import (
    EventMonitor,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    set_device,
)

import brian2eprop as b2e

STEPS, N_IN, N_HIDDEN, N_OUT = 30, 4, 5, 3
LIF = "dv/dt = -v/(20*ms) : 1\nv_th : 1\ngain : 1"


class Net:
    """A feedforward network whose parts a test writes in its own way."""

    def __init__(
        self,
        equations: str = LIF,
        on_pre: str = "v_post += w",
        out: Callable[[Any, Any], list[Any]] | None = None,
        backend: str = "cpu",
        batch_size: int | None = None,
        **options: Any,
    ) -> None:
        set_device("eprop_cuda", backend=backend, precision="float64", batch_size=batch_size)
        defaultclock.dt = 1 * ms
        rng = np.random.default_rng(5)
        self.inputs = b2e.SpikeSource(N_IN, name="inputs")
        kept = {"threshold": "v > v_th", "reset": "v = 0", "method": "exact"} | options
        self.hidden = NeuronGroup(N_HIDDEN, equations, name="hidden", **kept)
        self.hidden.v_th, self.hidden.gain = 0.6, 1
        self.readout = NeuronGroup(
            N_OUT, "dy/dt = (s - y)/(20*ms) : 1\nds/dt = -s/(5*ms) : 1", method="exact", name="out"
        )
        self.w_in = Synapses(self.inputs, self.hidden, "w : 1", on_pre=on_pre, name="w_in")
        self.w_in.connect()
        self.w_in.w = rng.normal(0.5, 0.4, N_IN * N_HIDDEN)
        self.weights = rng.normal(0, 0.5, N_HIDDEN * N_OUT)
        self.outs = (out or one_pathway)(self.hidden, self.readout)
        for synapses in self.outs:
            synapses.w = self.weights
        self.network = Network(self.inputs, self.hidden, self.readout, self.w_in, *self.outs)
        self.spikes = b2e.Spikes.from_dense(rng.random((3, STEPS, N_IN)) < 0.3)

    def trainer(self, parameters: list[Any], **rule: Any) -> b2e.Trainer:
        return b2e.Trainer(
            self.network,
            output=self.readout.y,
            loss=b2e.CrossEntropy(),
            rule=b2e.EProp(**rule),
            parameters=parameters,
            optimiser=b2e.SGD(1.0),
            seed=3,
        )

    def gradients(self, parameters: list[Any], **rule: Any) -> dict[str, Any]:
        return self.trainer(parameters, **rule).gradients(self.spikes, [0, 2, 1])


def connected(hidden: Any, readout: Any, name: str, on_pre: Any) -> Any:
    synapses = Synapses(hidden, readout, "w : 1", on_pre=on_pre, name=name)
    synapses.connect()
    return synapses


def one_pathway(hidden: Any, readout: Any) -> list[Any]:
    return [connected(hidden, readout, "w_out", "s_post += w")]


def two_pathways(hidden: Any, readout: Any) -> list[Any]:
    found = connected(hidden, readout, "w_out", {"p0": "s_post += w", "p1": "y_post += 0.3*w"})
    found.p1.delay = 2 * ms
    return [found]


def two_synapses(hidden: Any, readout: Any) -> list[Any]:
    first = connected(hidden, readout, "first", "s_post += w")
    second = connected(hidden, readout, "second", "y_post += 0.3*w")
    second.delay = 2 * ms
    return [first, second]


def test_two_pathways_of_one_synapses_are_two_synapses_with_one_weight() -> None:
    net = Net(out=two_pathways)
    one = net.gradients([net.w_in.w, net.outs[0].w])
    net = Net(out=two_synapses)
    two = net.gradients([net.w_in.w, *(synapses.w for synapses in net.outs)])
    np.testing.assert_allclose(one["w_in_w"], two["w_in_w"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(one["w_out_w"], two["first_w"] + two["second_w"], rtol=1e-12)
    assert np.abs(one["w_in_w"]).max() > 1e-3


@pytest.mark.parametrize("form", ["adjoint", "forward"])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_refractory_neuron_whose_update_divides_by_what_it_is_not(
    form: str, backend: str
) -> None:
    """Brian2's exponential_euler divides by int(not_refractory), where it then writes nothing."""
    found = {}
    for method in ("exponential_euler", "euler"):
        net = Net(
            "dv/dt = (-v + g*(1.5 - v))/(20*ms) : 1 (unless refractory)\n"
            "dg/dt = -g/(5*ms) : 1\nv_th : 1\ngain : 1",
            "g_post += w",
            backend=backend,
            method=method,
            refractory=3 * ms,
        )
        defaultclock.dt = 0.05 * ms
        net.hidden.v_th = 0.2
        net.w_in.w = np.abs(net.w_in.w)
        found[method] = net.gradients([net.w_in.w], form=form)["w_in_w"]
    assert np.abs(found["euler"]).max() > 1e-4
    np.testing.assert_allclose(found["exponential_euler"], found["euler"], rtol=0.05, atol=1e-4)


def test_a_neuron_that_is_at_its_threshold_when_its_state_is_zero() -> None:
    net = Net()
    net.hidden.v_th = [0.6, 0.6, 0, 0.6, 0.6]
    with pytest.raises(b2e.LearningError, match=r"hidden_spike_thresholder has no width for some"):
        net.trainer([net.w_in.w])
    assert np.isfinite(
        net.gradients([net.w_in.w], surrogate=b2e.Triangular(width=1.0))["w_in_w"]
    ).all()


def test_state_that_differs_between_the_instances_of_a_batch() -> None:
    net = Net(
        "dv/dt = -v/(20*ms) : 1\nda/dt = -a/(50*ms) : 1\nv_th : 1\ngain : 1",
        batch_size=3,
        threshold="v > v_th + a",
        reset="v = 0; a += 0.1",
    )
    net.hidden.v = np.arange(3)[:, None] / 10
    with pytest.raises(ValueError, match=r"'hidden.v' differs between the instances of the batch"):
        net.trainer([net.w_in.w])


@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_a_neurons_parameter_in_on_pre(form: str) -> None:
    net = Net(on_pre="v_post += w*gain_post")
    with pytest.raises(b2e.LearningError, match=r"'hidden.gain' cannot be trained where 'v_post "):
        net.trainer([net.hidden.gain], form=form)


def test_what_is_recorded_changes_no_gradient() -> None:
    found = []
    for recorded in (False, True):
        net = Net()
        if recorded:
            net.network.add(
                SpikeMonitor(net.hidden, variables="v"),
                EventMonitor(net.hidden[1:], "spike", record=False),
                PopulationRateMonitor(net.hidden[:3]),
                StateMonitor(net.hidden[2:], "v", record=True),
            )
        trainer = net.trainer([net.w_in.w, net.outs[0].w])
        found.append(trainer.gradients(net.spikes, [0, 1, 2]))
    for name, gradient in found[0].items():
        assert np.any(np.asarray(gradient))
        np.testing.assert_array_equal(found[1][name], gradient)


@pytest.mark.parametrize("form", ["adjoint", "forward"])
def test_a_neuron_of_two_events_is_refused(form: str) -> None:
    net = Net(events={"low": "v < 0.1"})
    with pytest.raises(b2e.LearningError) as caught:
        net.trainer([net.w_in.w], form=form).gradients(net.spikes, [0, 1, 2])
    assert str(caught.value) == (
        "The learning rules follow one event of a neuron, but 'hidden' and 'hidden:low' depend on "
        "variables that act on one another. Leave out an event that is no spike, and connect "
        "groups by Synapses."
    )
