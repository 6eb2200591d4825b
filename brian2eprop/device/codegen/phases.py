"""Each phase of a Program as what the templates need of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

from brian2eprop.device.codegen.bodies import BodyWriter, Lines, Order, packed, slot_pointer
from brian2eprop.device.codegen.draws import Draws, only_compared
from brian2eprop.device.codegen.lowering import Lowered, lower, needed_by_all
from brian2eprop.device.codegen.names import with_own_names
from brian2eprop.device.codegen.sharing import Piece
from brian2eprop.device.codegen.storage import KEYS
from brian2eprop.device.program import (
    AnyClock,
    Array,
    Connectivity,
    Detect,
    DType,
    Events,
    ForEach,
    Index,
    ListedClock,
    Loop,
    Phase,
    Precision,
    Program,
    Propagate,
    SynapticLoop,
)


@dataclass(frozen=True)
class RowView:
    """A phase's rows as the templates see them.

    Attributes
    ----------
    connectivity : Connectivity
        Whose rows they are.
    by_source : bool
        Whether a row is that of a source.
    neuron, other : str
        C++ names of the neuron whose row it is, and of those at the other ends.
    rows : int
        Number of rows.
    length : int
        Number of neurons at the other ends.
    skips : tuple of str
        Conditions under which a synapse is left out.
    shared : bool
        Whether a neuron at the other end may be met by another thread in the next row.
    """

    connectivity: Connectivity
    by_source: bool
    neuron: str
    other: str
    rows: int
    length: int
    skips: tuple[str, ...]
    shared: bool


@dataclass(frozen=True)
class ClockView:
    """A clock as the templates see it.

    Attributes
    ----------
    every : int
        See ``program.Clock``; 0 for a clock of listed steps.
    dt : int
        Number of the constant that is its time step.
    steps, times : str
        C++ names of the pointers to what is listed.
    size : int
        How much is listed.
    """

    every: int = 0
    dt: int = 0
    steps: str = ""
    times: str = ""
    size: int = 0


@dataclass(frozen=True)
class PhaseView:
    """A phase, the name of its template's macro, and the C++ of its body.

    ``own_flags`` and ``only_if`` are for Detect: whether its flags have memory of their own, and
    what must hold for any element to be an event. ``delays`` is for
    Propagate: the longest delay, where each synapse has its own. Without a clock it is done in
    every step. ``part`` is what a member of a team does of it, ``number`` that of a Detect's
    events. ``along`` is what the same loop does before (see ``merging.py``).
    """

    kind: str
    phase: Phase
    lines: Lines | None = None
    row: RowView | None = None
    own_flags: bool = True
    only_if: tuple[str, ...] = ()
    delays: int | None = None
    clock: ClockView | None = None
    part: str = ""
    number: int = 0
    along: tuple[PhaseView, ...] = ()


class PhaseWriter:
    """Writes the phases of one Program.

    Parameters
    ----------
    program : Program
        The Program.
    arrays : mapping of str to Array
        Its stored arrays.
    pointers : mapping of str to str
        C++ name of each array's pointer.
    flag_bytes : int
        See :class:`Dialect`.
    draws_in_groups : bool
        See :class:`Dialect`.
    precision : Precision
        Type of REAL arrays.
    """

    def __init__(
        self,
        program: Program,
        arrays: Mapping[str, Array],
        pointers: Mapping[str, str],
        flag_bytes: int,
        draws_in_groups: bool,
        precision: Precision,
    ) -> None:
        self.program = program
        self.pointers = pointers
        self.arrays = arrays
        self.constants: list[float] = [program.dt]
        self.clocks = {clock.name: self._clock(clock) for clock in program.clocks}
        self._flag_bytes = flag_bytes
        self._draws_in_groups = draws_in_groups
        self._precision = precision

    def views(self, phases: Iterable[Phase], summed: frozenset[str]) -> list[PhaseView]:
        """The views of some phases; constants are numbered as they come.

        Parameters
        ----------
        phases : iterable of Phase
            The phases.
        summed : frozenset of str
            The arrays that instances add to together.
        """
        return [
            replace(self._view(phase, summed), clock=self.clocks.get(phase.clock or ""))
            for phase in phases
        ]

    def pieces(self, found: Iterable[Piece]) -> list[PhaseView]:
        """The views of some phases as the members of a team do them."""
        numbers = {events.name: number for number, events in enumerate(self.program.events)}
        views = []
        for piece in found:
            phase = piece.phase
            view = self._view(phase, frozenset())
            number = numbers[phase.events] if isinstance(phase, Detect) else 0
            clock = self.clocks.get(phase.clock or "")
            views.append(
                replace(view, kind=piece.kind, clock=clock, part=piece.part, number=number)
            )
        return views

    def _times(self, phase: Loop) -> dict[str, str]:
        """The C++ of the times of other clocks."""
        step = program_step(phase)
        found = {}
        for name, clock in sorted(phase.body.times.items()):
            self.constants.append(clock.dt)
            own = f"({step} + {clock.every - 1}) / {clock.every}"
            found[name] = f"{own} * constants[{len(self.constants) - 1}]"
        return found

    def _clock(self, clock: AnyClock) -> ClockView:
        if isinstance(clock, ListedClock):
            steps, times = (self.pointers[name] for name in clock.arrays)
            return ClockView(steps=steps, times=times, size=self.arrays[clock.steps].size)
        self.constants.append(clock.dt)
        return ClockView(clock.every, len(self.constants) - 1)

    def _view(self, phase: Phase, summed: frozenset[str]) -> PhaseView:
        kind = type(phase).__name__
        if not isinstance(phase, Loop):
            return PhaseView(kind, phase)
        if isinstance(phase, Propagate):
            phase = at_its_delay(phase)
        phase = with_own_names(phase)
        lowered = lower(phase.body, self.arrays)
        writer = BodyWriter(
            phase.body,
            lowered,
            self.arrays,
            self.pointers,
            summed,
            on_event=phase.on_event if isinstance(phase, Detect) else (),
            fixed=phase.side.fixed if isinstance(phase, SynapticLoop) else None,
            draws=self._draws(phase),
            times=self._times(phase),
        )
        order, row = Order.FREE, None
        if isinstance(phase, SynapticLoop):
            found = self.program.find_connectivity(phase.connectivity)
            order = synapse_order(phase, lowered, found)
            row = self._row(phase, found, order)
        lines = writer.lines(order, len(self.constants))
        self.constants += [packed(value) for _, value in writer.constants()]
        needed = (
            needed_by_all(Detect.CONDITION, lowered, phase.body)
            if isinstance(phase, Detect)
            else ()
        )
        return PhaseView(
            kind, phase, lines, row, self._own_flags(phase), needed, self._delays(phase)
        )

    def _draws(self, phase: Loop) -> Draws | None:
        if not phase.body.draws:
            return None
        numbers = {draw: number for number, draw in enumerate(self.program.draws)}
        run = Index.SYNAPSE if isinstance(phase, SynapticLoop) else Index.ELEMENT
        in_groups = self._draws_in_groups and isinstance(phase, ForEach | Detect)
        rough = in_groups and self._may_be_rough(phase)
        return Draws(self.pointers[KEYS], numbers, run, program_step(phase), in_groups, rough)

    def _may_be_rough(self, phase: Loop) -> bool:
        """Whether a body may run again, and says the same of numbers with half of their bits."""
        double = {DType.DOUBLE} | ({DType.REAL} if self._precision is Precision.FLOAT64 else set())
        again = isinstance(phase, Detect) and not phase.body.written & phase.body.refs.keys()
        whole = all(draw.dtype in double for draw in phase.body.draws.values())
        return again and whole and only_compared(phase.body)

    def _row(self, phase: SynapticLoop, found: Connectivity, order: Order) -> RowView:
        fixed, moving = phase.side.fixed.value, phase.side.moving.value
        by_source = fixed == "source"
        return RowView(
            found,
            by_source,
            fixed,
            moving,
            found.rows(phase.side),
            found.n_target if by_source else found.n_source,
            tuple(self._skips(phase)),
            order is Order.BY_NEIGHBOUR,
        )

    def _skips(self, phase: SynapticLoop) -> Iterable[str]:
        if not isinstance(phase, Propagate):
            return
        own = isinstance(phase.delay, str)
        if own:
            yield f"{self.pointers[str(phase.delay)]}[synapse] != delay"
        sent = f"step - {'delay' if own else phase.delay}"
        for name, outside in ((phase.formed, "<"), (phase.until, ">=")):
            if name is not None:
                yield f"{sent} {outside} {self.pointers[name]}[synapse]"

    def _delays(self, phase: Phase) -> int | None:
        if isinstance(phase, Propagate) and isinstance(phase.delay, str):
            return self.find_events(phase.events).slots.history
        return None

    def find_events(self, name: str) -> Events:
        """The event buffer of that name."""
        return self.program.find_events(name)

    def _own_flags(self, phase: Phase) -> bool:
        """Whether the flags of a Detect fit into what is left for flags."""
        size = phase.size if isinstance(phase, Detect) else 0
        fits = size <= self._flag_bytes
        self._flag_bytes -= size if fits else 0
        return fits

    def slot(self, array: str, offset: int | str = 0) -> str:
        """The C++ of a pointer to an array's slot."""
        return slot_pointer(self.arrays[array], self.pointers, offset)


def program_step(phase: Phase) -> str:
    """The C++ of the Program's step, which a clock's own step hides."""
    return "step" if phase.clock is None else "program_step"


def by_clock(views: Iterable[PhaseView]) -> Iterator[tuple[ClockView | None, list[PhaseView]]]:
    """Neighbouring phases that are due together."""
    for clock, due in groupby(views, attrgetter("clock")):
        yield clock, list(due)


def synapse_order(phase: SynapticLoop, lowered: Lowered, connectivity: Connectivity) -> Order:
    """How freely the synapses of one row may be visited."""
    refs, moving = phase.body.refs, phase.side.moving
    chained = lowered.written - lowered.added
    if lowered.aliases or any(refs[name].index is phase.side.fixed for name in chained):
        return Order.SERIAL
    if connectivity.aligned or all(refs[name].index is not moving for name in lowered.written):
        return Order.FREE
    return Order.BY_NEIGHBOUR


def at_its_delay(phase: Propagate) -> Propagate:
    """The phase with what was at the step of sending at a fixed offset, where there is one."""
    if isinstance(phase.delay, str):
        return phase
    refs = {
        name: replace(ref, offset=-phase.delay) if not isinstance(ref.offset, int) else ref
        for name, ref in phase.body.refs.items()
    }
    return replace(phase, body=replace(phase.body, refs=refs))
