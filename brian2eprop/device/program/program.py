"""The Program: what a network does, step by step, and nothing of how a machine does it.

A Program is a list of sweeps over time; a sweep is a list of phases; a phase is a parallel
loop whose body is a few lines of Brian2 abstract code. The same few parts make a network's
forward run, the backward run of a learning rule, and an optimiser's update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import ClassVar

from brian2eprop.device.program.arrays import Access, Array, Events, Over, Stream
from brian2eprop.device.program.clocks import AnyClock, Clock
from brian2eprop.device.program.connectivity.base import Connectivity
from brian2eprop.device.program.draws import Draw
from brian2eprop.device.program.phase import Loop, Phase, Side, SynapticLoop


class Direction(Enum):
    """How a sweep walks through the steps of a call."""

    ONCE = "once"
    FORWARD = "forward"
    BACKWARD = "backward"


@dataclass(frozen=True)
class Sweep:
    """Phases run once, or for each step of the call in order or in reverse order.

    Parameters
    ----------
    direction : Direction
        How it walks through the steps.
    phases : tuple of Phase
        What happens in each.
    over : Over
        What it is done for.
    steps : str, optional
        PER_INSTANCE INT array of size 1: the number of steps, from step 0 on, that an instance
        has; it goes through those of the call's that are among them, by default through all.
    """

    direction: Direction
    phases: tuple[Phase, ...]
    over: Over = Over.INSTANCES
    steps: str | None = None


@dataclass(frozen=True)
class Chunks:
    """Sweeps through some steps at a time: all of them through the first ones, and so on.

    So what each step leaves need not be kept for longer than a chunk.

    Parameters
    ----------
    length : int
        Number of steps of a chunk; the last one is what is left.
    sweeps : tuple of Sweep
        What is done with each chunk, over instances; one that runs once does so at its first step.
    steps : str, optional
        As for a Sweep, the steps of all chunks together.
    """

    over: ClassVar[Over] = Over.INSTANCES

    length: int
    sweeps: tuple[Sweep, ...]
    steps: str | None = None

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of its sweeps in order."""
        return tuple(phase for sweep in self.sweeps for phase in sweep.phases)


@dataclass(frozen=True)
class Program:
    """A whole computation: its arrays and its sweeps.

    Arrays of connectivities are declared by these and not listed again. Names of arrays, of
    event buffers, of connectivities, of streams and of clocks are five spaces of their own.
    Its own steps, of ``dt`` seconds, are those that no clock is coarser than; by them random
    numbers are counted. ``numbered`` are draws that come first in order: a part of a Program
    has those of the whole, whose keys it uses.
    """

    name: str
    dt: float
    arrays: tuple[Array, ...]
    sweeps: tuple[Sweep | Chunks, ...]
    events: tuple[Events, ...] = ()
    connectivities: tuple[Connectivity, ...] = ()
    streams: tuple[Stream, ...] = ()
    clocks: tuple[AnyClock, ...] = ()
    numbered: tuple[Draw, ...] = ()

    def all_arrays(self) -> Mapping[str, Array]:
        """Every array by name, those of connectivities included."""
        return self._all_arrays

    @cached_property
    def _all_arrays(self) -> dict[str, Array]:
        return {array.name: array for array in (*self.arrays, *self.tables())}

    def tables(self) -> tuple[Array, ...]:
        """The arrays that the connectivities are stored in, for the sides that loops go through."""
        return tuple(t for found in self.connectivities for t in found.tables(self.sides(found)))

    def sides(self, connectivity: Connectivity) -> frozenset[Side]:
        """The sides from which loops go through a connectivity."""
        return frozenset(
            phase.side
            for phase in self.phases()
            if isinstance(phase, SynapticLoop) and phase.connectivity == connectivity.name
        )

    def phases(self) -> Iterator[Phase]:
        """Every phase of every sweep in order."""
        for sweep in self.sweeps:
            yield from sweep.phases

    def single_sweeps(self) -> Iterator[Sweep]:
        """Every sweep in order, those of chunks too."""
        for sweep in self.sweeps:
            yield from sweep.sweeps if isinstance(sweep, Chunks) else (sweep,)

    def groups(self) -> Iterator[tuple[Over, tuple[Sweep | Chunks, ...]]]:
        """Neighbouring sweeps over the same thing; every group is done before the next begins.

        An instance goes through all sweeps of its group before the next instance begins.
        """
        for over, sweeps in groupby(self.sweeps, attrgetter("over")):
            yield over, tuple(sweeps)

    @cached_property
    def summed(self) -> frozenset[str]:
        """The shared arrays that sweeps over instances add to."""
        written = (
            name
            for over, sweeps in self.groups()
            if over is Over.INSTANCES
            for sweep in sweeps
            for phase in sweep.phases
            for name in phase.writes()
        )
        return frozenset(n for n in written if self._all_arrays[n].access is Access.SHARED)

    @cached_property
    def deriving(self) -> tuple[tuple[Connectivity, frozenset[Side]], ...]:
        """The connectivities that have tables that follow from others, with the sides in use."""
        found = ((connectivity, self.sides(connectivity)) for connectivity in self.connectivities)
        return tuple((c, sides) for c, sides in found if len(c.tables(sides)) > len(c.tables(())))

    @cached_property
    def written_tables(self) -> frozenset[str]:
        """The tables of connectivities that phases change."""
        written = frozenset().union(*(phase.writes() for phase in self.phases()))
        return written & {table.name for table in self.tables()}

    @cached_property
    def draws(self) -> tuple[Draw, ...]:
        """Every draw once."""
        loops = (phase for phase in self.phases() if isinstance(phase, Loop))
        own = (draw for loop in loops for draw in loop.drawn())
        return tuple(dict.fromkeys((*self.numbered, *own)))

    def clock_of(self, phase: Phase) -> AnyClock:
        """The clock that a phase is on."""
        if phase.clock is None:
            return Clock("", self.dt, 1)
        return next(clock for clock in self.clocks if clock.name == phase.clock)

    def clock_of_slots(self, name: str) -> AnyClock:
        """The clock whose steps an array or an event buffer keeps."""
        users = (phase for phase in self.phases() if name in self.slots_of(phase))
        found = next(users, None)
        return Clock("", self.dt, 1) if found is None else self.clock_of(found)

    def slots_of(self, phase: Phase) -> frozenset[str]:
        """The arrays with slots and the event buffers that a phase uses."""
        refs = phase.body.refs.values() if isinstance(phase, Loop) else ()
        used = {ref.array for ref in refs} | phase.writes()
        kept = {name for name in used if name in self._all_arrays and self._all_arrays[name].slots}
        return phase.hears() | phase.fills() | kept

    def find_events(self, name: str) -> Events:
        """The event buffer of that name."""
        return next(buffer for buffer in self.events if buffer.name == name)

    def find_connectivity(self, name: str) -> Connectivity:
        """The connectivity of that name."""
        return next(found for found in self.connectivities if found.name == name)
