"""The Program: what a network does, step by step, and nothing of how a machine does it.

A Program is a list of sweeps over time; a sweep is a list of phases; a phase is a parallel
loop whose body is a few lines of Brian2 abstract code. The same few parts make a network's
forward run, the backward run of a learning rule, and an optimiser's update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

import numpy as np


class DType(Enum):
    """Type of an array's elements; ``REAL`` is the precision the Program is compiled for."""

    REAL = "real"
    DOUBLE = "double"
    INT = "int32"
    BOOL = "bool"


class Precision(Enum):
    """Precision of the REAL arrays."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type."""
        return np.dtype(self.value)


class Access(Enum):
    """Who owns an array's elements.

    SHARED
        One copy, read by every instance. Written only in the ELEMENTWISE layout.
    PER_INSTANCE
        One copy an instance, kept between calls.
    SCRATCH
        One copy a worker (a CPU thread, a GPU block), reused from instance to instance:
        zero when allocated, otherwise whatever the previous instance left. For state that
        nobody reads after the instance is done.
    ACCUMULATED
        Shared; each call sets it to the sum of what all instances added (``+=`` only).
    """

    SHARED = "shared"
    PER_INSTANCE = "per instance"
    SCRATCH = "scratch"
    ACCUMULATED = "accumulated"


class Layout(Enum):
    """How a Program is spread over a machine."""

    PER_INSTANCE = "per instance"
    ELEMENTWISE = "elementwise"


class Direction(Enum):
    """How a sweep walks through the steps of a call."""

    ONCE = "once"
    FORWARD = "forward"
    BACKWARD = "backward"


class Index(Enum):
    """Which element of an array a name in a body stands for."""

    SCALAR = "scalar"  # element 0
    ELEMENT = "element"  # the element of the loop, or the neuron of the event
    SOURCE = "source"  # presynaptic neuron
    TARGET = "target"  # postsynaptic neuron
    SYNAPSE = "synapse"  # synapse, counted in the connectivity's order


@dataclass(frozen=True)
class Slots:
    """Time slots of an array or an event buffer: step ``s`` lies in slot ``s mod depth``.

    Parameters
    ----------
    history : int
        How many earlier (or, going backward, later) steps must stay readable.
    kept : bool
        Whether every step of a call stays readable until, and after, the call's end.
    """

    history: int = 0
    kept: bool = False

    def depth(self, n_steps: int) -> int:
        """Number of slots for calls of at most ``n_steps`` steps."""
        return self.history + (max(n_steps, 1) if self.kept else 1)


@dataclass(frozen=True)
class Array:
    """A named array: ``(size,)`` if shared, else ``(instances or workers, [depth,] size)``."""

    name: str
    dtype: DType
    size: int
    access: Access
    slots: Slots | None = None


@dataclass(frozen=True)
class Events:
    """A buffer of spikes: for each slot a count and up to ``size`` ascending indices.

    It is stored as two INT arrays, ``<name>:count`` (size 1) and ``<name>:index`` (size
    ``size``), with the given access and slots; see :meth:`arrays`.
    """

    name: str
    size: int
    access: Access
    slots: Slots

    @property
    def count(self) -> str:
        """Name of the array of counts."""
        return f"{self.name}:count"

    @property
    def index(self) -> str:
        """Name of the array of indices."""
        return f"{self.name}:index"

    def arrays(self) -> tuple[Array, Array]:
        """The two arrays the buffer is stored in."""
        return (
            Array(self.count, DType.INT, 1, self.access, self.slots),
            Array(self.index, DType.INT, self.size, self.access, self.slots),
        )


class ConnectivityKind(Enum):
    """How the targets of a source are found."""

    DENSE = "dense"
    SPARSE = "sparse"


@dataclass(frozen=True)
class Connectivity:
    """The synapses from one population to another, ordered by source.

    DENSE: synapse ``i * n_target + j``, every pair; or, with ``diagonal=False`` (square
    only), every pair but ``i == j``, counted without gaps: ``i * (n - 1) + j - (j > i)``.
    SPARSE: synapses ``row[i] .. row[i + 1]`` of source ``i`` have the targets
    ``target[row[i]] ..``; both are SHARED INT arrays of the Program (``<name>:row`` of size
    ``n_source + 1``, ``<name>:target`` of size ``n_synapses``).
    """

    name: str
    kind: ConnectivityKind
    n_source: int
    n_target: int
    n_synapses: int
    diagonal: bool = True
    unique: bool = True  # no (source, target) pair twice

    @property
    def row(self) -> str:
        """Name of the array of row starts (SPARSE)."""
        return f"{self.name}:row"

    @property
    def target(self) -> str:
        """Name of the array of targets (SPARSE)."""
        return f"{self.name}:target"

    def arrays(self) -> tuple[Array, ...]:
        """The arrays the connectivity is stored in."""
        if self.kind is ConnectivityKind.DENSE:
            return ()
        return (
            Array(self.row, DType.INT, self.n_source + 1, Access.SHARED),
            Array(self.target, DType.INT, self.n_synapses, Access.SHARED),
        )


@dataclass(frozen=True)
class Ref:
    """What a name in a body stands for: one element of one array, at one step.

    Parameters
    ----------
    array : str
        Name of the array.
    index : Index
        Which element.
    offset : int
        Step offset of the slot, for arrays with slots: -1 is the step before this one.
    via : str, optional
        Name of a SHARED INT array that maps the index to the element.
    """

    array: str
    index: Index
    offset: int = 0
    via: str | None = None


Number = bool | int | float


@dataclass(frozen=True)
class Body:
    r"""What happens for each element: Brian2 abstract code, one assignment a line.

    Assigned names that are no refs are locals. The names ``t`` (time at the start of the
    step, in seconds), ``dt`` and ``step`` are always there. Refs are read when the body starts
    and written when it ends, as in Brian2: two names of one element do not see each other's
    new value.

    Parameters
    ----------
    code : str
        Abstract code without subexpressions, e.g. ``"_v = v*exp(-dt/tau)\nv = _v"``.
    refs : mapping of str to Ref
        The names that stand for array elements.
    constants : mapping of str to number
        The names that stand for numbers in SI units; their values are no part of the
        generated source.
    guards : mapping of str to str
        Conditional writes: refs whose assignments count only where another (boolean) ref
        holds at that line; elsewhere they keep their value, for later lines as well.
    """

    code: str
    refs: Mapping[str, Ref] = field(default_factory=dict)
    constants: Mapping[str, Number] = field(default_factory=dict)
    guards: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ForEach:
    """Run the body for each of ``size`` elements (refs: ELEMENT, SCALAR)."""

    label: str
    size: int
    body: Body


@dataclass(frozen=True)
class ForEachEvent:
    """Run the body for each neuron that spiked in this step (refs: ELEMENT, SCALAR)."""

    label: str
    events: str
    body: Body


@dataclass(frozen=True)
class Detect:
    """Run the body for each element; those where its local ``_cond`` holds are this step's events.

    The names in ``on_event`` are BOOL refs set to False, or REAL/DOUBLE refs set to ``t``,
    for the elements detected (Brian2's ``not_refractory`` and ``lastspike``).
    """

    CONDITION: ClassVar[str] = "_cond"

    label: str
    size: int
    events: str
    body: Body
    on_event: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feed:
    """Make the spikes that the input stream has for this step the events of this step."""

    label: str
    stream: str
    events: str


@dataclass(frozen=True)
class Propagate:
    """For each event of step ``step + offset`` run the body for each of its synapses.

    Refs: SOURCE, TARGET, SYNAPSE, SCALAR. For one target the events come in ascending order.
    """

    label: str
    events: str
    connectivity: str
    body: Body
    offset: int = 0


@dataclass(frozen=True)
class ForEachSynapse:
    """Run the body for each synapse, source by source (refs as in Propagate)."""

    label: str
    connectivity: str
    body: Body


class Reduction(Enum):
    """How values are combined."""

    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True)
class Reduce:
    """Combine the body's local ``_value`` over ``size`` elements into element 0 of ``into``.

    ``into`` is a REAL array of size 1, PER_INSTANCE or SCRATCH; the result replaces it.
    """

    VALUE: ClassVar[str] = "_value"

    label: str
    size: int
    operation: Reduction
    body: Body
    into: str


@dataclass(frozen=True)
class Clear:
    """Set every slot and element of the instance's (or worker's) arrays to zero."""

    label: str
    arrays: tuple[str, ...]


Phase = ForEach | ForEachEvent | Detect | Feed | Propagate | ForEachSynapse | Reduce | Clear


@dataclass(frozen=True)
class Sweep:
    """Phases run once, or for each step of the call in order or in reverse order."""

    direction: Direction
    phases: tuple[Phase, ...]


@dataclass(frozen=True)
class Stream:
    """Input spikes of one population, given to a call; see ``backends.base.SpikeStream``."""

    name: str
    size: int


@dataclass(frozen=True)
class Program:
    """A whole computation: its arrays and its sweeps.

    Arrays of event buffers and connectivities are declared by these and not listed again.
    """

    name: str
    dt: float
    arrays: tuple[Array, ...]
    sweeps: tuple[Sweep, ...]
    events: tuple[Events, ...] = ()
    connectivities: tuple[Connectivity, ...] = ()
    streams: tuple[Stream, ...] = ()
    layout: Layout = Layout.PER_INSTANCE

    def all_arrays(self) -> dict[str, Array]:
        """Every array by name, those of events and connectivities included."""
        found = list(self.arrays)
        for buffer in self.events:
            found += buffer.arrays()
        for connectivity in self.connectivities:
            found += connectivity.arrays()
        return {array.name: array for array in found}

    def phases(self) -> Iterator[Phase]:
        """Every phase of every sweep in order."""
        for sweep in self.sweeps:
            yield from sweep.phases

    def find_events(self, name: str) -> Events:
        """The event buffer of that name."""
        return next(buffer for buffer in self.events if buffer.name == name)

    def find_connectivity(self, name: str) -> Connectivity:
        """The connectivity of that name."""
        return next(found for found in self.connectivities if found.name == name)
