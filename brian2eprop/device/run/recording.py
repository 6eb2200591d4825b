"""What monitors recorded goes from a backend's memory to Brian2's monitors."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.capture.captured import Captured, Counting, Recording
from brian2eprop.device.memory.limits import in_words, require_memory
from brian2eprop.device.monitors import BatchedSpikeMonitor
from brian2eprop.device.program import Events

SPIKE_COLUMNS = ("instance", "i", "t")
_REMEDY = "record fewer neurons, or run fewer steps or instances"


def record(
    captured: Captured,
    memory: Memory,
    device: Any,
    first_step: int,
    n_steps: int,
    among: Container[str] | None = None,
) -> None:
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
    among : container of str, optional
        The names of the monitors that have recorded; by default all.

    Raises
    ------
    MemoryError
        If a monitor cannot grow; it then has what it had before the call.
    """
    for recording in captured.recordings:
        if among is not None and recording.monitor.name not in among:
            continue
        row = captured.grid.clocks[recording.monitor.clock]
        steps = np.arange(row.steps_before(first_step), row.steps_before(first_step + n_steps))
        _record_states(recording, memory, steps, row.times(steps))
    for counting in captured.countings:
        if among is not None and counting.monitor.name not in among:
            continue
        row = captured.grid.clocks[counting.monitor.clock]
        steps = np.arange(row.steps_before(first_step), row.steps_before(first_step + n_steps))
        events = captured.program.find_events(counting.events)
        _record_spikes(counting, events, memory, device, steps, row.times(steps))


def _record_states(recording: Recording, memory: Memory, steps: Any, times: Any) -> None:
    monitor = recording.monitor
    columns = {"t": times}
    for name, array in recording.arrays.items():
        if monitor.n_indices:
            values = memory.read_slots(array, steps).swapaxes(0, 1)
            columns[name] = values.reshape(len(steps), memory.instances * monitor.n_indices)
        else:
            columns[name] = np.empty((len(steps), 0))
    _append(monitor, columns)


def _record_spikes(
    counting: Counting, events: Events, memory: Memory, device: Any, steps: Any, times: Any
) -> None:
    monitor = counting.monitor
    instance, position, neuron = memory.read_spikes(events, steps - counting.late)
    if monitor.record and neuron.size:
        columns = {"instance": instance, "i": neuron, "t": times[position]}
        _append(
            monitor, {name: columns[name] for name in SPIKE_COLUMNS if name in monitor.variables}
        )
    elif neuron.size:
        _count(monitor, neuron.size)
    device.add_counts(monitor.variables["count"], instance, neuron)


def _append(monitor: Any, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Make all columns longer, or none of them."""
    before = len(monitor.variables["t"].get_value())
    n_new = len(columns["t"])
    try:
        for name, values in columns.items():
            monitor.variables[name].resize(_longer(before + n_new, values))
    except MemoryError:
        for name, values in columns.items():
            monitor.variables[name].resize(_longer(before, values))
        size = sum(values[:1].nbytes for values in columns.values()) * (before + n_new)
        raise MemoryError(
            f"There is no memory for the {in_words(size)} that '{monitor.name}' has recorded; "
            f"{_REMEDY}."
        ) from None
    for name, values in columns.items():
        monitor.variables[name].get_value()[before:] = values
    _count(monitor, n_new)


def _longer(n: int, values: npt.NDArray[Any]) -> Any:
    return n if values.ndim == 1 else (n, *values.shape[1:])


def _count(monitor: Any, n_new: int) -> None:
    monitor.variables["N"].set_value(monitor.variables["N"].get_value() + n_new)


def sort_spikes(captured: Captured) -> None:
    """Order the spikes of batched monitors by instance, after all calls of a run."""
    for counting in captured.countings:
        monitor = counting.monitor
        if isinstance(monitor, BatchedSpikeMonitor) and monitor.record:
            columns = [monitor.variables[name].get_value() for name in SPIKE_COLUMNS]
            order = np.argsort(columns[0], kind="stable")
            for column in columns:
                column[:] = column[order]


def require_room(captured: Captured, instances: int, n_steps: int) -> None:
    """Refuse StateMonitors that would not fit into the memory of this machine.

    Parameters
    ----------
    captured : Captured
        The network.
    instances : int
        Number of instances.
    n_steps : int
        Number of steps of the run.

    Raises
    ------
    MemoryError
        If they would not fit.
    """
    for recording in captured.recordings:
        monitor = recording.monitor
        row = sum(np.dtype(monitor.variables[n].dtype).itemsize for n in recording.arrays)
        size = row * monitor.n_indices * instances * n_steps
        require_memory(size, f"What '{monitor.name}' records in {n_steps} steps", _REMEDY)
