"""A small NumPy interpreter of Programs: what a Program means, and the oracle of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from brian2eprop.device.backends.base import NOTHING_GIVEN, Backend, Call, Kernel, Memory
from brian2eprop.device.backends.draws import draw
from brian2eprop.device.backends.expanding import each_synapse, expand
from brian2eprop.device.backends.interpreter import Place, Values, converted, execute
from brian2eprop.device.backends.loops import Indices, Loop, Now, elements, entries, row
from brian2eprop.device.backends.rewiring import choose, grow, rewire, transpose
from brian2eprop.device.backends.streams import check_streams
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.codegen.storage import KEYS, count_of, index_of, stored_arrays
from brian2eprop.device.program import (
    Access,
    Array,
    Assign,
    At,
    Body,
    Choose,
    Chunks,
    Clear,
    Count,
    Detect,
    Direction,
    Draw,
    DType,
    Expand,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Forming,
    Grow,
    Index,
    ListedClock,
    Over,
    Phase,
    Program,
    Propagate,
    Record,
    Reduce,
    Reduction,
    Ref,
    Rewire,
    Sparse,
    Sweep,
    SynapticLoop,
    Timed,
    Transpose,
    TreeSolve,
    fits,
)
from brian2eprop.device.program.dependence import aliases
from brian2eprop.device.program.draws import WORDS
from brian2eprop.device.program.verify import Stage, verify


class ReferenceBackend(Backend):
    """Programs interpreted by NumPy: slow, and as plain as can be."""

    name = "reference"

    def memory(self, instances: int) -> Memory:
        """Empty memory for that many instances, with one worker."""
        return Memory(np, self.precision, instances, workers=1)

    def compile(self, program: Program, layout: Layout = Layout.PER_INSTANCE) -> ReferenceKernel:
        """Make the Program runnable; to an interpreter all layouts are one.

        Raises
        ------
        ProgramError
            If the Program is not legal.
        """
        verify(program, Stage.GENERATION)
        return ReferenceKernel(program, layout)


class ReferenceKernel(Kernel):
    """Walks through the instances, the sweeps, the steps and the phases, in this order."""

    def __init__(self, program: Program, layout: Layout) -> None:
        self.program = program
        self.layout = layout

    def run(self, memory: Memory, call: Call = NOTHING_GIVEN) -> None:
        """Run the Program's sweeps; see :meth:`brian2eprop.device.backends.base.Kernel.run`.

        A sweep that runs once is at ``first_step``.

        Raises
        ------
        ValueError
            If an input stream of the Program is not given or has too few instances.
        """
        check_streams(self.program, memory.instances, call.streams)
        memory.derive_tables(self.program)
        for over, sweeps in self.program.groups():
            # What is shared has no instances: any one of them is all of it.
            instances = memory.instances if over is Over.INSTANCES else 1
            for instance in range(instances):
                _Instance(self.program, memory, instance, call).run(sweeps)
        memory.touch(self.program.written_tables)


class _Instance:
    """One instance's run."""

    def __init__(self, program: Program, memory: Memory, instance: int, call: Call) -> None:
        self.program = program
        self.memory = memory
        self.instance = instance
        self.call = call
        self.arrays = stored_arrays(program)

    def run(self, sweeps: tuple[Sweep | Chunks, ...]) -> None:
        for sweep in sweeps:
            steps = self.steps(sweep)
            if isinstance(sweep, Sweep):
                self.sweep(sweep, steps)
                continue
            for first in steps[:: sweep.length]:
                for each in sweep.sweeps:
                    self.sweep(each, range(first, min(first + sweep.length, steps.stop)))

    def sweep(self, sweep: Sweep, steps: range) -> None:
        for step in _walk(sweep, steps):
            for phase in sweep.phases:
                now = self.due(phase, step)
                if now is not None:
                    self.now = now
                    self.run_phase(phase, now.step)

    def due(self, phase: Phase, step: int) -> Now | None:
        """What a phase is done at in a step of the Program; None where it is not due."""
        clock = self.program.clock_of(phase)
        if isinstance(clock, ListedClock):
            found = np.flatnonzero(self.memory.arrays[clock.steps] == step)
            times = self.memory.arrays[clock.times]
            return Now(step, int(found[0]), times[found[0]]) if found.size else None
        own, rest = divmod(step, clock.every)
        return None if rest else Now(step, own, np.float64(own * clock.dt), clock.dt)

    def steps(self, sweep: Sweep | Chunks) -> range:
        """The steps of the call that the instance goes through."""
        first, n_steps = self.call.first_step, self.call.n_steps
        if sweep.steps is not None:
            left = int(self.whole(self.arrays[sweep.steps])[0]) - first
            n_steps = min(max(left, 0), n_steps)
        return range(first, first + n_steps)

    def run_phase(self, phase: Phase, step: int) -> None:
        match phase:
            case ForEach():
                self.execute(phase.body, elements(np.arange(phase.size)), step)
            case ForEachEvent():
                self.execute(
                    phase.body, elements(self.events(phase.events, step - phase.delay)), step
                )
            case Detect():
                self.detect(phase, step)
            case Record():
                self.record(phase, step)
            case Count():
                self.slot(phase.into, step)[0] = len(self.chosen(phase, step))
            case Feed():
                self.set_events(phase.events, step, self.fed(phase.stream, step))
            case Propagate():
                self.propagate(phase, step)
            case ForEachSynapse():
                rows = self.program.find_connectivity(phase.connectivity).rows(phase.side)
                self.for_each_synapse(phase, range(rows), step)
            case Reduce():
                self.reduce(phase, step)
            case Clear():
                counts = (count_of(self.program.find_events(name)).name for name in phase.events)
                for name in (*phase.arrays, *counts):
                    self.whole(self.arrays[name])[...] = 0
            case TreeSolve():
                self.solve_tree(phase, step)
            case Choose():
                choose(phase, self.memory)
            case Rewire():
                taken = partial(self.taken, phase, step)
                numbers = partial(self.numbers_of, phase.place)
                rewire(phase, self.sparse(phase), self.memory, numbers, taken)
            case Grow():
                grow(phase, self.sparse(phase), self.memory, partial(self.taken, phase, step))
            case Expand():
                taken = partial(self.execute, phase.body, step=step, result=phase.TAKEN)
                expand(phase, self.memory, self.key(phase.numbers), taken)
            case Assign():
                self.execute(phase.body, each_synapse(phase, self.memory), step)
            case Transpose():
                transpose(self.sparse(phase), self.memory)

    # Phases

    def detect(self, phase: Detect, step: int) -> None:
        conditions = self.execute(
            phase.body, elements(np.arange(phase.size)), step, Detect.CONDITION
        )
        detected = np.flatnonzero(conditions)
        self.set_events(phase.events, step, detected)
        for name in phase.on_event:
            ref = phase.body.refs[name]
            is_flag = self.arrays[ref.array].dtype is DType.BOOL
            assert isinstance(ref.offset, int)
            self.slot(ref.array, step + ref.offset)[detected] = False if is_flag else self.now.t

    def chosen(self, phase: Record | Count, step: int) -> Indices:
        neurons = self.events(phase.events, step - phase.delay)
        return neurons[(neurons >= phase.first) & (neurons < phase.stop)]

    def record(self, phase: Record, step: int) -> None:
        neurons, end = self.chosen(phase, step), self.slot(phase.end, step)
        self.execute(phase.body, entries(neurons, int(end[0])), step)
        end[0] += len(neurons)

    def propagate(self, phase: Propagate, step: int) -> None:
        if isinstance(phase.delay, int):
            self.deliver(phase, step, phase.delay)
            return
        history = self.program.find_events(phase.events).slots.history
        delays = self.memory.arrays[phase.delay]
        oldest_first = range(history, -1, -1)
        for delay in reversed(oldest_first) if phase.reverse else oldest_first:
            self.deliver(phase, step, delay, delays == delay)

    def deliver(self, phase: Propagate, step: int, delay: int, there: Values | None = None) -> None:
        """Let the synapses for which ``there`` holds meet the events of one earlier step."""
        for name, holds in ((phase.formed, np.greater_equal), (phase.until, np.less)):
            if name is not None:
                met = holds(step - delay, self.memory.arrays[name])
                there = met if there is None else there & met
        neurons = self.events(phase.events, step - delay)
        self.for_each_synapse(phase, neurons, step, there, step - delay)

    def for_each_synapse(
        self,
        phase: SynapticLoop,
        neurons: Sequence[int] | Indices,
        step: int,
        there: Values | None = None,
        sent: int = 0,
    ) -> None:
        connectivity = self.program.find_connectivity(phase.connectivity)
        for neuron in neurons[::-1] if phase.reverse else neurons:
            loop = row(connectivity, int(neuron), phase.side, self.memory)
            if phase.reverse:
                loop = loop.reversed()
            if there is not None:
                loop = loop.chosen(there[loop.indices[Index.SYNAPSE]])
            self.execute(phase.body, loop, step, sent=sent)

    def sparse(self, phase: Forming | Transpose) -> Sparse:
        found = self.program.find_connectivity(phase.connectivity)
        assert isinstance(found, Sparse)
        return found

    def taken(self, phase: Forming, step: int, numbers: Indices, places: Indices) -> Values:
        """Which of some places, each with the number by which it draws, are taken."""
        ends = divmod(places, self.sparse(phase).n_target)
        indices = dict(zip((Index.SOURCE, Index.TARGET), ends, strict=True))
        loop = Loop(len(places), {Index.ELEMENT: numbers, **indices}, frozenset({Index.ELEMENT}))
        return self.execute(phase.body, loop, step, phase.TAKEN).astype(bool)

    def reduce(self, phase: Reduce, step: int) -> None:
        values = self.execute(phase.body, elements(np.arange(phase.size)), step, Reduce.VALUE)
        is_sum = phase.operation is Reduction.SUM
        self.slot(phase.into, step)[0] = values.sum() if is_sum else values.max()

    def solve_tree(self, phase: TreeSolve, step: int) -> None:
        parent = self.memory.arrays[phase.parent]
        names = (phase.leak, phase.coupling, phase.source)
        leak, coupling, source = (self.slot(name, step) for name in names)
        for node in range(len(parent) - 1, 0, -1):
            share = coupling[node] / (coupling[node] + leak[node])
            leak[parent[node]] += leak[node] * share
            source[parent[node]] += source[node] * share
        source[0] /= leak[0]
        for node in range(1, len(parent)):
            inflow = source[node] + coupling[node] * source[parent[node]]
            source[node] = inflow / (coupling[node] + leak[node])

    # Bodies

    def execute(
        self, body: Body, loop: Loop, step: int, result: str | None = None, sent: int = 0
    ) -> Values:
        """Run the body in all runs of the loop; the values of its local ``result``."""
        loops = [loop] if loop.is_parallel(body) else loop.single()
        numbers = self.numbers(body)
        functions = {name: self.timed(timed) for name, timed in body.timed.items()}
        functions |= {name: found.python for name, found in body.foreign.items()}
        found = [np.zeros(0)]
        for part in loops:
            places = {n: self.place(ref, part, step, sent) for n, ref in body.refs.items()}
            drawn = self.drawn(body, part)
            names = numbers | drawn | functions
            values = execute(body.code, places, body.guards, names, aliases(body))
            if result is not None:
                found.append(np.broadcast_to(values[result], part.length))
        return np.concatenate(found)

    def numbers(self, body: Body) -> dict[str, Any]:
        # A NumPy double keeps expressions of t in double precision; a Python number takes
        # the precision of the arrays it meets.
        time, dt, step = self.now.t, self.now.dt, self.now.step
        # Python's wide integers would not be added to an array of narrow ones.
        constants = {
            name: value if fits(value, 32) else np.int64(value)
            for name, value in body.constants.items()
        }
        times = {
            name: np.float64(clock.steps_before(self.now.program_step) * clock.dt)
            for name, clock in body.times.items()
        }
        return {**constants, **times, "t": time, "dt": dt, "step": step}

    def drawn(self, body: Body, loop: Loop) -> dict[str, Values]:
        return {name: self.numbers_of(draw, loop.runs) for name, draw in body.draws.items()}

    def numbers_of(self, wanted: Draw, runs: Indices) -> Values:
        key = self.key(wanted)
        dtype = np.float64 if wanted.dtype is DType.DOUBLE else self.memory.precision.dtype
        now = self.now.program_step
        return draw(wanted.distribution, dtype, key, runs, now, self.instance)

    def key(self, wanted: Draw) -> Values:
        number = self.program.draws.index(wanted)
        found: Values = self.memory.arrays[KEYS].reshape(-1, WORDS)[number]
        return found

    def timed(self, timed: Timed) -> Callable[..., Values]:
        rows = self.memory.arrays[timed.array].reshape(-1, timed.width)

        def value(time: Any, column: Any = 0) -> Values:
            fraction = np.asarray(time, np.float64) / (timed.dt / timed.fractions) + 0.5
            row = np.clip(converted(fraction / timed.fractions, np.int64), 0, len(rows) - 1)
            column = np.asarray(column)
            there = (column >= 0) & (column < timed.width)
            found = rows[row, np.where(there, column, 0)]
            chosen: Values = np.where(there, found, rows.dtype.type(np.nan))[()]
            return chosen

        return value

    def place(self, ref: Ref, loop: Loop, step: int, sent: int) -> Place:
        index = loop.indices.get(ref.index, np.zeros(1, np.int64))
        if ref.via is not None:
            index = self.memory.arrays[ref.via][index]
        there = sent if isinstance(ref.offset, At) else step + ref.offset
        if ref.index is Index.ENTRY:  # a log goes through all steps
            return Place(self.whole(self.arrays[ref.array]).reshape(-1), index)
        return Place(self.slot(ref.array, there), index)

    # Arrays

    def whole(self, array: Array) -> Values:
        values: Values = self.memory.arrays[array.name]
        if array.access is Access.SHARED:
            return values
        copy: Values = values[self.instance if array.access is Access.PER_INSTANCE else 0]
        return copy

    def slot(self, name: str, step: int) -> Values:
        array = self.arrays[name]
        values = self.whole(array)
        return values if array.slots is None else values[step % len(values)]

    def events(self, name: str, step: int) -> Indices:
        buffer = self.program.find_events(name)
        count = int(self.slot(count_of(buffer).name, step)[0])
        return self.slot(index_of(buffer).name, step)[:count].astype(np.int64)

    def set_events(self, name: str, step: int, detected: Values) -> None:
        buffer = self.program.find_events(name)
        self.slot(count_of(buffer).name, step)[0] = len(detected)
        self.slot(index_of(buffer).name, step)[: len(detected)] = detected

    def fed(self, name: str, step: int) -> Values:
        return self.call.streams[name].of(step, self.instance)


def _walk(sweep: Sweep, steps: range) -> Iterable[int]:
    if sweep.direction is Direction.ONCE:
        return (steps.start,)
    return steps if sweep.direction is Direction.FORWARD else reversed(steps)
