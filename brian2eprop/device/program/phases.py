"""Phases: parallel loops, each with what it reads and writes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from brian2eprop.device.program.body import Body, Index


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


@dataclass(frozen=True)
class Phase:
    """One parallel loop of a step."""

    label: str

    def reads(self) -> frozenset[str]:
        """The arrays whose content the phase sees, arrays of indices included."""
        return frozenset()

    def writes(self) -> frozenset[str]:
        """The arrays that the phase changes."""
        return frozenset()

    def hears(self) -> frozenset[str]:
        """The event buffers that it reads."""
        return frozenset()

    def fills(self) -> frozenset[str]:
        """The event buffers that it changes."""
        return frozenset()


class Loop(Phase):
    """A phase with a body; each kind declares it among its own fields."""

    body: Body

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return self.body.arrays(self.body.read) | self.body.indices

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return self.body.arrays(self.body.written)


@dataclass(frozen=True)
class ForEach(Loop):
    """Run the body for each of ``size`` elements (refs: ELEMENT, SCALAR)."""

    size: int
    body: Body


@dataclass(frozen=True)
class ForEachEvent(Loop):
    """Run the body for each neuron that spiked in this step (refs: ELEMENT, SCALAR)."""

    events: str
    body: Body

    def hears(self) -> frozenset[str]:
        """See :meth:`Phase.hears`."""
        return frozenset({self.events})


@dataclass(frozen=True)
class Detect(Loop):
    """Run the body for each element; those where its local ``_cond`` holds are this step's events.

    The names in ``on_event`` are BOOL refs set to False, or REAL/DOUBLE refs set to ``t``,
    for the elements detected (Brian2's ``not_refractory`` and ``lastspike``).
    """

    CONDITION: ClassVar[str] = "_cond"

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


@dataclass(frozen=True)
class Feed(Phase):
    """Make the spikes that the input stream has for this step the events of this step."""

    stream: str
    events: str

    def fills(self) -> frozenset[str]:
        """See :meth:`Phase.fills`."""
        return frozenset({self.events})


class SynapticLoop(Loop):
    """A phase that goes through synapses, row by row (refs: SOURCE, TARGET, SYNAPSE, SCALAR).

    A row is the synapses of one neuron of ``side``. Where a synapse may meet what another one
    writes, they come one after the other: rows by ascending neuron, those of a row by ascending
    neighbour. A body that only adds to that neuron does not ask for it.
    """

    connectivity: str
    side: Side


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
    formed : str, optional
        INT array with, for each synapse, the step in which it was formed: it does not meet the
        events of earlier steps.
    """

    events: str
    connectivity: str
    body: Body
    delay: int | str = 0
    side: Side = Side.SOURCE
    formed: str | None = None

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        tables = {self.delay} if isinstance(self.delay, str) else set()
        return super().reads() | tables | ({self.formed} if self.formed else set())

    def hears(self) -> frozenset[str]:
        """See :meth:`Phase.hears`."""
        return frozenset({self.events})


@dataclass(frozen=True)
class ForEachSynapse(SynapticLoop):
    """Run the body for each synapse, row by row."""

    connectivity: str
    body: Body
    side: Side = Side.SOURCE


class Reduction(Enum):
    """How values are combined."""

    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True)
class Reduce(Loop):
    """Combine the body's local ``_value`` over ``size`` elements into element 0 of ``into``.

    ``into`` is a REAL array of size 1 of the sweep's own; the result replaces it.
    """

    VALUE: ClassVar[str] = "_value"

    size: int
    operation: Reduction
    body: Body
    into: str

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return super().writes() | {self.into}


@dataclass(frozen=True)
class Clear(Phase):
    """Set every slot and element of arrays to zero, and forget every event of buffers."""

    arrays: tuple[str, ...] = ()
    events: tuple[str, ...] = ()

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return frozenset(self.arrays)

    def fills(self) -> frozenset[str]:
        """See :meth:`Phase.fills`."""
        return frozenset(self.events)
