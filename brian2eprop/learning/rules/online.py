"""Programs that go through a sample in several calls, with updates between them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from brian2eprop.device.program import Access, Direction, Phase, Program, Sweep
from brian2eprop.device.program.verify_flow import seen_before_set
from brian2eprop.learning.objective.task import Online, Task


def in_calls(
    program: Program, begin: tuple[Phase, ...], task: Task, every: int
) -> tuple[Program, Online]:
    """A Program that goes on from where its last call has ended.

    Parameters
    ----------
    program : Program
        What is done in a call, without what an instance begins with.
    begin : tuple of Phase
        What it begins with.
    task : Task
        What is learned.
    every : int
        Number of steps of a call.

    Returns
    -------
    program : Program
        The same; what it sees of the call before is kept for each instance.
    online : Online
        How it is called.
    """
    lasting = {name for _, name in seen_before_set(program)}
    lasting_program = replace(
        program,
        arrays=tuple(
            replace(array, access=Access.PER_INSTANCE) if array.name in lasting else array
            for array in program.arrays
        ),
        events=tuple(replace(buffer, access=Access.PER_INSTANCE) for buffer in program.events),
    )
    beginning = replace(
        lasting_program,
        name=f"{program.name}, a sample's beginning",
        sweeps=(Sweep(Direction.ONCE, begin),),
        streams=(),
    )
    return lasting_program, Online(beginning, every, partial(_judged, task, program.dt))


def _judged(task: Task, dt: float, steps: range) -> bool:
    """Whether losses or regularisers judge one of the steps."""
    windows = [output.loss.window_range(dt) for output in task.outputs]
    return bool(task.regularisers) or any(
        max(steps.start, window.start) < min(steps.stop, window.stop) for window in windows
    )
