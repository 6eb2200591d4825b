"""Monitors record what Brian2's own record, whatever the length of the calls."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
    second,
    set_device,
    start_scope,
)
from models import Spec, assert_same, run_on

from brian2eprop.device.memory import limits, state
from brian2eprop.device.run import progress
from tests.device.alike import Found, check_alike


def use(backend: str = "reference", **options: object) -> None:
    set_device("eprop_cuda", backend=backend, precision="float64", **options)


def ramp(n: int = 2) -> NeuronGroup:
    group = NeuronGroup(
        n, "dv/dt = rate : 1\nrate : Hz", threshold="v > 1", reset="v = 0", method="euler", name="g"
    )
    group.rate = "(1 + i)/(10*ms)"
    return group


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_length_of_calls_changes_nothing(
    backend: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MAX_STEPS", steps)
    spec = Spec("adaptive", delay=3, runs=(16, 9))
    theirs = run_on("runtime", spec)
    assert_same(run_on("eprop_cuda", spec, backend=backend, precision="float64"), theirs)


@pytest.mark.parametrize(
    ("kept", "logged", "steps"), [(1000, 10_000, 1000 // 80), (10_000, 1000, 1000 // 120)]
)
def test_what_monitors_keep_in_a_call_is_bounded(
    kept: int, logged: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MAX_KEPT_BYTES", kept)
    monkeypatch.setattr(state, "MAX_LOGGED_BYTES", logged)
    use(batch_size=2)
    group = ramp(5)
    monitor = StateMonitor(group, "v", record=True)  # 2 * 5 * 8 bytes a step
    raster = SpikeMonitor(group)  # 2 * 5 * (4 + 8) bytes a step, if all neurons spike
    network = Network(group, monitor, raster)
    network.run(40 * ms)
    from brian2.devices.device import get_device

    assert get_device().networks.of(network).state.capacity == steps
    assert monitor.v.shape == (2, 5, 40)


def test_a_step_always_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_KEPT_BYTES", 1)
    spec = Spec(runs=(12,))
    theirs = run_on("runtime", spec)
    assert_same(run_on("eprop_cuda", spec, backend="reference", precision="float64"), theirs)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_spike_trains(backend: str, batch_size: int | None) -> None:
    use(backend, batch_size=batch_size)
    group = ramp()
    monitor = SpikeMonitor(group)
    Network(group, monitor).run(30 * ms)
    trains = monitor.spike_trains()
    # v passes 1 in step 10 (or 5) after each reset: 11 (or 6) steps from spike to spike.
    expected = {0: [10, 21], 1: [5, 11, 17, 23, 29]}
    for train in [trains] if batch_size is None else trains:
        assert {k: np.round(np.asarray(t / ms), 9).tolist() for k, t in train.items()} == expected
    assert batch_size is None or len(trains) == batch_size
    assert monitor.num_spikes == 7 * (batch_size or 1)


def test_spikes_of_several_calls_are_sorted_by_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_STEPS", 4)
    use(batch_size=2)
    group = ramp()
    monitor = SpikeMonitor(group)
    network = Network(group, monitor)
    for _ in range(2):
        network.run(15 * ms)
    assert monitor.instance[:].tolist() == [0] * 7 + [1] * 7
    times = np.round(monitor.t_[:] * 1e3).tolist()
    assert times == [5, 10, 11, 17, 21, 23, 29] * 2
    assert monitor.i[:].tolist() == [1, 0, 1, 1, 0, 1, 1] * 2


def test_counting_only() -> None:
    for batch_size in (None, 2):
        use(batch_size=batch_size)
        group = ramp()
        monitor = SpikeMonitor(group, record=False)
        Network(group, monitor).run(30 * ms)
        expected = [2, 5] if batch_size is None else [[2, 5]] * 2
        assert monitor.count[:].tolist() == expected


def record_synapses() -> StateMonitor:
    group = ramp(3)
    synapses = Synapses(group, group, "w : 1\nn : 1", on_pre="n += w", name="s")
    synapses.connect(i=[2, 0, 1, 1], j=[0, 1, 2, 0])
    synapses.w = [1, 2, 3, 4]
    monitor = StateMonitor(synapses, ["n", "w", "v_pre", "v_post"], record=[3, 0, 1])
    Network(group, synapses, monitor).run(24 * ms)
    return monitor


@pytest.mark.parametrize("batch_size", [None, 2])
def test_synaptic_variables_are_recorded(backend: str, batch_size: int | None) -> None:
    set_device("runtime")
    theirs = record_synapses()
    assert len(np.unique(theirs.n)) > 5
    use(backend, batch_size=batch_size)
    ours = record_synapses()
    for name in theirs.record_variables:
        expected = np.array(getattr(theirs, name))
        shape = expected.shape if batch_size is None else (2, *expected.shape)
        found = np.array(getattr(ours, name))
        np.testing.assert_allclose(found, np.broadcast_to(expected, shape), atol=1e-12)


def test_shared_variables_and_subexpressions_are_recorded() -> None:
    use()
    group = NeuronGroup(2, "x : 1 (shared)\nv = x + t/second : 1", name="g")
    group.x = 3
    monitor = StateMonitor(group, ["x", "v"], record=[1])
    Network(group, monitor).run(3 * ms)
    assert monitor.x[0].tolist() == [3, 3, 3]
    np.testing.assert_allclose(monitor.v[0], [3, 3.001, 3.002])


def test_report_and_stop() -> None:
    use()
    group, told = ramp(), []

    def report(elapsed: object, completed: float, start: object, duration: object) -> None:
        told.append(completed)
        if len(told) == 3:
            network.stop()

    monitor = StateMonitor(group, "v", record=True)
    network = Network(group, monitor)
    network.run(1 * second, report=report, report_period=0 * second)
    assert told[0] == 0 and told == sorted(told) and 0 < told[-1] < 1
    steps = round(float(network.t / ms))
    assert monitor.v.shape == (2, steps) and 0 < steps < 1000
    network.run(10 * ms)
    np.testing.assert_allclose(monitor.t / ms, np.arange(steps + 10))


def test_text_report(capsys: pytest.CaptureFixture[str]) -> None:
    use()
    Network(ramp()).run(10 * ms, report="text")
    assert "(100%) simulated" in capsys.readouterr().out


def test_interrupt_leaves_whole_calls() -> None:
    """Ctrl-C in the middle of a call comes through when the call is done."""
    import os
    import signal

    from brian2eprop.device.backends.reference import ReferenceKernel

    use()
    group = ramp()
    monitor = StateMonitor(group, "v", record=True)
    network = Network(group, monitor)
    original = ReferenceKernel.run

    def interrupted(self: ReferenceKernel, *args: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        original(self, *args)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReferenceKernel, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            network.run(1 * second)
    steps = round(float(network.t / ms))
    assert 0 < steps < 1000
    network.run(10 * ms)
    np.testing.assert_allclose(monitor.t / ms, np.arange(steps + 10))
    alone = run_ramp(steps + 10)
    np.testing.assert_allclose(monitor.v, alone)


@pytest.mark.parametrize("own", [True, False])
def test_a_users_way_with_interrupts_stays(own: bool) -> None:
    """A handler of the user's own is called and ends no run, and nobody is where it is ignored."""
    import os
    import signal

    came: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, (lambda *of: came.append(1)) if own else signal.SIG_IGN)
    try:
        use()
        network = Network(ramp())
        network.run(20 * ms, report=lambda *of: os.kill(os.getpid(), signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert network.t == 20 * ms and bool(came) is own


def test_a_report_may_set_something() -> None:
    def run(device: str, **options: Any) -> np.ndarray:
        set_device(device, **options)
        start_scope()
        group = NeuronGroup(2, "v : 1")
        group.run_regularly("v += 1", dt=1 * ms)

        def report(elapsed: object, completed: float, *of: object) -> None:
            if completed == 0:
                group.v = 100

        Network(group).run(3 * ms, report=report)
        return np.array(group.v[:])

    ours = run("eprop_cuda", backend="cpu", precision="float64")
    np.testing.assert_array_equal(ours, run("runtime"))


def run_ramp(steps: int) -> np.ndarray:
    set_device("runtime")
    group = ramp()
    monitor = StateMonitor(group, "v", record=True)
    Network(group, monitor).run(steps * ms)
    return np.array(monitor.v)


def test_pace_aims_at_a_tenth_of_a_second() -> None:
    pace = progress.Pace(1000)
    for _ in range(10):
        pace.note(0.001)
    assert pace.steps == 1000
    for _ in range(20):
        pace.note(1.0)
    assert pace.steps == 1


def test_brian_warns_of_values_that_are_not_finite(caplog: pytest.LogCaptureFixture) -> None:
    from brian2.utils.logger import catch_logs

    use()
    group = NeuronGroup(2, "dv/dt = v**2/ms : 1", method="euler", name="g")
    group.v = 10
    with catch_logs() as logs:
        Network(group).run(20 * ms)
    assert any("'v' has NaN" in message for _, _, message in logs)


def test_what_a_run_needs_is_asked_for_first(monkeypatch: pytest.MonkeyPatch) -> None:
    use(batch_size=10)
    group = ramp(100)
    monitor = StateMonitor(group, "v", record=True, name="trace")
    network, bare = Network(group, monitor), Network(ramp(100), name="bare")
    monkeypatch.setattr(limits, "free_bytes", lambda: 10_000)
    with pytest.raises(MemoryError) as caught:
        network.run(5 * ms)
    assert str(caught.value) == (
        "What 'trace' records in 5 steps takes 39.1 KiB of memory but 9.77 KiB are free; record "
        "fewer neurons, or run fewer steps or instances."
    )
    with pytest.raises(MemoryError) as caught:
        bare.run(5 * ms)
    assert re.fullmatch(
        r"A run of 'bare' in 10 instances takes [\d.]+ KiB of memory but 9.77 KiB are free; give a "
        r"smaller batch_size, a smaller network, or shorter delays.",
        str(caught.value),
    )
    monkeypatch.undo()
    network.run(5 * ms)
    assert monitor.v.shape == (10, 100, 5)


@pytest.mark.parametrize("column", ["t", "v", "lastspike"])
def test_a_monitor_that_cannot_grow_stays_whole(
    column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use()
    group = NeuronGroup(
        2, "dv/dt = 1/(20*ms) : 1 (unless refractory)", threshold="v > 1", reset="v = 0",
        refractory=1 * ms, method="euler", name="g2",
    )  # fmt: skip
    monitor = StateMonitor(group, ["v", "lastspike"], record=True, name="trace")
    network = Network(group, monitor)
    network.run(5 * ms)
    variable = monitor.variables[column]
    original = type(variable).resize

    def failing(self: object, size: object) -> None:
        longer = np.ravel(size)[0] > 5
        if self is variable and longer:
            raise MemoryError
        original(self, size)

    with monkeypatch.context() as patch:
        patch.setattr(type(variable), "resize", failing)
        with pytest.raises(MemoryError, match=r"^There is no memory for .* that 'trace' has recor"):
            network.run(4 * ms)
    assert monitor.N == len(monitor.t) == monitor.v.shape[1] == monitor.lastspike.shape[1] == 5
    now = round(float(network.t / ms))
    assert now == 9, "the steps were run"
    network.run(3 * ms)
    np.testing.assert_allclose(monitor.t / ms, [0, 1, 2, 3, 4, 9, 10, 11])
    np.testing.assert_allclose(monitor.v[0], np.array([0, 1, 2, 3, 4, 9, 10, 11]) / 20, atol=1e-12)


def test_a_monitor_with_a_dt_that_equals_the_groups(backend: str) -> None:
    """It has a clock of its own then."""

    def simulate(device: str, **options: object) -> list[np.ndarray]:
        set_device(device, **options)
        group = NeuronGroup(
            2, "dv/dt = 1/(5*ms) : 1\nlast : second", threshold="v > 1", reset="v = 0; last = t",
            method="euler", name="g",
        )  # fmt: skip
        monitor = StateMonitor(group, ["v", "last"], record=True, dt=1 * ms, name="trace")
        timed = NeuronGroup(1, "x = t/ms : 1", dt=1 * ms, name="timed")
        watch = StateMonitor(timed, "x", record=True, name="watch")
        network = Network(group, monitor, timed, watch)
        for _ in range(2):
            network.run(7 * ms)
        return [np.array(x) for x in (monitor.t, monitor.v, monitor.last, watch.x, watch.t)]

    theirs = simulate("runtime")
    ours = simulate("eprop_cuda", backend=backend, precision="float64")
    for mine, yours in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, yours, rtol=1e-12, atol=1e-15)


def test_names_of_monitors_meet_no_variables() -> None:
    use()
    group = NeuronGroup(2, "b_v : 1\nv : 1", name="a")
    group.b_v = [1, 2]
    group.v = [3, 4]
    monitor = StateMonitor(group, ["v", "b_v"], record=True, name="a_b")
    Network(group, monitor).run(1 * ms)
    assert monitor.v[:, 0].tolist() == [3, 4]
    assert monitor.b_v[:, 0].tolist() == [1, 2]


def test_a_single_step_is_recorded_outside_of_a_run(backend: str) -> None:
    """After a run and between two, of variables and of what follows from them, as in Brian2."""

    def script(drive: np.ndarray) -> Found:
        group = NeuronGroup(
            4, "dv/dt = (I - v)/tau : 1\nI : 1\nexcess = v - 0.5*I : 1", method="exact"
        )
        group.I = drive
        seen = StateMonitor(group, ["v", "excess"], record=[3, 1])
        network = Network(group, seen)
        for duration in (1 * ms, 0.5 * ms, 0 * ms):
            network.run(duration, namespace={"tau": 10 * ms})
            seen.record_single_timestep()
            group.v = "v + 0.25*i"
        seen.record_single_timestep()
        found = {
            "t": seen.t_,
            "v": seen.v,
            "excess": seen.excess,
            "one": seen[3].v,
            "now": group.v[:],
        }
        return {name: np.asarray(values) for name, values in found.items()}

    found = check_alike(script, backend, 4, batch=False)
    assert found["v"].shape == (2, 19)


def test_what_synapses_reach_of_synapses_is_recorded(backend: str) -> None:
    """Those that are recorded lie in another order than Brian2 numbers them in."""

    def run(device: str, **options: Any) -> np.ndarray:
        set_device(device, **options)
        start_scope()
        cells = NeuronGroup(3, "v : 1", threshold="i == 0", reset="")
        first = Synapses(cells, cells, "w : 1", on_pre="v_post += w")
        first.connect(i=[2, 0, 1], j=[0, 1, 2])
        first.w = [10, 20, 30]
        second = Synapses(cells, first, "y : 1", on_pre="w_post += 1")
        second.connect(i=[0, 1, 2], j=[1, 0, 2])
        seen = StateMonitor(second, "w_post", record=[2, 0, 1])
        Network(cells, first, second, seen).run(3 * ms)
        return np.array(seen.w_post)

    ours = run("eprop_cuda", backend=backend, precision="float64")
    np.testing.assert_array_equal(ours, run("runtime"))
