"""What a capture yields: the Program, and what ties its arrays to Brian2's objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.input.timedarray import TimedArray

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.capture.clocks import Grid
from brian2eprop.device.capture.pathways import Pathway, RewiredPathway
from brian2eprop.device.program import Clock, ForEach, Program
from brian2eprop.device.program.connectivity.base import Integers
from brian2eprop.device.rewiring.phases import Rewired


@dataclass(frozen=True)
class Piece:
    """What Brian2 wants done by one code object.

    Parameters
    ----------
    code : str
        Abstract code.
    variables : mapping of str to brian2 Variable or Function
        What its names stand for.
    indices : mapping of str to str
        Brian2's index of each array.
    options : mapping of str to object
        The template's options.
    unconditional : frozenset of str
        Conditions that do not hold writes back (resets ignore refractoriness).
    """

    code: str
    variables: Mapping[str, Any]
    indices: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    unconditional: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Recording:
    """A StateMonitor with the Program's array of each recorded variable."""

    monitor: Any
    arrays: Mapping[str, str]


@dataclass(frozen=True)
class EventLog:
    """A monitor of events with the Program's log of it.

    Parameters
    ----------
    monitor : EventMonitor
        The monitor.
    end : str
        The array with the number of entries.
    columns : mapping of str to str
        The array of each recorded variable; ``i`` is always there.
    """

    monitor: Any
    end: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Rate:
    """A PopulationRateMonitor with the Program's array of the number of events of each step."""

    monitor: Any
    counts: str


@dataclass(frozen=True)
class Operation:
    """A NetworkOperation, and what comes before it in a step.

    Parameters
    ----------
    operation : brian2 NetworkOperation
        What is called.
    phases : int
        How many of the Program's phases are done before it.
    """

    operation: Any
    phases: int


@dataclass(frozen=True)
class Simulated:
    """Synapses that a simulation rewires.

    Parameters
    ----------
    synapses : brian2 Synapses
        The synapses.
    rewired : Rewired
        How.
    every : int
        After how many steps of the Program.
    born : str
        The table of when each of them was formed, in seconds.
    pathways : tuple of RewiredPathway
        Their pathways.
    counts : tuple of str
        The arrays of how many synapses each neuron has before and behind it, where they are used.
    """

    synapses: Any
    rewired: Rewired
    every: int
    born: str
    pathways: tuple[RewiredPathway, ...]
    counts: tuple[str | None, str | None]


@dataclass(frozen=True, eq=False)
class Captured:
    """A Brian2 network as a Program.

    Of synapses that a simulation rewires the tables, orders and pathways follow them
    (``memory/rewirings.py``); all else stays as it was captured.

    Parameters
    ----------
    program : Program
        What happens in a run.
    variables : mapping of str to brian2 ArrayVariable
        The Brian2 variable of each array that holds one.
    orders : dict of str to int array
        Arrays of synaptic variables that lie in another order than in Brian2: element ``k``
        is Brian2's synapse ``order[k]``.
    tables : dict of str to array
        Values of the arrays that hold no variable: rows, targets and other indices, times, and
        those of functions of time.
    timed : mapping of str to TimedArray
        Whose values each table of a function of time has.
    table_owners : mapping of str to str
        The name of the object that each table is of.
    written : frozenset of str
        The arrays of variables that a run changes.
    sources : mapping of str to SpikeSource or SpikeGeneratorGroup
        The source of each stream.
    emitters : mapping of str to int
        Brian2's number of the group whose spikes each event buffer holds.
    recordings : tuple of Recording
        The StateMonitors.
    logs : tuple of EventLog
        The SpikeMonitors and EventMonitors.
    rates : tuple of Rate
        The PopulationRateMonitors.
    pathways : dict of str to Pathway
        The synaptic pathways by name.
    grid : Grid
        The steps of the Program, and which of them are whose.
    operations : tuple of Operation
        The network operations in order.
    owners : tuple of str
        The name of the object that each phase is of.
    order : tuple of str
        The names of all objects in order.
    late : frozenset of str
        The event buffers of those who hear events a step late.
    forgotten : frozenset of str
        Those of them whose last step is forgotten at the end of a run.
    made : mapping of str to callable
        Arrays of synapses that are kept as a rule: what gives a memory of the backend with them.
    rewired : mapping of str to Rewired
        The synapses that a training rewires, by their name.
    simulated : mapping of str to Simulated
        Those that a simulation rewires.
    rounding : mapping of str to ForEach
        For the array of each delay that is trained, what rounds it to the table of steps that its
        pathway reads: a phase over what is shared.
    """

    program: Program
    variables: Mapping[str, Any]
    orders: dict[str, Integers | None]
    tables: dict[str, npt.NDArray[Any]]
    table_owners: Mapping[str, str]
    timed: Mapping[str, TimedArray]
    written: frozenset[str]
    sources: Mapping[str, Any]
    emitters: Mapping[str, int]
    recordings: tuple[Recording, ...]
    logs: tuple[EventLog, ...]
    rates: tuple[Rate, ...]
    pathways: dict[str, Pathway]
    grid: Grid
    operations: tuple[Operation, ...] = ()
    owners: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    late: frozenset[str] = frozenset()
    forgotten: frozenset[str] = frozenset()
    rounding: Mapping[str, ForEach] = field(default_factory=dict)
    made: Mapping[str, Callable[[], Memory]] = field(default_factory=dict)
    rewired: Mapping[str, Rewired] = field(default_factory=dict)
    simulated: Mapping[str, Simulated] = field(default_factory=dict)

    @property
    def clocks(self) -> tuple[Any, ...]:
        """Brian2's clocks."""
        return tuple(self.grid.clocks)

    @property
    def has_other_dt(self) -> bool:
        """Whether the dt of a clock has been changed since the capture."""
        rows = self.grid.clocks.items()
        return any(isinstance(row, Clock) and clock.dt_ != row.dt for clock, row in rows)

    def other_than(self, was: Captured) -> str | None:
        """Name of something that is not as it was, monitors apart; None where nothing is."""
        now, before = (
            {phase.label: phase for phase in captured.program.phases()} for captured in (self, was)
        )
        for label in sorted((now.keys() | before.keys()) - self.monitors - was.monitors):
            if now.get(label) != before.get(label):
                return label
        if self.program.connectivities != was.program.connectivities:
            return self.program.name
        for name, table in self.tables.items():
            if name in was.tables and not np.array_equal(table, was.tables[name]):
                return self.table_owners[name]
        return None

    @property
    def monitors(self) -> frozenset[str]:
        """Names of the objects that only record."""
        found: tuple[Any, ...] = (*self.recordings, *self.logs, *self.rates)
        return frozenset(each.monitor.name for each in found)

    @cached_property
    def names(self) -> Mapping[Any, str]:
        """The array of each Brian2 variable, also when its group is gone."""
        return {variable: name for name, variable in self.variables.items()}
