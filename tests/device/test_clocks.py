"""Objects on clocks of their own do what they do on Brian2's runtime, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Clock,
    EventClock,
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    get_device,
    ms,
    set_device,
    us,
)

from brian2eprop import Adam, CrossEntropy, EProp, Spikes, SpikeSource, Trainer
from brian2eprop.device.capture.clocks import grid_of
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Direction,
    DType,
    ForEach,
    Index,
    ListedClock,
    Program,
    Ref,
    Slots,
    Sweep,
)
from brian2eprop.device.program import (
    Clock as ProgramClock,
)
from brian2eprop.device.program.verify import ProgramError, Stage, verify
from brian2eprop.errors import LearningError, Unsupported

FOUND = dict[str, np.ndarray]
EXACT = {"precision": "float64"}


def networks(dts: tuple[float, ...]) -> tuple[Network, dict[str, Any]]:
    """Two groups on clocks of their own, joined both ways, with monitors on others."""
    fast, slow, recorded = (dt * ms for dt in dts)
    defaultclock.dt = fast
    one = NeuronGroup(
        5,
        "dv/dt = (1.2 + 0.1*i - v)/(5*ms) : 1\nx : 1\nz = 2*v + t/ms : 1",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        name="one",
    )
    two = NeuronGroup(
        3,
        "du/dt = -u/(10*ms) : 1 (unless refractory)\nlast : second\nn : integer",
        threshold="u > 0.5",
        reset="u = 0; n += 1; last = t",
        refractory=1 * ms,
        method="euler",
        dt=slow,
        name="two",
    )
    there = Synapses(one, two, on_pre="u += 0.2", delay=0.7 * ms, name="there")
    there.connect()
    # t and dt are those of the Synapses object, the delays are counted by its source's clock.
    back = Synapses(two, one, on_pre="v += 0.05; x += dt/ms + t/ms", delay=1.1 * ms, name="back")
    back.connect()
    objects = {
        "one": one, "two": two, "there": there, "back": back,
        "trace": StateMonitor(one, ["v", "z"], record=True, dt=recorded, name="trace"),
        "slow": StateMonitor(two, "u", record=True, name="slow"),
        "listed": StateMonitor(
            one, "v", record=True, clock=EventClock(LISTED * ms, name="times"), name="listed"
        ),
        "spikes": SpikeMonitor(one, name="spikes"),
        "slow_spikes": SpikeMonitor(two, name="slow_spikes"),
    }  # fmt: skip
    return Network(*objects.values()), objects


LISTED = np.array([0.0, 0.25, 3.0, 3.1, 7.775, 12.0])
RUNS = (10.05, 3.3, 7.15)


def simulate(device: str, dts: tuple[float, ...], **options: Any) -> FOUND:
    set_device(device, **options)
    network, found = networks(dts)
    for duration in RUNS:
        network.run(duration * ms)
    values = {
        "v": found["trace"].v, "z": found["trace"].z, "t": found["trace"].t_,
        "u": found["slow"].u, "slow t": found["slow"].t_,
        "listed": found["listed"].v, "listed t": found["listed"].t_,
        "i": found["spikes"].i, "times": found["spikes"].t_,
        "slow i": found["slow_spikes"].i, "slow times": found["slow_spikes"].t_,
        "x": found["one"].x, "last": found["two"].last_, "n": found["two"].n,
        "now": float(network.t),
    }  # fmt: skip
    return {name: np.array(value) for name, value in values.items()}


def assert_equal(ours: FOUND, theirs: FOUND, tolerance: float = 1e-10) -> None:
    for name in theirs:
        np.testing.assert_allclose(
            np.asarray(ours[name]), np.asarray(theirs[name]), tolerance, tolerance, err_msg=name
        )


DTS = [(0.1, 0.3, 0.5), (0.2, 0.3, 0.1), (0.5, 0.1, 0.35), (0.1, 0.1, 0.1)]


@pytest.mark.parametrize("dts", DTS)
def test_groups_and_monitors_on_several_clocks(dts: tuple[float, ...], backend: str) -> None:
    theirs = simulate("runtime", dts)
    assert len(theirs["i"]) > 8 and len(theirs["slow i"]) > 3
    assert_equal(simulate("eprop_cuda", dts, backend=backend, **EXACT), theirs)


def test_several_clocks_in_a_batch(backend: str) -> None:
    theirs = simulate("runtime", DTS[1])
    ours = simulate("eprop_cuda", DTS[1], backend=backend, batch_size=3, **EXACT)
    for name in ("v", "u", "x", "n", "listed"):
        for instance in np.asarray(ours[name]):
            np.testing.assert_allclose(instance, np.asarray(theirs[name]), 1e-10, 1e-10)
    np.testing.assert_array_equal(ours["i"], np.tile(theirs["i"], 3))


def test_times_of_other_clocks_are_double_in_single_precision(backend: str) -> None:
    found = []
    for device, options in (("runtime", {}), ("eprop_cuda", {"backend": backend})):
        set_device(device, **options)
        group = NeuronGroup(1, "last : second\nnext_ : second", dt=0.3 * ms, name="g")
        group.run_regularly("last = t", dt=0.7 * ms)
        Network(group).run(100.1 * ms)
        found.append(group.last_[0])
    assert found[0] == found[1] != np.float32(found[1])


def test_a_run_goes_on_where_the_last_one_ended() -> None:
    counts = []
    for device in ("runtime", "eprop_cuda"):
        set_device(device, **({} if device == "runtime" else {"backend": "reference"}))
        group = NeuronGroup(1, "n : integer\nm : integer", dt=0.3 * ms, name="g")
        group.run_regularly("n += 1", dt=0.3 * ms)
        group.run_regularly("m += 1", dt=0.7 * ms)
        network = Network(group)
        for duration in (0.05, 0.3, 0.2, 1.0, 0.1, 2.2):
            network.run(duration * ms)
            counts.append((device, int(group.n[0]), int(group.m[0]), float(network.t)))
    half = len(counts) // 2
    assert [found[1:] for found in counts[:half]] == [found[1:] for found in counts[half:]]


def test_dt_may_change_between_runs_as_in_brian(backend: str) -> None:
    found = []
    for device, options in (("runtime", {}), ("eprop_cuda", {"backend": backend, **EXACT})):
        set_device(device, **options)
        group = NeuronGroup(2, "dv/dt = (1 - v)/(5*ms) : 1", method="euler", dt=0.2 * ms, name="g")
        other = NeuronGroup(2, "dv/dt = (1 - v)/(5*ms) : 1", method="euler", dt=0.1 * ms, name="h")
        network = Network(group, other)
        network.run(2 * ms)
        group.clock.dt = 0.5 * ms
        network.run(3 * ms)
        found.append(np.array([group.v[:], other.v[:]]))
        other.clock.dt = 0.7 * ms
        with pytest.raises(ValueError, match="Cannot set dt from"):
            network.run(1 * ms)
    np.testing.assert_allclose(found[1], found[0], 1e-12)


def test_spikes_in_transit_keep_to_their_own_clock(backend: str) -> None:
    """A clock that is added makes the Program's steps shorter, and nothing else."""
    found = []
    for device, options in (("runtime", {}), ("eprop_cuda", {"backend": backend, **EXACT})):
        set_device(device, **options)
        sender = NeuronGroup(1, "v : 1", threshold="t < 2.5*ms", name="sender", dt=1 * ms)
        target = NeuronGroup(1, "n : 1", name="target", dt=1 * ms)
        path = Synapses(sender, target, on_pre="n += 1", delay=3 * ms, name="path", dt=1 * ms)
        path.connect()
        network = Network(sender, target, path)
        network.run(3 * ms)
        network.add(StateMonitor(target, "n", record=True, dt=0.4 * ms, name="late"))
        seen = [target.n[0]]
        for _ in range(4):
            network.run(1 * ms)
            seen.append(target.n[0])
        found.append(seen)
    assert found[0] == found[1] == [0, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("dts", "base", "every"),
    [
        ([0.1, 0.3], 0.1, [1, 3]),
        ([0.2, 0.3], 0.1, [2, 3]),
        ([0.1, 0.125], 0.025, [4, 5]),
        ([1.0, 1 / 3], 1 / 3, [3, 1]),
        ([0.5], 0.5, [1]),
    ],
)
def test_the_step_of_a_program_is_the_common_divisor(
    dts: list[float], base: float, every: list[int]
) -> None:
    clocks = [Clock(dt * ms) for dt in dts]
    grid = grid_of(clocks)
    assert grid.dt == pytest.approx(base * 1e-3, rel=1e-12)
    assert [grid.clocks[clock].every for clock in clocks] == every


def test_clocks_without_a_common_step_are_refused() -> None:
    set_device("eprop_cuda", backend="reference")
    one = NeuronGroup(1, "v : 1", dt=0.1 * ms, name="one")
    two = NeuronGroup(1, "v : 1", dt=0.1 * ms + 0.00001 * us, name="two")
    with pytest.raises(Unsupported, match=r"no common step .* needs: .*; choose time steps"):
        Network(one, two).run(1 * ms)


def test_one_clock_makes_no_clocks() -> None:
    set_device("eprop_cuda", backend="reference")
    group = NeuronGroup(1, "dv/dt = -v/ms : 1", method="euler", clock=Clock(1 * ms), name="g")
    monitor = StateMonitor(group, "v", record=True, name="m", dt=1 * ms)
    program = get_device().capture(Network(group, monitor)).program
    assert program.clocks == ()
    assert {phase.clock for phase in program.phases()} == {None}


def test_a_training_on_several_clocks_is_refused() -> None:
    set_device("eprop_cuda", backend="reference")
    inputs = SpikeSource(2, Spikes.from_dense(np.zeros((1, 3, 2), bool)), name="inputs")
    out = NeuronGroup(2, "dy/dt = -y/(5*ms) : 1", method="exact", dt=2 * ms, name="out")
    path = Synapses(inputs, out, "w : 1", on_pre="y_post += w", name="path")
    path.connect()
    with pytest.raises(LearningError, match=r"'out_stateupdater' runs on a clock of its own.*;"):
        Trainer(
            Network(inputs, out, path), output=out.y, loss=CrossEntropy(), rule=EProp(),
            parameters=[path.w], optimiser=Adam(1e-3),
        )  # fmt: skip


def test_a_monitor_on_another_clock_does_not_keep_from_training() -> None:
    set_device("eprop_cuda", backend="reference")
    spikes = Spikes.from_dense(np.ones((2, 3, 2), bool))
    inputs = SpikeSource(2, spikes[:1], name="inputs")
    out = NeuronGroup(2, "dy/dt = -y/(5*ms) : 1", method="exact", name="out")
    path = Synapses(inputs, out, "w : 1", on_pre="y_post += w", name="path")
    path.connect()
    slow = StateMonitor(out, "y", record=True, dt=2 * ms, name="slow")
    listed = StateMonitor(out, "y", record=True, clock=EventClock([1] * ms), name="listed")
    trainer = Trainer(
        Network(inputs, out, path, slow, listed), output=out.y, loss=CrossEntropy(), rule=EProp(),
        parameters=[path.w], optimiser=Adam(1e-3),
    )  # fmt: skip
    assert trainer.predict(spikes).shape == (2, 2)
    out.clock.dt = 0.5 * ms
    with pytest.raises(ValueError, match="the network's dt has been changed since the Trainer"):
        trainer.predict(spikes)


CLOCK = ProgramClock("slow", 2e-3, 2)
LIST = ListedClock("list", "steps", "times")
ARRAYS = (
    Array("v", DType.REAL, 1, Access.PER_INSTANCE),
    Array("kept", DType.REAL, 1, Access.PER_INSTANCE, Slots(kept=True)),
    Array("steps", DType.DOUBLE, 2, Access.SHARED),
    Array("times", DType.DOUBLE, 2, Access.SHARED),
)
REFS = {name: Ref(name, Index.ELEMENT) for name in ("v", "kept")}


def on(clock: str | None, code: str = "v = 1") -> ForEach:
    used = {name: ref for name, ref in REFS.items() if name in code}
    return ForEach(f"on {clock}", 1, Body(code, used), clock=clock)


def program(*phases: ForEach, **more: Any) -> Program:
    found = Program("p", 1e-3, ARRAYS, (Sweep(Direction.FORWARD, phases),), clocks=(CLOCK, LIST))
    return replace(found, **more)


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (program(on("fast")), "there is no clock 'fast'; declare it"),
        (program(on("list", "v = dt")), "its body takes 'dt', which clock 'list' does not have"),
        (program(on("slow", "kept = v"), on(None, "v = kept")),
         "'kept' keeps steps of another clock; use it on one clock only"),
        (program(clocks=(replace(CLOCK, every=0),)), "clock 'slow' is due every 0 steps; give"),
        (program(clocks=(replace(CLOCK, dt=0.0),)), "clock 'slow' has the time step 0.0; give"),
        (program(clocks=(CLOCK, CLOCK)), "2 clock declarations have the name 'slow'; rename"),
        (program(clocks=(replace(LIST, times="v"),)), "array 'v' cannot list clock 'list'; make"),
    ],
)  # fmt: skip
def test_what_is_not_legal_on_clocks(found: Program, fault: str) -> None:
    verify(program(on("slow"), on("list"), on(None)), Stage.GENERATION)
    with pytest.raises(ProgramError, match=fault):
        verify(found, Stage.GENERATION)
