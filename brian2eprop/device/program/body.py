"""Bodies: what happens for each element of a phase's loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from brian2eprop.device.program.arrays import Slots
from brian2eprop.device.program.assignments import Assignment, assignments, fits
from brian2eprop.device.program.clocks import Clock
from brian2eprop.device.program.draws import Draw
from brian2eprop.device.program.foreign import Foreign
from brian2eprop.device.program.timed import Timed


class Index(Enum):
    """Which element of an array a name in a body stands for."""

    SCALAR = "scalar"  # element 0
    ELEMENT = "element"  # the element of the loop, or the neuron of the event
    SOURCE = "source"  # presynaptic neuron
    TARGET = "target"  # postsynaptic neuron
    SYNAPSE = "synapse"  # synapse, counted in the connectivity's order
    ENTRY = "entry"  # what the event in hand leaves in a log (Record)


class At(Enum):
    """A step that is no fixed number of steps away."""

    SENT = "sent"  # the step in which the event in hand was an event (Propagate)


@dataclass(frozen=True)
class Ref:
    """What a name in a body stands for: one element of one array, at one step.

    Parameters
    ----------
    array : str
        Name of the array.
    index : Index
        Which element.
    offset : int or At
        Step offset of the slot, for arrays with slots: -1 is the step before this one.
    via : str, optional
        Name of a SHARED INT array that maps the index to the element.
    """

    array: str
    index: Index
    offset: int | At = 0
    via: str | None = None


Number = bool | int | float


@dataclass(frozen=True)
class Body:
    r"""What happens for each element: Brian2 abstract code, one assignment a line.

    Assigned names that are no refs are locals. The names ``t`` (time at the start of the
    step, in seconds), ``dt`` and ``step`` are always there. One line is done after the other: a
    neuron that has a synapse onto itself is one element with two names.

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
    draws : mapping of str to Draw
        The names that stand for random numbers.
    timed : mapping of str to Timed
        The functions of time that it calls besides those of every body.
    foreign : mapping of str to Foreign
        The functions of the model's maker that it calls.
    times : mapping of str to Clock
        The names that stand for the time of another clock: when its first step begins that is
        not before the step in hand, in seconds.
    """

    code: str
    refs: Mapping[str, Ref] = field(default_factory=dict)
    constants: Mapping[str, Number] = field(default_factory=dict)
    guards: Mapping[str, str] = field(default_factory=dict)
    draws: Mapping[str, Draw] = field(default_factory=dict)
    timed: Mapping[str, Timed] = field(default_factory=dict)
    foreign: Mapping[str, Foreign] = field(default_factory=dict)
    times: Mapping[str, Clock] = field(default_factory=dict)

    @cached_property
    def lines(self) -> tuple[Assignment, ...]:
        """The code's assignments in order.

        Raises
        ------
        ValueError
            If a line is no assignment, or uses what bodies do not have.
        """
        return assignments(self.code)

    @cached_property
    def written(self) -> frozenset[str]:
        """The names of the refs that the body writes."""
        return frozenset(line.target for line in self.lines) & self.refs.keys()

    @cached_property
    def assigned(self) -> frozenset[str]:
        """The names of the refs that the body sets, whatever was there."""
        plain = frozenset(line.target for line in self.lines if not line.operator)
        return (plain & self.written) - self.guards.keys()

    @cached_property
    def read(self) -> frozenset[str]:
        """The names of the refs whose value before the body matters to it.

        A ref that is only added to is not read: nobody sees its value before the sum is done.
        """
        used = set(self.guards.values())
        set_before: set[str] = set()
        for line in self.lines:
            kept = {line.target} if line.operator not in ("", "Add") else set()
            used |= (line.names | kept) - set_before
            if not line.operator and line.target not in self.guards:
                set_before.add(line.target)
        return frozenset(used & self.refs.keys())

    @cached_property
    def wide(self) -> bool:
        """Whether it computes with integers that do not fit into 32 bits."""
        wide = any(not fits(value, 32) for value in self.constants.values())
        return wide or any(line.wide for line in self.lines)

    def arrays(self, names: Iterable[str]) -> frozenset[str]:
        """The arrays that some of its refs stand for."""
        return frozenset(self.refs[name].array for name in names)

    @property
    def functions(self) -> Mapping[str, Timed | Foreign]:
        """The functions that it may call besides those of every body."""
        return {**self.timed, **self.foreign}

    @property
    def looked_up(self) -> frozenset[str]:
        """The arrays that it reads at elements which it computes."""
        return frozenset(timed.array for timed in self.timed.values())

    @property
    def indices(self) -> frozenset[str]:
        """The arrays of indices that its refs go via."""
        return frozenset(ref.via for ref in self.refs.values() if ref.via is not None)


@dataclass(frozen=True)
class Domain:
    """What a phase offers its body.

    Parameters
    ----------
    sizes : mapping of Index to int
        The kinds of indices it has besides SCALAR, and the size of the arrays they fit.
    result : str, optional
        The local that the body must assign.
    sent : Slots, optional
        The slots of the events that are met, where there are some: how far back ``SENT`` may be.
    """

    sizes: Mapping[Index, int]
    result: str | None = None
    sent: Slots | None = None
