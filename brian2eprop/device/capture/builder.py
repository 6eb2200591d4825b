"""Collects a Program's parts while its phases are made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.core.variables import ArrayVariable
from brian2.input.timedarray import TimedArray
from brian2.units import second

from brian2eprop.device import brian
from brian2eprop.device.capture.captured import (
    Captured,
    EventLog,
    Pathway,
    Piece,
    Rate,
    Recording,
)
from brian2eprop.device.capture.translate import Translator, time_stamped, without_lines
from brian2eprop.device.capture.unchanged import Memo
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Direction,
    DType,
    Events,
    Phase,
    Program,
    Ref,
    Slots,
    Stream,
    Sweep,
    Timed,
)
from brian2eprop.device.program.connectivity import Found
from brian2eprop.device.program.connectivity.base import Integers
from brian2eprop.errors import Unsupported

SPIKE = "spike"  # Brian2's name of the event that a threshold detects

NO_REFS: Mapping[str, Ref] = {}

# From a pathway, its longest delay and the step to run next: the step in which each synapse was
# formed, in Brian2's order; None where every synapse is older than what it may hear.
FormedSince = Callable[[Any, int, int], npt.NDArray[np.int64] | None]


@dataclass
class Builder:
    """The parts of a Program, as far as they are known.

    Parameters
    ----------
    clock : brian2 Clock
        The network's clock.
    pieces : mapping of str to Piece
        What Brian2 wants done, by name of the object.
    memo : Memo
        What was made of connections in earlier captures.
    formed : callable
        Tells since when the synapses of a pathway are there, where it matters.
    step : int
        The step that is run next.
    drawers : mapping of str to str
        Who draws the random numbers of each object.
    """

    clock: Any
    pieces: Mapping[str, Piece]
    memo: Memo
    formed: FormedSince
    step: int
    drawers: Mapping[str, str] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    events: dict[str, Events] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)
    orders: dict[str, Integers] = field(default_factory=dict)
    tables: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    sources: dict[str, Any] = field(default_factory=dict)
    emitters: dict[str, Any] = field(default_factory=dict)
    recordings: list[Recording] = field(default_factory=list)
    logs: list[EventLog] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    pathways: dict[str, Pathway] = field(default_factory=dict)

    def body(
        self,
        owner: Any,
        locate: Callable[[Any, str], Ref],
        also: Mapping[str, Ref] = NO_REFS,
        without: Collection[str] = (),
    ) -> Body:
        """The body of an object's piece, with refs beside those that its code makes.

        Lines that assign the names in ``without`` are left out.
        """
        piece = without_lines(self.pieces[owner.name], without)
        drawer = self.drawers.get(owner.name, "")
        translator = Translator(owner.name, piece, locate, drawer)
        body = translator.body()
        timed = {name: self.timed(array) for name, array in translator.timed.items()}
        body = replace(body, refs={**also, **body.refs}, timed=timed, foreign=translator.foreign)
        for variable in time_stamped(piece):
            self._keep_double(variable)
        return body

    def array_of(self, variable: Any) -> str:
        """Name of the array that holds a Brian2 variable, declared at the first call."""
        name = array_name(variable)
        while self.variables.setdefault(name, variable) is not variable:
            name += ":other"  # every pathway has a variable called delay
        if name not in self.arrays:
            size = int(np.prod(variable.size))
            self.arrays[name] = Array(name, dtype_of(variable), size, Access.SHARED)
        return name

    def table(self, name: str, values: npt.ArrayLike, dtype: DType = DType.INT) -> str:
        """Name of a new array of indices, or of truths."""
        self.tables[name] = np.asarray(values, np.int32)
        self.arrays[name] = Array(name, dtype, self.tables[name].size, Access.SHARED)
        return name

    def timed(self, array: TimedArray) -> Timed:
        """A function of time, with an array for its values."""
        name = f"{array.name}:values"
        values = np.array(array.values)
        self.tables[name] = values.ravel()
        self.arrays[name] = Array(name, DType.REAL, values.size, Access.SHARED)
        columns = None if values.ndim == 1 else values.shape[1]
        fractions = brian.fractions_of(array, self.clock.dt_)
        return Timed(name, columns, float(array.dt), fractions)

    def emit(self, group: Any, event: str = SPIKE) -> str:
        """Name of the event buffer of a group's events, declared for the group that emits."""
        name = events_name(group, event)
        self.events[name] = Events(name, len(group), Access.PER_INSTANCE, Slots())
        self.emitters[name] = group
        return name

    def heard(self, listener: Any, group: Any, event: str = SPIKE) -> str:
        """Name of the event buffer that a listener reads."""
        name = events_name(group, event)
        if name not in self.emitters:
            what = "spikes" if event == SPIKE else f"the event '{event}'"
            raise Unsupported(
                f"'{listener.name}' waits for {what} of '{brian.whole(group).name}', which emits "
                "none in this run; give it a threshold, keep it active and in the network, or set "
                f"'{listener.name}' inactive."
            )
        return name

    def widen(self, events: str, history: int) -> None:
        """Keep more of an event buffer's steps."""
        buffer = self.events[events]
        slots = Slots(max(buffer.slots.history, history), buffer.slots.kept)
        self.events[events] = replace(buffer, slots=slots)

    def finish(self, name: str, dt: float, promoted: Collection[str]) -> Captured:
        """The Program and its ties.

        Parameters
        ----------
        name : str
            Name of the Program.
        dt : float
            Time step in seconds.
        promoted : collection of str
            Arrays that differ between instances although no phase writes them.
        """
        changed = frozenset().union(*(phase.writes() for phase in self.phases))
        own = changed | set(promoted)
        arrays = tuple(
            replace(array, access=Access.PER_INSTANCE) if array.name in own else array
            for array in self.arrays.values()
        )
        connectivities = {item.connectivity.name: item for item in self.found.values()}
        program = Program(
            name,
            dt,
            arrays,
            (Sweep(Direction.FORWARD, tuple(self.phases)),),
            tuple(self.events.values()),
            tuple(item.connectivity for item in connectivities.values()),
            tuple(Stream(stream, len(source)) for stream, source in self.sources.items()),
        )
        tables = dict(self.tables)
        for item in connectivities.values():
            tables.update(item.tables)
        return Captured(
            program,
            self.variables,
            self.orders,
            tables,
            frozenset(changed & self.variables.keys()),
            self.sources,
            {events: group.id for events, group in self.emitters.items()},
            tuple(self.recordings),
            tuple(self.logs),
            tuple(self.rates),
            self.pathways,
        )

    def _keep_double(self, variable: Any) -> None:
        if variable.dim is second.dim and variable in self.variables.values():
            name = self.array_of(variable)
            self.arrays[name] = replace(self.arrays[name], dtype=DType.DOUBLE)


def array_name(variable: ArrayVariable) -> str:
    """Name of the array of a Brian2 variable; nothing of ours has it."""
    return f"{variable.owner.name}.{variable.name}"


def events_name(group: Any, event: str = SPIKE) -> str:
    """Name of the event buffer of a group's events, whatever part of the group is meant."""
    name = str(brian.whole(group).name)
    return name if event == SPIKE else f"{name}:{event}"


def dtype_of(variable: ArrayVariable) -> DType:
    """Type of the array of a Brian2 variable."""
    if variable.is_boolean:
        return DType.BOOL
    if variable.is_integer:
        return DType.INT
    return DType.DOUBLE if variable.name == "lastspike" else DType.REAL
