"""What monitors recorded goes from a backend's memory to Brian2's monitors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.capture.captured import Captured, Counting, Recording
from brian2eprop.device.monitors import BatchedSpikeMonitor
from brian2eprop.device.program import Events

SPIKE_COLUMNS = ("instance", "i", "t")


def read_slots(memory: Memory, name: str, steps: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """The slots of an array for some steps.

    Parameters
    ----------
    memory : Memory
        Where the array lies.
    name : str
        Its name.
    steps : int array, shape (n,)
        The steps.

    Returns
    -------
    array, shape (instances, n, size)
        The values.
    """
    return memory.read_slots(name, steps % memory.arrays[name].shape[1])


def read_spikes(
    memory: Memory, events: Events, steps: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The spikes of some steps.

    Parameters
    ----------
    memory : Memory
        Where the buffer lies.
    events : Events
        The buffer.
    steps : int array, shape (n,)
        The steps.

    Returns
    -------
    instance, position, neuron : int arrays, shape (n_spikes,)
        Instance, position in ``steps`` and neuron of each spike, in this order.
    """
    counts = read_slots(memory, events.count, steps)
    index = read_slots(memory, events.index, steps)
    there = np.arange(events.size) < counts
    instance, position, _ = there.nonzero()
    return instance, position, index[there]


def drain(captured: Captured, memory: Memory, device: Any, first_step: int, n_steps: int) -> None:
    """Append what was recorded in a call to Brian2's monitors.

    Parameters
    ----------
    captured : Captured
        The network.
    memory : Memory
        Its memory.
    device : EpropDevice
        The device, whose arrays the monitors' variables are.
    first_step, n_steps : int
        The steps of the call.
    """
    steps = np.arange(first_step, first_step + n_steps)
    times = steps * captured.program.dt
    for recording in captured.recordings:
        _drain_states(recording, memory, device, steps, times)
    for counting in captured.countings:
        events = captured.program.find_events(counting.events)
        _drain_spikes(counting, events, memory, device, steps, times)


def _drain_states(
    recording: Recording, memory: Memory, device: Any, steps: Any, times: Any
) -> None:
    monitor = recording.monitor
    before = len(monitor.variables["t"].get_value())
    after = before + len(steps)
    monitor.variables["N"].set_value(after)
    _append(monitor.variables["t"], before, times)
    for name, array in recording.arrays.items():
        variable = monitor.variables[name]
        variable.resize((after, *device.arrays[variable].data.shape[1:]))
        if monitor.n_indices:
            values = read_slots(memory, array, steps).swapaxes(0, 1)
            variable.get_value()[before:] = values.reshape(len(steps), -1)


def _drain_spikes(
    counting: Counting, events: Events, memory: Memory, device: Any, steps: Any, times: Any
) -> None:
    monitor = counting.monitor
    instance, position, neuron = read_spikes(memory, events, steps)
    monitor.variables["N"].set_value(monitor.variables["N"].get_value() + neuron.size)
    device.add_counts(monitor.variables["count"], instance, neuron)
    if not monitor.record or not neuron.size:
        return
    columns = {"instance": instance, "i": neuron, "t": times[position]}
    before = len(monitor.variables["i"].get_value())
    for name in SPIKE_COLUMNS:
        if name in monitor.variables:
            _append(monitor.variables[name], before, columns[name])


def _append(variable: Any, before: int, values: npt.NDArray[Any]) -> None:
    variable.resize(before + len(values))
    variable.get_value()[before:] = values


def sort_spikes(captured: Captured) -> None:
    """Order the spikes of batched monitors by instance, after all calls of a run."""
    for counting in captured.countings:
        monitor = counting.monitor
        if isinstance(monitor, BatchedSpikeMonitor) and monitor.record:
            columns = [monitor.variables[name].get_value() for name in SPIKE_COLUMNS]
            order = np.argsort(columns[0], kind="stable")
            for column in columns:
                column[:] = column[order]
