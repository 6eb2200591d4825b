"""A SpikeGeneratorGroup emits what it emits on Brian2's own device."""

from __future__ import annotations

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
    set_device,
    start_scope,
)
from brian2.utils.logger import catch_logs

from brian2eprop.device.memory import state
from brian2eprop.errors import Unsupported


def simulate(device: str, **options: Any) -> dict[str, np.ndarray]:
    set_device(device, **options)
    start_scope()
    defaultclock.dt = 0.1 * ms
    steps = np.arange(200)
    given = SpikeGeneratorGroup(3, steps % 3, steps * defaultclock.dt, name="given")
    again = SpikeGeneratorGroup(
        5, [3, 0, 4, 3, 1], [4.1, 0, 0.3, 0.3, 2] * ms, period=5 * ms, name="again"
    )
    cells = NeuronGroup(5, "n : integer", threshold="n % 7 == 6", reset="n += 1", name="cells")
    one = Synapses(given, cells, on_pre="n_post += 1", name="one")
    one.connect(j="i")
    two = Synapses(again, cells, on_pre="n_post += 1", delay=0.2 * ms, name="two")
    two.connect(j="i")
    monitors = [SpikeMonitor(group, name=f"of_{group.name}") for group in (given, again, cells)]
    network = Network(given, again, cells, one, two, *monitors)
    network.run(13.7 * ms)
    network.run(9.9 * ms)
    given.set_spikes([1, 0, 1], network.t + [3.2, 1.5, 0] * ms)
    network.run(10 * ms)
    given.set_spikes([2], [0.4] * ms, period=0.8 * ms)
    again.set_spikes([], [] * ms)
    network.run(6.4 * ms)
    found = {"n": cells.n[:]}
    for monitor in monitors:
        found |= {f"{monitor.name} {name}": getattr(monitor, name)[:] for name in ("i", "count")}
        found[f"{monitor.name} step"] = np.rint(monitor.t / defaultclock.dt)
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("batch_size", [None, 2])
def test_equals_runtime(
    backend: str, batch_size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = simulate("runtime")
    assert theirs["of_cells count"].sum() > 10
    monkeypatch.setattr(state, "MAX_STEPS", 37)
    ours = simulate("eprop_cuda", backend=backend, precision="float64", batch_size=batch_size)
    for name, values in theirs.items():
        if batch_size is not None:
            several = name.endswith(("n", "count"))
            values = np.broadcast_to(values, (2, len(values))) if several else np.tile(values, 2)
        np.testing.assert_array_equal(ours[name], values, err_msg=name)


def test_spikes_in_the_past_are_warned_of() -> None:
    set_device("eprop_cuda", backend="reference")
    group = SpikeGeneratorGroup(2, [0, 1], [1, 5] * ms)
    monitor = SpikeMonitor(group)
    network = Network(group, monitor)
    network.run(3 * ms)
    group.set_spikes([0, 1], [1, 5] * ms)
    with catch_logs() as logs:
        network.run(3 * ms)
    assert any("these spikes will be ignored" in message for _, _, message in logs)
    assert np.rint(monitor.t / ms).tolist() == [1, 5]


def test_another_networks_time_makes_no_past() -> None:
    set_device("eprop_cuda", backend="reference")
    Network(NeuronGroup(1, "v : 1")).run(4 * ms)
    group = SpikeGeneratorGroup(2, [0, 1], [1, 5] * ms)
    with catch_logs() as logs:
        Network(group).run(3 * ms)
    assert not any("these spikes will be ignored" in message for _, _, message in logs)


def test_the_same_spikes_need_no_new_capture() -> None:
    set_device("eprop_cuda", backend="reference")
    from brian2.devices.device import get_device

    group = SpikeGeneratorGroup(2, [0, 1], [1, 5] * ms, period=6 * ms)
    network = Network(group, SpikeMonitor(group))
    captured = []
    for _ in range(4):
        network.run(3 * ms)
        captured.append(get_device().networks.of(network).captured)
    assert captured[1] is captured[2] is captured[3]


def test_a_neuron_spikes_once_in_a_step() -> None:
    """Brian2 looks at neighbours in time only."""
    set_device("eprop_cuda", backend="reference")
    group = SpikeGeneratorGroup(2, [1, 0, 1], [2.1, 2.2, 2.3] * ms, name="group")
    with pytest.raises(ValueError) as caught:
        Network(group).run(5 * ms)
    assert str(caught.value) == (
        "Neuron 1 of SpikeGeneratorGroup 'group' spikes more than once in step 2; give its spikes "
        "times in different steps, or use a smaller dt."
    )


def test_a_training_gives_the_spikes_itself() -> None:
    set_device("eprop_cuda", backend="reference")
    from brian2.devices.device import get_device

    group = SpikeGeneratorGroup(2, [0], [1] * ms, name="group")
    with pytest.raises(Unsupported) as caught:
        get_device().capture(Network(group))
    assert str(caught.value) == (
        "'group' is a SpikeGeneratorGroup, which has the same spikes for every sample; use a "
        "brian2eprop.SpikeSource, which is given those of each."
    )
