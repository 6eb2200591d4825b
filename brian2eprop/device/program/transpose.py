"""Tables from the targets' side, where the number of synapses changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brian2eprop.device.program.arrays import Access, Array, DType, Over
from brian2eprop.device.program.connectivity import Sparse
from brian2eprop.device.program.phase import Kind, Phase, Side
from brian2eprop.device.program.program import Program


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
        found = program.find_connectivity(self.connectivity)
        if over is not Over.SHARED:
            yield "connections are shared; put it into a sweep over what is shared"
        if not isinstance(found, Sparse):
            yield f"connectivity '{found.name}' has no tables by target; make it sparse"
