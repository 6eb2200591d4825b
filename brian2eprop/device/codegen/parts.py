"""A Program in parts: what is done between two points where the whole machine meets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from brian2eprop.device.codegen.storage import KEYS, count_of, index_of
from brian2eprop.device.program import (
    Access,
    Chunks,
    Direction,
    ForEach,
    Loop,
    Over,
    Phase,
    Program,
    Sweep,
    SynapticLoop,
)
from brian2eprop.device.program.dependence import changed, in_runs
from brian2eprop.device.program.legal import Stage, form_faults


class Layout(Enum):
    """How a part is spread over a machine.

    PER_INSTANCE
        One thread of a CPU, or one block of a GPU, goes through all sweeps of an instance.
    GRID
        The whole machine shares every loop; a thread meets only its own elements.
    BLOCK
        One thread, or one block, does it all.
    TEAM
        All threads of a CPU share the loops of an instance, and meet within a step where one
        meets what another wrote; on a GPU all blocks do, in a launch from meeting to meeting.
    """

    PER_INSTANCE = "per_instance"
    GRID = "grid"
    BLOCK = "block"
    TEAM = "team"


@dataclass(frozen=True)
class Part:
    """Sweeps that one launch runs.

    Attributes
    ----------
    layout : Layout
        How they are spread.
    sweeps : tuple of Sweep
        The sweeps.
    """

    layout: Layout
    sweeps: tuple[Sweep | Chunks, ...]

    def phases(self) -> Iterator[Phase]:
        """Its phases in order."""
        for sweep in self.sweeps:
            yield from sweep.phases

    def arrays(self, program: Program) -> frozenset[str]:
        """Names of the stored arrays that it uses."""
        used = {sweep.steps for sweep in self.sweeps if sweep.steps is not None}
        for phase in self.phases():
            used |= phase.reads() | phase.writes() | set(program.clock_of(phase).arrays)
            for name in phase.hears() | phase.fills():
                events = program.find_events(name)
                used |= {count_of(events).name, index_of(events).name}
            if isinstance(phase, Loop) and any(phase.drawn()):
                used.add(KEYS)
            if isinstance(phase, SynapticLoop):
                found = program.find_connectivity(phase.connectivity)
                used |= {table.name for table in found.tables({phase.side})}
        return frozenset(used)

    def largest_loop(self, program: Program) -> int:
        """Most iterations that one of its parallel loops has."""
        return max((phase.longest(program) for phase in self.phases()), default=1)


def may_share(program: Program) -> bool:
    """Whether members of a team can share a Program's loops: whether it is a simulation."""
    access = {array.access for array in program.arrays}
    access |= {events.access for events in program.events}
    return (
        not any(form_faults(program, Stage.CAPTURED))
        and Access.SCRATCH not in access
        and not program.summed
        and program.sweeps[0].steps is None
    )


def parts(program: Program, layout: Layout = Layout.PER_INSTANCE) -> tuple[Part, ...]:
    """The parts of a Program in order.

    Parameters
    ----------
    program : Program
        The Program.
    layout : Layout
        How sweeps over instances are spread: PER_INSTANCE or TEAM.

    Returns
    -------
    tuple of Part
        Neighbouring sweeps over instances are one part; a sweep over what is shared is one part
        for as many phases as no element passes on to another one, or as one block does.

    Raises
    ------
    ValueError
        If a team is to share what it cannot.
    """
    if layout is Layout.TEAM and not may_share(program):
        raise ValueError(
            f"program '{program.name}' is no simulation, and cannot have layout 'team'; use "
            "'per_instance'."
        )
    found: list[Part] = []
    for over, sweeps in program.groups():
        if over is Over.INSTANCES:
            found.append(Part(layout, sweeps))
            continue
        for phases in in_runs((phase for sweep in sweeps for phase in sweep.phases), _meet):
            spread = Layout.GRID if all(each.spreads for each in phases) else Layout.BLOCK
            found.append(Part(spread, (Sweep(Direction.ONCE, tuple(phases), Over.SHARED),)))
    return tuple(found)


def _meet(before: Phase, phase: Phase) -> bool:
    """Whether a phase meets what another element of an earlier one wrote, or will read."""
    if _one_block_does(before) and _one_block_does(phase):
        return False
    shared = changed(before.reads(), before.writes(), phase.reads(), phase.writes())
    alone = all(before.own(name) and phase.own(name) for name in shared)
    return not (before.spreads and phase.spreads and alone)


def _one_block_does(phase: Phase) -> bool:
    return not phase.spreads or (isinstance(phase, ForEach) and phase.size == 1)
