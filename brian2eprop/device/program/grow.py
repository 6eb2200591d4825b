"""Connectivities whose number of synapses changes, and their tables from the targets' side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from brian2eprop.device.program.arrays import Access, Array, DType, Over
from brian2eprop.device.program.body import Body, Domain, Index
from brian2eprop.device.program.connectivity import Sparse
from brian2eprop.device.program.draws import Draw
from brian2eprop.device.program.phase import Kind, Loop, Phase, Side
from brian2eprop.device.program.program import Program


@dataclass(frozen=True)
class Grow(Loop):
    """Take marked synapses away, and form others at empty places, at each by itself.

    Each place that is empty once the marked synapses are gone takes one if the body's local
    ``_taken`` holds (refs: SOURCE, TARGET, SCALAR). If there is no room for so many, nothing is
    done, and the array ``needed`` says how many there would be. All places are gone through.

    Parameters
    ----------
    label
        See the class.
    connectivity : str
        A sparse one, without repeated pairs.
    body : Body
        Which places are taken.
    owner : str
        Who draws what the body draws: a place's numbers are those of ``source*n_target + target``.
    """

    TAKEN: ClassVar[str] = "_taken"
    scores: ClassVar[None] = None

    connectivity: str
    body: Body
    owner: str

    def part(self, name: str) -> str:
        """Name of one of its arrays; those of a :class:`Rewire`, and ``needed``."""
        return f"{self.connectivity}:rewire:{name}"

    def arrays(self, found: Sparse) -> tuple[Array, ...]:
        """Its arrays for a connectivity."""
        sizes = dict.fromkeys(("origin", "kept", "before"), found.size)
        sizes |= {"start": found.n_source + 1, "grown": found.n_source, "needed": 1, "formed": 1}
        marks = Array(self.part("marks"), DType.BOOL, found.size, Access.SHARED)
        integers = (
            Array(self.part(name), DType.INT, size, Access.SHARED) for name, size in sizes.items()
        )
        return marks, *integers

    def _names(self) -> frozenset[str]:
        names = ("marks", "origin", "kept", "before", "start", "grown", "needed", "formed")
        return frozenset(map(self.part, names)) | {
            f"{self.connectivity}:row",
            f"{self.connectivity}:target",
        }

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return super().reads() | self._names()

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return super().writes() | self._names()

    def own(self, array: str) -> bool:
        """See :meth:`Phase.own`."""
        return False

    def drawn(self) -> Iterator[Draw]:
        """See :meth:`Loop.drawn`."""
        yield from self.body.draws.values()

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        yield from super().names()
        yield Kind.CONNECTIVITY, self.connectivity
        yield from ((Kind.ARRAY, name) for name in sorted(self._names()))

    def longest(self, program: Program) -> int:
        """See :meth:`Phase.longest`."""
        return program.find_connectivity(self.connectivity).n_source

    def domain(self, program: Program) -> Domain:
        """See :meth:`Loop.domain`."""
        found = program.find_connectivity(self.connectivity)
        sizes = {Index.SOURCE: found.n_source, Index.TARGET: found.n_target}
        return Domain(sizes, self.TAKEN)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        yield from _faults(program, over, self.connectivity)
        found = program.find_connectivity(self.connectivity)
        for array in self.arrays(found) if isinstance(found, Sparse) else ():
            if program.all_arrays()[array.name] != array:
                yield f"array '{array.name}' is not what it needs; declare those of arrays()"


@dataclass(frozen=True)
class Transpose(Phase):
    """Derive the tables of a sparse connectivity that loops from the targets' side go through.

    Parameters
    ----------
    label
        See the class.
    connectivity : str
        The connectivity.
    """

    connectivity: str

    def arrays(self, found: Sparse) -> tuple[Array, ...]:
        """Its arrays for a connectivity, the tables that it derives among them."""
        known = {table.name for table in found.tables(())}
        derived = (t for t in found.tables({Side.TARGET}) if t.name not in known)
        end = Array(self.end, DType.INT, found.n_target, Access.SHARED)
        return *derived, end

    @property
    def end(self) -> str:
        """The array with how far each target's entries are filled."""
        return f"{self.connectivity}:rewire:end"

    def _tables(self, *names: str) -> frozenset[str]:
        return frozenset(f"{self.connectivity}:{name}" for name in names)

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return self._tables("row", "target") | self.writes()

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return self._tables("column", "source", "synapse") | {self.end}

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        yield from super().names()
        yield Kind.CONNECTIVITY, self.connectivity
        yield from ((Kind.ARRAY, name) for name in sorted(self.reads()))

    def longest(self, program: Program) -> int:
        """See :meth:`Phase.longest`."""
        found = program.find_connectivity(self.connectivity)
        return max(found.n_source, found.n_target)

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        return _faults(program, over, self.connectivity)


def _faults(program: Program, over: Over, connectivity: str) -> Iterable[str]:
    found = program.find_connectivity(connectivity)
    if over is not Over.SHARED:
        yield "connections are shared; put it into a sweep over what is shared"
    if not isinstance(found, Sparse) or found.repeats:
        yield (
            f"connectivity '{found.name}' has no places that are empty or taken; make it sparse, "
            "and no pair twice"
        )
