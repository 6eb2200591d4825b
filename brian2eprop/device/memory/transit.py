"""Spikes in transit: what pathways have still to deliver between one run and the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.capture.captured import Captured
from brian2eprop.device.capture.pathways import Pathway
from brian2eprop.device.codegen.storage import count_of, index_of
from brian2eprop.device.program import Clock, Events
from brian2eprop.errors import Unsupported


@dataclass(frozen=True)
class Sent:
    """The spikes that a group sent in the steps before the next one.

    Parameters
    ----------
    counts : int32 array, shape (instances, history)
        Number of spikes in each of the steps, the last step last.
    index : int32 array, shape (instances, history, size)
        Their neurons.
    """

    counts: npt.NDArray[np.int32]
    index: npt.NDArray[np.int32]

    def any_within(self, steps: int) -> bool:
        """Whether there were spikes in that many last steps."""
        return steps > 0 and bool(self.counts[:, -steps:].any())

    def finer(self, ratio: int, late: int) -> Sent:
        """The same in steps of which one was ``ratio``; see :class:`Transit`."""
        before = np.arange(self.counts.shape[1], 0, -1)
        now = in_finer(before, ratio, late)
        n, *rest = self.index.shape[::2]
        counts = np.zeros((n, now.max(initial=0)), np.int32)
        index = np.zeros((n, now.max(initial=0), *rest), np.int32)
        counts[:, -now], index[:, -now] = self.counts, self.index
        return Sent(counts, index)


@dataclass(frozen=True)
class Due:
    """When the clock of an event buffer is due next.

    Parameters
    ----------
    dt : float
        Its time step in seconds.
    step : int
        Its step that is run next.
    """

    dt: float
    step: int


@dataclass(frozen=True)
class Transit:
    """What a network's next run must know of the spikes of the last one.

    Parameters
    ----------
    sent : mapping of str to Sent
        The spikes of each event buffer that has some.
    emitters : mapping of str to int
        Brian2's number of the group that sent them. A buffer that is not in it belongs to
        whichever group has the name, as after a restore.
    pathways : mapping of str to Pathway
        What is to deliver them.
    due : mapping of str to Due
        When the clock of each event buffer is due next.
    late : collection of str
        The event buffers whose spikes are heard a step late.

    Notes
    -----
    In finer steps, what is to arrive after ``n`` steps arrives after ``n*ratio``, as in Brian2's
    queue. What is heard late gets into the queue one step after it was sent, however long it is.
    """

    sent: Mapping[str, Sent] = field(default_factory=dict)
    emitters: Mapping[str, int] = field(default_factory=dict)
    pathways: Mapping[str, Pathway] = field(default_factory=dict)
    due: Mapping[str, Due] = field(default_factory=dict)
    late: Collection[str] = frozenset()

    def in_steps_of(self, dt: float, events: str) -> tuple[int, int]:
        """Into how many steps one of an event buffer is cut, and how many late it is heard."""
        due = self.due.get(events)
        ratio = 1 if due is None else max(1, round(due.dt / dt))
        return ratio, int(events in self.late)


def take_transit(
    memory: Memory, captured: Captured, next_step: int, oldest: Mapping[str, int], done: int = 0
) -> Transit:
    """Copy the spikes in transit out of a memory.

    Parameters
    ----------
    memory : Memory
        Where the event buffers lie.
    captured : Captured
        The network.
    next_step : int
        The step that is run next.
    oldest : mapping of str to int
        The first step of each event buffer that may have spikes, as :func:`put_transit` gives it.
    done : int
        How many phases of that step are done already: it was broken off by an error.

    Returns
    -------
    Transit
        The spikes, with what is to deliver them.
    """
    due = {events.name: due_next(captured, events, next_step) for events in captured.program.events}
    # Brian2's queues have moved on in a step that is broken off: who heard it does not hear it
    # again, and what was sent in it has been sent.
    moved = _moved_on(captured, done)
    found = {
        e.name: _take(
            memory, e, due_next(captured, e, next_step + (e.name in moved)).step, oldest[e.name]
        )
        for e in captured.program.events
    }
    sent = {name: spikes for name, spikes in found.items() if spikes is not None}
    return Transit(sent, captured.emitters, captured.pathways, due, captured.late)


def _moved_on(captured: Captured, done: int) -> Collection[str]:
    """The event buffers that were filled, and met by pathways, in the first phases of a step."""
    (sweep,) = captured.program.single_sweeps()
    owners = captured.pathways.keys() & set(captured.owners[:done])
    filled = {name for phase in sweep.phases[:done] for name in phase.fills()}
    return filled & {captured.pathways[owner].events for owner in owners}


def due_next(captured: Captured, events: Events, next_step: int) -> Due:
    """When the clock of an event buffer is due next.

    Parameters
    ----------
    captured : Captured
        The network.
    events : Events
        The buffer.
    next_step : int
        The step of the Program that is run next.
    """
    clock = captured.program.clock_of_slots(events.name)
    assert isinstance(clock, Clock)
    return Due(clock.dt, clock.steps_before(next_step))


def _take(memory: Memory, events: Events, next_step: int, oldest: int) -> Sent | None:
    """The spikes of the last steps; None where there was none."""
    steps = np.arange(max(oldest, next_step - events.slots.history), next_step)
    counts = memory.read_slots(count_of(events).name, steps)[..., 0]
    if not counts.any():
        return None
    return Sent(counts, memory.read_slots(index_of(events).name, steps))


def forget_late(memory: Memory, captured: Captured, next_step: int) -> None:
    """Forget what thresholds found in the last step, where it would be heard late.

    Parameters
    ----------
    memory : Memory
        Where the event buffers lie.
    captured : Captured
        The network.
    next_step : int
        The step that is run next.
    """
    for name in sorted(captured.forgotten):
        events = captured.program.find_events(name)
        last = np.array([due_next(captured, events, next_step).step - 1])
        memory.write_slots(count_of(events).name, last, np.int32(0))


def put_transit(
    memory: Memory, captured: Captured, sent: Mapping[str, Sent], next_step: int
) -> Mapping[str, int]:
    """Make these the spikes in transit of a memory that has none yet.

    Of long delays only a few steps have spikes: the others are not touched.

    Parameters
    ----------
    memory : Memory
        Where the event buffers lie.
    captured : Captured
        The network.
    sent : mapping of str to Sent
        The spikes by event buffer.
    next_step : int
        The step that is run next.

    Returns
    -------
    mapping of str to int
        The first step of each event buffer that may have spikes.
    """
    oldest = {}
    for events in captured.program.events:
        next_one = due_next(captured, events, next_step).step
        oldest[events.name] = _put(memory, events, sent.get(events.name), next_one)
    return oldest


def _put(memory: Memory, events: Events, sent: Sent | None, next_step: int) -> int:
    if sent is None:
        return next_step
    known = int(sent.counts.shape[1])
    kept = min(known, events.slots.history)
    steps, latest = np.arange(next_step - kept, next_step), slice(known - kept, None)
    memory.write_slots(count_of(events).name, steps, sent.counts[:, latest, None])
    memory.write_slots(index_of(events).name, steps, sent.index[:, latest])
    return next_step - kept


def deliverable(
    transit: Transit, captured: Captured, first_step: int, instances: int
) -> Mapping[str, Sent]:
    """The spikes of the last run that this run delivers.

    Parameters
    ----------
    transit : Transit
        What the last run has left.
    captured : Captured
        The network now.
    first_step : int
        The step to run next.
    instances : int
        The number of instances now.

    Returns
    -------
    mapping of str to Sent
        The spikes, by event buffer, of the groups that are still there.

    Raises
    ------
    Unsupported
        If what delivers them has changed.
    """
    sent = {
        name: spikes
        for name, spikes in transit.sent.items()
        if name in captured.emitters
        and transit.emitters.get(name, captured.emitters[name]) == captured.emitters[name]
    }
    if sent:
        _check_instances(sent, instances)
        _check_pathways(transit.pathways, captured, sent)
        for name, spikes in sent.items():
            due = due_next(captured, captured.program.find_events(name), first_step)
            _check_time(transit.due.get(name), due, captured)
            ratio, late = transit.in_steps_of(due.dt, name)
            sent[name] = spikes if ratio == 1 else spikes.finer(ratio, late)
    return sent


_ON_THEIR_WAY = "while spikes are on their way to"
_WAY_OUT = "change it before the first run, or run without input until they have arrived"
_ROUNDING = 1e-9


def _check_time(before: Due | None, now: Due, captured: Captured) -> None:
    if before is None:
        return
    ratio = round(before.dt / now.dt)
    if abs(before.dt - ratio * now.dt) > _ROUNDING * before.dt:
        raise Unsupported(
            f"The dt of '{captured.program.name}' was changed from {before.dt:g} s to {now.dt:g} s "
            f"{_ON_THEIR_WAY} their targets, and Brian2 loses or shifts some of them unless a step "
            f"is cut into equal ones; {_WAY_OUT}."
        )
    if before.step * ratio != now.step:
        raise Unsupported(
            f"The time of '{captured.program.name}' was changed {_ON_THEIR_WAY} their targets; "
            "run without input until they have arrived, or make the network anew."
        )


def _check_instances(sent: Mapping[str, Sent], instances: int) -> None:
    for name, spikes in sent.items():
        before = len(spikes.counts)
        if before not in (1, instances):
            raise Unsupported(
                f"The spikes in '{name}' are on their way in {before} instances, which a run "
                f"with batch_size={instances} cannot deliver; call set_device with "
                f"batch_size={before}, or make the network anew."
            )


def _check_pathways(
    before: Mapping[str, Pathway], captured: Captured, sent: Mapping[str, Sent]
) -> None:
    for name in sorted(before.keys() | captured.pathways.keys()):
        old, new = before.get(name), captured.pathways.get(name)
        if old is not None and new is not None and new.events == old.events:
            continue
        longest = max(path.longest for path in (old, new) if path)
        for path in (old, new):
            spikes = sent.get(path.events) if path else None
            if spikes is not None and spikes.any_within(longest):
                raise Unsupported(
                    f"{_what_changed(name, old, new)} {_ON_THEIR_WAY} its targets; {_WAY_OUT}."
                )


def in_finer(steps: npt.NDArray[Any], ratio: int, late: int) -> npt.NDArray[Any]:
    """Numbers of steps in finer ones, where of each the last ``late`` ones are as they are."""
    return (steps - late) * ratio + late


def _what_changed(name: str, old: Pathway | None, new: Pathway | None) -> str:
    if old is None:
        return f"The pathway '{name}' was added or made active"
    if new is None:
        return f"The pathway '{name}' was removed or made inactive"
    return f"The source of '{name}' was changed"
