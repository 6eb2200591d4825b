"""Synapses that a simulation rewires, beside all places of the matrix on Brian2's own device."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    network_operation,
    set_device,
)

import brian2eprop as b2e
from brian2eprop.device import brian
from brian2eprop.device.device import EpropDevice
from brian2eprop.device.memory.rewirings import RewiredInRun

Values = npt.NDArray[Any]

N = 12
DT, PERIOD, PERIODS = 0.5, 5.0, 6
MATRIX = np.random.default_rng(0).random((N, N)) < 0.2
MATRIX &= ~np.eye(N, dtype=bool)
WEIGHTS = np.random.default_rng(1).random((N, N))
RULE = b2e.Rewire(
    "w < 0.45",
    form="exp(-(x_pre - x_post)**2/0.1)",
    initial={"w": "0.5 + 0.1*x_pre", "tag": "100*i + j"},
    allowed="i != j",
)
NEURONS = """dv/dt = (1.3 - v)/(10*ms) : 1
             dc/dt = -c/(50*ms) : 1
             x : 1 (constant)"""
SYNAPSES = """w : 1
              tag : 1
              dbefore/dt = -before/(10*ms) : 1 (event-driven)
              dbehind/dt = -behind/(10*ms) : 1 (event-driven)"""


class Model:
    """A recurrent network with plastic synapses, listed in no order."""

    def __init__(self, backend: str = "cpu", precision: str = "float64", **options: Any) -> None:
        delay = options.pop("delay", 2 * ms)
        set_device("eprop_cuda", backend=backend, precision=precision, seed=5, **options)
        self.neurons = neurons()
        self.synapses = Synapses(
            self.neurons,
            self.neurons,
            SYNAPSES,
            on_pre="v_post += 0.2*w; before += 0.1; w = clip(w + behind, 0, 1)",
            on_post="behind -= 0.11; w = clip(w + before, 0, 1)",
            delay=None if isinstance(delay, str) else delay,
            name="s",
        )
        places = np.random.default_rng(2).permutation(np.flatnonzero(MATRIX))
        self.synapses.connect(i=places // N, j=places % N)
        self.synapses.w = WEIGHTS.ravel()[places]
        self.synapses.tag = "100*i + j"
        if isinstance(delay, str):
            self.synapses.delay = delay
        self.spikes = SpikeMonitor(self.neurons, name="spikes")
        self.network = Network(self.neurons, self.synapses, self.spikes)
        b2e.rewire(self.synapses, RULE, dt=PERIOD * ms)

    def places(self) -> Values:
        """Where the synapses are."""
        found = self.synapses
        assert len(found) == found.i[:].size == found.w[:].shape[-1]
        return np.asarray(found.i[:] * N + found.j[:])

    def matrix(self, name: str) -> Values:
        """A variable of the synapses by place."""
        found = np.full(N * N, np.nan)
        found[self.places()] = getattr(self.synapses, name)[:]
        return found

    def run(self, periods: float) -> None:
        """Run for so many periods."""
        self.network.run(periods * PERIOD * ms)


def neurons() -> NeuronGroup:
    """The neurons, on the device of now."""
    defaultclock.dt = DT * ms
    group = NeuronGroup(
        N, NEURONS, threshold="v > 1", reset="v = 0; c += 1", method="exact", name="g"
    )
    group.x = np.linspace(0, 1, N)
    group.v = np.random.default_rng(3).random(N)
    return group


class Places:
    """All places of the matrix as synapses on Brian2's runtime; ``there`` says which have one."""

    def __init__(self, delay: Values) -> None:
        set_device("runtime")
        self.neurons = neurons()
        heard = "int(t - delay > born - dt/2)*there"
        self.all = Synapses(
            self.neurons,
            self.neurons,
            SYNAPSES + "\nthere : 1\nborn : second\nlag : second",
            on_pre=f"""v_post += 0.2*w*{heard.replace("delay", "lag")}
                       before += 0.1*{heard.replace("delay", "lag")}
                       w = clip(w + behind*{heard.replace("delay", "lag")}, 0, 1)""",
            on_post="behind -= 0.11*there; w = clip(w + before*there, 0, 1)",
        )
        self.all.connect()
        self.all.pre.delay = delay.ravel() * ms
        self.all.lag = delay.ravel() * ms
        self.all.there = MATRIX.ravel()
        self.all.w = WEIGHTS.ravel()
        self.spikes = SpikeMonitor(self.neurons)
        self.network = Network(self.neurons, self.all, self.spikes)

    def eliminated(self) -> Values:
        """Which places lose their synapse by the rule."""
        return np.flatnonzero((self.all.there[:] > 0) & (self.all.w[:] < 0.45))

    def form(self, gone: Values, formed: Values) -> None:
        """Take synapses away and form others."""
        self.all.there[gone] = 0
        for name in ("before", "behind"):
            for places in (gone, formed):
                setattr(self.all, name, np.where(np.isin(np.arange(N * N), places), 0,
                                                 getattr(self.all, name)[:]))  # fmt: skip
        self.all.there[formed] = 1
        self.all.w[formed] = 0.5 + 0.1 * self.neurons.x[:][formed // N]
        self.all.born[formed] = self.network.t


@pytest.mark.parametrize(
    ("backend", "delay"), [("cpu", 2.0), ("cpu", 0.0), ("emulated", 2.0), ("reference", 2.0)]
)
def test_what_neurons_hear(backend: str, delay: float) -> None:
    """Spikes and weights are those of a network that has every place, without a rewiring device.

    A formed synapse hears what is sent after it was formed, though older spikes are on their way.
    """
    model = Model(backend, delay=delay * ms)
    there, tags, gone = [model.places()], [], []
    for _ in range(PERIODS):
        weights = model.matrix("w")
        model.run(1)
        there.append(model.places())
        tags.append(
            np.array_equal(model.synapses.tag[:], 100 * model.synapses.i[:] + model.synapses.j[:])
        )
        gone.append(weights)
    weights, spikes = model.matrix("w"), (model.spikes.i[:], model.spikes.t[:] / ms)
    counts = model.synapses.N_incoming_post, model.synapses.N_outgoing_pre
    assert all(tags)
    everywhere = Places(np.full((N, N), delay))
    changes = 0
    for before, after in pairwise(there):
        everywhere.network.run(PERIOD * ms)
        lost = everywhere.eliminated()
        kept = np.setdiff1d(before, lost)
        assert np.isin(kept, after).all()
        formed = np.setdiff1d(after, kept)
        assert (np.diff(after) > 0).all()
        assert len(after) == len(before)
        assert (formed // N != formed % N).all()
        everywhere.form(lost, formed)
        changes += len(formed)
    assert changes > 10
    assert np.array_equal(spikes[0], everywhere.spikes.i[:])
    np.testing.assert_allclose(spikes[1], everywhere.spikes.t[:] / ms, atol=1e-9)
    last = there[-1]
    np.testing.assert_allclose(weights[last], everywhere.all.w[:][last], rtol=1e-12)
    assert np.array_equal(counts[0], np.bincount(last % N, minlength=N))
    assert np.array_equal(counts[1], np.bincount(last // N, minlength=N))


GROWING = b2e.Rewire(
    "rand() < 0.1",
    form="0.08*exp(-(x_pre - x_post)**2/0.1)*int(N_incoming < 10)",
    initial={"w": "0.5", "tag": "100*i + j"},
    allowed="i != j",
    keep="none",
)


@pytest.mark.parametrize("rule", [RULE, GROWING], ids=["number", "none"])
@pytest.mark.parametrize("delay", [2 * ms, "(1 + i % 3)*ms"], ids=["common", "own"])
def test_runs_may_be_cut_anywhere(
    rule: b2e.Rewire, delay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run, several, and one after a restore give the same, though arrays must grow.

    A network that was only rewired since it was prepared is not prepared again.
    """
    prepared = []
    capture = EpropDevice.capture_for_run

    def count(*given: Any) -> Any:
        prepared.append(given)
        return capture(*given)

    monkeypatch.setattr(EpropDevice, "capture_for_run", count)
    model = Model("cpu", delay=delay)
    b2e.rewire(model.synapses, rule, dt=PERIOD * ms)
    model.network.store()
    results = []
    for cuts in ([12.0], [5.0, 7.0], [3.3, 0.5, 8.2]):
        model.network.restore(restore_random_state=True)
        assert len(model.synapses) == MATRIX.sum()
        prepared.clear()
        for periods in cuts:
            model.run(periods)
            model.places()
        assert len(prepared) == 1 or rule.keep == "none"
        assert np.array_equal(
            model.synapses.tag[:], 100 * model.synapses.i[:] + model.synapses.j[:]
        )
        found = [getattr(model.synapses, n)[:] for n in ("i", "j", "w", "before", "delay")]
        results.append([*found, model.spikes.i[:], model.spikes.t[:] / ms])
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            assert np.array_equal(one, other)
    assert (rule.keep == "number") == (len(results[0][0]) == MATRIX.sum())
    prepared.clear()
    model.run(1)
    assert not prepared
    model.synapses.connect(i=[0], j=[0])
    model.run(1)
    assert prepared


def test_the_same_on_all_backends() -> None:
    results = []
    for backend in ("reference", "cpu", "emulated"):
        model = Model(backend)
        b2e.rewire(model.synapses, GROWING, dt=PERIOD * ms)
        model.run(4.5)
        results.append((model.places(), model.spikes.i[:]))
    for places, spikes in results[1:]:
        assert np.array_equal(places, results[0][0])
        assert np.array_equal(spikes, results[0][1])


def test_places_form_with_their_probability() -> None:
    """How often each place has a synapse after one rewiring of none, and after elimination."""
    set_device("eprop_cuda", backend="cpu", seed=2)
    runs, group = 1500, neurons()
    synapses = Synapses(group, group, "w : 1", name="s")
    synapses.connect(False)
    rule = b2e.Rewire("rand() < 0.25", form="0.1 + 0.4*x_pre*x_post", keep="none", allowed="i != j")
    b2e.rewire(synapses, rule, dt=DT * ms)
    counts = np.zeros((N, N))

    @network_operation(when="start", dt=DT * ms)
    def count() -> None:
        counts[synapses.i[:], synapses.j[:]] += 1

    Network(group, synapses, count).run(runs * DT * ms)
    total = runs
    x = np.linspace(0, 1, N)
    form = (0.1 + 0.4 * np.outer(x, x)) * (1 - np.eye(N))
    share = form / (1 - 0.75 * (1 - form))  # stays, or is formed where it was not
    correlation = 0.75 * (1 - form)  # from one rewiring to the next
    deviation = np.sqrt(share * (1 - share) * (1 + correlation) / (1 - correlation) / total)
    assert (counts[np.eye(N, dtype=bool)] == 0).all()
    z = ((counts / total - share) / np.where(deviation > 0, deviation, 1))[form > 0]
    assert np.abs(z).max() < 4.5
    assert abs((z**2).mean() - 1) < 0.45


def test_limits_of_a_neuron() -> None:
    """What counts a neuron's synapses is that of before the rewiring."""
    model = Model("cpu")
    rule = b2e.Rewire("N_incoming > 3", form="0.02*int(N_incoming == 0)", keep="none")
    before = model.synapses.N_incoming_post.copy()
    b2e.rewire(model.synapses, rule, dt=PERIOD * ms)
    model.run(1)
    now = model.synapses.N_incoming_post
    assert (now[before > 3] == 0).all()
    kept = (before > 0) & (before <= 3)
    assert (now[kept] == before[kept]).all()
    assert (before > 3).any() and kept.any()


def test_instances_share_connections() -> None:
    """With a rule that reads nothing of a run, each instance is as if it were the only one."""
    rule = b2e.Rewire(
        "x_pre > 0.7 and rand() < 0.5", initial={"w": "0.6", "tag": "100*i + j"}, allowed="i != j"
    )
    results = {}
    start = np.random.default_rng(3).random((2, N))
    for batch in (None, 2):
        for instance in range(2 if batch is None else 1):
            model = Model("cpu", batch_size=batch)
            model.neurons.v = start if batch else start[instance]
            b2e.rewire(model.synapses, rule, dt=PERIOD * ms)
            model.run(3)
            results[batch, instance] = model.places(), model.synapses.w[:], model.neurons.v[:]
            model.run(1.5)
            results[batch, instance] += (model.places(), model.synapses.w[:], model.neurons.v[:])
    for k in range(2):
        for one, both in zip(results[None, k], results[2, 0], strict=True):
            assert np.array_equal(one, both[k] if both.ndim == 2 else both)
    with pytest.raises(b2e.Unsupported, match="all instances have the same connections"):
        b2e.rewire(model.synapses, RULE, dt=PERIOD * ms)
        model.run(1)


def test_network_operations_see_the_synapses_of_now() -> None:
    """Within a run whoever looks has them all, and what is set there is kept."""
    model = Model("cpu", delay=0 * ms)
    seen = []

    @network_operation(dt=2 * PERIOD * ms)
    def look(t: Any) -> None:
        seen.append((t / ms, model.places()))
        model.synapses.w[:] = 0.9
        model.synapses.tag = "100*i + j"

    model.network.add(look)
    b2e.rewire(model.synapses, GROWING, dt=PERIOD * ms)
    model.run(8)
    assert [round(t) for t, _ in seen] == [0, 10, 20, 30]
    assert len({len(places) for _, places in seen}) > 1
    assert np.array_equal(model.synapses.tag[:], 100 * model.synapses.i[:] + model.synapses.j[:])
    b2e.rewire(model.synapses, None)
    before = model.places()
    model.run(3)
    assert np.array_equal(before, model.places())


def test_what_cannot_be_rewired() -> None:
    model = Model("cpu")
    monitor = StateMonitor(model.synapses, "w", record=[0], name="watch")
    model.network.add(monitor)
    with pytest.raises(b2e.Unsupported, match="'watch' records variables of 's'"):
        model.run(1)
    model.network.remove(monitor)
    onto = Synapses(model.neurons, model.synapses, "u : 1", on_pre="w_post += u", name="onto")
    onto.connect(i=[0], j=[0])
    model.network.add(onto)
    with pytest.raises(b2e.Unsupported, match="'onto' ends at the synapses 's'"):
        model.run(1)
    model.network.remove(onto)
    b2e.rewire(model.synapses, RULE, dt=0.7 * ms)
    with pytest.raises(b2e.Unsupported, match="no whole number of the network's time steps"):
        model.run(1)
    with pytest.raises(b2e.Unsupported, match="which only a training has"):
        b2e.rewire(model.synapses, b2e.DeepR(l1=0.1))
    with pytest.raises(TypeError, match="give Synapses"):
        b2e.rewire(model.neurons, RULE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give a rule"):
        b2e.rewire(model.synapses, "w < 0")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="asks for the weight 'u'"):
        b2e.rewire(model.synapses, b2e.SET(0.1), weight="u")
    with pytest.raises(ValueError, match="give 'number' or 'none'"):
        b2e.Rewire("w < 0", keep="all")
    with pytest.raises(ValueError, match="give eliminate as a condition"):
        b2e.Rewire("w", fraction=0.1, keep="none")
    set_device("runtime")
    with pytest.raises(b2e.Unsupported, match="call set_device"):
        b2e.rewire(model.synapses, RULE)


@pytest.mark.parametrize("at", ["settled", "no room"])
def test_ctrl_c_leaves_a_rewiring_whole(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that was interrupted while it was rewired goes on as one that was not."""
    results = []
    for interrupted in (False, True):
        model = Model("cpu")
        b2e.rewire(model.synapses, replace(GROWING, form="0.5"), dt=PERIOD * ms)
        with monkeypatch.context() as patch:
            if interrupted:
                owner, name = WHERE[at]
                patch.setattr(owner, name, _then_interrupted(getattr(owner, name)))
            with pytest.raises(KeyboardInterrupt) if interrupted else nullcontext():
                model.run(2)
                model.places()
        assert np.array_equal(
            model.synapses.tag[:], 100 * model.synapses.i[:] + model.synapses.j[:]
        )
        model.network.run(3 * PERIOD * ms - model.network.t)
        results.append((model.places(), model.synapses.w[:], model.spikes.i[:]))
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)


# What tells Brian2 where synapses are, and what makes room for more.
WHERE = {
    "settled": (brian, "set_number"),
    "no room": (RewiredInRun, "make_room"),
}


def _then_interrupted(function: Any) -> Any:
    """The same, with Ctrl-C when it is done; twice, since Brian2 takes the first for a wish."""

    def found(*arguments: Any) -> None:
        function(*arguments)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    return found
