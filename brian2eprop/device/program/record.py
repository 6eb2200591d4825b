"""The phases that note events: what they leave behind, and how many there were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from brian2eprop.device.program.arrays import OWNED, DType, Over, Slots, offset_faults
from brian2eprop.device.program.body import Body, Domain, Index
from brian2eprop.device.program.phase import Kind, Loop, Phase

if TYPE_CHECKING:
    from brian2eprop.device.program.program import Program


@dataclass(frozen=True)
class Chosen(Phase):
    """For events of ``delay`` steps ago whose neurons are ``first <= neuron < stop``."""

    events: str
    first: int
    stop: int
    delay: int = field(default=0, kw_only=True)

    def hears(self) -> frozenset[str]:
        """See :meth:`Phase.hears`."""
        return frozenset({self.events})

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        buffer = program.find_events(self.events)
        size = buffer.size
        yield from offset_faults(f"event buffer '{self.events}'", buffer.slots, -self.delay)
        if not 0 <= self.first < self.stop <= size:
            yield (
                f"it is for the neurons from {self.first} to {self.stop} of event buffer "
                f"'{self.events}', which has {size}; give first and stop among them"
            )


@dataclass(frozen=True)
class Record(Chosen, Loop):
    """Run the body for each chosen event, in ascending order, each with an entry of a log.

    A log is an INT array ``end`` of size 1, the number of its entries, and columns: arrays whose
    every step is kept, and whose elements are filled one after the other whatever their step.
    Refs are ELEMENT (the neuron), ENTRY (an element of a column) and SCALAR. Whoever reads a log
    sets its end to 0, after every call.
    """

    body: Body
    end: str

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return super().reads() | {self.end}

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return super().writes() | {self.end}

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        return *super().names(), (Kind.ARRAY, self.end)

    def domain(self, program: Program) -> Domain:
        """See :meth:`Loop.domain`."""
        size = program.find_events(self.events).size
        return Domain({Index.ELEMENT: size, Index.ENTRY: self.stop - self.first})

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        yield from super().faults(program, over)
        yield from _number_faults(program, self.end, None)
        for name, ref in sorted(self.body.refs.items()):
            found = program.all_arrays().get(ref.array)
            if ref.index is Index.ENTRY and found is not None and found.slots != Slots(kept=True):
                yield f"'{name}' is no column of a log; keep every step of array '{ref.array}'"
        for name in sorted(self.body.written):
            if self.body.refs[name].index is not Index.ENTRY:
                yield f"'{name}' is written and no entry of a log; write it in a ForEachEvent"


@dataclass(frozen=True)
class Count(Chosen):
    """Set element 0 of ``into``, an INT array of size 1, to the number of chosen events."""

    into: str

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return frozenset({self.into})

    def sets(self) -> frozenset[str]:
        """See :meth:`Phase.sets`."""
        return self.writes()

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        return *super().names(), (Kind.ARRAY, self.into)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        yield from super().faults(program, over)
        slots = program.all_arrays()[self.into].slots
        yield from _number_faults(program, self.into, slots)


def _number_faults(program: Program, name: str, slots: Slots | None) -> Iterable[str]:
    """What is wrong with an array that is to hold a number of events."""
    array = program.all_arrays()[name]
    wanted = (DType.INT, 1, slots)
    if (array.dtype, array.size, array.slots) != wanted or array.access not in OWNED:
        with_slots = "" if slots is not None else ", without slots"
        yield (
            f"array '{name}' cannot hold a number of events; make it INT, of size 1{with_slots} "
            f"and per instance or scratch"
        )
