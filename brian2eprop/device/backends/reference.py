"""A small NumPy interpreter of Programs: what a Program means, and the oracle of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from brian2eprop.device.backends.base import Backend, Kernel, Memory, SpikeStream
from brian2eprop.device.backends.interpreter import Place, Values, execute
from brian2eprop.device.backends.loops import Indices, Loop, elements, row
from brian2eprop.device.backends.streams import check_streams
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Clear,
    Detect,
    Direction,
    DType,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Layout,
    Phase,
    Program,
    Propagate,
    Reduce,
    Reduction,
    Ref,
    Sweep,
)
from brian2eprop.device.program.verify import Stage, verify


class ReferenceBackend(Backend):
    """Programs interpreted by NumPy: slow, and as plain as can be."""

    name = "reference"

    def memory(self, instances: int) -> Memory:
        """Empty memory for that many instances, with one worker."""
        return Memory(np, self.precision, instances, workers=1)

    def compile(self, program: Program) -> ReferenceKernel:
        """Make the Program runnable.

        Raises
        ------
        ProgramError
            If the Program is not legal.
        """
        verify(program, Stage.GENERATION)
        return ReferenceKernel(program)


class ReferenceKernel(Kernel):
    """Walks through the instances, the sweeps, the steps and the phases, in this order."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def run(
        self,
        memory: Memory,
        first_step: int = 0,
        n_steps: int = 0,
        streams: Mapping[str, SpikeStream] | None = None,
    ) -> None:
        """Run the Program's sweeps; see :meth:`brian2eprop.device.backends.base.Kernel.run`.

        A sweep that runs once is at ``first_step``.

        Raises
        ------
        ValueError
            If an input stream of the Program is not given or has too few instances.
        """
        given = dict(streams or {})
        check_streams(self.program, memory.instances, given)
        steps = range(first_step, first_step + n_steps)
        if self.program.layout is Layout.ELEMENTWISE:
            _Instance(self.program, memory, 0, given).run(steps)
            return
        for array in self.program.all_arrays().values():
            if array.access is Access.ACCUMULATED:
                memory.arrays[array.name][...] = 0
        for instance in range(memory.instances):
            _Instance(self.program, memory, instance, given).run(steps)


class _Instance:
    """One instance's run."""

    def __init__(
        self,
        program: Program,
        memory: Memory,
        instance: int,
        streams: Mapping[str, SpikeStream],
    ) -> None:
        self.program = program
        self.memory = memory
        self.instance = instance
        self.streams = streams
        self.arrays = program.all_arrays()

    def run(self, steps: range) -> None:
        for sweep in self.program.sweeps:
            for step in _walk(sweep, steps):
                for phase in sweep.phases:
                    self.run_phase(phase, step)

    def run_phase(self, phase: Phase, step: int) -> None:
        match phase:
            case ForEach():
                self.execute(phase.body, elements(np.arange(phase.size)), step)
            case ForEachEvent():
                self.execute(phase.body, elements(self.events(phase.events, step)), step)
            case Detect():
                self.detect(phase, step)
            case Feed():
                self.set_events(phase.events, step, self.fed(phase.stream, step))
            case Propagate():
                sources = self.events(phase.events, step + phase.offset)
                self.for_each_synapse(phase, sources, step)
            case ForEachSynapse():
                n_source = self.program.find_connectivity(phase.connectivity).n_source
                self.for_each_synapse(phase, range(n_source), step)
            case Reduce():
                self.reduce(phase, step)
            case Clear():
                for name in phase.arrays:
                    self.whole(self.arrays[name])[...] = 0

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
            self.slot(ref.array, step + ref.offset)[detected] = (
                False if is_flag else step * self.program.dt
            )

    def for_each_synapse(
        self, phase: Propagate | ForEachSynapse, sources: Iterable[int], step: int
    ) -> None:
        connectivity = self.program.find_connectivity(phase.connectivity)
        for source in sources:
            self.execute(phase.body, row(connectivity, int(source), self.memory), step)

    def reduce(self, phase: Reduce, step: int) -> None:
        values = self.execute(phase.body, elements(np.arange(phase.size)), step, Reduce.VALUE)
        is_sum = phase.operation is Reduction.SUM
        self.slot(phase.into, step)[0] = values.sum() if is_sum else values.max()

    # Bodies

    def execute(self, body: Body, loop: Loop, step: int, result: str | None = None) -> Values:
        """Run the body in all runs of the loop; the values of its local ``result``."""
        loops = [loop] if loop.is_parallel(body) else loop.single()
        numbers = self.numbers(body, step)
        found = [np.zeros(0)]
        for part in loops:
            places = {name: self.place(ref, part, step) for name, ref in body.refs.items()}
            values = execute(body.code, places, body.guards, numbers)
            if result is not None:
                found.append(np.broadcast_to(values[result], part.length))
        return np.concatenate(found)

    def numbers(self, body: Body, step: int) -> dict[str, Any]:
        # A NumPy double keeps expressions of t in double precision; a Python number takes
        # the precision of the arrays it meets.
        time = np.float64(step * self.program.dt)
        return {**body.constants, "t": time, "dt": self.program.dt, "step": step}

    def place(self, ref: Ref, loop: Loop, step: int) -> Place:
        index = loop.indices.get(ref.index, np.zeros(1, np.int64))
        if ref.via is not None:
            index = self.memory.arrays[ref.via][index]
        return Place(self.slot(ref.array, step + ref.offset), index)

    # Arrays

    def whole(self, array: Array) -> Values:
        values: Values = self.memory.arrays[array.name]
        if array.access in (Access.SHARED, Access.ACCUMULATED):
            return values
        copy: Values = values[self.instance if array.access is Access.PER_INSTANCE else 0]
        return copy

    def slot(self, name: str, step: int) -> Values:
        array = self.arrays[name]
        values = self.whole(array)
        return values if array.slots is None else values[step % len(values)]

    def events(self, name: str, step: int) -> Indices:
        buffer = self.program.find_events(name)
        count = int(self.slot(buffer.count, step)[0])
        return self.slot(buffer.index, step)[:count].astype(np.int64)

    def set_events(self, name: str, step: int, detected: Values) -> None:
        buffer = self.program.find_events(name)
        self.slot(buffer.count, step)[0] = len(detected)
        self.slot(buffer.index, step)[: len(detected)] = detected

    def fed(self, name: str, step: int) -> Values:
        stream = self.streams[name]
        start = stream.start[self.instance]
        row = step - stream.first_step
        if not 0 <= row < len(start) - 1:
            return np.zeros(0, np.int32)
        return stream.index[start[row] : start[row + 1]]


def _walk(sweep: Sweep, steps: range) -> Iterable[int]:
    if sweep.direction is Direction.ONCE:
        return (steps.start,)
    return steps if sweep.direction is Direction.FORWARD else reversed(steps)
