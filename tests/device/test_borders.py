"""The border between two runs: what is heard a step late, and steps cut into finer ones."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from alike import Found, check_alike, drives, on_device
from brian2 import (
    EventMonitor,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    set_device,
    start_scope,
)

from brian2eprop.errors import Unsupported
from tests.samples import sampled

BACKENDS = ("cpu", "emulated", "reference")
N = 5
RUNS = {
    "two": (3.1, 4.3),
    "none between": (3.1, 0, 4.3),
    "single steps": (1.7, *[0.1] * 7, 2.9),
    "three": (2.4, 0.4, 3),
}


def listeners(drive: np.ndarray, runs: tuple[float, ...], dts: tuple[float, float]) -> Found:
    """All kinds of listeners, half of them before what they listen to."""
    slow, fast = (dt * ms for dt in dts)
    cells = NeuronGroup(
        N, "dv/dt = drive/(0.7*ms) : 1 (unless refractory)\ndrive : 1\nn : 1\nk : 1",
        threshold="v > 1", reset="v = 0", refractory="drive*0.2*ms", method="euler",
        events={"high": "v > 0.8"}, name="cells", dt=slow,
    )  # fmt: skip
    cells.drive = drive
    cells.v = "i/5."
    cells.run_on_event("high", "n += 1 + 0.1*i", when="start")
    cells.thresholder["high"].when = "after_thresholds"
    given = SpikeGeneratorGroup(
        N, np.arange(60) % N, (0.3 + 0.2 * np.arange(60)) * ms, name="given", dt=slow
    )
    out = NeuronGroup(N, "a : 1\nb : 1\nc : 1", name="out", dt=fast)
    paths: list[Any] = []
    for source, name in ((cells, "a"), (given, "b")):
        for when, weight in (("start", 1.0), ("synapses", 0.01)):
            path = Synapses(
                source, out, on_pre=f"{name}_post = 0.9*{name}_post + {weight}*(1 + i)",
                on_post="", name=f"path_{name}_{when}",
            )  # fmt: skip
            path.connect(condition="(i + 2*j) % 3 != 0")
            path.pre.delay = "0.1*((i + 3*j) % 5)*ms"
            path.pre.when = when
            paths.append(path)
    back = Synapses(out, cells, on_post="c_pre += 0.1 + i", name="back")
    back.connect(j="i")
    back.post.when = "groups"
    back.post.order = -3
    spikes = SpikeMonitor(cells, variables="v", name="spikes")
    spikes.when = "start"
    high = EventMonitor(cells[1:4], "high", name="high")
    high.when = "thresholds"
    rate = PopulationRateMonitor(given, name="rate")
    rate.when = "start"
    trace = StateMonitor(out, ["a", "b", "c"], record=True, when="end", name="trace")
    network = Network(cells, given, out, *paths, back, spikes, high, rate, trace)
    for length in runs:
        network.run(length * ms)
    found = {name: np.array(getattr(trace, name)) for name in "abc"}
    found |= {"n": np.array(cells.n[:]), "count": np.array(spikes.count[:])}
    found |= {"high": np.array(high.count[:]), "rate": np.array(rate.rate_)}
    return found


@pytest.mark.parametrize(
    ("runs", "dts"),
    [
        ("two", (0.2, 0.1)),
        ("none between", (0.1, 0.1)),
        ("single steps", (0.1, 0.1)),
        ("three", (0.1, 0.3)),
    ],
)
def test_what_is_heard_late_at_a_border(runs: str, dts: tuple[float, float]) -> None:
    script = partial(listeners, runs=RUNS[runs], dts=dts)
    found = check_alike(script, "reference", N, batch=False)
    assert found["a"].any() and found["high"].any() and found["rate"].any()


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_border_on_every_backend(backend: str, batch: bool) -> None:
    check_alike(partial(listeners, runs=RUNS["three"], dts=(0.2, 0.1)), backend, N, batch)


def test_threads_that_share_an_instance() -> None:
    script = partial(listeners, runs=RUNS["three"], dts=(0.1, 0.1))
    drive = drives(N)
    wanted = on_device(script, drive, "runtime")
    found = on_device(
        script, drive, "eprop_cuda", backend="cpu", precision="float64", layout="team"
    )
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-11, err_msg=name)


def test_single_precision() -> None:
    script = partial(listeners, runs=RUNS["single steps"], dts=(0.1, 0.1))
    drive = np.array([1.1, 1.3, 1.5, 1.7, 1.9])
    wanted = on_device(script, drive, "runtime")
    found = on_device(script, drive, "eprop_cuda", backend="cpu", precision="float32")
    for name in ("b", "rate"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, err_msg=name)


def test_restored() -> None:
    def script(drive: np.ndarray) -> Found:
        cells = NeuronGroup(N, "x : 1", threshold="timestep(t, dt) % 3 == i % 3", name="cells")
        out = NeuronGroup(N, "n : 1", name="out")
        path = Synapses(cells, out, on_pre="n_post += 1 + i", delay=0.2 * ms, name="path")
        path.connect(j="i")
        path.pre.when = "start"
        network = Network(cells, out, path)
        network.run(0.4 * ms)
        network.store()
        network.run(0.7 * ms)
        network.restore()
        network.run(0.5 * ms)
        return {"n": np.array(out.n[:])}

    check_alike(script, "cpu", N, batch=False)


# Changes while a spike is heard late


@pytest.mark.parametrize("change", ["delay", "connect"])
def test_a_source_that_is_heard_late_is_heard_by_what_is_new(change: str) -> None:
    def script(drive: np.ndarray) -> Found:
        given = SpikeGeneratorGroup(1, [0, 0, 0], [0, 0.3, 0.4] * ms, name="given")
        out = NeuronGroup(2, "n : 1", name="out")
        path = Synapses(given, out, on_pre="n_post += 1", delay=0.3 * ms, name="path")
        path.connect(i=0, j=0)
        path.pre.when = "start"
        trace = StateMonitor(out, "n", record=True, when="end", name="trace")
        network = Network(given, out, path, trace)
        network.run(0.4 * ms)  # the spike of step 3 is heard in step 4, that of step 0 was in 1
        if change == "delay":
            path.delay = 0.1 * ms
        else:
            path.connect(i=0, j=1)
        network.run(1 * ms)
        return {"n": np.array(trace.n)}

    check_alike(script, "reference", N, batch=False)


def test_synapses_formed_between_runs_on_two_clocks() -> None:
    """When they were formed is a time, not a step, of which each clock has others."""

    def script(drive: np.ndarray) -> Found:
        quick = SpikeGeneratorGroup(1, [0], [8] * ms, name="quick", dt=0.1 * ms)
        slow = NeuronGroup(2, "n : 1", threshold="False", name="slow", dt=1 * ms)
        path = Synapses(quick, slow, on_pre="n_post += 1", on_post="n_post += 0", name="path")
        path.connect(i=0, j=0)
        path.pre.delay = 5 * ms
        network = Network(quick, slow, path)
        network.run(10 * ms)
        path.connect(i=0, j=1)
        for _ in range(2):
            network.run(0.5 * ms)
            path.connect(i=0, j=0)
        network.run(5 * ms)
        return {"n": np.array(slow.n[:])}

    check_alike(script, "reference", N, batch=False)


# Finer steps while spikes are on their way


def in_finer_steps(
    drive: np.ndarray, dts: tuple[float, ...], when: str = "synapses", grow: bool = False
) -> Found:
    given = SpikeGeneratorGroup(N, np.arange(N), 0.4 * np.arange(N) * ms, name="given")
    out = NeuronGroup(2 * N, "n : 1", name="out")
    path = Synapses(given, out, on_pre="n_post += 1", name="path")
    path.connect(i=np.arange(N), j=np.arange(N))
    path.delay = "(1 + i)*0.7*ms"
    path.pre.when = when
    single = Synapses(given, out, on_pre="n_post += 10", delay=1.3 * ms, name="single")
    single.connect(i=np.arange(N), j=np.arange(N))
    network = Network(given, out, path, single)
    traces = []
    for number, dt in enumerate(dts):
        defaultclock.dt = dt * ms
        trace = StateMonitor(out, "n", record=True, when="end", name=f"trace{number}")
        network.add(trace)
        network.run(1.6 * ms if number < len(dts) - 1 else 6 * ms)
        network.remove(trace)
        traces.append(np.array(trace.n))
        if grow:
            path.connect(i=np.arange(N), j=np.arange(N) + N)
            path.delay[N * (number + 1) :] = "(2 + i)*0.2*ms"
            network.run(0 * ms)
    return {str(number): found for number, found in enumerate(traces)}


@pytest.mark.parametrize("grow", [False, True])
@pytest.mark.parametrize("when", ["start", "synapses"])
@pytest.mark.parametrize("dts", [(0.4, 0.2), (0.4, 0.1), (0.8, 0.4, 0.1), (0.1, 0.1)])
def test_finer_steps(dts: tuple[float, ...], when: str, grow: bool) -> None:
    script = partial(in_finer_steps, dts=dts, when=when, grow=grow)
    found = check_alike(script, "reference", N, batch=False)
    assert np.diff(found[str(len(dts) - 1)]).any(), "nothing was on its way"


@pytest.mark.parametrize("dts", [(0.2, 0.4), (0.16, 0.1), (0.2, 0.32)])
def test_steps_that_are_not_cut_are_refused(dts: tuple[float, ...]) -> None:
    set_device("eprop_cuda", backend="reference", precision="float64")
    start_scope()
    defaultclock.dt = 0.1 * ms
    before, after = (f"{dt * 1e-3:g} s" for dt in dts)
    with pytest.raises(Unsupported) as caught:
        in_finer_steps(drives(N), dts)
    assert f"was changed from {before} to {after} while" in str(caught.value)
    assert "run without input until they have arrived" in str(caught.value)


@pytest.mark.parametrize(
    ("event", "backend"),
    sampled(
        product(["late", "count", "index", "marks", "spikes"], BACKENDS),
        lambda case: case[1] == "reference" or case == ("count", "cpu"),
    ),
)
def test_an_event_may_have_any_name(event: str, backend: str) -> None:
    found = []
    for device in ("runtime", "eprop_cuda"):
        start_scope()
        set_device(device, **({} if device == "runtime" else {"backend": backend}))
        defaultclock.dt = 0.1 * ms
        cells = NeuronGroup(
            4, "dv/dt = (2 + 0.3*i)/(10*ms) : 1\nk : 1", threshold="v > 1", reset="v = 0",
            method="euler", events={event: "v > 0.8"}, name="cells",
        )  # fmt: skip
        cells.run_on_event(event, "k += 1")
        out = NeuronGroup(4, "a : 1", name="out")
        path = Synapses(cells, out, on_pre="a_post += 1", name="path")
        path.connect(j="i")
        path.pre.when = "start"
        network = Network(cells, out, path, EventMonitor(cells, event, name="events"))
        for _ in range(2):
            network.run(8 * ms)
        found.append((out.a[:].tolist(), cells.k[:].tolist()))
    assert found[0] == found[1]
