"""What a run keeps: as much however long it is, and what monitors record."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from brian2 import (
    Clock,
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PopulationRateMonitor,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    get_device,
    ms,
    second,
    set_device,
)

from brian2eprop.device.memory import limits
from brian2eprop.device.memory.state import State

DAY = 86400 * second


def use(batch_size: int | None = None) -> None:
    set_device("eprop_cuda", backend="cpu", precision="float64", batch_size=batch_size)
    defaultclock.dt = 0.1 * ms


def network(*monitors: str) -> tuple[Network, list[object]]:
    """Neurons with delayed synapses and input that draws."""
    cells = NeuronGroup(
        50, "dv/dt = -v/(5*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells"
    )
    inputs = PoissonGroup(20, 50 * Hz, name="inputs")
    links = Synapses(inputs, cells, on_pre="v_post += 0.3", delay=3 * ms, name="links")
    links.connect()
    kinds = {
        "states": lambda: StateMonitor(cells, "v", record=True, name="states"),
        "seldom": lambda: StateMonitor(
            cells, "v", record=True, clock=Clock(1 * second, name="slow"), name="seldom"
        ),
        "rate": lambda: PopulationRateMonitor(cells, name="rate"),
        "spikes": lambda: SpikeMonitor(cells, name="spikes"),
    }
    found = [kinds[name]() for name in monitors]
    return Network(cells, inputs, links, *found), found


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize("monitors", [(), ("spikes", "states", "rate")])
def test_a_call_keeps_the_same_however_long_the_run_is(
    batch_size: int | None, monitors: tuple[str, ...]
) -> None:
    use(batch_size)
    found, _ = network(*monitors)
    device = get_device()
    device._fit_monitors(found)
    captured = device.capture_program(found, {}, set())
    sizes = []
    for steps in (10**4, 10**9):
        state = State(device, device.backend, batch_size or 1, captured, steps)
        sizes.append(sum(array.nbytes for array in state.memory.arrays.values()))
    assert sizes[0] == sizes[1]


def test_a_run_without_monitors_leaves_nothing_behind() -> None:
    """What is kept of it is as large after many calls as after a few."""
    use()
    found, _ = network()
    sizes = []
    for _ in range(3):
        found.run(100 * ms)
        state = get_device().networks.of(found).state
        sizes.append(sum(array.nbytes for array in state.memory.arrays.values()))
    assert sizes[0] == sizes[1] == sizes[2]


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_million_steps_take_no_memory_and_count_every_spike(batch_size: int | None) -> None:
    """Neurons that start anew with every spike have a period, which is known."""
    use(batch_size)
    drive, tau, delay, n_steps = np.array([1.05, 1.3, 2.5, 8.0]), 100, 15, 10**6
    cells = NeuronGroup(
        4,
        "dv/dt = (drive - v)/(10*ms) : 1\ndrive : 1\nn : 1",
        threshold="v > 1",
        reset="v = 0; n += 1",
        method="exact",
    )
    cells.drive = drive
    heard = NeuronGroup(4, "n : 1")
    links = Synapses(cells, heard, on_pre="n_post += 1", delay=delay * defaultclock.dt)
    links.connect("i == j")
    whole = Network(cells, heard, links)
    whole.run(1 * second)
    before = resident()
    whole.run(99 * second)
    assert resident() - before < n_steps  # a byte a step
    period = np.floor(-tau * np.log1p(-1 / drive)).astype(int) + 1
    np.testing.assert_array_equal(np.atleast_2d(cells.n[:])[-1], n_steps // period)
    np.testing.assert_array_equal(np.atleast_2d(heard.n[:])[-1], (n_steps - delay) // period)


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize(
    ("name", "bytes_a_step"), [("states", 50 * 8), ("rate", 8)]
)  # besides the time
def test_a_recording_that_will_not_fit_is_refused_with_its_size(
    monkeypatch: pytest.MonkeyPatch, name: str, bytes_a_step: int, batch_size: int | None
) -> None:
    use(batch_size)
    steps = 86400 * 10**4
    size = steps * (bytes_a_step * (batch_size or 1) + 8)
    found, (monitor,) = network(name)
    monkeypatch.setattr(limits, "free_bytes", lambda: size - 1)
    with pytest.raises(MemoryError) as caught:
        found.run(DAY)
    words = limits.in_words(size)
    assert str(caught.value) == (
        f"What '{name}' records in {steps} steps takes {words} of memory but "
        f"{limits.in_words(size - 1)} are free; record fewer neurons, or run fewer steps or "
        "instances."
    )
    assert float(found.t) == 0
    assert len(np.array(monitor.t)) == 0


def test_several_recordings_are_refused_together(monkeypatch: pytest.MonkeyPatch) -> None:
    use()
    found, _ = network("states", "rate")
    monkeypatch.setattr(limits, "free_bytes", lambda: 86400 * 10**4 * (50 * 8 + 8 + 8 + 8) - 1)
    with pytest.raises(MemoryError, match=r"^What 'states', 'rate' record in 8640+ steps "):
        found.run(DAY)


def test_what_a_slower_clock_records_is_not_taken_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    use()
    found, (seldom,) = network("seldom")
    monkeypatch.setattr(limits, "free_bytes", lambda: 1_900_000)
    found.run(0.5 * second)  # 5000 steps of the network would take 2 MB
    assert len(seldom.t) == 1
