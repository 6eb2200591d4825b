"""Keeps Brian2's arrays and a backend's Memory in agreement, for one network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Backend, Kernel, Memory
from brian2eprop.device.capture.builder import array_name
from brian2eprop.device.capture.captured import Captured, Pathway
from brian2eprop.device.capture.translate import Unsupported
from brian2eprop.device.memory.pending import Flight, check_pathways, put, take
from brian2eprop.device.program import Access, Array, Slots

# What monitors may keep in one call: they are drained after each.
MAX_KEPT_BYTES = 64 * 2**20
MAX_STEPS = 4096


class Host(Protocol):
    """Brian2's side of the arrays."""

    def host_values(self, variable: Any) -> npt.NDArray[Any]:
        """Values of shape (elements,), or (instances, elements) where they differ."""

    def set_host_values(self, variable: Any, values: npt.NDArray[Any]) -> None:
        """Set what a run has changed, from values of shape (instances, elements)."""


class State:
    """The memory of one network.

    Parameters
    ----------
    host : Host
        Brian2's side.
    backend : Backend
        Where the network runs.
    instances : int
        Number of instances.
    """

    def __init__(self, host: Host, backend: Backend, instances: int) -> None:
        self.host = host
        self.backend = backend
        self.instances = instances
        self.captured: Captured | None = None
        self.memory: Memory = backend.memory(instances)
        self.kernel: Kernel | None = None
        self.capacity = 0
        self.next_step = 0
        self.host_stale: set[str] = set()  # newer in the memory
        self.memory_stale: set[str] = set()  # newer in Brian2's arrays
        self.restored: dict[str, Flight] | None = None  # to put into new memory
        self.pathways: Mapping[str, Pathway] = {}

    def adopt(self, captured: Captured, first_step: int, n_steps: int) -> None:
        """Be ready to run the network from a step on.

        Parameters
        ----------
        captured : Captured
            The network as it is now.
        first_step : int
            The step to run next.
        n_steps : int
            Number of steps that are wanted; a call runs up to :attr:`capacity` of them.

        Raises
        ------
        Unsupported
            If a delay or the time step has changed with spikes in flight.
        """
        capacity = capacity_for(captured, self.memory, n_steps)
        fits = self._same(captured) and capacity <= self.capacity
        if not fits or first_step != self.next_step:
            self._rebuild(captured, first_step, max(capacity, self.capacity if fits else 0))
        self.captured, self.pathways = captured, captured.pathways
        self.push()

    def _rebuild(self, captured: Captured, first_step: int, capacity: int) -> None:
        flights = self._flights_for(captured)
        check_pathways(self.pathways, captured, flights)
        if first_step != self.next_step and any(f.counts.any() for f in flights.values()):
            raise Unsupported(
                "The time of the network or its dt was changed while spikes are on their way to "
                "their targets; run without input until they have arrived, or make the network "
                "anew."
            )
        self.pull_all()
        if self.kernel is None or self.kernel.program != captured.program:
            self.kernel = self.backend.compile(captured.program)
        self.memory = self.backend.memory(self.instances)
        self.memory.reserve(captured.program, capacity)
        for name, table in captured.tables.items():
            self.memory.write(name, table)
        for events in captured.program.events:
            put(self.memory, events, flights.get(events.name), first_step)
        self.restored = None
        self.capacity, self.next_step = capacity, first_step
        self.memory_stale = set(captured.variables)

    def take_flights(self) -> dict[str, Flight]:
        """The spikes in flight, by event buffer."""
        if self.restored is not None or self.captured is None:
            return dict(self.restored or {})
        events = self.captured.program.events
        return {buffer.name: take(self.memory, buffer, self.next_step) for buffer in events}

    def restore(
        self, flights: dict[str, Flight], pathways: Mapping[str, Pathway], next_step: int
    ) -> None:
        """Go back to stored spikes in flight; Brian2's arrays must be restored already."""
        self.restored, self.pathways, self.next_step = flights, pathways, next_step
        self.capacity = 0

    def advance(self, n_steps: int) -> None:
        """Note that steps were run."""
        assert self.captured is not None
        self.next_step += n_steps
        self.host_stale |= self.captured.written

    def pull(self, variable: Any) -> None:
        """Bring Brian2's array of a variable up to date."""
        name = array_name(variable)
        if name not in self.host_stale or not self._holds(variable):
            return
        assert self.captured is not None
        self.host_stale.discard(name)
        self.host.set_host_values(variable, in_brian_order(self.captured, name, self._read(name)))

    def pull_all(self) -> None:
        """Bring all of Brian2's arrays up to date."""
        for name in sorted(self.host_stale):
            assert self.captured is not None
            self.pull(self.captured.variables[name])

    def touch(self, variable: Any) -> None:
        """Note that Brian2's array of a variable may be changed."""
        if self._holds(variable):
            self.memory_stale.add(array_name(variable))

    def push(self) -> None:
        """Bring the memory up to date."""
        assert self.captured is not None
        for name in sorted(self.memory_stale & self.captured.variables.keys()):
            values = self.host.host_values(self.captured.variables[name])
            self.memory.write(name, in_program_order(self.captured, name, values))
        self.memory_stale.clear()

    def _holds(self, variable: Any) -> bool:
        known = self.captured.variables if self.captured is not None else {}
        return known.get(array_name(variable)) is variable

    def _read(self, name: str) -> npt.NDArray[Any]:
        return np.atleast_2d(self.memory.read(name))

    def _same(self, captured: Captured) -> bool:
        known = self.captured
        if known is None or known.program != captured.program:
            return False
        return (
            all(known.variables[n] is captured.variables[n] for n in captured.variables)
            and _equal(known.tables, captured.tables)
            and _equal(known.orders, captured.orders)
            and _ids(known) == _ids(captured)
        )

    def _flights_for(self, captured: Captured) -> dict[str, Flight]:
        ids = _ids(captured)
        here = self.restored is None and self.captured is not None
        known = _ids(self.captured) if here and self.captured else ids
        flights = self.take_flights()
        return {n: f for n, f in flights.items() if n in ids and known.get(n) == ids[n]}


def in_program_order(captured: Captured, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values in Brian2's order, put into the order of the Program's array."""
    order = captured.orders.get(name)
    return values if order is None else values[..., order]


def in_brian_order(captured: Captured, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values of the Program's array, put into Brian2's order."""
    order = captured.orders.get(name)
    if order is None:
        return values
    found = np.empty_like(values)
    found[..., order] = values
    return found


def capacity_for(captured: Captured, memory: Memory, n_steps: int) -> int:
    """Number of steps of a call, such that what monitors keep is bounded."""
    kept = sum(_step_bytes(array, memory) for array in captured.program.all_arrays().values())
    return max(1, min(n_steps, MAX_STEPS, MAX_KEPT_BYTES // max(kept, 1)))


def _step_bytes(array: Array, memory: Memory) -> int:
    if array.slots is None or not array.slots.kept:
        return 0
    one = Array(array.name, array.dtype, array.size, Access.PER_INSTANCE, Slots())
    return int(np.prod(memory.shape(one, 1))) * memory.dtype(array).itemsize


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


def _ids(captured: Captured) -> dict[str, Any]:
    return {name: group.id for name, group in captured.emitters.items()}
