"""What is fed, drawn, looked up and recorded on clocks of its own, and in runs that are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import (
    EventClock,
    EventMonitor,
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    defaultclock,
    linked_var,
    ms,
    network_operation,
    seed,
    set_device,
)

from brian2eprop.errors import Unsupported
from tests.device.alike import Found, assert_alike, check_alike

FAST, SLOW = 4, 3
# Between runs, listeners that come before their events lose some on Brian2's runtime.
RUNS = {"end": (5.1, 2.05, 8.0), "start": (15.1,)}


def script(cut: bool, when: str) -> Any:
    """Two groups and a generator on three clocks, with everything that listens to them."""

    def run(drive: np.ndarray) -> Found:
        course = TimedArray(np.linspace(0, 1, 30), dt=0.7 * ms)
        table = TimedArray(np.arange(40.0).reshape(10, 4) / 40, dt=1.3 * ms)
        space = {"course": course, "table": table}
        fast = NeuronGroup(
            FAST,
            "dv/dt = (I + course(t) + table(t, i) - v)/(5*ms) : 1\nI : 1\nx : 1\ny : 1 (linked)\n"
            "total : 1",
            threshold="v > 1", reset="v = 0", method="euler", events={"high": "v > 0.8"},
            name="fast", namespace=space,
        )  # fmt: skip
        fast.I = drive
        fast.run_on_event("high", "x += 0.25*y")
        slow = NeuronGroup(
            SLOW, "du/dt = (course(t) + 0.5 - u)/(4*ms) : 1\nn : 1", threshold="u > 0.6",
            reset="u = 0; n += 1", method="euler", dt=0.3 * ms, name="slow", namespace=space,
        )  # fmt: skip
        fast.y = linked_var(slow, "u", index=np.arange(FAST) % SLOW)
        slow.run_regularly("u += 0.01*course(t)", dt=0.9 * ms, when="start")
        sent = SpikeGeneratorGroup(
            3, [0, 2, 1, 2], [0.5, 1, 1, 4] * ms, period=4.5 * ms, dt=0.5 * ms, name="sent"
        )
        into = Synapses(sent, fast, on_pre="v_post += 0.1", delay=0.6 * ms, name="into")
        into.connect()
        plastic = Synapses(
            fast, slow, "w : 1\ndq/dt = -q/(3*ms) : 1 (clock-driven)",
            on_pre="u_post += 0.02*w; q += 0.1", on_post="w += 0.1*q", delay={"pre": 0.4 * ms,
            "post": 0.6 * ms}, method="euler", name="plastic", dt=0.2 * ms,
        )  # fmt: skip
        plastic.connect()
        sums = Synapses(slow, fast, "total_post = u_pre : 1 (summed)", name="sums", dt=0.4 * ms)
        sums.connect()
        listening = {"when": when, "order": -3}
        first = SpikeMonitor(fast, ["v", "x"], name="first", **listening)
        second = SpikeMonitor(slow[1:], name="second", **listening)
        high = EventMonitor(fast, "high", ["x"], name="high", **listening)
        given = SpikeMonitor(sent, name="given")
        rate, rate_slow = PopulationRateMonitor(fast), PopulationRateMonitor(slow)
        trace = StateMonitor(
            fast, ["v", "x", "y", "total"], True, name="trace",
            clock=EventClock([0.1, 0.3, 5, 9.7, 11, 1e9, 1e300] * ms),
        )  # fmt: skip
        synaptic = StateMonitor(plastic, ["w", "q"], True, dt=0.6 * ms, name="synaptic")
        network = Network(
            fast, slow, sent, into, plastic, sums, first, second, high, given, rate, rate_slow,
            trace, synaptic,
        )  # fmt: skip
        if cut:
            for number, at in enumerate(("start", "after_thresholds", "end")):
                network.add(_operation(f"operation_{number}", at, 0.7 + number / 10))
        for duration in RUNS[when]:
            network.run(duration * ms)
        return _found(network)

    return run


def _operation(name: str, when: str, dt: float) -> Any:
    @network_operation(dt=dt * ms, when=when, name=name)
    def operate() -> None:
        pass

    return operate


def _found(network: Network) -> Found:
    found: Found = {}
    for item in network.objects:
        match item:
            case EventMonitor():
                batched = "instance" in item.variables
                names = sorted(item.record_variables)
                for name in names:
                    values = np.array(item.variables[name].get_value())
                    found[f"{item.name} {name}"] = _by_instance(item, values, batched)
                found[f"{item.name} count"] = np.array(item.count)
            case StateMonitor():
                for name in item.record_variables:
                    values = np.array(getattr(item, f"{name}_"))
                    found[f"{item.name} {name}"] = values
                found[f"{item.name} t"] = _each(values, np.array(item.t_))
            case PopulationRateMonitor():
                rates = np.array(item.variables["rate"].get_value())
                found[f"{item.name} rate"] = np.moveaxis(rates, 0, -1)
                found[f"{item.name} t"] = _each(found[f"{item.name} rate"], np.array(item.t_), 1)
    return {name: values for name, values in found.items() if not name.endswith("count")}


def _by_instance(monitor: Any, values: np.ndarray, batched: bool) -> Any:
    if not batched:
        return values
    instance = np.array(monitor.variables["instance"].get_value())
    return [values[instance == number] for number in range(3)]


def _each(values: np.ndarray, times: np.ndarray, own: int = 2) -> np.ndarray:
    return np.broadcast_to(times, (len(values), len(times))) if values.ndim > own else times


@pytest.mark.parametrize(("when", "batch"), [("end", False), ("start", True)])
def test_what_is_fed_looked_up_and_recorded(when: str, batch: bool, backend: str) -> None:
    check_alike(script(False, when), backend, FAST, batch, tolerance=1e-10)


@pytest.mark.parametrize("when", ["end", "start"])
def test_runs_that_are_cut_feed_and_record_the_same(when: str) -> None:
    check_alike(script(True, when), "reference", FAST, False, tolerance=1e-10)


def noisy(backend: str, cut: bool, batch_size: int | None = None, **options: Any) -> Found:
    """Random numbers on several clocks, and in code that is done once before it is for each."""
    set_device("eprop_cuda", backend=backend, precision="float64", batch_size=batch_size, **options)
    defaultclock.dt = 0.1 * ms
    seed(5)
    fast = NeuronGroup(5, "dv/dt = -v/(5*ms) + xi*ms**-0.5 : 1", method="euler", name="fast")
    slow = NeuronGroup(
        5, "a = rand() : 1 (constant over dt)\nb : 1\ns : 1 (shared)", dt=0.3 * ms, name="slow"
    )
    slow.run_regularly("s = s + dt/ms; b = randn() + s", dt=0.2 * ms, name="regular")
    drawn = PoissonGroup(20, 900 * Hz, dt=0.4 * ms, name="drawn")
    given = PoissonInput(slow, "b", 50, 100 * Hz, 0.1)
    spikes = SpikeMonitor(drawn, name="spikes")
    traces = [
        StateMonitor(fast, "v", True, name="trace"),
        StateMonitor(slow, ["a", "b"], True, name="slow_trace"),
    ]
    network = Network(fast, slow, drawn, given, spikes, *traces)
    if cut:
        network.add(_operation("a", "start", 0.7), _operation("b", "after_resets", 0.2))
    network.store()
    network.run(6.1 * ms)
    network.run(4 * ms)
    network.restore()
    network.run(6 * ms)
    return _found(network) | {
        "state v": np.array(fast.v), "state a": np.array(slow.a), "state b": np.array(slow.b)
    }  # fmt: skip


def test_random_numbers_on_several_clocks_are_the_same_everywhere(backend: str) -> None:
    expected = noisy("reference", cut=False)
    assert_alike(noisy(backend, cut=False), expected, 1e-11)
    assert_alike(noisy(backend, cut=True), expected, 1e-11)


def test_random_numbers_of_slow_clocks_come_once(backend: str) -> None:
    """Also after the time has been set back, and between the clocks."""
    set_device("eprop_cuda", backend=backend, precision="float64")
    defaultclock.dt = 0.1 * ms
    seed(1)
    slow = NeuronGroup(4, "a = rand() : 1 (constant over dt)", dt=0.3 * ms, name="slow")
    fast = NeuronGroup(4, "a = rand() : 1 (constant over dt)", dt=0.1 * ms, name="fast")
    monitors = [StateMonitor(group, "a", True) for group in (slow, fast)]
    network = Network(slow, fast, *monitors)
    network.store()
    seen = []
    for _ in range(3):
        network.run(2 * ms)
        network.run(1.1 * ms)
        seen += [np.ravel(monitor.a) for monitor in monitors]
        network.restore(restore_random_state=False)
    numbers = np.concatenate(seen)
    assert numbers.size > 3 * 4 * 40
    assert np.unique(numbers).size == numbers.size


def test_code_at_listed_times_looks_timed_arrays_up(backend: str) -> None:
    set_device("eprop_cuda", backend=backend)
    defaultclock.dt = 0.1 * ms
    course = TimedArray(np.arange(5.0), dt=1 * ms, name="course")
    group = NeuronGroup(2, "v : 1", name="g", namespace={"course": course})
    group.run_at("v += course(t)", [0, 2.5] * ms)
    Network(group).run(4 * ms)
    np.testing.assert_array_equal(group.v, 2)


def test_timed_arrays_on_clocks_without_a_dt_are_refused() -> None:
    set_device("eprop_cuda", backend="reference")
    space = {"course": TimedArray(np.arange(5.0), dt=1 * ms, name="course")}
    group = NeuronGroup(2, "z = course(t) : 1", name="g", namespace=space)
    monitor = StateMonitor(group, "z", True, clock=EventClock([1, 2] * ms, name="times"))
    with pytest.raises(Unsupported, match=r"calls the TimedArray 'course' on the clock 'times'.*;"):
        Network(group, monitor).run(4 * ms)
