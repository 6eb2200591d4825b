"""Spikes in flight: those of the last steps that a pathway has still to deliver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.capture.captured import Captured, Pathway
from brian2eprop.device.capture.translate import Unsupported
from brian2eprop.device.codegen.storage import count_of, index_of
from brian2eprop.device.program import Events


@dataclass(frozen=True)
class Flight:
    """The spikes of a group in the steps before the next one.

    Parameters
    ----------
    counts : int32 array, shape (instances, history)
        Number of spikes in each of the steps, the last step last.
    index : int32 array, shape (instances, history, size)
        Their neurons.
    """

    counts: npt.NDArray[np.int32]
    index: npt.NDArray[np.int32]

    def any_within(self, steps: int) -> bool:
        """Whether there were spikes in that many last steps."""
        return steps > 0 and bool(self.counts[:, -steps:].any())


def take(memory: Memory, events: Events, next_step: int) -> Flight:
    """Copy the spikes that are in flight.

    Parameters
    ----------
    memory : Memory
        Where the buffer lies.
    events : Events
        The buffer.
    next_step : int
        The step that is run next.

    Returns
    -------
    Flight
        The spikes of the buffer's history.
    """
    steps = np.arange(next_step - events.slots.history, next_step)
    counts = memory.read_slots(count_of(events).name, steps)[..., 0]
    return Flight(counts, memory.read_slots(index_of(events).name, steps))


def put(memory: Memory, events: Events, flight: Flight | None, next_step: int) -> None:
    """Make these the spikes in flight, and forget all others.

    Parameters
    ----------
    memory : Memory
        Where the buffer lies.
    events : Events
        The buffer.
    flight : Flight or None
        The spikes; None is none.
    next_step : int
        The step that is run next.
    """
    names = count_of(events).name, index_of(events).name
    counts, index = (memory.read(name) for name in names)
    counts[...] = 0
    if flight is not None:
        steps = min(events.slots.history, flight.counts.shape[1])
        slots = np.arange(next_step - steps, next_step) % counts.shape[1]
        start = flight.counts.shape[1] - steps
        counts[:, slots, 0] = flight.counts[:, start:]
        index[:, slots] = flight.index[:, start:]
    for name, values in zip(names, (counts, index), strict=True):
        memory.write(name, values)


def check_pathways(
    before: Mapping[str, Pathway], captured: Captured, flights: Mapping[str, Flight]
) -> None:
    """Refuse to change what delivers the spikes that are in flight.

    Parameters
    ----------
    before : mapping of str to Pathway
        The pathways of the run before.
    captured : Captured
        The network now.
    flights : mapping of str to Flight
        The spikes in flight, by event buffer.

    Raises
    ------
    Unsupported
        If the delay of a pathway with spikes in flight has changed, or the pathway itself
        has been added, removed, or made active or inactive.
    """
    for name in sorted(before.keys() | captured.pathways.keys()):
        old, new = before.get(name), captured.pathways.get(name)
        if old == new:
            continue
        for pathway in (old, new):
            flight = flights.get(pathway.events) if pathway else None
            longest = max(path.steps for path in (old, new) if path)
            if flight is not None and flight.any_within(longest):
                raise Unsupported(
                    f"The delay of '{name}' (or whether it is active) was changed while spikes "
                    "are on their way to its targets; change it before the first run, or run "
                    "without input until they have arrived."
                )
