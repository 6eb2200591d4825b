"""Each phase of a Program as what the templates need of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from brian2eprop.device.codegen.bodies import BodyWriter, Lines, Order, slot_pointer
from brian2eprop.device.codegen.lowering import Lowered, lower
from brian2eprop.device.codegen.names import with_own_names
from brian2eprop.device.program import (
    Clear,
    Connectivity,
    ConnectivityKind,
    Detect,
    Feed,
    ForEachSynapse,
    Index,
    Phase,
    Program,
    Propagate,
)


@dataclass(frozen=True)
class PhaseView:
    """A phase, the name of its template's macro, and the C++ of its body.

    ``own_flags`` is for Detect: whether its flags have memory of their own.
    """

    kind: str
    phase: Phase
    lines: Lines | None = None
    connectivity: Connectivity | None = None
    own_flags: bool = True


class PhaseWriter:
    """Writes the phases of one Program.

    Parameters
    ----------
    program : Program
        The Program.
    pointers : mapping of str to str
        C++ name of each array's pointer.
    flag_bytes : int
        See :class:`Dialect`.
    """

    def __init__(self, program: Program, pointers: Mapping[str, str], flag_bytes: int) -> None:
        self.program = program
        self.pointers = pointers
        self.arrays = program.all_arrays()
        self.constants: list[float] = [program.dt]
        self._flag_bytes = flag_bytes

    def views(self, phases: Iterable[Phase]) -> list[PhaseView]:
        """The views of some phases; constants are numbered as they come."""
        return [self._view(phase) for phase in phases]

    def _view(self, phase: Phase) -> PhaseView:
        kind = type(phase).__name__
        if isinstance(phase, Feed | Clear):
            return PhaseView(kind, phase)
        phase = with_own_names(phase)
        connectivity = None
        if isinstance(phase, Propagate | ForEachSynapse):
            connectivity = self.program.find_connectivity(phase.connectivity)
        lowered = lower(phase.body, self.arrays)
        on_event = phase.on_event if isinstance(phase, Detect) else ()
        writer = BodyWriter(phase.body, lowered, self.arrays, self.pointers, on_event)
        lines = writer.lines(synapse_order(phase, lowered, connectivity), len(self.constants))
        self.constants += [float(value) for _, value in writer.constants()]
        return PhaseView(kind, phase, lines, connectivity, self._own_flags(phase))

    def _own_flags(self, phase: Phase) -> bool:
        """Whether the flags of a Detect fit into what is left for flags."""
        size = phase.size if isinstance(phase, Detect) else 0
        fits = size <= self._flag_bytes
        self._flag_bytes -= size if fits else 0
        return fits

    def slot(self, array: str, offset: int = 0) -> str:
        """The C++ of a pointer to an array's slot."""
        return slot_pointer(self.arrays[array], self.pointers, offset)


def synapse_order(phase: Phase, lowered: Lowered, connectivity: Connectivity | None) -> Order:
    """How freely the synapses of one source may be visited."""
    if connectivity is None or isinstance(phase, Feed | Clear):
        return Order.FREE
    refs = phase.body.refs
    targets = {name for name in lowered.written if refs[name].index is Index.TARGET}
    others = {refs[name].array for name in lowered.read - targets}
    if any(refs[name].array in others for name in targets):
        return Order.SERIAL
    if connectivity.kind is ConnectivityKind.DENSE or not targets:
        return Order.FREE
    return Order.ATOMIC if targets <= lowered.added else Order.SERIAL
