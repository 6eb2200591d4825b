"""What is recorded of events is what Brian2's own monitors record of them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from brian2 import (
    EventMonitor,
    Hz,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
    set_device,
    start_scope,
)

from brian2eprop.device.memory import state
from brian2eprop.errors import Unsupported

Found = dict[str, np.ndarray]
SORTED = ("i", "t", "v", "x", "total")  # columns of events: instance by instance in a batch


def cells() -> NeuronGroup:
    group = NeuronGroup(
        20,
        "dv/dt = (40 + 10*i)*Hz : 1\nx = 2*v : 1\ntotal : 1 (shared)",
        threshold="v > 0.5",
        reset="v = 0",
        events={"low": "v > 0.2", "late": "v > 0.45"},
        method="euler",
        name="cells",
    )
    group.total = 3
    group.run_on_event("low", "v += 0.01*(i % 2)")
    group.set_event_schedule("late", when="resets", order=1)
    return group


def simulate(device: str, **options: Any) -> Found:
    set_device(device, **options)
    start_scope()
    group = cells()
    counter = NeuronGroup(5, "n : integer", name="counter")
    synapses = Synapses(
        group, counter, on_pre={"pre": "n += 1", "other": "n += 100"}, on_event={"other": "low"},
        delay={"other": 3 * ms}, name="synapses",
    )  # fmt: skip
    synapses.connect(j="i % 5")
    part = group[3:15]
    monitors = {
        "part": SpikeMonitor(part, variables=["v", "x", "total"], name="m_part"),
        "low": EventMonitor(group, "low", variables="v", name="m_low"),
        "late": EventMonitor(group, "late", record=True, name="m_late"),
        "values": EventMonitor(group, "low", variables="v", record=False, name="m_values"),
        "number": SpikeMonitor(group, record=False, name="m_number"),
    }
    rates = {
        "whole": PopulationRateMonitor(group, name="r_whole"),
        "piece": PopulationRateMonitor(part, name="r_piece"),
    }
    trace = StateMonitor(part, ["v", "x", "total", "i"], record=[0, 7], name="trace")
    late = StateMonitor(counter, "n", record=True, when="end", name="numbers")
    network = Network(group, counter, synapses, *monitors.values(), *rates.values(), trace, late)
    network.run(17 * ms)
    network.run(23 * ms)
    found = {"counter": counter.n[:], "trace numbers": late.n}
    for name, monitor in monitors.items():
        found[f"{name} count"], found[f"{name} N"] = monitor.count[:], monitor.N[:]
        for variable in monitor.record_variables:
            found[f"{name} {variable}"] = getattr(monitor, variable)[:]
        if monitor.record:
            found[f"{name} rate"] = monitor.binned_rate(2 * ms)[1]
            found[f"{name} smooth"] = monitor.smooth_rate("flat", 3 * ms)
            trains = monitor.event_trains()
            one = [trains] if isinstance(trains, dict) else trains
            found[f"{name} trains"] = np.array([len(train[2]) for train in one])
    for name, rate in rates.items():
        found[f"{name} t"], found[f"{name} rate"] = rate.t[:], rate.rate[:]
        found[f"{name} binned"] = rate.binned_rate(4 * ms)[1]
        found[f"{name} smooth"] = rate.smooth_rate("gaussian", 2 * ms)
    for variable in trace.record_variables:
        found[f"trace {variable}"] = getattr(trace, variable)[:]
    return {name: np.array(values) for name, values in found.items()}


def in_batch(name: str, values: np.ndarray, instances: int) -> np.ndarray:
    """What a batch of equal instances has where one instance has these values."""
    of, _, what = name.partition(" ")
    if what == "N":
        return values * instances
    if what == "trains":
        return np.tile(values, instances)
    if of in ("part", "low", "late", "values") and what in SORTED:
        return np.tile(values, instances)
    if what == "t":
        return values
    return np.broadcast_to(values, (instances, *values.shape))


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize("steps", [4096, 3])
def test_equals_runtime(
    backend: str, batch_size: int | None, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = simulate("runtime")
    assert theirs["low N"] > theirs["number N"] > theirs["late N"] > 50
    monkeypatch.setattr(state, "MAX_STEPS", steps)
    ours = simulate("eprop_cuda", backend=backend, precision="float64", batch_size=batch_size)
    for name, values in theirs.items():
        expected = values if batch_size is None else in_batch(name, values, batch_size)
        np.testing.assert_allclose(ours[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_instances_that_differ_are_recorded_each_for_itself(backend: str) -> None:
    set_device("eprop_cuda", backend=backend, precision="float64", batch_size=2)
    group = NeuronGroup(
        3, "dv/dt = drive : 1\ndrive : Hz", threshold="v > 1", reset="v = 0", method="euler"
    )
    group.drive = [[0, 100, 0], [300, 0, 200]] * Hz
    spikes, rate = SpikeMonitor(group, "v"), PopulationRateMonitor(group)
    part = PopulationRateMonitor(group[1:])
    Network(group, spikes, rate, part).run(12 * ms)
    # v grows by 0.1 (0.3, 0.2) a step and passes 1 in step 10 (3; 5, 11) or later.
    steps = [[[10], []][k % 2] for k in (1, 0, 1)], [[3, 7, 11], [], [5, 11]]
    trains = spikes.spike_trains()
    for one, expected in zip(trains, steps, strict=True):
        assert [np.rint(np.asarray(one[k]) / 1e-3).tolist() for k in range(3)] == expected
    assert spikes.count[:].tolist() == [[0, 1, 0], [3, 0, 2]]
    assert spikes.instance[:].tolist() == [0, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(spikes.v[:], [1.1, 1.2, 1.2, 1.2, 1.2, 1.2])
    expected = np.zeros((2, 12))
    expected[0, 10], expected[1, [3, 5, 7]], expected[1, 11] = 1, 1, 2
    np.testing.assert_allclose(rate.rate_, expected * 1000 / 3)
    expected[1, [3, 7, 11]] -= 1
    np.testing.assert_allclose(part.rate_, expected * 1000 / 2)


def test_a_batched_monitor_goes_back_to_one_instance() -> None:
    set_device("eprop_cuda", backend="reference", batch_size=2)
    group = NeuronGroup(2, "v : 1", threshold="i == 1")
    rate, events = PopulationRateMonitor(group), EventMonitor(group, "spike")
    network = Network(group, rate, events)
    network.store()
    network.run(2 * ms)
    assert rate.rate[:].shape == (2, 2) and events.count[:].shape == (2, 2)
    network.restore()
    set_device("eprop_cuda", backend="reference")
    network.run(3 * ms)
    assert rate.rate_[:].tolist() == [500, 500, 500]
    assert events.i[:].tolist() == [1, 1, 1]
    assert type(rate) is PopulationRateMonitor and type(events) is EventMonitor


def test_rates_of_other_numbers_of_instances_are_refused() -> None:
    set_device("eprop_cuda", backend="reference")
    group = NeuronGroup(2, "v : 1", threshold="i == 1")
    rate = PopulationRateMonitor(group, name="rate")
    network = Network(group, rate)
    network.run(2 * ms)
    set_device("eprop_cuda", backend="reference", batch_size=2)
    with pytest.raises(Unsupported) as caught:
        network.run(2 * ms)
    assert str(caught.value) == (
        "'rate' has data that was recorded with batch_size=None and cannot go on with "
        "batch_size=2; make a new monitor, or set it inactive."
    )


def silenced(event: str, device: str, **options: Any) -> list[np.ndarray]:
    """Three runs, in the second of which a threshold is inactive."""
    start_scope()
    set_device(device, **options)
    group = NeuronGroup(
        2,
        "dv/dt = (2 + i - v)/(5*ms) : 1\nu : 1",
        threshold="v > 1",
        reset="v = 0",
        events={"high": "v > 1"},
        method="euler",
        dt=0.1 * ms,
    )
    group.run_on_event("high", "u += 1")
    links = Synapses(group, group, on_pre="u += 10", on_event=event, delay=3 * ms)
    links.connect(j="i")
    monitor = EventMonitor(group, event)
    network = Network(group, links, monitor)
    found = []
    for active in (True, False, True):
        group.thresholder[event].active = active
        network.run(5 * ms)
        found += [np.array(values) for values in (monitor.i, monitor.t, group.u, group.v)]
    return found


@pytest.mark.parametrize("backend", ["cpu", "emulated", "reference"])
@pytest.mark.parametrize("event", ["spike", "high"])
def test_an_inactive_threshold_gives_no_events(event: str, backend: str) -> None:
    """Those of before are still on their way."""
    expected = silenced(event, "runtime")
    found = silenced(event, "eprop_cuda", backend=backend, precision="float64")
    assert len(expected[0]) == len(expected[4]) < len(expected[8])
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_a_generator_that_is_inactive_is_refused() -> None:
    """Brian2 would have the spikes of its last step come again in every step."""
    set_device("eprop_cuda", backend="reference")
    source = SpikeGeneratorGroup(2, [0], [1] * ms, name="source")
    source.active = False
    with pytest.raises(Unsupported) as caught:
        Network(source, SpikeMonitor(source, name="spikes")).run(1 * ms)
    assert str(caught.value) == (
        "'spikes' waits for spikes of 'source', which emits none in this run; give it a "
        "threshold, keep it active and in the network, or set 'spikes' inactive."
    )


def test_what_was_not_recorded_is_told_of() -> None:
    set_device("eprop_cuda", backend="reference", batch_size=2)
    group = NeuronGroup(2, "v : 1", threshold="i == 1")
    monitor = SpikeMonitor(group, record=False, name="counts")
    Network(group, monitor).run(2 * ms)
    assert not np.any(monitor.binned_rate(1 * ms)[1])
    with pytest.raises(AttributeError) as caught:
        monitor.spike_trains()
    assert str(caught.value) == "'counts' has not recorded spikes; make it with record=True."


SHUT = {
    "shared": {"threshold": "v > 1 and t > begin"},
    "time": {"threshold": "v > 1 and t > 5*ms"},
    "another event": {"threshold": "v > 2", "events": {"seen": "v > 1 and is_on"}},
}


@pytest.mark.parametrize("which", SHUT)
def test_what_is_integrated_before_a_threshold_that_is_shut(backend, which):
    """Alone with its threshold, and beside a group of the same size and code of the same group."""
    set_device("eprop_cuda", backend=backend, precision="float64")
    shared = "begin : second (shared)\nis_on : boolean (shared)"
    model = f"dv/dt = (1.5-v)/(10*ms) : 1\nn : 1\n{shared}"
    group = NeuronGroup(3, model, reset="v = 0", method="exact", **deepcopy(SHUT[which]))
    group.begin = 5 * ms
    group.run_regularly("n += 1")
    other = NeuronGroup(3, "dw/dt = (1-w)/(10*ms) : 1", method="exact")
    network = Network(group, other)
    network.run(3 * ms)
    np.testing.assert_allclose(group.v[:], 1.5 * (1 - np.exp(-0.3)), rtol=1e-12)
    np.testing.assert_allclose(other.w[:], 1 - np.exp(-0.3), rtol=1e-12)
    np.testing.assert_array_equal(group.n[:], 3)
