"""A trial: the model run from its initial state, its spikes counted and its output judged.

It is the forward part of every training Program, and all of an evaluation's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Chunks,
    Clear,
    Connectivity,
    Count,
    Detect,
    Direction,
    DType,
    Events,
    ForEach,
    ForEachEvent,
    Index,
    Loop,
    Phase,
    Program,
    Record,
    Ref,
    Slots,
    Stream,
    Sweep,
)
from brian2eprop.errors import LearningError
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.objective.loss import TRIAL_STEPS, Judged, LossArrays, LossPhases
from brian2eprop.learning.objective.task import Output, OutputRoles, Roles, Task


@dataclass(frozen=True)
class Trial:
    """The parts of a trial, to be put together with a rule's.

    Attributes
    ----------
    model : Program
        The captured Program without its recordings.
    begin, after, end : tuple of Phase
        Before the steps, in every step after the model's own phases, after the steps.
    roles : Roles
        The parts that its arrays play.
    """

    model: Program
    arrays: tuple[Array, ...]
    events: tuple[Events, ...]
    begin: tuple[Phase, ...]
    after: tuple[Phase, ...]
    end: tuple[Phase, ...]
    roles: Roles

    @property
    def connectivities(self) -> tuple[Connectivity, ...]:
        """The model's connectivities."""
        return self.model.connectivities

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The model's input streams."""
        return self.model.streams

    def forward(self, phases: tuple[Phase, ...]) -> Sweep:
        """A sweep through the steps that each sample has."""
        return Sweep(Direction.FORWARD, phases, steps=TRIAL_STEPS)

    def backward(self, phases: tuple[Phase, ...]) -> Sweep:
        """The same from the last step to the first."""
        return Sweep(Direction.BACKWARD, phases, steps=TRIAL_STEPS)

    def within(self, steps: int) -> Trial:
        """The trial with what is to be known of so many steps before the present one."""
        gradients = {LossArrays(output.output).gradient for output in self.roles.outputs}
        return replace(
            self,
            arrays=tuple(
                replace(array, slots=Slots(steps - 1)) if array.name in gradients else array
                for array in self.arrays
            ),
            events=tuple(
                replace(buffer, slots=Slots(buffer.slots.history + steps - 1))
                for buffer in self.events
            ),
        )

    def chunks(self, length: int, sweeps: tuple[Sweep, ...]) -> Chunks:
        """Sweeps through chunks of the steps that each sample has."""
        return Chunks(length, sweeps, TRIAL_STEPS)

    def program(self, name: str) -> Program:
        """The trial alone as a Program."""
        return Program(
            name=name,
            dt=self.model.dt,
            arrays=self.arrays,
            sweeps=(
                Sweep(Direction.ONCE, self.begin),
                self.forward((*self.model.sweeps[0].phases, *self.after)),
                Sweep(Direction.ONCE, self.end),
            ),
            events=self.events,
            connectivities=self.connectivities,
            streams=self.streams,
        )


def make_trial(model: Program, task: Task, kept: bool) -> Trial:
    """Make a trial of a captured Program.

    Parameters
    ----------
    model : Program
        The captured Program.
    task : Task
        What judges the output.
    kept : bool
        Whether the spikes and the output's gradient of all steps are wanted after the last.

    Raises
    ------
    LearningError
        If an output is no state variable, or a parameter differs from instance to instance.
    """
    model = without_recordings(model)
    changed = changed_arrays(model.phases())
    losses = [_loss(output, model, changed, kept) for output in task.outputs]
    state = [array for array in model.arrays if array.name in changed]
    counts = _spike_counts(model)
    events = tuple(_scratch_events(buffer, kept) for buffer in model.events)
    return Trial(
        model=model,
        arrays=(
            *(_shared_or_scratch(array, changed) for array in model.arrays),
            *(replace(a, name=initial_of(a.name), access=Access.SHARED) for a in state),
            *counts.values(),
            Array(TRIAL_STEPS, DType.INT, 1, Access.PER_INSTANCE),
            *(array for loss in losses for array in loss.arrays),
        ),
        events=events,
        begin=(
            Clear("forget spikes", events=tuple(buffer.name for buffer in events)),
            *_initialise(state),
            *([Clear("spike counts", tuple(a.name for a in counts.values()))] if counts else []),
            *(phase for loss in losses for phase in loss.begin),
        ),
        after=(
            *(_count(events, array.name) for events, array in counts.items()),
            *(phase for loss in losses for phase in loss.step),
        ),
        end=tuple(phase for loss in losses for phase in loss.end),
        roles=Roles(
            initial={array.name: initial_of(array.name) for array in state},
            counts={events: array.name for events, array in counts.items()},
            outputs=tuple(_roles(output, model.dt) for output in task.outputs),
            steps=TRIAL_STEPS,
        ),
    )


def _loss(output: Output, model: Program, changed: set[str], kept: bool) -> LossPhases:
    if output.loss.judges is not Judged.STATE:
        return _spike_loss(output, model, kept)
    array = model.all_arrays()[output.array]
    if array.name not in changed or array.dtype is not DType.REAL:
        raise LearningError(
            f"The output '{array.name}' is no state variable of the network. Name one that the "
            "network's equations change, such as readout.y."
        )
    return output.loss.phases(array.name, array.size, model.dt, kept)


def _spike_loss(output: Output, model: Program, kept: bool) -> LossPhases:
    found = [p for p in model.phases() if isinstance(p, Detect) and p.events == output.array]
    if not found:
        raise LearningError(
            f"The neurons of the output '{output.array}' have no threshold, and "
            f"{type(output.loss).__name__} judges spikes. Name a group that spikes, or read one of "
            "its variables by CrossEntropy or MeanSquaredError."
        )
    return output.loss.phases(output.array, found[0].size, model.dt, kept)


def _roles(output: Output, dt: float) -> OutputRoles:
    found = LossArrays(output.array)
    return OutputRoles(
        output.array,
        found.target,
        found.prediction,
        found.value,
        found.scale,
        found.weight,
        partial(output.loss.window_steps, dt=dt),
        output.weight,
    )


def without_recordings(model: Program) -> Program:
    """The Program without phases that only record, and what they record into."""
    arrays = model.all_arrays()
    kept = {name for name, array in arrays.items() if array.slots and array.slots.kept}
    phases = tuple(p for p in model.sweeps[0].phases if not _only_records(p, kept))
    recorded = _arrays(model.phases()) - _arrays(phases)
    return replace(
        model,
        arrays=tuple(array for array in model.arrays if array.name not in recorded),
        sweeps=(Sweep(Direction.FORWARD, phases),),
    )


def _arrays(phases: Iterable[Phase]) -> set[str]:
    found: set[str] = set()
    for phase in phases:
        refs = phase.body.refs.values() if isinstance(phase, Loop) else ()
        found |= phase.reads() | phase.writes() | {ref.array for ref in refs}
    return found


def _only_records(phase: Phase, kept: set[str]) -> bool:
    if isinstance(phase, Record | Count):
        return True
    if not isinstance(phase, ForEach):
        return False
    return all(phase.body.refs[name].array in kept for name in phase.body.written)


def changed_arrays(phases: Iterable[Phase]) -> set[str]:
    """Names of the arrays that phases write."""
    return set().union(*(phase.writes() for phase in phases))


def _shared_or_scratch(array: Array, changed: set[str]) -> Array:
    if array.name in changed:
        return replace(array, access=Access.SCRATCH)
    if array.access is Access.PER_INSTANCE and array.slots is None:
        raise LearningError(
            f"'{array.name}' has a value of its own in every instance, but training runs every "
            "sample with the same parameters. Set it to one value for all instances."
        )
    return array


def _scratch_events(buffer: Events, keep: bool) -> Events:
    return replace(
        buffer, access=Access.SCRATCH, slots=Slots(history=buffer.slots.history, kept=keep)
    )


def _initialise(state: Iterable[Array]) -> list[Phase]:
    """One phase a size: every state variable takes its initial value."""
    by_size: dict[int, list[Array]] = {}
    for array in state:
        by_size.setdefault(array.size, []).append(array)
    phases: list[Phase] = []
    for size, arrays in by_size.items():
        scope = Scope()
        for array in arrays:
            own = scope.bind(array.name, Ref(array.name, Index.ELEMENT))
            initial = scope.bind("initial", Ref(initial_of(array.name), Index.ELEMENT))
            scope.line(own, "=", [initial])
        phases.append(ForEach("initial state", size, scope.body()))
    return phases


def _spike_counts(model: Program) -> dict[str, Array]:
    """The array that counts the spikes of every population with a threshold, by its events."""
    return {
        phase.events: Array(count_of(phase.events), DType.REAL, phase.size, Access.PER_INSTANCE)
        for phase in model.phases()
        if isinstance(phase, Detect)
    }


def _count(events: str, array: str) -> Phase:
    body = Body("spike_count += 1", {"spike_count": Ref(array, Index.ELEMENT)})
    return ForEachEvent(f"count {events}", events, body)


def count_of(events: str) -> str:
    """Array that counts the spikes of an event buffer."""
    return f"spikes:count:{events}"


def initial_of(array: str) -> str:
    """Array that holds the value of a state array at the start of a sample."""
    return f"initial:{array}"
