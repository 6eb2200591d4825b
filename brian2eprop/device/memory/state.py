"""Keeps Brian2's arrays and a backend's Memory in agreement, for one captured network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Backend, Call, Kernel, Memory
from brian2eprop.device.capture.captured import Captured
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.codegen.storage import stored_arrays
from brian2eprop.device.memory.limits import require_memory
from brian2eprop.device.memory.postponed import Fill
from brian2eprop.device.memory.rewirings import RewiredInRun, SynapticHost
from brian2eprop.device.memory.transit import Sent, Transit, forget_late, put_transit, take_transit
from brian2eprop.device.program import Access, Array, Index, Program, Record, Slots
from brian2eprop.device.program.connectivity.pairs import in_brian_order, in_their_order
from brian2eprop.errors import Unsupported
from brian2eprop.interrupts import interrupts_wait
from brian2eprop.spikes import SpikeStream

# What monitors may keep in one call: they are recorded after each.
MAX_KEPT_BYTES = 64 * 2**20
# Of logs no page is touched on a CPU that no entry reaches, so they may be larger: the longer a
# call, the longer an instance stays in a core's cache.
MAX_LOGGED_BYTES = 512 * 2**20
MAX_STEPS = 4096


@dataclass(frozen=True)
class Part:
    """Some of a step's phases: ``first <= phase < end``."""

    first: int
    end: int


class Host(SynapticHost, Protocol):
    """Brian2's side of the arrays."""

    def host_values(self, variable: Any) -> npt.NDArray[Any]:
        """Values of shape (elements,), or (instances, elements) where they differ."""

    def set_host_values(self, variable: Any, values: npt.NDArray[Any]) -> None:
        """Set what a run has changed, from values of shape (instances, elements)."""

    def fill_of(self, variable: Any) -> Fill | None:
        """What makes a variable's values where they are needed; None where the host has them."""

    def note_changing(self, variable: Any) -> None:
        """Note that the values of a variable are no longer those that they are made to be."""


class State:
    """The memory of a captured network.

    Parameters
    ----------
    host : Host
        Brian2's side.
    backend : Backend
        Where the network runs.
    instances : int
        Number of instances.
    captured : Captured
        The network.
    n_steps : int
        Number of steps that are wanted; a call runs up to :attr:`capacity` of them.
    kernel : Kernel, optional
        A kernel that may be one of this very Program.
    layout : Layout
        How instances are spread over the machine.

    Raises
    ------
    MemoryError
        If the arrays do not fit into the memory of this machine.
    """

    def __init__(
        self,
        host: Host,
        backend: Backend,
        instances: int,
        captured: Captured,
        n_steps: int,
        kernel: Kernel | None = None,
        layout: Layout = Layout.PER_INSTANCE,
    ) -> None:
        self.host = host
        self.captured = captured
        self.memory: Memory = backend.memory(instances)
        self.capacity = capacity_for(captured, self.memory, n_steps)
        _require_room(captured, self.memory, self.capacity)
        made_for = None if kernel is None else (kernel.program, kernel.layout)
        if kernel is None or made_for != (captured.program, layout):
            kernel = backend.compile(captured.program, layout)
        self.kernel = kernel
        self._backend = backend
        self._parts: dict[Part, Kernel] = {}
        for name, where in captured.made.items():
            self.memory.share(where(), [name])
        self.memory.reserve(captured.program, self.capacity)
        for name, table in captured.tables.items():
            self.memory.write(name, table)
        self.rewirings = RewiredInRun(backend, captured, self.memory)
        self.settled: dict[Any, bytes] = {}  # stamps of what Brian2 was told of synapses
        self.next_step = 0
        self._done = 0  # phases of that step that are done already
        self._oldest: Mapping[str, int] = {}
        self.host_stale: set[str] = set()  # newer in the memory
        self.memory_stale: set[str] = set(captured.variables)  # newer in Brian2's arrays

    def fits(self, captured: Captured, first_step: int, n_steps: int) -> bool:
        """Whether it can run this network from a step on, in calls that are not too short."""
        enough = capacity_for(captured, self.memory, n_steps) <= self.capacity
        there = self.next_step == first_step and not self._done
        return self.captured is captured and there and enough

    def start(self, sent: Mapping[str, Sent], first_step: int) -> None:
        """Make these the spikes in transit of a new memory, and a step the next one."""
        self._oldest = put_transit(self.memory, self.captured, sent, first_step)
        self.next_step = first_step

    def transit(self) -> Transit:
        """The spikes in transit, for another memory."""
        self._settle()
        return take_transit(self.memory, self.captured, self.next_step, self._oldest, self._done)

    def write_keys(self, seed: int, shift: int) -> None:
        """Draw the numbers of a seed; see :meth:`Memory.write_keys`."""
        self.memory.write_keys(self.captured.program, seed, shift)
        self.rewirings.write_keys(seed, shift)

    def run(self, n_steps: int, streams: Mapping[str, SpikeStream]) -> None:
        """Run some steps."""
        self.kernel.run(self.memory, Call(self.next_step, n_steps, streams))
        self.next_step += n_steps
        self.host_stale |= self.captured.written

    def prepare(self, part: Part) -> None:
        """Compile what runs some of a step's phases, so that they need not wait for it."""
        if part.first < part.end:
            self._kernel_of(part)

    def run_part(self, part: Part, streams: Mapping[str, SpikeStream]) -> None:
        """Run some of a step's phases; :meth:`end_step` ends the step."""
        if part.first < part.end:
            self._kernel_of(part).run(self.memory, Call(self.next_step, 1, streams))
            self._done = part.end
            self.host_stale |= self.captured.written

    def wait(self) -> None:
        """Wait for what is being computed."""
        self.memory.wait()

    def end_step(self) -> None:
        """Go on to the next step, all parts of this one being done."""
        self.next_step, self._done = self.next_step + 1, 0

    def end_run(self) -> None:
        """Do to spikes in transit what Brian2 does after a run."""
        forget_late(self.memory, self.captured, self.next_step)

    def _kernel_of(self, part: Part) -> Kernel:
        if part not in self._parts:
            program = self.captured.program
            (sweep,) = program.single_sweeps()
            phases = sweep.phases[part.first : part.end]
            sweeps = (replace(sweep, phases=phases),)
            some = replace(program, sweeps=sweeps, numbered=program.draws)
            whole = len(phases) == len(sweep.phases)
            self._parts[part] = (
                self.kernel if whole else self._backend.compile(some, self.kernel.layout)
            )
        return self._parts[part]

    def require_sizes(self) -> None:
        """Refuse values of variables that have got another size since the capture.

        Raises
        ------
        Unsupported
            If there are some.
        """
        for name in sorted(self.memory_stale):
            size = self.captured.program.all_arrays()[name].size
            if self.captured.variables[name] in self.rewirings.variables:
                size = self.rewirings.size_of(name, size)
            if int(np.prod(self.captured.variables[name].size)) != size:
                raise Unsupported(
                    f"A network operation has changed the size of '{name}' within a run, which "
                    "eprop_cuda cannot follow; make synapses between runs."
                )

    def pull(self, variable: Any) -> None:
        """Bring Brian2's array of a variable up to date; with it all others of rewired synapses."""
        rewired = self.rewirings.stale(variable)
        if rewired is not None:
            self._settle_synapses(rewired)
        name = self.captured.names.get(variable)
        if name in self.host_stale:
            with interrupts_wait():
                self.host_stale.discard(name)
                size = int(np.prod(variable.size))
                values = np.atleast_2d(self.memory.read(name))[..., :size]
                self.host.set_host_values(
                    variable, in_brian_order(values, self.captured.orders.get(name))
                )

    def give_up(self, variables: Iterable[Any]) -> None:
        """Let the newest values of variables go, which nobody will read before they are set."""
        self.host_stale -= {self.captured.names.get(variable) for variable in variables}

    def pull_all(self) -> None:
        """Bring all of Brian2's arrays up to date."""
        self._settle()
        for name in sorted(self.host_stale):
            self.pull(self.captured.variables[name])

    def _settle(self) -> None:
        for name in self.rewirings.all_stale:
            self._settle_synapses(name)

    def _settle_synapses(self, name: str) -> None:
        arrays = self.rewirings.arrays_of(name)
        with interrupts_wait():
            self.host_stale -= arrays
            self.settled |= self.rewirings.settle(name, self.host)
            self.memory_stale -= arrays

    def touch(self, variable: Any) -> None:
        """Note that Brian2's array of a variable may be changed."""
        name = self.captured.names.get(variable)
        if name is not None:
            self.memory_stale.add(name)

    def push(self) -> None:
        """Bring the memory up to date."""
        for name in sorted(self.memory_stale):
            variable = self.captured.variables[name]
            fill = self.host.fill_of(variable)
            if fill is not None:
                self._fill(name, fill)
                continue
            values = self.host.host_values(variable)
            values = in_their_order(values, self.captured.orders.get(name))
            beyond = self.memory.arrays[name].shape[-1] - values.shape[-1]
            if beyond:  # room for synapses that may be formed
                values = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, beyond)])
            self.memory.write(name, values)
        self.memory_stale.clear()

    def _fill(self, name: str, fill: Fill) -> None:
        """Make values where they are; what a run changes is newest there from then on."""
        fill(self._backend, self.memory, self.captured.program.all_arrays()[name])
        if name in self.captured.written:
            self.host.note_changing(self.captured.variables[name])
            self.host_stale.add(name)


def capacity_for(captured: Captured, memory: Memory, n_steps: int) -> int:
    """Number of steps of a call, such that what monitors keep is bounded."""
    arrays, logs = stored_arrays(captured.program), _columns(captured.program)
    logged = sum(_step_bytes(arrays[name], memory) for name in logs)
    kept = sum(_step_bytes(array, memory) for array in arrays.values())
    steps = MAX_KEPT_BYTES // max(kept, 1)
    if memory.lazy:
        of_logs = MAX_LOGGED_BYTES // max(logged, 1)
        steps = min(MAX_KEPT_BYTES // max(kept - logged, 1), of_logs)
    return max(1, min(n_steps, MAX_STEPS, steps))


def _columns(program: Program) -> set[str]:
    """Names of the arrays that are filled one entry after the other."""
    bodies = (phase.body for phase in program.phases() if isinstance(phase, Record))
    refs = (ref for body in bodies for ref in body.refs.values())
    return {ref.array for ref in refs if ref.index is Index.ENTRY}


def _step_bytes(array: Array, memory: Memory) -> int:
    if array.slots is None or not array.slots.kept:
        return 0
    one = Array(array.name, array.dtype, array.size, Access.PER_INSTANCE, Slots())
    return _bytes(one, memory, 1)


def _bytes(array: Array, memory: Memory, n_steps: int) -> int:
    size = int(np.prod(memory.shape(array, n_steps), dtype=object))
    return size * memory.dtype(array).itemsize


def _require_room(captured: Captured, memory: Memory, n_steps: int) -> None:
    if memory.lazy:
        arrays = stored_arrays(captured.program).values()
        needed = sum(_bytes(array, memory, n_steps) for array in arrays)
        what = f"A run of '{captured.program.name}' in {memory.instances} instances"
        remedy = "give a smaller batch_size, a smaller network, or shorter delays"
        require_memory(needed, what, remedy)
