"""Learning signals for spikes that were sent different numbers of steps ago.

A synapse of delay ``d`` has in step ``s`` something to say about its source's spike of step
``s - d``. Where each synapse has a delay of its own, the signal runs over synapses onto *places*
instead of neurons: place ``k*n + i`` collects what is said about neuron ``i``'s spike of ``k``
steps before the latest that can still be meant. After every step back all places move on by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Connectivity,
    DType,
    ForEach,
    Index,
    Phase,
    Ref,
)
from brian2eprop.device.program.connectivity import find_connectivity
from brian2eprop.device.program.connectivity.base import Contents, Integers, Transposed
from brian2eprop.errors import LearningError


@dataclass(frozen=True)
class DelayLine:
    """The places of a pathway.

    Attributes
    ----------
    name : str
        Name of the synapses onto them.
    n : int
        Number of neurons that send spikes.
    shortest, longest : int
        The shortest and the longest delay in steps.
    """

    name: str
    n: int
    shortest: int
    longest: int

    @property
    def size(self) -> int:
        """Number of places; at the last ``n`` of them, to which no synapse leads, is nothing."""
        return (self.longest - self.shortest + 2) * self.n

    @property
    def array(self) -> str:
        """What is collected at each place."""
        return f"{self.name}:due"

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of an instance."""
        names = (self.array, f"{self.array}:before")
        return tuple(Array(name, DType.REAL, self.size, Access.SCRATCH) for name in names)

    @property
    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """Contents of its tables: the neuron and the next place of each place, and the first n."""
        places = np.arange(self.size, dtype=np.int32)
        return {
            self._sender: places % self.n,
            self._next: np.minimum(places + self.n, self.size - self.n + places % self.n),
            self._first: places[: self.n],
        }

    @property
    def _sender(self) -> str:
        return f"{self.name}:sender"

    @property
    def _next(self) -> str:
        return f"{self.name}:next"

    @property
    def _first(self) -> str:
        return f"{self.name}:first"

    def place(self, ref: Ref) -> Ref:
        """A ref of the pathway as seen from the synapses onto places.

        Raises
        ------
        LearningError
            If it is a linked variable's of a neuron that sends spikes.
        """
        if ref.index is Index.TARGET:
            return Ref(ref.array, Index.SOURCE, ref.offset, ref.via)
        if ref.index is not Index.SOURCE:
            return ref
        if ref.via is not None:
            raise LearningError(
                f"'{ref.array}' is reached by a link from synapses that have delays of their own, "
                "which the learning signal does not follow. Give all of them the same delay, or "
                "the sources a variable of their own."
            )
        return Ref(ref.array, Index.TARGET, ref.offset, self._sender)

    def phases(self, signal: Ref) -> tuple[Phase, ...]:
        """What brings the first places to the neurons' signal, and moves all of them on."""
        due, before = (Ref(array.name, Index.ELEMENT) for array in self.arrays)
        arrived = {"signal": signal, "due": Ref(due.array, Index.ELEMENT, via=self._first)}
        moved = {"due": due, "before": Ref(before.array, Index.ELEMENT, via=self._next)}
        return (
            ForEach(f"arrived at {self.array}", self.n, Body("signal += due", arrived)),
            ForEach(f"copy {self.array}", self.size, Body("b = a", {"a": due, "b": before})),
            ForEach(f"move on {self.array}", self.size, Body("due = before", moved)),
        )


def turned_to_places(
    name: str, pathway: Connectivity, contents: Contents, delays: Integers
) -> tuple[Transposed, DelayLine]:
    """A pathway turned around, onto places.

    Parameters
    ----------
    name : str
        Its name.
    pathway : Connectivity
        The pathway.
    contents : mapping of str to array
        Contents of its tables.
    delays : int array, shape (n_synapses,)
        The delay of each of its synapses in steps.
    """
    sources, targets = pathway.pairs(contents)
    due = DelayLine(name, pathway.n_source, int(delays.min()), int(delays.max()))
    places = (delays - due.shortest) * due.n + sources
    found = find_connectivity(name, targets, places, pathway.n_target, due.size)
    order = np.arange(len(delays)) if found.order is None else found.order
    return Transposed(found.connectivity, order, found.tables), due
