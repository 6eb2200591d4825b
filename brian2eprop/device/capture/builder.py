"""Collects a Program's parts while its phases are made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.core.clocks import Clock
from brian2.core.variables import ArrayVariable
from brian2.input.timedarray import TimedArray
from brian2.units import second

from brian2eprop.device import brian
from brian2eprop.device.backends.base import Memory
from brian2eprop.device.capture.buffers import SPIKE, Buffers
from brian2eprop.device.capture.captured import (
    Captured,
    EventLog,
    Operation,
    Piece,
    Rate,
    Recording,
    Simulated,
)
from brian2eprop.device.capture.clocks import Grid, Listed
from brian2eprop.device.capture.pathways import Delays, Pathway
from brian2eprop.device.capture.translate import (
    Translator,
    Watch,
    is_time,
    time_stamped,
    without_lines,
)
from brian2eprop.device.capture.unchanged import Memo
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Detect,
    Direction,
    DType,
    ForEach,
    Phase,
    Program,
    Ref,
    Stream,
    Sweep,
    Timed,
)
from brian2eprop.device.program.connectivity import Found
from brian2eprop.device.program.connectivity.base import Integers
from brian2eprop.device.rewiring.phases import Rewired
from brian2eprop.errors import Unsupported

NO_REFS: Mapping[str, Ref] = {}

# From a pathway, its longest delay and the network's time: the step in which each synapse was
# formed, in Brian2's order; None where every synapse is older than what it may hear.
FormedSince = Callable[[Any, int, float], npt.NDArray[np.int64] | None]

# From a pathway's name, its events, its present delays, and the step that is the first to be heard
# with them, of how many seconds: all the delays that still matter.
DelaysOf = Callable[[str, str, Delays, int, float], tuple[Delays, ...]]


@dataclass(frozen=True)
class Before:
    """What a capture must know of the runs before.

    Parameters
    ----------
    formed : callable
        Tells since when the synapses of a pathway are there, where it matters.
    delays : callable, optional
        Tells which delays of a pathway still matter; None where nothing is on its way.
    forgets : bool
        Whether a run may end while others follow: then what thresholds found in its last step is
        forgotten by who would hear of it a step late, as in Brian2.
    born : callable, optional
        From Synapses and the network's time: since when each of them is there, in seconds, in
        Brian2's order.
    to_be_made : callable, optional
        Whether a variable of synapses that are kept as a rule may be made where the Program runs;
        None where the host is to make all of them.
    """

    formed: FormedSince
    delays: DelaysOf | None = None
    forgets: bool = False
    born: Callable[[Any, float], npt.NDArray[np.float64]] | None = None
    to_be_made: Callable[[Any], bool] | None = None


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
    before : Before
        What there was before.
    time : float
        The network's time in seconds.
    drawers : mapping of str to str
        Who draws the random numbers of each object.
    trained : mapping of brian2 Variable to float
        The delays that a training changes, with the longest that each may become, in seconds.
    varying : container of brian2 Variable
        Variables that differ between instances although the run does not write them.
    rooms : mapping of str to int
        The synapses that a simulation rewires, by their name: how many there is room for.
    """

    grid: Grid
    pieces: Mapping[str, Piece]
    memo: Memo
    before: Before
    time: float
    drawers: Mapping[str, str] = field(default_factory=dict)
    trained: Mapping[Any, float] = field(default_factory=dict)
    varying: Container[Any] = ()
    rooms: Mapping[str, int] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    timed_arrays: dict[str, TimedArray] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)
    made: dict[str, Callable[[], Memory]] = field(default_factory=dict)
    orders: dict[str, Integers | None] = field(default_factory=dict)
    tables: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    table_owners: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Any] = field(default_factory=dict)
    recordings: list[Recording] = field(default_factory=list)
    logs: list[EventLog] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    pathways: dict[str, Pathway] = field(default_factory=dict)
    rounding: dict[str, ForEach] = field(default_factory=dict)
    rewired: dict[str, Rewired] = field(default_factory=dict)
    simulated: dict[str, Simulated] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)

    @cached_property
    def buffers(self) -> Buffers:
        """The event buffers."""
        return Buffers(self.before.forgets)

    def body(
        self,
        owner: Any,
        locate: Callable[[Any, str], Ref],
        also: Mapping[str, Ref] = NO_REFS,
        part: tuple[str, str] | None = None,
        without: Collection[str] = (),
    ) -> Body:
        """The body of an object's piece, with refs beside those that its code makes.

        A part of the piece may be given, its name and its code: each draws numbers of its own.
        Lines that assign the names in ``without`` are left out.
        """
        drawer, piece = self.drawers.get(owner.name, ""), self.pieces[owner.name]
        if part is not None:
            drawer, piece = f"{drawer}:{part[0]}", replace(piece, code=part[1])
        piece = without_lines(piece, without)
        translator = Translator(owner, piece, locate, Watch(self.grid, owner.clock), drawer)
        body = translator.body()
        timed = {name: self.timed(owner, array) for name, array in translator.timed.items()}
        return replace(body, refs={**also, **body.refs}, timed=timed, foreign=translator.foreign)

    def array_of(self, variable: Any) -> str:
        """Name of the array that holds a Brian2 variable, declared at the first call."""
        name = array_name(variable)
        while self.variables.setdefault(name, variable) is not variable:
            name += ":other"  # every pathway has a variable called delay
        if name not in self.arrays:
            self.arrays[name] = Array(
                name, self.dtype_of(variable), self._size_of(variable), Access.SHARED
            )
        return name

    def dtype_of(self, variable: Any) -> DType:
        """Type of the array that holds a variable, or what is recorded of it."""
        if variable.is_boolean:
            return DType.BOOL
        if variable.is_integer:
            return DType.INT
        is_double = variable.dim is second.dim and is_time(variable, self._time_stamped)
        return DType.DOUBLE if is_double else DType.REAL

    @cached_property
    def _time_stamped(self) -> frozenset[Any]:
        return time_stamped(self.pieces.values())

    def _size_of(self, variable: Any) -> int:
        if brian.is_synaptic(variable):
            return self.room_of(variable.owner)
        side = brian.COUNTED.get(variable.name)
        if side is not None and variable.owner.name in self.rooms:
            return len(getattr(variable.owner, side))
        return int(np.prod(variable.size))

    def room_of(self, synapses: Any) -> int:
        """How many synapses there is room for: where their number changes, more than there are."""
        return self.rooms.get(synapses.name, brian.number_stored(synapses))

    def table_of(
        self, synapses: Any, owner: str, what: str, values: Any, dtype: DType = DType.INT
    ) -> str:
        """Name of a new array with one value for each of synapses, and room for more."""
        beyond = self.room_of(synapses) - len(values)
        return self.table(owner, what, np.pad(values, (0, beyond)), dtype)

    def table(self, owner: str, what: str, values: npt.ArrayLike, dtype: DType = DType.INT) -> str:
        """Name of a new array of indices, of truths, or of DOUBLE values, of an object."""
        found = np.asarray(values)
        found = found.astype(np.float64) if dtype is DType.DOUBLE else _in_32_bits(owner, found)
        return self._hold(owner, f"{owner}:{what}", found, dtype)

    def made_table(self, name: str, size: int, made: Callable[[], Memory]) -> str:
        """Name of a new array of indices that is made where the Program runs."""
        self.arrays[name] = Array(name, DType.INT, size, Access.SHARED)
        self.made[name] = made
        return name

    def _hold(self, owner: str, name: str, values: npt.NDArray[Any], dtype: DType) -> str:
        self.tables[name], self.table_owners[name] = values, owner
        self.arrays[name] = Array(name, dtype, values.size, Access.SHARED)
        return name

    def timed(self, owner: Any, array: TimedArray) -> Timed:
        """A function of time that an object calls, with an array for its values."""
        values = np.array(array.values)
        name = f"{array.name}:values"
        while self.timed_arrays.setdefault(name, array) is not array:
            name += ":other"  # nothing keeps users from giving two of them one name
        self._hold(array.name, name, values.ravel(), DType.REAL)
        columns = None if values.ndim == 1 else values.shape[1]
        return Timed(name, columns, float(array.dt), _fractions(owner, array))

    def next_step(self, clock: Any) -> int:
        """The step of a clock that is run next."""
        return brian.step_of(clock, self.time)

    def add_lists(self) -> None:
        """Declare what the clocks of listed steps are kept in."""
        for row in self.grid.clocks.values():
            if isinstance(row, Listed):
                clock = row.clock
                self._hold(clock.name, clock.steps, row.steps.astype(np.float64), DType.DOUBLE)
                self._hold(clock.name, clock.times, row.all_times, DType.DOUBLE)

    def heard(self, listener: Any, group: Any, event: str = SPIKE) -> tuple[str, int]:
        """Name of the event buffer that a listener reads, and how many steps late.

        Where the group's threshold is inactive there are events, and none of them ever comes.
        """
        if self.buffers.is_silent(group, event):
            whole = brian.whole(group)
            name = self.buffers.emit(whole, event)
            never = Body(f"{Detect.CONDITION} = False")
            self.phases.append(Detect(f"silence of {name}", len(whole), name, never))
        return self.buffers.heard(listener, group, event)

    def finish(self, name: str) -> Captured:
        """The Program of a name, and its ties."""
        promoted = {name for name, found in self.variables.items() if found in self.varying}
        changed = frozenset().union(*(phase.writes() for phase in self.phases))
        own = changed | promoted
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
            self.buffers.declared,
            tuple(item.connectivity for item in connectivities.values()),
            tuple(Stream(stream, len(source)) for stream, source in self.sources.items()),
            self.grid.program_clocks(),
        )
        tables, table_owners = dict(self.tables), dict(self.table_owners)
        for connected, item in connectivities.items():
            # What the memo keeps stays as it is where synapses are rewired.
            tables |= {name: table.copy() for name, table in item.tables.items()}
            table_owners |= dict.fromkeys(item.tables, connected)
        return Captured(
            program=program,
            variables=self.variables,
            orders=self.orders,
            tables=tables,
            table_owners=table_owners,
            timed=self.timed_arrays,
            written=frozenset(changed & self.variables.keys()),
            sources=self.sources,
            emitters=self.buffers.emitters,
            recordings=tuple(self.recordings),
            logs=tuple(self.logs),
            rates=tuple(self.rates),
            pathways=self.pathways,
            grid=self.grid,
            operations=tuple(self.operations),
            owners=tuple(self.owners),
            order=tuple(self.order),
            late=self.buffers.late,
            forgotten=self.buffers.forgotten(self.sources),
            rounding=self.rounding,
            made=self.made,
            rewired=self.rewired,
            simulated=self.simulated,
        )


def _fractions(owner: Any, array: TimedArray) -> int:
    clock = owner.group.clock  # Brian2 takes that of the group, also for code on another clock
    if not isinstance(clock, Clock):
        raise Unsupported(
            f"'{owner.name}' calls the TimedArray '{array.name}' on the clock '{clock.name}', "
            "which has no dt; give it a clock with one."
        )
    return brian.fractions_of(array, clock.dt_)


def _in_32_bits(owner: str, values: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Whole numbers as the Program's arrays have them.

    Raises
    ------
    Unsupported
        If one does not fit, as the steps of a network whose time is very late.
    """
    found = values.astype(np.int32)
    if not np.array_equal(found, values):
        farthest = values[np.abs(values).argmax()]
        raise Unsupported(
            f"'{owner}' needs the number {farthest} of a step, but eprop_cuda tells at most "
            f"{np.iinfo(np.int32).max} apart here; choose a longer dt, or earlier times."
        )
    return found


def array_name(variable: ArrayVariable) -> str:
    """Name of the array of a Brian2 variable; nothing of ours has it."""
    return f"{variable.owner.name}.{brian.plain_name(variable)}"
