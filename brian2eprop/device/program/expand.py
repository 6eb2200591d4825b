"""Synapses that are made of a rule: where they are, and what each of them has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from brian2eprop.device.program.arrays import Access, Array, DType, Over
from brian2eprop.device.program.body import Body, Domain, Index
from brian2eprop.device.program.draws import Distribution, Draw
from brian2eprop.device.program.phase import Kind, Loop
from brian2eprop.device.program.program import Program
from brian2eprop.device.program.rules import Rule


@dataclass(frozen=True)
class _Rows(Loop):
    """A loop over rows of synapses, each met from its beginning to its end by one thread.

    How many rows there are is an array's, and so is all else that differs between two networks
    of one kind: they are one kernel.

    Parameters
    ----------
    label
        See the class.
    synapses : str
        Name of the synapses, by which its arrays are called.
    n_source, n_target : int
        Sizes of the two populations.
    body : Body
        What is done.
    """

    spreads: ClassVar[bool] = True

    synapses: str
    n_source: int
    n_target: int
    body: Body

    def part(self, name: str) -> str:
        """Name of one of its arrays: ``row`` and ``target`` are those of a ``Sparse``."""
        return f"{self.synapses}:{name}"

    def own(self, array: str) -> bool:
        """See :meth:`Phase.own`."""
        return False

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        yield from super().names()
        yield from ((Kind.ARRAY, name) for name in sorted(self.reads() | self.writes()))

    def longest(self, program: Program) -> int:
        """See :meth:`Phase.longest`."""
        return self.n_source

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        if over is not Over.SHARED:
            yield "connections are shared; put it into a sweep over what is shared"


@dataclass(frozen=True)
class Expand(_Rows):
    """Make the rows of a rule: first how many synapses each has, then their targets.

    A candidate of the rule is a synapse if the body's local ``_taken`` holds (refs: SOURCE,
    TARGET, SCALAR). It draws by the number of its place, row by row, both counted from the first
    neurons of the rule's ranges on.

    Parameters
    ----------
    label, synapses, n_source, n_target, body
        See the class.
    rule : Rule
        The rule.
    owner : str
        Who draws the numbers of the rows.
    counting : bool
        Whether the size of each row is written to ``number``; if not, ``row`` says where rows lie,
        and ``target`` is filled.
    """

    TAKEN: ClassVar[str] = "_taken"

    rule: Rule
    owner: str
    counting: bool

    @property
    def numbers(self) -> Draw:
        """The draw by which rows draw; the words of a row are counted by its number."""
        return Draw(Distribution.UNIFORM, f"{self.owner}:rows", 0, DType.DOUBLE)

    def drawn(self) -> Iterator[Draw]:
        """See :meth:`Loop.drawn`."""
        yield self.numbers
        yield from super().drawn()

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        starts = set() if self.counting else {self.part("row")}
        return super().reads() | {self.part("ranges"), self.part("scale")} | starts

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return frozenset({self.part("number" if self.counting else "target")})

    def arrays(self, size: int) -> tuple[Array, ...]:
        """Its arrays for a number of synapses, those of the body apart."""
        sizes = {"ranges": 4} | (
            {"number": self.n_source}
            if self.counting
            else {"row": self.n_source + 1, "target": size}
        )
        scale = Array(self.part("scale"), DType.DOUBLE, 1, Access.SHARED)
        return scale, *(
            Array(self.part(name), DType.INT, n, Access.SHARED) for name, n in sizes.items()
        )

    def domain(self, program: Program) -> Domain:
        """See :meth:`Loop.domain`."""
        sizes = {Index.SOURCE: self.n_source, Index.TARGET: self.n_target}
        return Domain(sizes, self.TAKEN)


@dataclass(frozen=True)
class Assign(_Rows):
    """Do something for each synapse, row by row (refs: SYNAPSE, SOURCE, TARGET, SCALAR).

    Parameters
    ----------
    label, synapses, n_source, n_target, body
        See the class.
    size : int
        Number of synapses.
    """

    size: int

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return super().reads() | {self.part("row"), self.part("target"), self.part("ranges")}

    def domain(self, program: Program) -> Domain:
        """See :meth:`Loop.domain`."""
        sizes = {
            Index.SOURCE: self.n_source,
            Index.TARGET: self.n_target,
            Index.SYNAPSE: self.size,
        }
        return Domain(sizes)
