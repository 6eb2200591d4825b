"""EventProp against networks that are solved with spikes at their exact times."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e
from tests.conftest import BACKENDS
from tests.oracles import event_adjoint, event_exact
from tests.oracles.event_adjoint import Watched
from tests.oracles.event_convergence import DELAYS, LONGEST, errors
from tests.oracles.event_convergence import KEYS as WEIGHTS
from tests.oracles.event_models import (
    MODELS,
    by_key,
    network,
    samples,
    trainer_of,
    with_mixed_delays,
)
from tests.samples import sampled

KEYS = ("w_in", "w_rec", "w_out", "hidden.tau", *DELAYS)


@pytest.mark.parametrize("name", sampled(MODELS, {
    "LIF, hard reset", "ALIF", "conductance", "exponential", "jumps to a reversal potential",
}.__contains__))  # fmt: skip
def test_derived_crossings_are_exact(name: str) -> None:
    """Without a grid the derived adjoint equals central differences."""
    neurons = MODELS[name]
    # Where what a spike adds depends on the state, the loss has a kink where two arrive at once.
    net = network(neurons, seed=1 if neurons.adds == "w" else 2)
    assert neurons.adds == "w" or len({time for time, _ in net.inputs}) == len(net.inputs)
    assert event_exact.Run(net).spikes
    trainer_of(neurons, net, Watched(), "reference", 0.1)
    found = event_adjoint.gradients(Watched.seen[0], net)
    rng = np.random.default_rng(0)
    scale = max(np.abs(values).max() for values in found.values())
    for key, direction in event_exact.directions(net, KEYS, rng):
        expected = event_exact.slope(net, {key: direction})
        # Central differences of step 1e-6 of a loss that is known to 1e-12 and has kinks, where
        # a spike arrives as another neuron comes to its threshold.
        assert abs((found[key] * direction).sum() - expected) < 1e-6 * scale, key


@pytest.mark.parametrize(
    ("keys", "steps"),
    sampled(
        [(WEIGHTS, (0.1, 0.05, 0.025)), (DELAYS, (0.2, 0.05, 0.0125))],
        lambda case: case[0] == WEIGHTS,
    ),
    ids=["weights", "delays"],
)
@pytest.mark.parametrize(
    "name", sampled(["LIF, hard reset", "ALIF", "conductance"], "LIF, hard reset".__eq__)
)
def test_the_grid_converges(name: str, keys: tuple[str, ...], steps: tuple[float, ...]) -> None:
    """Spike times on a grid make a single error a sawtooth; their median falls with dt."""
    each = [errors(name, seed, steps, keys=keys) for seed in range(10, 22)]
    median = np.nanmedian(each, axis=0)
    slope = np.polyfit(np.log(steps), np.log(median), 1)[0]
    assert median[-1] < 0.05
    assert slope > 0.7


@pytest.mark.parametrize(
    ("name", "backend"),
    sampled(
        product(
            ["LIF, relative reset", "ALIF", "conductance", "alpha synapse", "saturating synapse"],
            BACKENDS,
        ),
        lambda case: case[1] == "cpu" or case[0] in ("ALIF", "conductance"),
    ),
    indirect=["backend"],
)
def test_backends_agree(name: str, backend: str) -> None:
    neurons, dt = MODELS[name], 0.1
    net = network(neurons, seed=5)
    found = {}
    for on in ("reference", backend):
        trainer = trainer_of(neurons, net, b2e.EventProp(), on, dt, longest=LONGEST)
        found[on] = by_key(net, trainer.gradients(*samples(net, dt)))
    for key, expected in found["reference"].items():
        assert np.abs(expected).max() > 0
        assert np.abs(found[backend][key] - expected).max() < 1e-10 * np.abs(expected).max(), key


def test_single_precision_is_close(backend: str) -> None:
    neurons, dt = MODELS["ALIF"], 0.1
    net = network(neurons, seed=5)
    double, single = (
        by_key(
            net,
            trainer_of(
                neurons, net, b2e.EventProp(), backend, dt, precision, longest=LONGEST
            ).gradients(*samples(net, dt)),
        )
        for precision in ("float64", "float32")
    )
    for key, expected in double.items():
        # Rounding of 6e-8 a step over 300 steps.
        assert 0 < np.abs(single[key] - expected).max() < 1e-4 * np.abs(expected).max(), key


def test_every_synapse_may_have_its_own_delay(backend: str) -> None:
    """The same delay for all, given as one for each, is the same; others are followed exactly."""
    neurons, dt = MODELS["LIF, hard reset"], 0.1
    net = network(neurons, seed=3)
    together, apart = (
        by_key(
            net,
            trainer_of(
                neurons, net, b2e.EventProp(), backend, dt, per_synapse=per_synapse
            ).gradients(*samples(net, dt)),
        )
        for per_synapse in (False, True)
    )
    for key, expected in together.items():
        assert np.abs(apart[key] - expected).max() < 1e-10 * np.abs(expected).max(), key


def test_delays_of_their_own_are_followed() -> None:
    neurons = MODELS["LIF, hard reset"]
    net = network(neurons, seed=3)
    rng = np.random.default_rng(3)
    net = with_mixed_delays(net, rng)
    direction = dict(event_exact.directions(net, WEIGHTS, rng))
    expected = event_exact.slope(net, direction)
    found = []
    for dt in (0.1, 0.0125):
        trainer = trainer_of(neurons, net, b2e.EventProp(), "cpu", dt, per_synapse=True)
        values = by_key(net, trainer.gradients(*samples(net, dt)))
        along = sum((values[key] * step).sum() for key, step in direction.items())
        found.append(abs(along - expected) / abs(expected))
    assert found[1] < min(0.05, found[0])


EQUATIONS = "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1"


def small(
    hidden: str = EQUATIONS,
    into: str = "I",
    out: str = "J",
    judged: str = "readout",
    rule: Any = None,
    regularisers: float = 0.0,
    **more: Any,
) -> b2e.Trainer:
    set_device("eprop_cuda", backend="reference")
    defaultclock.dt = 1 * ms
    inputs = b2e.SpikeSource(2, name="inputs")
    spiking = {"threshold": "v > 1", "reset": "v = 0", "method": "euler"} | more
    first = NeuronGroup(2, hidden, name="hidden", **spiking)
    readout = NeuronGroup(
        1, "dy/dt = (J - y)/(10*ms) : 1\ndJ/dt = -J/(5*ms) : 1", method="exact", name="readout"
    )
    w_in = Synapses(inputs, first, "w : 1", on_pre=f"{into}_post += w", name="w_in")
    w_out = Synapses(first, readout, "w : 1", on_pre=f"{out}_post += w", name="w_out")
    for synapses in (w_in, w_out):
        synapses.connect()
        synapses.w = 3.0
    return b2e.Trainer(
        Network(inputs, first, readout, w_in, w_out),
        output=readout.y if judged == "readout" else first.v,
        loss=b2e.MeanSquaredError(),
        rule=rule or b2e.EventProp(),
        parameters=[w_in.w, w_out.w],
        optimiser=b2e.SGD(0.1),
        regularisers=[b2e.FiringRate(10 * Hz, regularisers)] if regularisers else (),
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"into": "v"}, "adds to 'hidden_v', which stands in the threshold"),
        ({"out": "y"}, "adds to the output 'readout_y', so the loss jumps at a spike"),
        ({"judged": "hidden"}, "The neurons of the output 'hidden_v' spike"),
        (
            {
                "hidden": EQUATIONS.replace(": 1\n", ": 1 (unless refractory)\n"),
                "refractory": 5 * ms,
            },
            "depends on 'not_refractory'",
        ),
        ({"threshold": "v > 0"}, "EventProp has no min_slope"),
        ({"hidden": EQUATIONS.replace("(I - v)", "(I - v - int(v > 0.5))")}, "jumps with 'int"),
    ],
)
def test_what_cannot_be_followed_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(b2e.LearningError, match=sentence):
        small(**changes)


@pytest.mark.parametrize(
    ("threshold", "reset"),
    [
        (("v > 1 + c", "v > 1 + 0.02*(t + dt)/ms"), ("v = 0", "v = 0")),
        (("v > 1", "v > 1"), ("v = -c*v", "v = -0.02*(t + dt)/ms*v")),
    ],
)
def test_time_may_stand_in_thresholds_and_resets(
    threshold: tuple[str, str], reset: tuple[str, str]
) -> None:
    """A variable that is the time, and the time itself, are the same."""
    sent = np.zeros((1, 40, 2), bool)
    sent[:, [2, 9, 20]] = True
    found = [
        small(
            hidden=f"{EQUATIONS}\ndc/dt = 0.02/ms : 1", threshold=threshold[n], reset=reset[n]
        ).gradients(b2e.Spikes.from_dense(sent), np.zeros((1, 40, 1)))
        for n in range(2)
    ]
    for name, expected in found[0].items():
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found[1][name], expected, rtol=1e-5)


def test_trained_thresholds_and_resets_are_followed() -> None:
    """What a neuron's threshold and reset value do is what a variable of its own would do."""
    neurons = MODELS["LIF, hard reset"]
    net = network(neurons, seed=3)
    hidden = net.populations["hidden"]
    own = {**hidden.own, "th": np.full(3, 1.0), "low": np.full(3, -0.1)}
    hidden = replace(hidden, own=own, distance="v - th", reset=(("v", "low + 0*v"),))
    net = replace(net, populations={**net.populations, "hidden": hidden})
    changed = replace(
        neurons,
        threshold=("v > th/(10*ms)", "v - th"),
        reset=(("v", "low/(10*ms)"),),
        own=dict.fromkeys(own, 10.0),
    )
    direction = {key: np.array([0.7, -1.1, 0.4]) for key in ("hidden.th", "hidden.low")}
    scaled = {name: values * (10 if name != "tau" else 1) for name, values in own.items()}
    for key, step in direction.items():
        expected = event_exact.slope(net, {key: step})
        found = []
        for dt in (0.1, 0.0125):
            here = replace(
                net, populations={**net.populations, "hidden": replace(hidden, own=scaled)}
            )
            trainer = trainer_of(changed, here, b2e.EventProp(), "cpu", dt)
            values = by_key(here, trainer.gradients(*samples(here, dt)))
            # A parameter in ms is ten times the number.
            found.append(abs(10 * (values[key] * step).sum() - expected) / abs(expected))
        assert found[1] < min(0.06, found[0]), key


@pytest.mark.parametrize("min_slope", [0, -1.0, float("nan"), "fast", True])
def test_min_slope_is_a_positive_number(min_slope: Any) -> None:
    with pytest.raises(ValueError, match="EventProp's min_slope"):
        b2e.EventProp(min_slope=min_slope)


def test_slow_spikes_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """With a min_slope that no neuron reaches, every spike is clipped, and said to be."""
    sent = np.zeros((3, 40, 2), bool)
    sent[:, 2] = True
    goal = np.zeros((3, 40, 1))
    for min_slope, share in ((1e9, 1.0), (1e-9, 0.0)):
        trainer = small(rule=b2e.EventProp(min_slope=min_slope))
        caplog.clear()
        history = trainer.fit(b2e.Spikes.from_dense(sent), goal, epochs=1, verbose=False)
        assert ("more slowly than min_slope" in caplog.text) == (share == 1)
        assert history["rates"][0]["hidden"] > 0
        assert history["clipped"] == [{"hidden": share}]


def test_a_least_slope_bounds_the_gradient() -> None:
    """Clipped, what comes through a neuron's one spike falls with the least slope."""
    sent = np.zeros((1, 40, 2), bool)
    sent[:, 2] = True
    found = [
        small(rule=b2e.EventProp(min_slope=slope), reset="v = -20").gradients(
            b2e.Spikes.from_dense(sent), np.zeros((1, 40, 1))
        )
        for slope in (1e6, 2e6)
    ]
    np.testing.assert_allclose(found[0]["w_in_w"], 2 * found[1]["w_in_w"], rtol=1e-10)
    np.testing.assert_array_equal(found[0]["w_out_w"], found[1]["w_out_w"])
    assert np.abs(found[0]["w_in_w"]).max() > 0


def test_rates_are_regularised_by_a_surrogate() -> None:
    """The regulariser's part is what backpropagation through time gives for it alone."""
    sent = np.zeros((1, 40, 2), bool)
    sent[:, 2] = True
    found = {}
    for rule in (b2e.EventProp(), b2e.SurrogateBPTT(b2e.Triangular())):
        for strength in (0.0, 1.0):
            trainer = small(rule=rule, regularisers=strength, threshold="v > 5")
            found[type(rule), strength] = trainer.gradients(
                b2e.Spikes.from_dense(sent), np.zeros((1, 40, 1))
            )["w_in_w"]
    # Without spikes the loss says nothing, and nothing comes back through resets.
    np.testing.assert_array_equal(found[b2e.EventProp, 0.0], 0)
    assert np.abs(found[b2e.EventProp, 1.0]).max() > 0
    np.testing.assert_allclose(
        found[b2e.EventProp, 1.0],
        found[b2e.SurrogateBPTT, 1.0] - found[b2e.SurrogateBPTT, 0.0],
        rtol=1e-10,
    )
