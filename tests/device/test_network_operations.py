"""Python code within a run: it sees and sets the newest values; runs are stopped and profiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import (
    EventClock,
    Network,
    NetworkOperation,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    get_device,
    ms,
    network_operation,
    set_device,
    start_scope,
)
from brian2.utils.logger import catch_logs

import brian2eprop as b2e
from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.run import run as running
from brian2eprop.errors import Unsupported

FOUND = dict[str, np.ndarray]


def number(view: Any) -> float:
    return float(np.asarray(view).ravel()[0])


def simulate(device: str, when: str, **options: Any) -> FOUND:
    """Two operations on clocks of their own; the second ends the run."""
    set_device(device, **options)
    defaultclock.dt = 0.5 * ms
    cells = NeuronGroup(
        5, "dv/dt = (1.2 + 0.1*i + x - v)/(5*ms) : 1\nx : 1", threshold="v > 1",
        reset="v = 0; x *= 0.5", method="exact", name="cells",
    )  # fmt: skip
    links = Synapses(cells, cells, "w : 1", on_pre="v += 0.05 + w", delay=1 * ms, name="links")
    links.connect("i != j")
    spikes = SpikeMonitor(cells, name="spikes")
    trace = StateMonitor(cells, ["v", "x"], record=True, name="trace")
    log: list[list[float]] = []

    @network_operation(dt=1.5 * ms, when=when, name="often")
    def often() -> None:
        seen = [number(cells.v[1:2]), number(network.t), number(defaultclock.t_)]
        last = trace.v[1, -1] if len(trace.t) else 0
        log.append([*seen, last, spikes.num_spikes, len(trace.t)])
        cells.x[0] += 0.1
        cells.v[2] = number(cells.v[3:4]) * 0.5
        links.w = np.array(links.w) + 0.001

    def listen(t: Any) -> None:
        cells.x = 0.01 * len(spikes.i)
        if number(t) > 0.05:
            network.stop()

    listed = NetworkOperation(
        listen, clock=EventClock([0, 7, 14.5, 52.5, 56] * ms, name="times"), when="end", order=3,
        name="listed",
    )  # fmt: skip
    network = Network(cells, links, spikes, trace, often, listed)
    for duration in (20, 17, 30):
        network.run(duration * ms)
    found = {"v": trace.v, "x": trace.x, "i": spikes.i, "t": spikes.t_, "w": links.w}
    found |= {"now": float(network.t), "log": log}
    return {name: np.array(value) for name, value in found.items()}


@pytest.mark.parametrize("when", ["start", "after_thresholds", "end"])
def test_operations_see_and_set_the_newest_values(when: str, backend: str) -> None:
    theirs = simulate("runtime", when)
    assert theirs["now"] == pytest.approx(53e-3)
    with catch_logs(only_from=("brian2eprop",)) as logs:
        ours = simulate("eprop_cuda", when, backend=backend, precision="float64")
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], 1e-10, 1e-10, err_msg=name)
    (warning,) = [text for _, name, text in logs if name.endswith("network_operation")]
    assert "'listed', 'often'" in warning or "'often', 'listed'" in warning
    assert "costs a call of the kernel" in warning


def test_operations_in_a_batch_set_every_instance(backend: str) -> None:
    set_device("eprop_cuda", backend=backend, batch_size=2, precision="float64")
    group = NeuronGroup(2, "dv/dt = 1/ms : 1", method="euler", name="g")

    @network_operation(when="end", dt=2 * ms)
    def halve() -> None:
        group.v = np.array(group.v[:]) * [[0.5], [1]]

    Network(group, halve).run(4 * ms)
    np.testing.assert_allclose(group.v[:], [[2.25, 2.25], [4, 4]])


def test_an_error_of_an_operation_ends_the_run() -> None:
    set_device("eprop_cuda", backend="reference")
    group = NeuronGroup(1, "dv/dt = 1/ms : 1", method="euler", name="g")

    @network_operation(clock=EventClock([3] * ms))
    def fail() -> None:
        raise KeyError("no such thing")

    network = Network(group, fail)
    with pytest.raises(KeyError, match="no such thing"):
        network.run(5 * ms)
    assert (number(group.v[:]), float(network.t)) == (3, 3e-3)
    fail.active = False
    network.run(2 * ms)
    assert number(group.v[:]) == 5


def broken_off(device: str, when: str) -> dict[str, np.ndarray]:
    """What is found after an operation has failed once, while spikes are on their way."""
    set_device(device, **({} if device == "runtime" else {"backend": "reference"}))
    start_scope()
    defaultclock.dt = 1 * ms
    group = NeuronGroup(
        2, "dv/dt = 0.34/ms : 1\nn : 1", threshold="v > 1", reset="v = 0", method="euler"
    )
    group.v = [0, 0.4]
    links = Synapses(group, group, on_pre="n_post += 1 + 2*i", delay=2 * ms)
    links.connect()
    trace, spikes = StateMonitor(group, "n", record=True), SpikeMonitor(group)

    @network_operation(when=when)
    def fail() -> None:
        if len(trace.t) == 4:
            raise KeyError("no such thing")

    network = Network(group, links, trace, spikes, fail)
    with pytest.raises(KeyError):
        network.run(10 * ms)
    fail.active = False
    network.run(6 * ms)
    return {"n": np.array(trace.n), "i": np.array(spikes.i), "t": np.array(spikes.t / ms)}


@pytest.mark.parametrize("when", ["before_synapses", "end"])
def test_a_step_that_is_broken_off_is_begun_anew_with_queues_that_have_moved_on(when: str) -> None:
    ours, theirs = broken_off("eprop_cuda", when), broken_off("runtime", when)
    assert theirs["n"][:, -1].min() > 3
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], err_msg=name)


@pytest.mark.parametrize("kind", ["SpikeGeneratorGroup", "SpikeSource"])
def test_spikes_given_within_a_run_are_refused(kind: str) -> None:
    """Brian2 takes them over when a run begins, and has no spikes for the rest of this one."""
    set_device("eprop_cuda", backend="reference")
    defaultclock.dt = 1 * ms
    generator = SpikeGeneratorGroup(2, [0, 0], [2, 9] * ms, name="source")
    given = b2e.Spikes.from_dense(np.eye(12, 2)[None])
    source = (
        generator if kind == "SpikeGeneratorGroup" else b2e.SpikeSource(2, given, name="source")
    )
    monitor = SpikeMonitor(source)

    @network_operation(clock=EventClock([5] * ms))
    def give() -> None:
        if source is generator:
            generator.set_spikes([1], [8] * ms)
        else:
            source.spikes = b2e.Spikes.from_dense(np.eye(12, 2)[None, ::-1])

    network = Network(source, monitor, give)
    with pytest.raises(ValueError, match="'source' was given other spikes within a run, which"):
        network.run(12 * ms)
    give.active = False
    network.run(7 * ms)
    assert [i for i, t in zip(monitor.i, monitor.t, strict=True) if 7.5 * ms < t < 10.5 * ms] == [1]


def test_another_dt_within_a_run_is_refused() -> None:
    set_device("eprop_cuda", backend="reference")
    group = NeuronGroup(1, "dv/dt = 1/ms : 1", method="euler", dt=0.5 * ms, name="g")

    @network_operation(clock=EventClock([1] * ms))
    def change() -> None:
        group.clock.dt = 0.25 * ms

    network = Network(group, change)
    with pytest.raises(Unsupported, match="was given another dt within a run; end the run"):
        network.run(2 * ms)


def test_synapses_made_within_a_run_are_refused() -> None:
    set_device("eprop_cuda", backend="reference")
    group = NeuronGroup(2, "v : 1", threshold="v > 1", name="g")
    links = Synapses(group, group, "w : 1", on_pre="v += w", name="links")
    links.connect(i=0, j=1)

    @network_operation()
    def grow() -> None:
        links.connect(i=1, j=0)
        links.w = 1

    with pytest.raises(Unsupported, match=r"operation has changed the size of 'links.w' .*; make"):
        Network(group, links, grow).run(3 * ms)


def test_a_training_does_not_call_operations() -> None:
    set_device("eprop_cuda", backend="reference")
    operation = NetworkOperation(lambda: None, name="operation")
    group = NeuronGroup(1, "v : 1", name="g")
    with pytest.raises(Unsupported, match=r"'operation' is a network operation, which a training"):
        get_device().capture(Network(group, operation))


def test_profile_counts_no_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each object has a kernel of its own, and it takes longer to compile than to run."""
    hours = 0

    def compiled(*given: Any) -> Any:
        nonlocal hours
        hours += 1
        return compile_one(*given)

    compile_one = ReferenceBackend.compile
    monkeypatch.setattr(ReferenceBackend, "compile", compiled)
    monkeypatch.setattr(running.time, "perf_counter", lambda: 3600.0 * hours)
    set_device("eprop_cuda", backend="reference", precision="float64")
    group = NeuronGroup(1, "dv/dt = 1/ms : 1", threshold="v > 1", reset="v = 0", method="euler")
    network = Network(group)
    network.run(1 * ms, profile=True)
    assert hours > 2
    assert {float(seconds) for _, seconds in network.profiling_info} == {0}


def test_profile_tells_objects_apart(backend: str) -> None:
    set_device("eprop_cuda", backend=backend, precision="float64")
    runs = []
    for profile in (False, True):
        group = NeuronGroup(
            3, "dv/dt = (1.5 + 0.1*i - v)/(5*ms) : 1", threshold="v > 1", reset="v = 0",
            method="exact", name="g",
        )  # fmt: skip
        monitor = SpikeMonitor(group, name="m")
        operation = NetworkOperation(lambda: None, dt=2 * ms, name="operation")
        network = Network(group, monitor, operation)
        with catch_logs(only_from=("brian2eprop",)) as logs:
            network.run(20 * ms, profile=profile)
        runs.append(np.array([monitor.i, monitor.t_]))
    np.testing.assert_array_equal(*runs)
    times = dict(network.profiling_info)
    assert times.keys() == {found.name for found in network.sorted_objects}
    assert times.pop("g") == 0, "a group is its state updater, thresholder and resetter"
    names = {"g_stateupdater", "g_spike_thresholder", "g_spike_resetter", "m", "operation"}
    assert times.keys() == names
    assert all(0 < float(seconds) < 60 for seconds in times.values())
    assert any("a kernel of its own" in text for _, _, text in logs)
    network.run(1 * ms)
    with pytest.raises(ValueError):
        network.profiling_info  # noqa: B018
