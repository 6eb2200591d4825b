"""What monitors recorded goes from a backend's memory to Brian2's monitors."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.capture.captured import Captured, Rate, Recording
from brian2eprop.device.memory.limits import in_words, require_memory
from brian2eprop.device.monitors import is_batched
from brian2eprop.device.run.host import MonitorHost

Values = npt.NDArray[Any]

_REMEDY = "record fewer neurons, or run fewer steps or instances"


def record(
    captured: Captured,
    memory: Memory,
    device: MonitorHost,
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
    device : MonitorHost
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
    # Logs first: what stands in one would otherwise stand there in the next call.
    logs = [log for log in captured.logs if among is None or log.monitor.name in among]
    taken = [memory.take_log(log.end, log.columns.values()) for log in logs]
    for log, (instance, entries) in zip(logs, taken, strict=True):
        columns = dict(zip(log.columns, entries, strict=True))
        _record_events(log.monitor, instance, columns, device)
    for recording in captured.recordings:
        if among is None or recording.monitor.name in among:
            own = _steps_of(captured, recording.monitor, first_step, n_steps)
            _record_states(recording, memory, *own)
    for rate in captured.rates:
        if among is None or rate.monitor.name in among:
            own = _steps_of(captured, rate.monitor, first_step, n_steps)
            _record_rates(rate, memory, *own)


def _steps_of(
    captured: Captured, monitor: Any, first_step: int, n_steps: int
) -> tuple[int, Values]:
    """The first of a monitor's own steps within some of the Program, and when they begin."""
    row = captured.grid.clocks[monitor.clock]
    first, end = row.steps_before(first_step), row.steps_before(first_step + n_steps)
    return first, row.times(np.arange(first, end))


def _record_events(
    monitor: Any, instance: Values, columns: Mapping[str, Values], device: MonitorHost
) -> None:
    known = {**columns, "instance": instance}
    names = event_columns(monitor)
    if names and instance.size:
        with _longer(monitor, {name: (known[name].size,) for name in names}) as places:
            for name, place in places.items():
                place[:] = known[name]
    _count(monitor, instance.size)
    device.add_counts(monitor.variables["count"], instance, columns["i"])


def event_columns(monitor: Any) -> tuple[str, ...]:
    """What a monitor of events keeps of each."""
    names = tuple(sorted(monitor.record_variables))
    return ("instance", *names) if names and "instance" in monitor.variables else names


def _record_states(recording: Recording, memory: Memory, first_step: int, times: Values) -> None:
    monitor, n = recording.monitor, len(times)
    width = memory.instances * monitor.n_indices
    shapes = {"t": (n,), **dict.fromkeys(recording.arrays, (n, width))}
    with _longer(monitor, shapes) as places:
        places.pop("t")[:] = times
        for name, place in places.items() if width else ():
            shape = n, memory.instances, monitor.n_indices
            memory.copy_slots(recording.arrays[name], first_step, place.reshape(shape))
    _count(monitor, n)


def _record_rates(rate: Rate, memory: Memory, first_step: int, times: Values) -> None:
    monitor, n = rate.monitor, len(times)
    counts = np.empty((n, memory.instances, 1))
    memory.copy_slots(rate.counts, first_step, counts)
    rates = counts[..., 0] / monitor.clock.dt_ / len(monitor.source)
    values = rates if is_batched(monitor) else rates[:, 0]
    with _longer(monitor, {"t": (n,), "rate": values.shape}) as places:
        places["t"][:], places["rate"][:] = times, values
    _count(monitor, n)


@contextmanager
def _longer(monitor: Any, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[dict[str, Values]]:
    """The new ends of columns, all of which are made longer, or none of them."""
    variables = {name: monitor.variables[name] for name in shapes}
    before = len(next(iter(variables.values())).get_value())
    try:
        for name, (n, *rest) in shapes.items():
            variables[name].resize((before + n, *rest) if rest else before + n)
    except MemoryError:
        for name, (_, *rest) in shapes.items():
            variables[name].resize((before, *rest) if rest else before)
        row = sum(
            int(np.prod(rest, dtype=object)) * np.dtype(variables[name].dtype).itemsize
            for name, (_, *rest) in shapes.items()
        )
        size = row * (before + max(n for n, *_ in shapes.values()))
        raise MemoryError(
            f"There is no memory for the {in_words(size)} that '{monitor.name}' has recorded; "
            f"{_REMEDY}."
        ) from None
    yield {name: variable.get_value()[before:] for name, variable in variables.items()}


def _count(monitor: Any, n_new: int) -> None:
    if n_new:
        monitor.variables["N"].set_value(monitor.variables["N"].get_value() + n_new)


def sort_events(captured: Captured) -> None:
    """Order the events of batched monitors by instance, after all calls of a run."""
    for log in captured.logs:
        names = event_columns(log.monitor)
        if "instance" in names and is_batched(log.monitor):
            columns = [log.monitor.variables[name].get_value() for name in names]
            order = np.argsort(columns[0], kind="stable")
            for column in columns:
                column[:] = column[order]


def require_room(captured: Captured, instances: int, first_step: int, n_steps: int) -> None:
    """Refuse monitors that record every step and would not fit into this machine's memory.

    How much monitors of events record nobody knows before.

    Parameters
    ----------
    captured : Captured
        The network.
    instances : int
        Number of instances.
    first_step, n_steps : int
        The steps of the run.

    Raises
    ------
    MemoryError
        If all of them together would not fit.
    """
    rows = [(r.monitor, [*r.arrays], r.monitor.n_indices) for r in captured.recordings]
    rows += [(rate.monitor, ["rate"], 1) for rate in captured.rates]
    names, needed = [], 0
    for monitor, variables, size in rows:
        clock = captured.grid.clocks[monitor.clock]
        steps = clock.steps_before(first_step + n_steps) - clock.steps_before(first_step)
        kept = [np.dtype(monitor.variables[name].dtype).itemsize for name in variables]
        time = np.dtype(monitor.variables["t"].dtype).itemsize
        names.append(f"'{monitor.name}'")
        needed += steps * (sum(kept) * size * instances + time)
    if names:
        verb = "records" if len(names) == 1 else "record"
        what = f"What {', '.join(names)} {verb} in {n_steps} steps"
        require_memory(needed, what, _REMEDY)
