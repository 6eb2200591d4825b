"""SpikeSource emits the spikes it was given, in each instance its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    Synapses,
    defaultclock,
    get_device,
    ms,
    set_device,
)
from brian2.devices.device import all_devices
from brian2.utils.logger import catch_logs

from brian2eprop import Spikes, SpikeSource


def use(backend: str = "reference", batch_size: int | None = None) -> None:
    set_device("eprop_cuda", backend=backend, precision="float64", batch_size=batch_size)
    defaultclock.dt = 1 * ms


def test_emits_its_spikes(backend: str) -> None:
    dense = np.random.default_rng(3).random((3, 12, 4)) < 0.3
    use(backend, 3)
    inputs = SpikeSource(4, Spikes.from_dense(dense))
    monitor = SpikeMonitor(inputs)
    Network(inputs, monitor).run(20 * ms)
    instance, step, neuron = dense.nonzero()
    np.testing.assert_array_equal(monitor.instance[:], instance)
    np.testing.assert_array_equal(monitor.i[:], neuron)
    np.testing.assert_allclose(monitor.t_[:], step * 1e-3, rtol=1e-14)
    np.testing.assert_array_equal(monitor.count[:], dense.sum(1))


def test_a_run_after_the_end_of_the_spikes_is_warned_of() -> None:
    use()
    inputs = SpikeSource(2, Spikes.from_dense(np.ones((1, 10, 2), bool)), name="inputs")
    network = Network(inputs)
    for first, said in ((0, 0), (10, 1)):
        with catch_logs(only_from=["brian2eprop"]) as logs:
            network.run(10 * ms)
        silent = [text for _, _, text in logs if "'inputs' is silent in this run" in text]
        assert len(silent) == said
        assert all(f"begins with step {first}. To show" in text for text in silent)


def test_new_spikes_between_runs_keep_absolute_time(backend: str) -> None:
    use(backend)
    first, second = np.zeros((2, 1, 10, 2), bool)
    first[0, 2, 0] = first[0, 7, 0] = second[0, 3, 1] = second[0, 8, 1] = True
    inputs = SpikeSource(2, Spikes.from_dense(first))
    monitor = SpikeMonitor(inputs)
    network = Network(inputs, monitor)
    network.run(5 * ms)
    inputs.spikes = Spikes.from_dense(second)
    network.run(10 * ms)
    assert monitor.i[:].tolist() == [0, 1]
    np.testing.assert_allclose(monitor.t_[:], [2e-3, 8e-3])


def test_delivers_through_synapses(backend: str) -> None:
    use(backend)
    dense = np.zeros((1, 10, 2), bool)
    dense[0, 4, 1] = True
    inputs = SpikeSource(2, Spikes.from_dense(dense))
    group = NeuronGroup(3, "v : 1")
    synapses = Synapses(inputs, group, "w : 1", on_pre="v_post += w", delay=3 * ms)
    synapses.connect()
    synapses.w = "1 + 10*i + j"
    network = Network(inputs, group, synapses)
    network.run(7 * ms)
    assert group.v[:].tolist() == [0, 0, 0]
    network.run(1 * ms)
    assert group.v[:].tolist() == [11, 12, 13]


def test_is_a_group() -> None:
    use()
    inputs = SpikeSource(3, name="inputs")
    assert len(inputs) == 3
    assert inputs.N == 3
    assert inputs.i[:].tolist() == [0, 1, 2]
    assert inputs.spikes is None
    assert "inputs" in repr(inputs)


@pytest.mark.parametrize("n", [0, -1, 2.5, "3", True])
def test_refuses_sizes(n: object) -> None:
    with pytest.raises(TypeError, match=r"SpikeSource: N is .*; give a positive whole number"):
        SpikeSource(n)  # type: ignore[arg-type]


def test_refuses_more_neurons_than_indices() -> None:
    with pytest.raises(ValueError) as caught:
        SpikeSource(10**12)
    assert str(caught.value) == "SpikeSource: N is 1000000000000; give at most 2147483647 neurons."


def test_refuses_other_data() -> None:
    use()
    with pytest.raises(TypeError, match=r"'a' are of type ndarray; make them with .*Spikes"):
        SpikeSource(3, np.zeros((1, 5, 3)), name="a")  # type: ignore[arg-type]
    inputs = SpikeSource(3, name="b")
    with pytest.raises(ValueError, match=r"'b' has 3 neurons but its spikes are of 4; give"):
        inputs.spikes = Spikes.from_dense(np.zeros((1, 5, 4), bool))
    assert inputs.spikes is None


def test_refuses_a_run_without_spikes() -> None:
    use()
    inputs = SpikeSource(3, name="inputs")
    with pytest.raises(ValueError, match=r"'inputs' has no spikes to emit; assign Spikes"):
        Network(inputs).run(1 * ms)


@pytest.mark.parametrize(("batch_size", "wanted"), [(None, 1), (3, 3)])
def test_refuses_other_numbers_of_samples(batch_size: int | None, wanted: int) -> None:
    use(batch_size=batch_size)
    inputs = SpikeSource(3, Spikes.from_dense(np.zeros((2, 5, 3), bool)), name="inputs")
    message = rf"'inputs' have 2 samples but batch_size is {batch_size}; give {wanted}"
    with pytest.raises(ValueError, match=message):
        Network(inputs).run(1 * ms)


def test_standalone_cannot_follow_other_spikes() -> None:
    """All of its runs are one program."""
    all_devices["cpp_standalone"].reinit()
    set_device("cpp_standalone", directory=None, build_on_run=False)
    inputs = SpikeSource(3, Spikes.from_dense(np.zeros((1, 5, 3), bool)), name="inputs")
    network = Network(inputs)
    network.run(1 * ms)
    network.run(1 * ms)
    (code,) = inputs.code_objects
    assert code.template_name == "spikegenerator"
    inputs.spikes = Spikes.from_dense(np.ones((1, 5, 3), bool))
    with pytest.raises(Exception, match="inputs") as caught:
        network.run(1 * ms)
    assert str(caught.value.__cause__) == (
        "SpikeSource 'inputs' has got other spikes between two runs, which the device cannot "
        "follow; have them all in one Spikes, or use 'eprop_cuda' or 'runtime'."
    )


def simulated(dense: np.ndarray, device: str, **options: Any) -> list[np.ndarray]:
    set_device(device, **options)
    defaultclock.dt = 1 * ms
    inputs = SpikeSource(4, Spikes.from_dense(dense), name="inputs")
    cells = NeuronGroup(3, "v : 1", threshold="v > 5", reset="v = 0", name="cells")
    synapses = Synapses(inputs, cells, on_pre="v_post += 1 + i", delay=2 * ms, name="s")
    synapses.connect(j="(i + k) % 3 for k in range(2)")
    given, found = SpikeMonitor(inputs, name="given"), SpikeMonitor(cells, name="found")
    network = Network(inputs, cells, synapses, given, found)
    for _ in range(3):  # beyond the end of the spikes
        network.run(13 * ms)
    if device == "cpp_standalone":
        get_device().build(directory=None, with_output=False)
    return [np.array(x) for m in (given, found) for x in (m.i, m.t_[:], m.count)] + [
        np.array(cells.v)
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"device": "eprop_cuda", "backend": "reference", "precision": "float64"},
        pytest.param({"device": "cpp_standalone", "build_on_run": False}, marks=pytest.mark.long),
    ],
    ids=["eprop_cuda", "cpp_standalone"],
)
def test_a_script_runs_on_brians_other_devices_as_well(options: dict[str, Any]) -> None:
    dense = np.random.default_rng(5).random((1, 30, 4)) < 0.3
    all_devices["cpp_standalone"].reinit()
    theirs = simulated(dense, "runtime")
    assert np.array_equal(theirs[0], dense[0].nonzero()[1]) and len(theirs[3]) > 10
    for mine, yours in zip(simulated(dense, **options), theirs, strict=True):
        np.testing.assert_allclose(mine, yours, rtol=1e-12)


def test_brians_own_device_has_one_sample() -> None:
    set_device("runtime")
    inputs = SpikeSource(3, Spikes.from_dense(np.zeros((2, 5, 3), bool)), name="inputs")
    with pytest.raises(Exception, match="inputs") as caught:
        Network(inputs).run(1 * ms)
    assert "have 2 samples but batch_size is None; give 1" in str(caught.value.__cause__)
