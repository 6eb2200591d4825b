"""Synapses that a run rewires: where they are, and how Brian2's variables follow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from brian2.core.variables import ArrayVariable
from brian2.utils.logger import get_logger

from brian2eprop.device.backends.base import Backend, Call, Kernel, Memory
from brian2eprop.device.brian import owner_of
from brian2eprop.device.capture.captured import Captured, Simulated
from brian2eprop.device.capture.pathways import Delays, RewiredPathway
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    DType,
    ForEach,
    ForEachSynapse,
    Index,
    Phase,
    Program,
    Ref,
    Transpose,
)
from brian2eprop.device.rewiring.simulated import asked_of

Values = npt.NDArray[Any]
logger = get_logger(__name__)


class SynapticHost(Protocol):
    """Brian2's side of synapses."""

    def set_synapses(
        self,
        synapses: Any,
        ends: tuple[Values, Values],
        values: dict[Any, Values],
        born: Values,
    ) -> Mapping[Any, bytes]:
        """Make synapses those with some ends and values, formed at some times in seconds.

        Returns
        -------
        mapping of brian2 Variable to bytes
            The stamps of where they are, and of their delays.
        """


class RewiredInRun:
    """The synapses of a network that a simulation rewires, with their kernels.

    Parameters
    ----------
    backend : Backend
        Where everything runs.
    captured : Captured
        The network; what it says of the synapses is brought up to date when they are settled.
    memory : Memory
        The network's memory, whose arrays are rewired where they are.
    """

    def __init__(self, backend: Backend, captured: Captured, memory: Memory) -> None:
        self.captured, self.memory, self._backend = captured, memory, backend
        self.found = captured.simulated
        self._names = {v: name for name, sim in self.found.items() for v in _variables(sim)}
        self._stale: set[str] = set()
        self._kernels: dict[str, Kernel] = {}
        self._programs: dict[str, Program] = {}
        if self.found:
            self._store = backend.memory(memory.instances)
            self._reserve()

    @property
    def variables(self) -> Collection[Any]:
        """Brian2's variables of the synapses."""
        return self._names.keys()

    # Where they are rewired

    def _reserve(self) -> None:
        seen = {name: self._seen(a) for name, a in self.captured.program.all_arrays().items()}
        numbered = tuple(d for sim in self.found.values() for d in sim.rewired.draws())
        for name, sim in self.found.items():
            rewired, starts = sim.rewired, dict(_starts(sim))
            beside = dict.fromkeys((*rewired.variables, *rewired.tables, sim.born))
            scalars = [Array(each, kind, 1, Access.SHARED) for each, kind in _scalars(sim)]
            transpose = Transpose(f"transpose {name}", name)
            then = (*_count(sim, seen), transpose)
            program = self._programs[name] = rewired.program(
                [seen[each] for each in beside],
                (*seen.values(), *scalars, *transpose.arrays(rewired.connectivity)),
                numbered,
                then,
                starts,
                self.captured.program.dt,
            )
            used = [n for n in program.all_arrays() if n in self.memory.arrays]
            self._store.share(self.memory, used)
            for each in used:
                if self.captured.program.all_arrays()[each].access is not seen[each].access:
                    self._store.arrays[each] = self.memory.arrays[each][0]
            self._store.reserve(program, 0)
            for table, values in rewired.contents().items():
                self._store.write(table, values)

    def _seen(self, array: Array) -> Array:
        """An array as rewiring sees it: what the only instance has belongs to all."""
        only = self.memory.instances == 1 and array.access is Access.PER_INSTANCE
        return replace(array, access=Access.SHARED) if only and array.slots is None else array

    def write_keys(self, seed: int, shift: int) -> None:
        """Draw the numbers of a seed; see :meth:`Memory.write_keys`."""
        for program in self._programs.values():
            self._store.write_keys(program, seed, shift)

    def next_after(self, step: int) -> float:
        """The first step after one before which synapses are rewired; infinite if there is none."""
        every = (sim.every for sim in self.found.values())
        return min((step - step % each + each for each in every), default=np.inf)

    def run(self, step: int, done: Collection[str] = ()) -> Mapping[str, int]:
        """Rewire what is due before a step.

        Parameters
        ----------
        step : int
            The step.
        done : collection of str
            The synapses that are rewired already.

        Returns
        -------
        mapping of str to int
            Synapses that there is no room for, with how many there would be: they are as they
            were.
        """
        missing = {}
        for name, sim in self.found.items():
            if step % sim.every == 0 and name not in done:
                self._write_scalars(sim, step)
                if name not in self._kernels:
                    self._kernels[name] = self._backend.compile(self._programs[name])
                self._kernels[name].run(self._store, Call(step))
                self._stale.add(name)
                self.memory.note_derived(self.captured.program)
                needed = self._needed(sim)
                if needed > sim.rewired.connectivity.size:
                    missing[name] = needed
        return missing

    def due(self, step: int) -> set[str]:
        """The synapses that are rewired before a step."""
        return {name for name, sim in self.found.items() if step % sim.every == 0}

    def _needed(self, sim: Simulated) -> int:
        name = sim.rewired.own("needed")
        return int(self._store.read(name)[0]) if name in self._store.arrays else 0

    def make_room(self, missing: Mapping[str, int]) -> None:
        """Have more room from the next capture on."""
        for name, needed in missing.items():
            asked = asked_of(self.found[name].synapses)
            if asked is not None:
                asked.make_room(needed + needed // 4)

    def _write_scalars(self, sim: Simulated, step: int) -> None:
        own = sim.rewired.own
        values: dict[str, float] = {own("time"): step * self.captured.program.dt}
        for path in sim.pathways:
            values[own(f"late:{path.pathway}")] = path.late
            values[own(f"delay:{path.pathway}")] = path.delay
            if path.formed:
                values[own(f"now:{path.pathway}")] = path.steps_before(step) - path.late
        for name in values.keys() & self._store.arrays.keys():
            self._store.write(name, values[name])

    def warn(self) -> None:
        """Say how many synapses were formed for want of another place."""
        for name, sim in self.found.items():
            stuck = sim.rewired.own("stuck")
            number = int(self._store.read(stuck)[0]) if stuck in self._store.arrays else 0
            if number:
                self._store.write(stuck, 0)
                logger.warn(
                    f"{number} synapses of '{name}' were formed where others had just been taken "
                    "away: places that the rule takes were too rare; let 'form' be greater, or "
                    "allow more places.",
                    name_suffix="rewiring",
                )

    # What Brian2 sees of them

    def stale(self, variable: Any) -> str | None:
        """The synapses that a variable is of, if Brian2 does not know yet where they are."""
        name = self._names.get(variable)
        return name if name in self._stale else None

    @property
    def all_stale(self) -> list[str]:
        """All synapses of which Brian2 does not know where they are."""
        return sorted(self._stale)

    def arrays_of(self, name: str) -> set[str]:
        """The arrays of the variables of synapses."""
        names = (self.captured.names.get(v) for v, owner in self._names.items() if owner == name)
        return {array for array in names if array is not None}

    def size_of(self, array: str, size: int) -> int:
        """How many elements an array of ``size`` elements has in Brian2."""
        for sim in self.found.values():
            if array in (*sim.rewired.variables, *sim.rewired.ends):
                return int(self.memory.read(sim.rewired.rows[0])[-1])
        return size

    def settle(self, name: str, host: SynapticHost) -> Mapping[Any, bytes]:
        """Tell Brian2, and the capture, where synapses are; returns what Brian2's side does.

        They are numbered by source, then by target.
        """
        sim, captured = self.found[name], self.captured
        self._stale.discard(name)
        found = sim.rewired.connectivity
        tables = {table: self.memory.read(table) for table in sim.rewired.rows}
        ends = found.pairs(tables)
        number = len(ends[0])
        for table in (*sim.rewired.rows, *sim.rewired.tables, sim.born):
            captured.tables[table] = self.memory.read(table)
        for array in self.arrays_of(name) & captured.orders.keys():
            captured.orders[array] = None
        for path in sim.pathways:
            self._settle_delays(path, number)
        values = {
            captured.variables[array]: self.memory.read(array)[..., :number]
            for array in sim.rewired.variables
        }
        born = self.memory.read(sim.born)[:number]
        return host.set_synapses(sim.synapses, ends, values, born)

    def _settle_delays(self, path: RewiredPathway, number: int) -> None:
        known = self.captured.pathways.get(path.pathway)
        if known is None:  # it is not active
            return
        delays = []
        for each, table in zip(known.delays, path.delay_tables, strict=True):
            steps = each.steps or np.zeros(1, np.int32).tobytes()  # there were none
            if table is not None:
                steps = self.memory.read(table)[:number].tobytes()
            delays.append(Delays(number, steps, each.since))
        self.captured.pathways[path.pathway] = replace(known, delays=tuple(delays))


def _variables(sim: Simulated) -> Iterator[Any]:
    """Brian2's variables of synapses, their number included."""
    delays = (pathway.variables["delay"] for pathway in sim.synapses._pathways)
    for variable in (*sim.synapses.variables.values(), *delays):
        name = getattr(owner_of(variable), "name", None)
        if isinstance(variable, ArrayVariable) and name == sim.synapses.name:
            yield variable


def _starts(sim: Simulated) -> Iterator[tuple[str, str]]:
    """What does not start at zero, each with what has the value."""
    own = sim.rewired.own
    yield sim.born, own("time")
    for path in sim.pathways:
        yield from ((table, own(f"now:{path.pathway}")) for table in path.formed)
        yield from ((table, own(f"late:{path.pathway}")) for table in path.delays)
        if path.variable is not None:
            yield path.variable, own(f"delay:{path.pathway}")


def _scalars(sim: Simulated) -> Iterator[tuple[str, DType]]:
    own = sim.rewired.own
    yield own("time"), DType.DOUBLE
    for path in sim.pathways:
        yield own(f"now:{path.pathway}"), DType.INT
        yield own(f"late:{path.pathway}"), DType.INT
        yield own(f"delay:{path.pathway}"), DType.REAL


def _count(sim: Simulated, arrays: dict[str, Array]) -> Iterable[Phase]:
    """Counts the synapses of each neuron anew."""
    sides = zip(sim.counts, (Index.SOURCE, Index.TARGET), strict=True)
    refs = {f"n_{side.value}": Ref(name, side) for name, side in sides if name is not None}
    for name, ref in refs.items():
        none = Body(f"{name} = 0", {name: Ref(ref.array, Index.ELEMENT)})
        yield ForEach(f"none of {ref.array}", arrays[ref.array].size, none)
    if refs:
        code = "\n".join(f"{name} += 1" for name in refs)
        name = sim.rewired.name
        yield ForEachSynapse(f"synapses of {name}", name, Body(code, refs))
