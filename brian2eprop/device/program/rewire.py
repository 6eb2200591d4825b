"""Connectivities that change: which synapses go, and where others are formed in their stead."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
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


Size = Callable[[Sparse], int]


def _each(found: Sparse) -> int:
    return found.size


def _rows(found: Sparse) -> int:
    return found.n_source


def _bounds(found: Sparse) -> int:
    return found.n_source + 1


def _one(found: Sparse) -> int:
    return 1


# Where synapses are once the marked ones are gone, and how many have been formed in all.
KEPT: Mapping[str, Size] = {
    "origin": _each,
    "kept": _each,
    "before": _each,
    "start": _bounds,
    "formed": _one,
}


@dataclass(frozen=True)
class Forming(Loop):
    """Take marked synapses away and form others at empty places.

    Parameters
    ----------
    label
        See the class.
    connectivity : str
        A sparse one, without repeated pairs.
    body : Body
        Which places are taken: those for which its local ``_taken`` holds (refs: SOURCE, TARGET,
        SCALAR).
    owner : str
        Who draws what is drawn.
    """

    TAKEN: ClassVar[str] = "_taken"

    connectivity: str
    body: Body
    owner: str

    @abstractmethod
    def integers(self) -> Mapping[str, Size]:
        """Its own INT arrays, each with how large it is for a connectivity."""

    def part(self, name: str) -> str:
        """Name of one of its arrays.

        ``marks`` (BOOL) says which synapses go and, afterwards, which have been formed;
        ``origin`` which synapse each one was before, where it was there; ``formed`` counts those
        formed in all.
        """
        return f"{self.connectivity}:rewire:{name}"

    def arrays(self, found: Sparse) -> tuple[Array, ...]:
        """Its arrays for a connectivity."""
        marks = Array(self.part("marks"), DType.BOOL, found.size, Access.SHARED)
        integers = (
            Array(self.part(name), DType.INT, size(found), Access.SHARED)
            for name, size in self.integers().items()
        )
        return marks, *integers

    def met(self) -> frozenset[str]:
        """All arrays that it reads and writes, those of the body apart."""
        tables = (f"{self.connectivity}:row", f"{self.connectivity}:target")
        return frozenset((self.part("marks"), *map(self.part, self.integers()), *tables))

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return super().reads() | self.met()

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return super().writes() | self.met()

    def own(self, array: str) -> bool:
        """See :meth:`Phase.own`."""
        return False

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        yield from super().names()
        yield Kind.CONNECTIVITY, self.connectivity
        yield from ((Kind.ARRAY, name) for name in sorted(self.met()))

    def domain(self, program: Program) -> Domain:
        """See :meth:`Loop.domain`."""
        found = program.find_connectivity(self.connectivity)
        sizes = {Index.SOURCE: found.n_source, Index.TARGET: found.n_target}
        return Domain(sizes, self.TAKEN)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        yield from place_faults(program, over, self.connectivity)
        found = program.find_connectivity(self.connectivity)
        for array in self.arrays(found) if isinstance(found, Sparse) else ():
            if program.all_arrays()[array.name] != array:
                yield f"array '{array.name}' is not what it needs; declare those of arrays()"


def place_faults(program: Program, over: Over, connectivity: str) -> Iterable[str]:
    """What keeps a phase from changing where the synapses of a connectivity are."""
    found = program.find_connectivity(connectivity)
    if over is not Over.SHARED:
        yield "connections are shared; put it into a sweep over what is shared"
    if not isinstance(found, Sparse) or found.repeats:
        yield (
            f"connectivity '{found.name}' has no places that are empty or taken; make it sparse, "
            "and no pair twice"
        )


@dataclass(frozen=True)
class Rewire(Forming):
    """Take marked synapses away and form as many others.

    Candidates are places that are empty once the marked synapses are gone, each drawn uniformly
    among all of these; one is taken if the body's local ``_taken`` holds. As many are drawn as
    synapses are missing, again and again; one that is drawn twice is taken once. After ``ROUNDS``
    times what is still missing is formed where synapses have just been taken away, the first of
    these first; the array ``stuck`` counts those.

    With ``scores`` nothing is drawn: all of those places are candidates, and of those that the
    body takes the ones are formed whose score is greatest, of equal ones the first.

    Parameters
    ----------
    label, connectivity, body, owner
        See :class:`Forming`.
    scores : str, optional
        REAL and shared, one for each place, row by row: numbers from 0 up, which are spent.
    """

    ROUNDS: ClassVar[int] = 1000

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

    def integers(self) -> Mapping[str, Size]:
        """See :meth:`Forming.integers`."""
        lists = dict.fromkeys(("node", "next", "i", "j"), _each) | {"head": _rows, "count": _one}
        tied = {} if self.scores is None else {"tied": _bounds}
        return {**KEPT, **lists, "stuck": _one, **tied}

    def met(self) -> frozenset[str]:
        """See :meth:`Forming.met`."""
        return super().met() | ({self.scores} if self.scores is not None else set())

    def longest(self, program: Program) -> int:
        """See :meth:`Phase.longest`."""
        found = program.find_connectivity(self.connectivity)
        return max(found.n_source, found.n_synapses)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        yield from super().faults(program, over)
        found = program.find_connectivity(self.connectivity)
        if self.scores is not None:
            places = found.n_source * found.n_target
            scores = program.all_arrays()[self.scores]
            if (scores.dtype, scores.access, scores.size) != (DType.REAL, Access.SHARED, places):
                yield (
                    f"array '{scores.name}' cannot score places; make it REAL, shared and of size "
                    f"{places}"
                )


@dataclass(frozen=True)
class Grow(Forming):
    """Take marked synapses away, and form others at empty places, at each by itself.

    If there is no room for so many, nothing is done, and the array ``needed`` says how many there
    would be. All places are gone through; a place's numbers are those of ``source*n_target +
    target``.

    Parameters
    ----------
    label, connectivity, body, owner
        See :class:`Forming`.
    """

    def integers(self) -> Mapping[str, Size]:
        """See :meth:`Forming.integers`."""
        return {**KEPT, "grown": _rows, "needed": _one}

    def longest(self, program: Program) -> int:
        """See :meth:`Phase.longest`."""
        return program.find_connectivity(self.connectivity).n_source
