"""Collects a Program's parts while its phases are made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.core.variables import ArrayVariable
from brian2.units import second

from brian2eprop.device import brian
from brian2eprop.device.capture.captured import (
    Captured,
    Counting,
    Operation,
    Pathway,
    Piece,
    Recording,
)
from brian2eprop.device.capture.clocks import Grid, Listed
from brian2eprop.device.capture.translate import Translator, Watch, time_stamped
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
)
from brian2eprop.device.program.connectivity import Found
from brian2eprop.device.program.connectivity.base import Integers
from brian2eprop.errors import Unsupported

NO_REFS: Mapping[str, Ref] = {}

# From a pathway, its longest delay and the step to run next: the step in which each synapse was
# formed, in Brian2's order; None where every synapse is older than what it may hear.
FormedSince = Callable[[Any, int, int], npt.NDArray[np.int64] | None]


@dataclass
class Builder:
    """The parts of a Program, as far as they are known.

    Parameters
    ----------
    grid : Grid
        The steps of the Program, and which of them are whose.
    pieces : mapping of str to Piece
        What Brian2 wants done, by name of the object.
    memo : Memo
        What was made of connections in earlier captures.
    formed : callable
        Tells since when the synapses of a pathway are there, where it matters.
    time : float
        The network's time in seconds.
    """

    grid: Grid
    pieces: Mapping[str, Piece]
    memo: Memo
    formed: FormedSince
    time: float
    phases: list[Phase] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    events: dict[str, Events] = field(default_factory=dict)
    slots: dict[str, Slots] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)
    orders: dict[str, Integers] = field(default_factory=dict)
    tables: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    sources: dict[str, Any] = field(default_factory=dict)
    emitters: dict[str, Any] = field(default_factory=dict)
    recordings: list[Recording] = field(default_factory=list)
    countings: list[Counting] = field(default_factory=list)
    pathways: dict[str, Pathway] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)

    def body(
        self,
        owner: Any,
        locate: Callable[[Any, str], Ref],
        also: Mapping[str, Ref] = NO_REFS,
        piece: Piece | None = None,
    ) -> Body:
        """The body of an object's piece, with refs beside those that its code makes."""
        piece = piece or self.pieces[owner.name]
        body = Translator(owner.name, piece, locate, Watch(self.grid, owner.clock)).body()
        body = replace(body, refs={**also, **body.refs})
        for variable in time_stamped(piece):
            self._keep_double(variable)
        return body

    def array_of(self, variable: Any) -> str:
        """Name of the array that holds a Brian2 variable, declared at the first call."""
        name = array_name(variable)
        self.variables.setdefault(name, variable)
        if name not in self.arrays:
            size = int(np.prod(variable.size))
            self.arrays[name] = Array(name, dtype_of(variable), size, Access.SHARED)
        return name

    def table(self, name: str, values: npt.ArrayLike, dtype: DType = DType.INT) -> str:
        """Name of a new array of indices, or of DOUBLE values."""
        kind = np.int32 if dtype is DType.INT else np.float64
        self.tables[name] = np.asarray(values, kind)
        self.arrays[name] = Array(name, dtype, self.tables[name].size, Access.SHARED)
        return name

    def next_step(self, clock: Any) -> int:
        """The step of a clock that is run next."""
        return brian.step_of(clock, self.time)

    def add_lists(self) -> None:
        """Declare what the clocks of listed steps are kept in."""
        for row in self.grid.clocks.values():
            if isinstance(row, Listed):
                self.table(row.clock.steps, row.steps)
                self.table(row.clock.times, row.all_times, DType.DOUBLE)

    def emit(self, group: Any) -> str:
        """Name of the event buffer of a group's spikes, declared for the group that emits."""
        name = events_name(group)
        self.events[name] = Events(name, len(group), Access.PER_INSTANCE, Slots())
        self.emitters[name] = group
        return name

    def heard(self, listener: Any, group: Any) -> str:
        """Name of the event buffer that a listener reads."""
        name = events_name(group)
        if name not in self.events and not any(
            found.name == group.name for found in self.emitters.values()
        ):
            raise Unsupported(
                f"'{listener.name}' waits for spikes of '{group.name}', which emits none in this "
                "run; give it a threshold, keep it active and in the network, or set "
                f"'{listener.name}' inactive."
            )
        return name

    def lateness(self, events: str) -> int:
        """How many steps late a listener that is next hears events: one where they come later."""
        late = int(events not in self.events)
        self.widen(events, history=late)
        return late

    def widen(self, events: str, history: int = 0, kept: bool = False) -> None:
        """Keep more of an event buffer's steps, also where it is yet to be declared."""
        before = self.slots.get(events, Slots())
        self.slots[events] = Slots(max(before.history, history), before.kept or kept)

    def finish(self, name: str, promoted: Collection[str]) -> Captured:
        """The Program and its ties.

        Parameters
        ----------
        name : str
            Name of the Program.
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
            self.grid.dt,
            arrays,
            (Sweep(Direction.FORWARD, tuple(self.phases)),),
            tuple(
                replace(buffer, slots=self.slots.get(buffer.name, buffer.slots))
                for buffer in self.events.values()
            ),
            tuple(item.connectivity for item in connectivities.values()),
            tuple(Stream(stream, len(source)) for stream, source in self.sources.items()),
            self.grid.program_clocks(),
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
            tuple(self.countings),
            self.pathways,
            self.grid,
            tuple(self.operations),
            tuple(self.owners),
            tuple(self.order),
        )

    def _keep_double(self, variable: Any) -> None:
        if variable.dim is second.dim and array_name(variable) in self.arrays:
            name = array_name(variable)
            self.arrays[name] = replace(self.arrays[name], dtype=DType.DOUBLE)


def array_name(variable: ArrayVariable) -> str:
    """Name of the array of a Brian2 variable: no other variable has it, nor anything of ours."""
    return f"{variable.owner.name}.{variable.name}"


def events_name(group: Any) -> str:
    """Name of the event buffer of a group's spikes."""
    return str(group.name)


def dtype_of(variable: ArrayVariable) -> DType:
    """Type of the array of a Brian2 variable."""
    if variable.is_boolean:
        return DType.BOOL
    if variable.is_integer:
        return DType.INT
    return DType.DOUBLE if variable.name == "lastspike" else DType.REAL
