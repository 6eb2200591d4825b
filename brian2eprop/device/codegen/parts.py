"""A Program in parts: what is done between two points where the whole machine meets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from brian2eprop.device.codegen.storage import count_of, index_of
from brian2eprop.device.program import (
    Clear,
    Direction,
    ForEach,
    Index,
    Loop,
    Over,
    Phase,
    Program,
    Reduce,
    Sweep,
    SynapticLoop,
)
from brian2eprop.device.program.dependence import ways


class Layout(Enum):
    """How a part is spread over a machine.

    PER_INSTANCE
        One thread of a CPU, or one block of a GPU, goes through all sweeps of an instance.
    GRID
        The whole machine shares every loop; a thread meets only its own elements.
    BLOCK
        One thread, or one block, does it all.
    """

    PER_INSTANCE = "per_instance"
    GRID = "grid"
    BLOCK = "block"


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
    sweeps: tuple[Sweep, ...]

    def phases(self) -> Iterator[Phase]:
        """Its phases in order."""
        for sweep in self.sweeps:
            yield from sweep.phases

    def arrays(self, program: Program) -> frozenset[str]:
        """Names of the stored arrays that it uses."""
        used: set[str] = set()
        for phase in self.phases():
            used |= phase.reads() | phase.writes()
            for name in phase.hears() | phase.fills():
                events = program.find_events(name)
                used |= {count_of(events).name, index_of(events).name}
            if isinstance(phase, Loop):
                used |= phase.body.arrays(phase.body.refs)
            if isinstance(phase, SynapticLoop):
                found = program.find_connectivity(phase.connectivity)
                used |= {table.name for table in found.tables({phase.side})}
        return frozenset(used)

    def largest_loop(self, program: Program) -> int:
        """Most iterations a loop over elements or along a row has."""
        sizes = [1]
        for phase in self.phases():
            sizes.append(getattr(phase, "size", 1))
            sizes += [program.find_events(name).size for name in phase.hears() | phase.fills()]
            if isinstance(phase, SynapticLoop):
                found = program.find_connectivity(phase.connectivity)
                sizes += [found.n_source, found.n_target]
            if isinstance(phase, Clear):
                sizes += [program.all_arrays()[name].size for name in phase.arrays]
        return max(sizes)


def parts(program: Program) -> tuple[Part, ...]:
    """The parts of a Program in order.

    Parameters
    ----------
    program : Program
        The Program.

    Returns
    -------
    tuple of Part
        Neighbouring sweeps over instances are one part; a sweep over what is shared is one part
        for as many phases as no element passes on to another one.
    """
    found: list[Part] = []
    for over, sweeps in program.groups():
        if over is Over.INSTANCES:
            found.append(Part(Layout.PER_INSTANCE, sweeps))
            continue
        for phases in _apart(phase for sweep in sweeps for phase in sweep.phases):
            layout = Layout.GRID if _spreads(phases[0]) else Layout.BLOCK
            found.append(Part(layout, (Sweep(Direction.ONCE, tuple(phases), Over.SHARED),)))
    return tuple(found)


def _spreads(phase: Phase) -> bool:
    """Whether every thread of a grid can do its own share of a phase."""
    return isinstance(phase, ForEach | Clear)


def _apart(phases: Iterator[Phase]) -> list[list[Phase]]:
    """Phases in runs, such that in each a thread meets only what it wrote itself."""
    runs: list[list[Phase]] = []
    for phase in phases:
        last = runs[-1] if runs else []
        if last and _spreads(phase) and _spreads(last[0]) and not _meets(last, phase):
            last.append(phase)
        else:
            runs.append([phase])
    return runs


def _meets(earlier: list[Phase], phase: Phase) -> bool:
    """Whether a phase meets what another element of an earlier one wrote, or will read."""
    for before in earlier:
        shared = (before.writes() & (phase.reads() | phase.writes())) | (
            before.reads() & phase.writes()
        )
        if any(not (_own(before, name) and _own(phase, name)) for name in shared):
            return True
    return False


def _own(phase: Phase, array: str) -> bool:
    """Whether every element of a loop meets its own element of an array only."""
    if isinstance(phase, Clear):
        return True
    if not isinstance(phase, Loop) or isinstance(phase, Reduce):
        return False
    return array not in phase.body.indices and ways(phase.body, array) <= {(Index.ELEMENT, None)}
