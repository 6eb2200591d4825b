"""Runs on eprop_cuda equal runs on Brian2's own runtime device."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    get_device,
    ms,
    second,
    set_device,
)
from brian2.core.functions import timestep
from hypothesis import given, settings
from hypothesis import strategies as st
from models import CONNECTIONS, MODELS, Spec, assert_same, build, input_spikes, run_on, source

from brian2eprop.device.memory.state import State
from tests.samples import examples

ALL_BACKENDS = [
    Spec("adaptive", connections="no diagonal", delay=2),
    Spec("refractory", two_pathways=True, connections="sparse", delay=3),
    Spec("mixed types", 1, connections="repeated", delay=5, runs=(3, 1, 2, 30)),
]
SPECS = [
    *(Spec(model, reset, delay=1) for model in MODELS for reset in (0, 1)),
    *(Spec("adaptive", connections=kind, delay=2, n=7) for kind in CONNECTIONS),
    *(Spec("current", delay=delay, input_delay=7 - delay) for delay in range(8)),
    Spec("lif", two_pathways=True, connections="shuffled"),
    Spec("refractory", two_pathways=True, connections="sparse", delay=3),
    Spec("lif", delay=5, runs=(3, 1, 2, 30)),
]


def float64(backend: str) -> dict[str, str]:
    return {"backend": backend, "precision": "float64"}


@pytest.mark.parametrize("spec", ALL_BACKENDS, ids=repr)
def test_equals_runtime_on_every_backend(backend: str, spec: Spec) -> None:
    check_equals_runtime(backend, spec)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_equals_runtime(spec: Spec) -> None:
    check_equals_runtime("cpu", spec)


def check_equals_runtime(backend: str, spec: Spec) -> None:
    theirs = run_on("runtime", spec)
    assert theirs.count.sum() > 5, "the network is too quiet to show anything"
    assert_same(run_on("eprop_cuda", spec, **float64(backend)), theirs)


RANDOM_SPECS = st.builds(
    Spec,
    model=st.sampled_from(sorted(MODELS)),
    reset=st.integers(0, 1),
    connections=st.sampled_from(CONNECTIONS),
    delay=st.integers(0, 7),
    input_delay=st.integers(0, 7),
    seed=st.integers(0, 1000),
    n=st.integers(3, 12),
    runs=st.lists(st.integers(1, 30), min_size=1, max_size=3).map(tuple),
    two_pathways=st.booleans(),
)


@settings(max_examples=examples(8, 25), deadline=None, derandomize=True)
@given(RANDOM_SPECS)
def test_random_networks_equal_runtime(spec: Spec) -> None:
    assert_same(run_on("eprop_cuda", spec, **float64("reference")), run_on("runtime", spec))


@settings(max_examples=examples(2, 6), deadline=None, derandomize=True)
@given(RANDOM_SPECS)
def test_random_networks_equal_runtime_compiled(spec: Spec) -> None:
    assert_same(run_on("eprop_cuda", spec, **float64("cpu")), run_on("runtime", spec))


def test_single_precision_follows_double(backend: str) -> None:
    spec = Spec("current", runs=(12,))
    silent = np.zeros((12, 5), bool)
    theirs = run_on("runtime", spec, silent)
    ours = run_on("eprop_cuda", spec, silent, backend=backend, precision="float32")
    assert_same(ours, theirs, tolerance=1e-5)
    assert not np.array_equal(ours.final["v"], theirs.final["v"]), "this was double precision"


@pytest.mark.parametrize("delay", [0, 2])
def test_schedule_is_followed(delay: int) -> None:
    """Synapses that run before the threshold deliver one step later; resets can come first."""

    def voltages(device: str, **options: str) -> np.ndarray:
        set_device(device, **options)
        group = NeuronGroup(2, "dv/dt = 1/(5*ms) : 1", threshold="v > 1", reset="v = 0", name="g")
        group.v = [0.5, 0]
        synapses = Synapses(group, group, on_pre="v_post += 0.05", delay=delay * ms, name="s")
        synapses.connect(condition="i != j")
        synapses.pre.when = "groups"
        synapses.pre.order = -2
        group.resetter["spike"].when = "before_synapses"
        monitor = StateMonitor(group, "v", record=True, when="end", name="m")
        Network(group, synapses, monitor).run(20 * ms)
        return np.array(monitor.v)

    theirs = voltages("runtime")
    np.testing.assert_allclose(voltages("eprop_cuda", **float64("cpu")), theirs, rtol=1e-12)


def test_inactive_objects_do_not_run() -> None:
    def counts(device: str, **options: str) -> list[list[int]]:
        set_device(device, **options)
        found = []
        group = NeuronGroup(2, "dv/dt = 1/(5*ms) : 1", threshold="v > 1", reset="v = 0", name="g")
        group.v = [0, 0.5]
        synapses = Synapses(group, group, on_pre="v_post += 0.4", name="s")
        synapses.connect(i=0, j=1)
        monitor = SpikeMonitor(group, name="m")
        network = Network(group, synapses, monitor)
        for active in (False, True, False):
            synapses.active = synapses.pre.active = active
            network.run(21 * ms)
            found.append(monitor.count[:].tolist())
        return found

    theirs = counts("runtime")
    rises = np.diff([[0, 0], *theirs], axis=0).tolist()
    assert rises[1] not in (rises[0], rises[2]), "the synapses change nothing"
    assert counts("eprop_cuda", **float64("cpu")) == theirs


def test_state_and_parameters_change_between_runs(backend: str) -> None:
    def voltages(device: str, **options: str) -> np.ndarray:
        spec = Spec("lif", delay=2)
        set_device(device, **options)
        objects = build(spec, source(device, input_spikes(1, spec.steps)))
        network, cells, recurrent = (objects[k] for k in ("network", "cells", "recurrent"))
        network.run(20 * ms)
        cells.v[1:3] = "v/2 + 0.1*i"
        cells.tau = 12 * ms
        recurrent.w["i == 2"] = 0.9
        network.run(10 * ms)
        cells.v = cells.v[::-1].copy()
        network.run(35 * ms)
        return np.array(objects["trace"].v)

    theirs = voltages("runtime")
    np.testing.assert_allclose(voltages("eprop_cuda", **float64(backend)), theirs, atol=1e-10)


def test_store_and_restore_keep_spikes_in_flight(backend: str) -> None:
    spec = Spec("lif", delay=6)

    def rasters(device: str, **options: str) -> list[tuple[list[int], list[float]]]:
        set_device(device, **options)
        objects = build(spec, source(device, input_spikes(1, spec.steps)))
        network, raster = objects["network"], objects["raster"]
        network.run(30 * ms)
        network.store()
        found = []
        for change in (0, 5):
            objects["cells"].v += change
            network.run(25 * ms)
            found.append((raster.i[:].tolist(), raster.t_[:].tolist()))
            network.restore()
        network.run(25 * ms)
        found.append((raster.i[:].tolist(), raster.t_[:].tolist()))
        return found

    theirs = rasters("runtime")
    assert theirs[0] == theirs[2] != theirs[1]
    assert rasters("eprop_cuda", **float64(backend)) == theirs


def test_store_to_a_file(tmp_path: object) -> None:
    spec = Spec("lif", delay=6)
    path = f"{tmp_path}/state"
    set_device("eprop_cuda", **float64("cpu"))
    objects = build(spec, source("eprop_cuda", input_spikes(1, spec.steps)))
    objects["network"].run(30 * ms)
    objects["network"].store(filename=path)
    objects["network"].run(25 * ms)
    after = objects["raster"].i[:].tolist()
    objects["network"].restore(filename=path)
    objects["network"].run(25 * ms)
    assert objects["raster"].i[:].tolist() == after


def test_kernel_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from brian2eprop.device.backends.reference import ReferenceBackend

    compiled = []
    original = ReferenceBackend.compile

    def counting(self: ReferenceBackend, program: Any, *layout: Any) -> object:
        compiled.append(program)
        return original(self, program, *layout)

    monkeypatch.setattr(ReferenceBackend, "compile", counting)
    result = run_on("eprop_cuda", replace(Spec(), runs=(5, 5, 5, 7)), **float64("reference"))
    assert len(compiled) == 1
    result.objects["network"].run(50 * ms)
    assert len(compiled) == 1


def test_second_network_of_equal_names_starts_anew() -> None:
    theirs = run_on("runtime", Spec())
    for _ in range(2):
        assert_same(run_on("eprop_cuda", Spec(), **float64("cpu")), theirs)


def test_refractory_time_at_the_grid(backend: str) -> None:
    """Refractory periods are counted in steps, not in rounded times."""

    def counts(device: str, **options: str) -> list[int]:
        set_device(device, **options)
        defaultclock.dt = 0.1 * ms
        group = NeuronGroup(
            3, "dv/dt = 1/(1*ms) : 1 (unless refractory)\nhold : second", threshold="v > 0.05",
            reset="v = 0", refractory="hold", method="euler", name="g",
        )  # fmt: skip
        group.hold = [0.3, 0.7, 1.1] * ms
        monitor = SpikeMonitor(group, name="m")
        Network(group, monitor).run(60 * ms)
        return monitor.count[:].tolist()

    options = {"backend": backend, "precision": "float32"}
    assert counts("eprop_cuda", **options) == counts("runtime")


def test_groups_outlive_their_network_and_its_memory() -> None:
    set_device("eprop_cuda", **float64("reference"))

    def run() -> tuple[NeuronGroup, weakref.ref[State]]:
        group = NeuronGroup(2, "n : 1", threshold="True", reset="n += 1", name="g")
        network = Network(group)
        network.run(5 * ms)
        return group, weakref.ref(get_device().networks.of(network).state)

    group, state = run()
    gc.collect()
    assert state() is None, "the memory of a network outlives it"
    np.testing.assert_allclose(group.n[:], 5)


def test_times_are_double_in_single_precision(backend: str) -> None:
    set_device("eprop_cuda", backend=backend, precision="float32")
    group = NeuronGroup(
        2, "dv/dt = 1/(7*ms) : 1\nlast : second", threshold="v > 1", reset="v = 0; last = t",
        refractory=1 * ms, method="euler", name="g",
    )  # fmt: skip
    monitor = SpikeMonitor(group, name="m")
    Network(group, monitor).run(100 * ms)
    latest = monitor.t_[:].max()
    assert group.last_[:].tolist() == group.lastspike_[:].tolist() == [latest] * 2
    assert latest != np.float32(latest)


def test_values_that_were_read_do_not_change_later() -> None:
    set_device("eprop_cuda", **float64("reference"))
    group = NeuronGroup(2, "dv/dt = 1/ms : 1", method="euler", name="g")
    network = Network(group)
    network.run(1 * ms)
    first = group.v[:]
    network.run(1 * ms)
    np.testing.assert_allclose(group.v[:], 2)
    np.testing.assert_allclose(first, 1)


def test_indentation_of_statements_means_nothing(backend: str) -> None:
    counts = []
    for device, options in (("runtime", {}), ("eprop_cuda", float64(backend))):
        set_device(device, **options)
        group = NeuronGroup(
            3,
            "dv/dt = 1/(5*ms) : 1\nn : 1",
            threshold="v > 0.5",
            reset="""v = 0
                     n += 1
                   n += 0.5*v""",
            method="euler",
            name="cells",
        )
        Network(group).run(20 * ms)
        counts.append(np.array(group.n))
    np.testing.assert_array_equal(counts[0], counts[1])
    assert counts[0].min() > 1


@pytest.mark.parametrize(("backend_name", "n"), [("cpu", 300_001), ("emulated", 17_001)])
def test_flags_of_large_groups_stand_in_the_events(backend_name: str, n: int) -> None:
    set_device("eprop_cuda", **float64(backend_name))
    group = NeuronGroup(n, "v : 1", threshold="v > 0", reset="v = 0", name="cells")
    group.v = "i % 3 == 1"
    monitor = SpikeMonitor(group)
    Network(group, monitor).run(2 * ms)
    np.testing.assert_array_equal(monitor.i, np.arange(1, n, 3))


@pytest.mark.parametrize(
    ("equations", "code"),
    [
        ("", "last = t"),
        ("now = t : second", "last = now"),
        ("now = t : second\nlater = now + 1*ms : second", "last = later - 1*ms"),
    ],
)
def test_times_are_double_by_whatever_name(equations: str, code: str) -> None:
    """In single precision a time after 400 s is known to 30 us."""
    set_device("eprop_cuda", backend="cpu", precision="float32")
    defaultclock.dt = 0.1 * ms
    cells = NeuronGroup(
        1, f"v : 1\nlast : second\n{equations}", threshold="v > 0", reset=code, name="cells"
    )
    cells.v = 1
    network = Network(cells)
    network.t_ = 400.0
    network.run(0.3 * ms)
    assert cells.last[0] / second == pytest.approx(400.0002, abs=1e-9)


@pytest.mark.parametrize("backend_name", ["cpu", "emulated", "reference"])
def test_times_are_double_in_locals_in_copies_and_in_what_is_recorded(backend_name: str) -> None:
    set_device("eprop_cuda", backend=backend_name, precision="float32")
    defaultclock.dt = 0.1 * ms
    cells = NeuronGroup(
        2,
        "v : 1\noffset : second\nlast : second\ncopied : second\nspiked : second\nago : 1",
        threshold="v > 0",
        reset="""now = t + offset
                 last = now
                 since = (now - 400*second)/ms
                 ago = since""",
        refractory=0 * ms,
    )
    cells.v = 1
    cells.run_regularly("copied = last\nspiked = lastspike", when="end")
    trace = StateMonitor(cells, ["last", "copied", "spiked"], record=[1], when="end", order=1)
    network = Network(cells, trace)
    network.t_ = 400.0
    network.run(0.3 * ms)
    wanted = 400 + np.arange(3) * 1e-4
    for name in ("last", "copied", "spiked"):
        np.testing.assert_allclose(getattr(trace, name)[0] / second, wanted, rtol=0, atol=1e-9)
    np.testing.assert_allclose(cells.ago[:], 0.2, atol=1e-5)


@pytest.mark.parametrize("backend_name", ["cpu", "emulated", "reference"])
def test_refractory_periods_of_more_steps_than_32_bits_tell_apart(backend_name: str) -> None:
    set_device("eprop_cuda", **float64(backend_name))
    defaultclock.dt = 0.1 * ms
    steps = 2**32
    cells = NeuronGroup(
        1,
        "n : 1\nlimit = timestep(longest, dt) : integer",
        threshold="n < limit",
        reset="n += 1",
        refractory="longest",
        namespace={"longest": steps * 0.1 * ms},
    )
    network = Network(cells)
    network.run(1 * ms)
    assert cells.n[0] == 0  # Brian2 says that the last spike was 10000 s ago
    cells.lastspike = -2 * steps * 0.1 * ms
    network.run(1 * ms)
    assert cells.n[0] == 1


def first_time_of(step: int, dt: float) -> float:
    """The first number that Brian2 counts as a time of a step."""
    before, after = (step - 1) * dt, (step + 1) * dt
    while np.nextafter(before, after) < after:
        middle = (before + after) / 2
        before, after = (before, middle) if timestep(middle, dt) >= step else (middle, after)
    return after


@pytest.mark.parametrize("step", [1, 7, 12345])
def test_steps_begin_at_the_very_number(step: int) -> None:
    """Comparisons of steps become ones of times, which are to be the same for every number."""
    set_device("eprop_cuda", backend="cpu", precision="float64")
    defaultclock.dt = 0.1 * ms
    border = first_time_of(step, 1e-4)
    times = [np.nextafter(border, 0), border, np.nextafter(border, np.inf)]
    group = NeuronGroup(3, "x : second\nlate : integer", name="group")
    group.x = times * second
    group.run_regularly(f"late = int(timestep(x, dt) >= {step})", dt=defaultclock.dt)
    Network(group).run(defaultclock.dt)
    assert group.late[:].tolist() == [0, 1, 1] == [timestep(x, 1e-4) >= step for x in times]
