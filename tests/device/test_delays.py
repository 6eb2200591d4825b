"""Delays of every synapse, and what a spike adds to its own neuron, as on Brian2's runtime."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    defaultclock,
    ms,
    second,
    set_device,
    start_scope,
)

from brian2eprop.device.backends.base import Memory
from brian2eprop.errors import Unsupported
from tests.samples import sampled

BACKENDS = ("cpu", "emulated", "reference")
FOUND = dict[str, np.ndarray]


def simulate(device: str, seed: int, *, dt: float = 0.1, repeats: bool = False) -> FOUND:
    """A recurrent group whose synapses have delays of their own; three runs."""
    rng = np.random.default_rng(seed)
    n = 7
    defaultclock.dt = dt * ms
    group = NeuronGroup(
        n,
        """dv/dt = (drive - v)/(3*ms) : 1
           drive : 1
           heard : integer
           sent : integer""",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        name="cells",
    )
    group.drive = rng.uniform(1.1, 2, n)
    group.v = rng.uniform(0, 1, n)
    synapses = Synapses(
        group,
        group,
        "w : 1",
        on_pre="v_post += w\nheard_post += 1\nsent_pre += 2",
        name="links",
    )
    pairs = rng.integers(0, n, (2, 40))
    i, j = pairs if repeats else np.unique(pairs, axis=1)[:, rng.permutation(30) % 20]
    if not repeats:
        i, j = np.unique(np.array([i, j]), axis=1)
    synapses.connect(i=i, j=j)
    synapses.w = rng.normal(0, 0.2, len(i))
    synapses.delay = rng.uniform(0, 2.3, len(i)) * ms
    monitor = SpikeMonitor(group, name="spikes")
    network = Network(group, synapses, monitor)
    found = {}
    for k, steps in enumerate((3, 40, 61)):
        network.run(steps * dt * ms)
        found[f"v{k}"] = np.array(group.v[:])
        found[f"heard{k}"] = np.array(group.heard[:])
        found[f"sent{k}"] = np.array(group.sent[:])
    found["i"] = np.array(monitor.i[:])
    found["step"] = np.rint(np.array(monitor.t[:] / second) / (dt * 1e-3)).astype(int)
    return found


def agrees(found: FOUND, wanted: FOUND) -> None:
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        if values.dtype.kind == "i":
            np.testing.assert_array_equal(found[name], values, name)
        else:
            np.testing.assert_allclose(found[name], values, rtol=1e-12, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("seed", "dt", "repeats"), [(1, 0.1, False), (2, 0.1, True), (3, 0.25, True)]
)
def test_each_synapse_has_its_delay(backend: str, seed: int, dt: float, repeats: bool) -> None:
    set_device("runtime")
    wanted = simulate("runtime", seed, dt=dt, repeats=repeats)
    set_device("eprop_cuda", backend=backend, precision="float64")
    agrees(simulate("eprop_cuda", seed, dt=dt, repeats=repeats), wanted)
    assert len(wanted["i"]) > 20


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_spikes_that_arrive_together_the_oldest_comes_first(backend: str) -> None:
    """Neuron 1 spikes first, then 0, then 2; the delays let all of them arrive at once."""

    def heard() -> list[float]:
        defaultclock.dt = 1 * ms
        senders = NeuronGroup(
            3, "at : integer", threshold="timestep(t, dt) == at", reset="", name="senders"
        )
        senders.at = [1, 0, 2]
        hearer = NeuronGroup(1, "last : 1\nall : 1", name="hearer")
        links = Synapses(
            senders, hearer, "w : 1", on_pre="last_post = w\nall_post = 10*all_post + w"
        )
        links.connect()
        links.w, links.delay = [1, 2, 3], [1, 2, 0] * ms
        Network(senders, hearer, links).run(4 * ms)
        return [float(hearer.last[0]), float(hearer.all[0])]

    set_device("runtime")
    wanted = heard()
    set_device("eprop_cuda", backend=backend, precision="float64")
    assert heard() == wanted == [3, 213]


@pytest.mark.parametrize("delay", [0.04, 0.05, 0.06, 0.14, 0.25, 0.3, 0.34, 0.35, 0.36, 0.7])
def test_a_delay_is_rounded_to_steps_as_in_brian2(delay: float) -> None:
    """0.3 ms at steps of 0.1 ms is a little less than three steps in floating point."""

    def arrivals() -> list[int]:
        defaultclock.dt = 0.1 * ms
        one = NeuronGroup(1, "x : 1", threshold="t < 0.05*ms", reset="", name="one")
        other = NeuronGroup(1, "n : integer", name="other")
        link = Synapses(one, other, on_pre="n_post += 1", delay=delay * ms, name="link")
        link.connect()
        network = Network(one, other, link)
        found = []
        for _ in range(12):
            network.run(0.1 * ms)
            found.append(int(other.n[0]))
        return found

    set_device("runtime")
    wanted = arrivals()
    set_device("eprop_cuda", backend="cpu", precision="float64")
    assert arrivals() == wanted
    assert wanted[-1] == 1


def test_delays_of_batches_are_those_of_each_instance() -> None:
    """Instances that start apart stay apart, through the same synapses."""

    def counts(seed: int | None) -> Any:
        defaultclock.dt = 0.1 * ms
        group = NeuronGroup(
            4, "dv/dt = (1.5 - v)/(3*ms) : 1", threshold="v > 1", reset="v = 0", method="exact"
        )
        starts = np.random.default_rng(5).uniform(0, 1, (3, 4))
        group.v = starts if seed is None else starts[seed]
        links = Synapses(group, group, on_pre="v_post += 0.1")
        links.connect(condition="i != j")
        links.delay = "(0.1 + 0.4*i + 0.1*j)*ms"
        Network(group, links).run(15 * ms)
        return np.array(group.v[:])

    set_device("runtime")
    wanted = np.array([counts(seed) for seed in range(3)])
    set_device("eprop_cuda", backend="cpu", precision="float64", batch_size=3)
    np.testing.assert_allclose(counts(None), wanted, rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_synapses_with_delays_of_their_own_grow_while_spikes_are_on_their_way(backend: str) -> None:
    def arrivals() -> list[list[int]]:
        defaultclock.dt = 0.1 * ms
        one = NeuronGroup(2, "x : 1", threshold="timestep(t, dt) % 7 == 0", reset="", name="one")
        other = NeuronGroup(3, "n : integer", name="other")
        link = Synapses(one, other, on_pre="n_post += 1", name="link")
        link.connect(i=[0, 0, 1], j=[0, 1, 1])
        link.delay = [0.3, 1.2, 0.5] * ms
        network = Network(one, other, link)
        found = []
        for run in range(5):
            network.run(0.9 * ms)
            found.append(other.n[:].tolist())
            link.connect(i=[1, 0], j=[2, run % 3])
            link.delay[-2:] = [0.2 * run + 0.1, 0.8] * ms
        return found

    set_device("runtime")
    wanted = arrivals()
    set_device("eprop_cuda", backend=backend, precision="float64")
    assert arrivals() == wanted


def changing(plan: list[Any], delays: list[Any]) -> FOUND:
    """Delays of both pathways that are set anew between runs, while synapses are added."""
    defaultclock.dt = 0.1 * ms
    cells = NeuronGroup(
        4,
        "dv/dt = drive/(3*ms) : 1\ndrive : 1\nheard : 1",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name="cells",
    )
    cells.drive = [1.9, 2.6, 3.3, 4.1]
    links = Synapses(
        cells,
        cells,
        "w : 1\nx : 1",
        # What arrives counts in its order.
        on_pre="heard_post = 0.9*heard_post + w",
        on_post="x = 0.5*x + heard_post",
        name="links",
    )
    links.connect(i=[0, 0, 1, 2, 2, 3], j=[1, 2, 1, 0, 3, 2])
    links.w = "1 + 0.1*i + 0.01*j"
    network = Network(cells, links)
    network.store("begin")
    found = {}
    for k, (what, delay) in enumerate(zip(plan, delays, strict=True)):
        pathway = links.post if what == "post" else links.pre
        if what == "grow":
            links.connect(i=[3, k % 4], j=[0, 2])
            links.w[-2:] = 0.3
        elif what == "back":
            network.restore("middle" if k > 3 else "begin")
        pathway.delay = delay[: len(links)] * ms if np.ndim(delay) else delay * ms
        if k == 3:
            network.store("middle")
        network.run((0.7, 1.3, 0.2)[k % 3] * ms)
        found |= {f"heard{k}": np.array(cells.heard[:]), f"x{k}": np.array(links.x[:])}
    return found


@pytest.mark.parametrize(
    ("seed", "backend"),
    sampled(product(range(3), BACKENDS), lambda case: case[0] == 0 or case[1] == "reference"),
)
@pytest.mark.parametrize("back", [False, True])
def test_what_is_on_its_way_arrives_as_it_was_to_when_delays_change(
    backend: str, seed: int, back: bool
) -> None:
    rng = np.random.default_rng(seed)
    kinds = ["pre", "post", "pre", "grow"] + (["back"] if back else [])
    plan = ["pre", "pre", "pre", "pre", *rng.choice(kinds, 8)]
    delays = [
        rng.uniform(0, 2.5, 40) if rng.random() < 0.5 else np.full(40, rng.uniform(0, 2.5))
        for _ in plan
    ]
    set_device("runtime")
    wanted = changing(plan, delays)
    set_device("eprop_cuda", backend=backend, precision="float64")
    agrees(changing(plan, delays), wanted)


def one_delay_that_changes() -> list[float]:
    """The delay of all synapses is lengthened and shortened, and ends where it began."""
    defaultclock.dt = 0.1 * ms
    one = NeuronGroup(2, "x : 1", threshold="timestep(t, dt) % 3 == i", reset="", name="one")
    other = NeuronGroup(1, "n : 1", name="other")
    link = Synapses(one, other, on_pre="n_post = 0.9*n_post + 1 + i", delay=0.5 * ms, name="link")
    link.connect()
    network = Network(one, other, link)
    found = []
    for delay in (0.5, 2.0, 0.1, 0.1, 1.2, 0, 0.5, 0.5, 0.5, 0.5):
        link.delay = delay * ms
        network.run(0.4 * ms)
        found.append(float(np.ravel(other.n)[-1]))
    return found


@pytest.mark.parametrize("batch_size", [None, 2])
def test_the_one_delay_of_all_synapses_changes(batch_size: int | None) -> None:
    set_device("runtime")
    wanted = one_delay_that_changes()
    set_device("eprop_cuda", backend="cpu", precision="float64", batch_size=batch_size)
    assert one_delay_that_changes() == pytest.approx(wanted, rel=1e-12)


def added_while_a_delay_changes() -> list[float]:
    """Of what is on its way by an earlier delay, synapses that are added later hear nothing."""
    start_scope()
    defaultclock.dt = 1 * ms
    source = SpikeGeneratorGroup(1, [0, 0, 0], [0, 2, 3] * ms, name="source")
    other = NeuronGroup(2, "n : 1", name="other")
    link = Synapses(source, other, on_pre="n_post += 1", name="link")
    link.connect(i=[0], j=[0])
    link.delay = [5] * ms
    network = Network(source, other, link)
    network.run(1 * ms)
    link.delay = [6] * ms
    network.run(2 * ms)
    link.connect(i=[0], j=[1])
    link.delay = [6, 6] * ms
    network.run(12 * ms)
    return [float(n) for n in other.n[:]]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_synapses_are_added_while_a_delay_changes(backend: str) -> None:
    set_device("runtime")
    wanted = added_while_a_delay_changes()
    set_device("eprop_cuda", backend=backend, precision="float64")
    assert added_while_a_delay_changes() == wanted


def test_spikes_that_meet_one_synapse_in_one_step_draw_their_own_numbers() -> None:
    set_device("eprop_cuda", backend="reference", precision="float64", seed=1)
    defaultclock.dt = 1 * ms
    source = SpikeGeneratorGroup(1, [0, 0], [0, 2] * ms)
    target = NeuronGroup(1, "total : 1")
    link = Synapses(source, target, "last : 1", on_pre="last = rand()\ntotal_post += last")
    link.connect()
    link.delay = 3 * ms
    network = Network(source, target, link)
    network.run(1 * ms)
    link.delay = 1 * ms
    network.run(4 * ms)
    first, second = target.total[0] - link.last[0], link.last[0]
    assert 0 < first < 1 and 0 < second < 1
    assert first != pytest.approx(second, rel=1e-9)


def long_delay(delay: Any, duration: Any) -> tuple[list[float], list[float]]:
    """Whom a spike of the first step reaches that a pathway delays, within some time; and again."""
    defaultclock.dt = 1 * ms
    source = SpikeGeneratorGroup(2, [1], [0] * ms)
    target = NeuronGroup(2, "n : 1")
    links = Synapses(source, target, on_pre="n_post += 1")
    links.connect(j="i")
    links.delay = delay
    network = Network(source, target, links)
    found = []
    for _ in range(2):
        network.run(duration)
        found.append(target.n[:].tolist())
        network.add(NeuronGroup(1, "x : 1"))  # so that the next run has another memory
    return found[0], found[1]


@pytest.mark.parametrize("delay", [0.1 * second, 1e5 * second])
def test_of_a_long_delay_only_the_steps_of_the_runs_are_copied(
    delay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its buffer takes gigabytes, of which the runs touch some pages."""
    set_device("eprop_cuda", backend="reference", precision="float64")
    copied = []
    for name in ("read", "read_slots"):
        original = getattr(Memory, name)

        def read(*arguments: Any, original: Any = original) -> Any:
            found = original(*arguments)
            copied.append(found.size)
            return found

        monkeypatch.setattr(Memory, name, read)
    assert long_delay(delay, 60 * ms) == ([0, 0], [0, float(delay < 1 * second)])
    assert max(copied) <= 2 * 120


@pytest.mark.parametrize("delay", [1e7, np.inf, np.nan, -0.002])
def test_delays_that_no_step_can_be_told_of_are_refused(delay: float) -> None:
    set_device("eprop_cuda", backend="reference")
    with pytest.raises(Unsupported, match=r"'synapses_pre' has a delay of .* s, but .* less than"):
        long_delay([0, delay] * second, 1 * ms)
