"""What synapses and links do beyond adding weights is refused by the learning rules, or right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, linked_var, ms, set_device

import brian2eprop as b2e

LIF = "dv/dt = -v/(20*ms) : 1"
N_IN, N, STEPS = 4, 3, 30


class Parts:
    """A network of input and spiking and readout neurons, and what is added to it."""

    def __init__(self, hidden: str = LIF, **w_in: Any) -> None:
        set_device("eprop_cuda", backend="cpu", precision="float64")
        defaultclock.dt = 1 * ms
        rng = np.random.default_rng(5)
        self.inputs = b2e.SpikeSource(N_IN, name="inputs")
        self.hidden = NeuronGroup(
            N, hidden, threshold="v > 0.6", reset="v = 0", method="euler", name="hidden"
        )
        self.readout = NeuronGroup(N, "dy/dt = -y/(20*ms) : 1", method="exact", name="out")
        options = {"model": "w : 1", "on_pre": "v_post += w"} | w_in
        self.w_in = Synapses(self.inputs, self.hidden, name="w_in", **options)
        self.w_in.connect()
        self.w_in.w = rng.normal(0.5, 0.4, N_IN * N)
        self.w_out = Synapses(
            self.hidden, self.readout, "w : 1", on_pre="y_post += w", name="w_out"
        )
        self.w_out.connect()
        self.w_out.w = rng.normal(0, 0.5, N * N)
        self.all = [self.inputs, self.hidden, self.readout, self.w_in, self.w_out]
        self.spikes = b2e.Spikes.from_dense(rng.random((3, STEPS, N_IN)) < 0.3)

    def gradients(self) -> dict[str, Any]:
        trainer = b2e.Trainer(
            Network(*self.all),
            output=self.readout.y,
            loss=b2e.CrossEntropy(),
            rule=b2e.EProp(),
            parameters=[self.w_in.w],
            optimiser=b2e.SGD(1.0),
        )
        return trainer.gradients(self.spikes, [0, 2, 1])


def code_at_targets_spikes() -> Parts:
    return Parts(on_post="v_post += 0.1*w")


def equations_of_a_step() -> Parts:
    return Parts(
        model="w : 1\ndg/dt = -g/(5*ms) : 1 (clock-driven)",
        on_pre="v_post += w*g",
        method="euler",
    )


def sums() -> Parts:
    parts = Parts("dv/dt = (a - v)/(20*ms) : 1\na : 1")
    gaps = Synapses(parts.hidden, parts.hidden, "a_post = v_pre : 1 (summed)", name="gaps")
    gaps.connect()
    parts.all.append(gaps)
    return parts


def sums_of_a_weight() -> Parts:
    """The phase that sums is the only one that meets the readout and the weight."""
    parts = Parts("dv/dt = (a - v)/(20*ms) : 1\na : 1")
    gaps = Synapses(parts.readout, parts.hidden, "a_post = y_pre : 1 (summed)", name="gaps")
    gaps.connect()
    parts.all.append(gaps)
    return parts


def link(index: Any) -> Callable[[], Parts]:
    def make() -> Parts:
        parts = Parts("dv/dt = (x - v)/(20*ms) : 1\nx : 1 (linked)")
        n = 1 if index is None else N
        other = NeuronGroup(n, "du/dt = (1 - u)/(9*ms) : 1", method="euler", name="other")
        parts.hidden.x = linked_var(other, "u", index=index)
        parts.all.append(other)
        return parts

    return make


def link_of_spiking_groups() -> Parts:
    parts = Parts("dv/dt = (x - v)/(20*ms) : 1\nx : 1 (linked)")
    other = NeuronGroup(
        N, "du/dt = (2 - u)/(9*ms) : 1", threshold="u > 1", reset="u = 0", method="euler", name="o"
    )
    parts.hidden.x = linked_var(other, "u")
    parts.all.append(other)
    return parts


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (code_at_targets_spikes, r"w_in_post runs at the spikes of the targets.*Leave it out"),
        (equations_of_a_step, r"w_in_stateupdater goes through all synapses.*Move them to the"),
        (sums, r"gaps_summed_variable_a_post goes through all synapses.*Move them to the"),
        (sums_of_a_weight, r"gaps_summed_variable_a_post goes through all synapses.*Move"),
        (link(np.array([1, 2, 0])), r"hidden_stateupdater reads 'x' of other neurons through"),
        (link(None), r"hidden_stateupdater reads 'x', which all elements share.*connect groups"),
        (
            link_of_spiking_groups,
            r"follow one event of a neuron, but 'hidden' and 'o' .*connect groups",
        ),
    ],
)
def test_what_is_not_followed_is_refused(make: Callable[[], Parts], message: str) -> None:
    with pytest.raises(b2e.LearningError, match=f"(?s){message}"):
        make().gradients()


def test_a_variable_of_each_neurons_other_half_is_followed() -> None:
    """Two groups that are linked one to one are one group whose equations were divided."""
    whole = Parts("dv/dt = (u - v)/(20*ms) : 1\ndu/dt = -u/(9*ms) : 1", on_pre="u_post += w")
    parts = Parts("dv/dt = (x - v)/(20*ms) : 1\nx : 1 (linked)")
    half = NeuronGroup(N, "du/dt = -u/(9*ms) : 1", method="euler", name="half", order=1)
    parts.hidden.x = linked_var(half, "u")
    feed = Synapses(parts.inputs, half, "w : 1", on_pre="u_post += w", name="w_in")
    feed.connect()
    feed.w = parts.w_in.w[:]
    parts.all = [half, feed, *(found for found in parts.all if found is not parts.w_in)]
    parts.w_in = feed
    wanted = whole.gradients()["w_in_w"]
    assert np.abs(wanted).max() > 1e-3
    np.testing.assert_allclose(parts.gradients()["w_in_w"], wanted, rtol=1e-10, atol=1e-14)
