"""The kinds of phases: parallel loops that a step is made of."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from brian2eprop.device.program.arrays import OWNED, Access, DType, Over, offset_faults
from brian2eprop.device.program.body import Body, Domain, Index
from brian2eprop.device.program.phase import Elements, Kind, Loop, Phase, Side, SynapticLoop

if TYPE_CHECKING:
    from brian2eprop.device.program.program import Program


@dataclass(frozen=True)
class ForEach(Elements):
    """Run the body for each of ``size`` elements."""

    spreads: ClassVar[bool] = True

    size: int
    body: Body


@dataclass(frozen=True)
class ForEachEvent(Loop):
    """Run the body for each neuron that spiked ``delay`` steps ago (refs: ELEMENT, SCALAR)."""

    ranges: ClassVar[tuple[Index, ...]] = (Index.ELEMENT,)

    events: str
    body: Body
    delay: int = 0

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        buffer = program.find_events(self.events)
        yield from offset_faults(f"event buffer '{self.events}'", buffer.slots, -self.delay)

    def meets_only(self) -> Hashable:
        """See :meth:`Phase.meets_only`."""
        own = all(
            (ref.offset, ref.via) == (0, None)
            for ref in self.body.refs.values()
            if ref.index is Index.ELEMENT
        )
        return self.events if own and not self.delay else None

    def sets_there(self) -> frozenset[str]:
        """See :meth:`Phase.sets_there`."""
        return self.body.arrays(self.body.assigned)

    def hears(self) -> frozenset[str]:
        """See :meth:`Phase.hears`."""
        return frozenset({self.events})

    def domain(self, program: Program) -> Domain:
        """See :meth:`Loop.domain`."""
        return Domain({Index.ELEMENT: program.find_events(self.events).size})


@dataclass(frozen=True)
class Detect(Elements):
    """Run the body for each element; those where its local ``_cond`` holds are this step's events.

    The names in ``on_event`` are BOOL refs set to False, or REAL/DOUBLE refs set to ``t``,
    for the elements detected (Brian2's ``not_refractory`` and ``lastspike``).
    """

    CONDITION: ClassVar[str] = "_cond"
    RESULT: ClassVar[str | None] = CONDITION

    size: int
    events: str
    body: Body
    on_event: tuple[str, ...] = ()

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return super().writes() | self.body.arrays(self.on_event)

    def fills(self) -> frozenset[str]:
        """See :meth:`Phase.fills`."""
        return frozenset({self.events})

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        size = program.find_events(self.events).size
        if size != self.size:
            yield (
                f"it has {self.size} elements, its event buffer '{self.events}' {size}; "
                f"make them equal"
            )
        arrays = program.all_arrays()
        for name in self.on_event:
            ref = self.body.refs.get(name)
            if ref is None or ref.array not in arrays:
                yield f"'{name}' in on_event is no ref; add it to the body's refs"
            elif ref.index is not Index.ELEMENT or arrays[ref.array].dtype is DType.INT:
                yield f"'{name}' in on_event must be an ELEMENT ref of type BOOL, REAL or DOUBLE"
            else:
                yield from arrays[ref.array].write_faults(name, over)


@dataclass(frozen=True)
class Feed(Phase):
    """Make the spikes that the input stream has for this step the events of this step."""

    stream: str
    events: str

    def fills(self) -> frozenset[str]:
        """See :meth:`Phase.fills`."""
        return frozenset({self.events})

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        return *super().names(), (Kind.STREAM, self.stream)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        stream = next(found for found in program.streams if found.name == self.stream)
        size = program.find_events(self.events).size
        if stream.size != size:
            yield (
                f"stream '{self.stream}' has {stream.size} neurons, event buffer "
                f"'{self.events}' {size}; make them equal"
            )


# The steps that all synapses have, or the name of the array of those that each has.
Delay = int | str


@dataclass(frozen=True)
class Propagate(SynapticLoop):
    """For each event run the body for each of the neuron's synapses, after the synapses' delay.

    The events are those of the population at ``side``. In step ``s`` a synapse of delay ``d``
    meets the event of step ``s - d``: older events come first, those of one step in ascending
    order.

    Parameters
    ----------
    label, events, connectivity, body
        See the class; ``events`` is a buffer.
    delay : int or str
        Delay in steps of all synapses, or the INT array that holds one for each synapse.
    side : Side
        Whose events they are.
    formed, until : str, optional
        INT arrays with, for each synapse, the step in which it was formed, and that in which it
        ends: it meets the events of ``formed <= step < until``.
    reverse : bool
        Whether all of it is done in the opposite order.
    """

    events: str
    connectivity: str
    body: Body
    delay: Delay = 0
    side: Side = Side.SOURCE
    formed: str | None = None
    until: str | None = None
    reverse: bool = False

    @property
    def per_synapse(self) -> tuple[str, ...]:
        """The arrays that hold a step for each synapse."""
        names = (self.delay, self.formed, self.until)
        return tuple(name for name in names if isinstance(name, str))

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return super().reads().union(self.per_synapse)

    def hears(self) -> frozenset[str]:
        """See :meth:`Phase.hears`."""
        return frozenset({self.events})

    def meets_only(self) -> Hashable:
        """See :meth:`Phase.meets_only`."""
        own = all(
            (ref.offset, ref.via) == (0, None)
            for ref in self.body.refs.values()
            if ref.index is Index.SYNAPSE
        )
        met = (self.events, self.connectivity, self.side, self.delay, self.formed, self.until)
        return met if own else None

    def sets_there(self) -> frozenset[str]:
        """See :meth:`Phase.sets_there`."""
        refs = self.body.refs
        return self.body.arrays(n for n in self.body.assigned if refs[n].index is Index.SYNAPSE)

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        return *super().names(), *((Kind.ARRAY, name) for name in self.per_synapse)

    def domain(self, program: Program) -> Domain:
        """See :meth:`Loop.domain`."""
        return Domain(super().domain(program).sizes, sent=program.find_events(self.events).slots)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        yield from super().faults(program, over)
        buffer = program.find_events(self.events)
        found = program.find_connectivity(self.connectivity)
        rows = found.rows(self.side)
        if buffer.size != rows:
            yield (
                f"event buffer '{self.events}' has {buffer.size} neurons, connectivity "
                f"'{self.connectivity}' {rows} {self.side.name.lower()}s; make them equal"
            )
        if isinstance(self.delay, int):
            if self.delay < 0:
                yield f"its delay is {self.delay} steps; give one from 0 up"
            owner = f"event buffer '{self.events}'"
            yield from offset_faults(owner, buffer.slots, -max(self.delay, 0))
        wanted = (DType.INT, Access.SHARED, found.n_synapses)
        for name in self.per_synapse:
            array = program.all_arrays()[name]
            if (array.dtype, array.access, array.size) != wanted:
                yield (
                    f"array '{name}' cannot hold a step for each synapse; make it INT, shared and "
                    f"of size {found.n_synapses}"
                )


@dataclass(frozen=True)
class ForEachSynapse(SynapticLoop):
    """Run the body for each synapse, row by row; ``reverse``: in the opposite order."""

    connectivity: str
    body: Body
    side: Side = Side.SOURCE
    reverse: bool = False


class Reduction(Enum):
    """How values are combined."""

    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True)
class Reduce(Elements):
    """Combine the body's local ``_value`` over ``size`` elements into element 0 of ``into``.

    ``into`` is a REAL array of size 1 of the sweep's own; the result replaces it.
    """

    VALUE: ClassVar[str] = "_value"
    RESULT: ClassVar[str | None] = VALUE
    ranges: ClassVar[tuple[Index, ...]] = ()  # all elements have a part in the result

    size: int
    operation: Reduction
    body: Body
    into: str

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return super().writes() | {self.into}

    def sets(self) -> frozenset[str]:
        """See :meth:`Phase.sets`."""
        return super().sets() | {self.into}

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        return *super().names(), (Kind.ARRAY, self.into)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        into = program.all_arrays()[self.into]
        owned = into.access in OWNED if over is Over.INSTANCES else into.access is Access.SHARED
        if into.dtype is not DType.REAL or into.size != 1 or not owned:
            whose = "per instance or scratch" if over is Over.INSTANCES else "shared"
            yield f"array '{self.into}' cannot hold the result; make it REAL, of size 1 and {whose}"


@dataclass(frozen=True)
class Clear(Phase):
    """Set every slot and element of arrays to zero, and forget every event of buffers."""

    spreads: ClassVar[bool] = True

    arrays: tuple[str, ...] = ()
    events: tuple[str, ...] = ()

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return frozenset(self.arrays)

    def sets(self) -> frozenset[str]:
        """See :meth:`Phase.sets`."""
        return self.writes()

    def fills(self) -> frozenset[str]:
        """See :meth:`Phase.fills`."""
        return frozenset(self.events)

    def own(self, array: str) -> bool:
        """See :meth:`Phase.own`."""
        return True

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        return *super().names(), *((Kind.ARRAY, name) for name in self.arrays)

    def longest(self, program: Program) -> int:
        """See :meth:`Phase.longest`."""
        sizes = (program.all_arrays()[name].size for name in self.arrays)
        return max(super().longest(program), *sizes, 1)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        for name in self.arrays if over is Over.INSTANCES else ():
            access = program.all_arrays()[name].access
            if access not in OWNED:
                yield f"array '{name}' is {access.value}; clear it in a sweep over what is shared"
