"""A system of linear equations on a tree, as the compartments of a neuron make one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brian2eprop.device.program.arrays import OWNED, Access, DType, Over
from brian2eprop.device.program.phase import Kind, Phase
from brian2eprop.device.program.program import Program


@dataclass(frozen=True)
class TreeSolve(Phase):
    r"""Replace ``source`` by the potentials of nodes that are coupled as a tree.

    .. math:: l_u x_u + \sum_k c_{uk} (x_u - x_k) = s_u

    A node comes after its parent, so one pass from the leaves to the root and one back solve it,
    in the time of the number of nodes (Hines 1984, International Journal of Bio-Medical
    Computing 15:69). Seen from its parent the subtree of a node is a conductance to ground,
    which grows by sums and ratios of what is positive: there are no differences that cancel.

    Parameters
    ----------
    label
        See the class.
    parent : str
        INT and shared: the parent of every node, smaller than the node; that of the first, the
        root, is not looked at.
    leak, coupling, source : str
        REAL, of the size of ``parent``, the sweep's own: :math:`l` (positive somewhere), the
        :math:`c` of a node and its parent (positive), and :math:`s`. The leak is used up.
    """

    parent: str
    leak: str
    coupling: str
    source: str

    def reads(self) -> frozenset[str]:
        """See :meth:`Phase.reads`."""
        return frozenset({self.parent, self.leak, self.coupling, self.source})

    def writes(self) -> frozenset[str]:
        """See :meth:`Phase.writes`."""
        return frozenset({self.leak, self.source})

    def names(self) -> Iterable[tuple[Kind, str]]:
        """See :meth:`Phase.names`."""
        return *super().names(), *((Kind.ARRAY, name) for name in sorted(self.reads()))

    def faults(self, program: Program, over: Over) -> Iterable[str]:
        """See :meth:`Phase.faults`."""
        arrays = program.all_arrays()
        parent = arrays[self.parent]
        if (parent.dtype, parent.access) != (DType.INT, Access.SHARED):
            yield f"array '{self.parent}' cannot hold the nodes' parents; make it INT and shared"
        for name in (self.leak, self.coupling, self.source):
            array = arrays[name]
            owned = array.access in OWNED if over is Over.INSTANCES else True
            if array.dtype is not DType.REAL or array.size != parent.size or array.slots:
                yield (
                    f"array '{name}' cannot hold a number for each node; make it REAL, of size "
                    f"{parent.size} and without slots"
                )
            if name != self.coupling and not owned:
                yield f"array '{name}' is {array.access.value}; give each instance its own"
