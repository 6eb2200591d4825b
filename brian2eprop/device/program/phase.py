"""What every phase offers: what it reads and writes, and what it asks of a Program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from brian2eprop.device.program.arrays import Access, Over
from brian2eprop.device.program.body import Body, Domain, Index
from brian2eprop.device.program.dependence import is_independent, ways
from brian2eprop.device.program.draws import Draw

if TYPE_CHECKING:
    from brian2eprop.device.program.program import Program


class Side(Enum):
    """Whose synapses a loop goes through: those from a source, or those onto a target."""

    SOURCE = Index.SOURCE
    TARGET = Index.TARGET

    @property
    def fixed(self) -> Index:
        """The index that is the same for all synapses of a row."""
        index: Index = self.value
        return index

    @property
    def moving(self) -> Index:
        """The index that differs from synapse to synapse of a row."""
        return Index.TARGET if self is Side.SOURCE else Index.SOURCE


class Kind(Enum):
    """The kinds of things that a Program declares and phases name."""

    ARRAY = "array"
    EVENTS = "event buffer"
    CONNECTIVITY = "connectivity"
    STREAM = "stream"


@dataclass(frozen=True)
class Phase(ABC):
    """One parallel loop of a step.

    Parameters
    ----------
    label : str
        What it is called.
    clock : str, optional
        The clock of whose steps it is a part, and whose step and time it takes; by default it is
        a part of every step of the Program.
    """

    # Whether threads may each do a share of the loop without meeting.
    spreads: ClassVar[bool] = False

    label: str
    clock: str | None = field(default=None, kw_only=True)

    def reads(self) -> frozenset[str]:
        """The arrays whose content the phase sees, arrays of indices included."""
        return frozenset()

    def writes(self) -> frozenset[str]:
        """The arrays that the phase changes."""
        return frozenset()

    def sets(self) -> frozenset[str]:
        """The arrays of which it sets every element, whatever was there."""
        return frozenset()

    def meets_only(self) -> Hashable:
        """What tells of all it meets, if that is what events of a step choose; else None.

        The elements that are events of this step, or the synapses at which events arrive.
        """
        return None

    def sets_there(self) -> frozenset[str]:
        """The arrays that it sets at each of these, whatever was there."""
        return frozenset()

    def hears(self) -> frozenset[str]:
        """The event buffers that it reads."""
        return frozenset()

    def fills(self) -> frozenset[str]:
        """The event buffers that it changes."""
        return frozenset()

    def own(self, array: str) -> bool:
        """Whether every element of the loop meets its own element of an array only."""
        return False

    def share_by(self) -> Index | None:
        """The index of which members of a team may each do a range; None where one does it all.

        All that is written is then a member's own.
        """
        return None

    def holder(self, array: str) -> Hashable:
        """Which member alone meets an element of an array, if they share it; None for several.

        Phases that name the same holder meet an element by the same member.
        """
        return Index.ELEMENT if self.own(array) else None

    def names(self) -> Iterable[tuple[Kind, str]]:
        """What it names besides the refs of a body, each with its kind."""
        return ((Kind.EVENTS, name) for name in sorted(self.hears() | self.fills()))

    def longest(self, program: Program) -> int:
        """Most iterations that one of its parallel loops has."""
        return max((program.find_events(n).size for n in self.hears() | self.fills()), default=1)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """What is not legal in it besides its body, each half a sentence.

        Parameters
        ----------
        program : Program
            The Program that it is part of; what it names is there.
        over : Over
            What its sweep is over.
        """
        return ()


class Loop(Phase):
    """A phase with a body; each kind declares it among its own fields."""

    # The indices of which a member of a team may have a range, the best first.
    ranges: ClassVar[tuple[Index, ...]] = ()

    body: Body

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return self.body.arrays(self.body.read) | self.body.indices | self.body.looked_up

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return self.body.arrays(self.body.written)

    def own(self, array: str) -> bool:
        """See :meth:`Phase.own`."""
        alone = ways(self.body, array) <= {(Index.ELEMENT, None)}
        return alone and array not in self.body.indices | self.body.looked_up

    def share_by(self) -> Index | None:
        """See :meth:`Phase.share_by`."""
        alone = (i for i in self.ranges if is_independent(self.body, {i, Index.SYNAPSE}))
        return next(alone, None)

    def drawn(self) -> Iterator[Draw]:
        """What it draws."""
        yield from self.body.draws.values()

    @abstractmethod
    def domain(self, program: Program) -> Domain:
        """What it offers its body."""


class Elements(Loop):
    """A loop over all of ``size`` elements (refs: ELEMENT, SCALAR)."""

    RESULT: ClassVar[str | None] = None  # the local that the body must assign
    ranges: ClassVar[tuple[Index, ...]] = (Index.ELEMENT,)

    size: int

    def sets(self) -> frozenset[str]:
        """See :meth:`Phase.sets`."""
        return self.body.arrays(self.body.assigned)

    def longest(self, program: Program) -> int:
        """See :meth:`Phase.longest`."""
        return self.size

    def domain(self, program: Program) -> Domain:
        """See :meth:`Loop.domain`."""
        return Domain({Index.ELEMENT: self.size}, self.RESULT)


class SynapticLoop(Loop):
    """A phase that goes through synapses, row by row (refs: SOURCE, TARGET, SYNAPSE, SCALAR).

    A row is the synapses of one neuron of ``side``. Where a synapse may meet what another one
    writes, they come one after the other: rows by ascending neuron, those of a row by ascending
    neighbour, or both by descending ones (``reverse``). A body that only adds to that neuron does
    not ask for it.
    """

    # Targets before sources, so that synapses are one member's in loops from both sides.
    ranges: ClassVar[tuple[Index, ...]] = (Index.TARGET, Index.SOURCE)

    connectivity: str
    side: Side
    reverse: bool

    def holder(self, array: str) -> Hashable:
        """See :meth:`Phase.holder`."""
        by, met = self.share_by(), ways(self.body, array)
        if met == {(Index.SYNAPSE, None)}:
            return by, self.connectivity
        return Index.ELEMENT if met == {(by, None)} else None

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        return *super().names(), (Kind.CONNECTIVITY, self.connectivity)

    def longest(self, program: Program) -> int:
        """See :meth:`Phase.longest`."""
        found = program.find_connectivity(self.connectivity)
        return max(found.n_source, found.n_target)

    def domain(self, program: Program) -> Domain:
        """See :meth:`Loop.domain`."""
        found = program.find_connectivity(self.connectivity)
        sizes = {
            Index.SOURCE: found.n_source,
            Index.TARGET: found.n_target,
            Index.SYNAPSE: found.n_synapses,
        }
        return Domain(sizes)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        if not program.find_connectivity(self.connectivity).shares:
            return
        if self.body.draws:
            yield (
                f"it draws for each synapse of '{self.connectivity}', whose synapses share "
                f"elements; draw for each neuron"
            )
        for name in sorted(self.body.written):
            ref = self.body.refs[name]
            shared = program.all_arrays()[ref.array].access is Access.SHARED
            if ref.index is Index.SYNAPSE and not (shared and over is Over.INSTANCES):
                yield (
                    f"it writes '{name}', an element that synapses of '{self.connectivity}' share; "
                    f"only add to it, as to what instances share"
                )
