"""Connectivities that change: which synapses go, and where others are formed in their stead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from brian2eprop.device.program.arrays import Access, Array, DType, Over
from brian2eprop.device.program.body import Body, Domain, Index
from brian2eprop.device.program.connectivity import Sparse
from brian2eprop.device.program.draws import Distribution, Draw
from brian2eprop.device.program.phase import Kind, Loop, Phase
from brian2eprop.device.program.program import Program


@dataclass(frozen=True)
class Choose(Phase):
    """Mark the greatest elements of an array; of equal ones those that come first.

    Parameters
    ----------
    label
        See the class.
    values : str
        REAL and shared.
    number : str
        INT, shared and of size 1: how many are marked.
    marks : str
        BOOL, shared and of the same size: True for those, False for the others.
    """

    values: str
    number: str
    marks: str

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return frozenset({self.values, self.number})

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return frozenset({self.marks})

    def sets(self) -> frozenset[str]:
        """See :meth:`Phase.sets`."""
        return self.writes()

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        named = (self.values, self.number, self.marks)
        return *super().names(), *((Kind.ARRAY, name) for name in named)

    def longest(self, program: Program) -> int:
        """See :meth:`Phase.longest`."""
        return program.all_arrays()[self.values].size

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        values, number, marks = (
            program.all_arrays()[name] for name in (self.values, self.number, self.marks)
        )
        if over is not Over.SHARED:
            yield "it is done for what is shared; put it into a sweep over that"
        if (values.dtype, values.access) != (DType.REAL, Access.SHARED):
            yield f"array '{values.name}' cannot be chosen from; make it REAL and shared"
        if (marks.dtype, marks.access, marks.size) != (DType.BOOL, Access.SHARED, values.size):
            yield (
                f"array '{marks.name}' cannot hold the marks; make it BOOL, shared and of size "
                f"{values.size}"
            )
        if (number.dtype, number.access, number.size) != (DType.INT, Access.SHARED, 1):
            yield f"array '{number.name}' cannot hold a number; make it INT, shared and of size 1"


@dataclass(frozen=True)
class Rewire(Loop):
    """Take marked synapses away and form as many others.

    Candidates are places that are empty once the marked synapses are gone, each drawn uniformly
    among all of these; one is taken if the body's local ``_taken`` holds (refs: SOURCE, TARGET,
    SCALAR). As many are drawn as synapses are missing, again and again; one that is drawn twice
    is taken once. After ``ROUNDS`` times what is still missing is formed where synapses have just
    been taken away, the first of these first.

    With ``scores`` nothing is drawn: all of those places are candidates, and of those that the
    body takes the ones are formed whose score is greatest, of equal ones the first.

    Parameters
    ----------
    label
        See the class.
    connectivity : str
        A sparse one, without repeated pairs.
    body : Body
        Which candidates are taken.
    owner : str
        Who draws the candidates.
    scores : str, optional
        REAL and shared, one for each place, row by row: numbers from 0 up, which are spent.
    """

    TAKEN: ClassVar[str] = "_taken"
    ROUNDS: ClassVar[int] = 1000

    connectivity: str
    body: Body
    owner: str
    scores: str | None = None

    @property
    def place(self) -> Draw:
        """The place that is drawn for a candidate: its number among those that are empty."""
        return Draw(Distribution.UNIFORM, f"{self.owner}:place", 0, DType.DOUBLE)

    def drawn(self) -> Iterator[Draw]:
        """See :meth:`Loop.drawn`."""
        if self.scores is None:
            yield self.place
        yield from super().drawn()

    def part(self, name: str) -> str:
        """Name of one of its arrays.

        ``marks`` (BOOL) says which synapses go and, afterwards, which have been formed;
        ``origin`` (INT) which synapse each one was before, where it was there; ``stuck`` (INT, of
        size 1) counts those formed for want of another place, and ``formed`` all. The others are
        its own.
        """
        return f"{self.connectivity}:rewire:{name}"

    def arrays(self, found: Sparse) -> tuple[Array, ...]:
        """Its arrays for a connectivity."""
        sizes = dict.fromkeys(("origin", "kept", "before", "node", "next", "i", "j"), found.size)
        sizes |= {
            "start": found.n_source + 1,
            "head": found.n_source,
            "count": 1,
            "stuck": 1,
            "formed": 1,
        }
        sizes |= {} if self.scores is None else {"tied": found.n_source + 1}
        marks = Array(self.part("marks"), DType.BOOL, found.size, Access.SHARED)
        integers = (
            Array(self.part(name), DType.INT, size, Access.SHARED) for name, size in sizes.items()
        )
        return marks, *integers

    def _names(self) -> frozenset[str]:
        names = ["marks", "origin", "kept", "before", "node", "next", "i", "j"]
        names += ["start", "head", "count", "stuck", "formed"]
        scored = () if self.scores is None else (self.scores, self.part("tied"))
        tables = (f"{self.connectivity}:row", f"{self.connectivity}:target")
        return frozenset((*map(self.part, names), *scored, *tables))

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return super().reads() | self._names()

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return super().writes() | self._names()

    def own(self, array: str) -> bool:
        """See :meth:`Phase.own`."""
        return False

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        yield from super().names()
        yield Kind.CONNECTIVITY, self.connectivity
        yield from ((Kind.ARRAY, name) for name in sorted(self._names()))

    def longest(self, program: Program) -> int:
        """See :meth:`Phase.longest`."""
        found = program.find_connectivity(self.connectivity)
        return max(found.n_source, found.n_synapses)

    def domain(self, program: Program) -> Domain:
        """See :meth:`Loop.domain`."""
        found = program.find_connectivity(self.connectivity)
        sizes = {Index.SOURCE: found.n_source, Index.TARGET: found.n_target}
        return Domain(sizes, self.TAKEN)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        found = program.find_connectivity(self.connectivity)
        if over is not Over.SHARED:
            yield "connections are shared; put it into a sweep over what is shared"
        if not isinstance(found, Sparse) or found.repeats:
            yield (
                f"connectivity '{found.name}' has no places that are empty or taken; make it "
                f"sparse, and no pair twice"
            )
            return
        for array in self.arrays(found):
            if program.all_arrays()[array.name] != array:
                yield f"array '{array.name}' is not what it needs; declare those of arrays()"
        if self.scores is not None:
            yield from self._score_faults(program.all_arrays()[self.scores], found)

    def _score_faults(self, scores: Array, found: Sparse) -> Iterable[str]:
        places = found.n_source * found.n_target
        if (scores.dtype, scores.access, scores.size) != (DType.REAL, Access.SHARED, places):
            yield (
                f"array '{scores.name}' cannot score places; make it REAL, shared and of size "
                f"{places}"
            )
