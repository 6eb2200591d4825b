"""A run, from the network as Brian2 has it to the values after its last step."""

from __future__ import annotations

import gc
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2.core.network import Network
from brian2.core.preferences import prefs
from brian2.units import second

from brian2eprop.device import brian
from brian2eprop.device.capture.captured import Captured
from brian2eprop.device.capture.clocks import Grid
from brian2eprop.device.memory.randomness import Numbers
from brian2eprop.device.memory.state import State
from brian2eprop.device.memory.transit import deliverable
from brian2eprop.device.networks import Kept
from brian2eprop.device.run.cuts import Cuts, warn_of_operations, warn_of_profile
from brian2eprop.device.run.feeding import Feeder, feeder
from brian2eprop.device.run.host import Host
from brian2eprop.device.run.progress import Pace, Progress
from brian2eprop.device.run.recording import record, require_room, sort_events
from brian2eprop.errors import Unsupported
from brian2eprop.interrupts import interrupts_wait
from brian2eprop.spikes import SpikeStream


@dataclass(frozen=True)
class Steps:
    """The steps of a run: ``first <= step < end``."""

    first: int
    end: int

    @property
    def number(self) -> int:
        """How many there are."""
        return self.end - self.first


def run(
    device: Host,
    network: Network,
    kept: Kept,
    duration: Any,
    namespace: Mapping[str, Any],
    progress: Progress,
    profile: bool = False,
) -> None:
    """Run a network.

    Parameters
    ----------
    device : Host
        The device.
    network : Network
        The network.
    kept : Kept
        What is kept of it from one run to the next.
    duration : Quantity
        How long to run.
    namespace : mapping of str to object
        Where external names are looked up.
    progress : Progress
        Is told how far the run is.
    profile : bool
        Whether to note how long each object takes.
    """
    times: dict[str, float] | None = None
    with device.networks.preparing:
        # What the network is: a Program, the one of the last run where nothing has changed.
        captured = prepare(device, network, kept, namespace)
        if captured is None:
            return
        interval = brian.set_interval(network, captured.clocks, duration)
        steps = Steps(*map(captured.grid.step_at, interval))
        if profile:  # every object has an entry, as in Brian2, also one that does nothing itself
            times = {found.name: 0.0 for found in network.sorted_objects if found.active}
        # Where it runs: memory with the spikes that are in transit and Brian2's values.
        until = float(progress.start + duration)
        going = Run(device, network, kept, namespace, steps, until, times)
        going.get_ready(captured, steps.first)
    # The steps, in calls of bounded length with the monitors recorded after each.
    if profile:
        warn_of_profile()
    numbers = device.randomness.take(steps.number)
    try:
        end = going.execute(numbers, progress)
    finally:
        numbers.end(going.state.next_step - steps.first)
    state = going.state
    brian.note_profile(network, times)
    # What Brian2 does after a run.
    if end == steps.end:
        network.t_ = until
    completed = float((network.t - progress.start) / duration) if duration > 0 else 1.0
    brian.note_run(device, progress.elapsed, completed)
    brian.warn_of_invalid_states(network)
    progress.tell(completed)
    state.rewirings.warn()
    state.end_run()
    network.after_run()


def prepare(
    device: Host, network: Network, kept: Kept, namespace: Mapping[str, Any]
) -> Captured | None:
    """The network as a Program; None where it has nothing to run.

    Parameters
    ----------
    device, network, kept, namespace
        As for :func:`run`.
    """
    if device.is_unchanged(network, kept, namespace):
        brian.start(network)
        return kept.captured
    if prefs.logging.warn_for_unused_objects:
        gc.collect()  # so that groups that are in no network are warned about
    kept.captured, kept.origin = device.capture_for_run(network, namespace, kept.transit)
    if kept.captured is not None:
        warn_of_operations(kept.captured)
    return kept.captured


def _memory(device: Host, kept: Kept, captured: Captured, steps: Steps) -> State:
    instances = device.options.instances
    require_room(captured, instances, steps.first, steps.number)
    state = kept.state
    if state is None or not state.fits(captured, steps.first, steps.number):
        sent = deliverable(kept.transit, captured, steps.first, instances)
        kept.rest()
        layout, last = device.options.layout, kept.kernel
        state = State(device, device.backend, instances, captured, steps.number, last, layout)
        state.start(sent, steps.first)
        kept.adopt(state)
    device.hold(captured, state)
    state.push()
    return state


def _feeders(device: Host, captured: Captured, steps: Steps) -> dict[str, Feeder]:
    batch_size = device.options.batch_size
    found = {}
    with device.only_looking():
        for name, source in captured.sources.items():
            clock = captured.grid.clocks[source.clock]
            first, end = clock.steps_before(steps.first), clock.steps_before(steps.end)
            found[name] = feeder(source, batch_size, first, end)
    return found


class Run:
    """The steps of a run.

    Parameters
    ----------
    device : Host
        The device.
    network : Network
        The network.
    captured : Captured
        The network as a Program.
    state : State
        Its memory.
    kept : Kept
        What is kept of it.
    namespace : mapping of str to object
        Where external names are looked up.
    steps : Steps
        The steps.
    until : float
        When the run ends, in seconds.
    times : dict, optional
        Gets how many seconds each object takes.
    """

    captured: Captured
    state: State
    feeders: Mapping[str, Feeder]
    cuts: Cuts
    numbers: Numbers

    def __init__(
        self,
        device: Host,
        network: Network,
        kept: Kept,
        namespace: Mapping[str, Any],
        steps: Steps,
        until: float,
        times: dict[str, float] | None = None,
    ) -> None:
        self.device, self.network, self.kept = device, network, kept
        self.namespace, self.steps, self.until, self.times = namespace, steps, until, times

    def get_ready(self, captured: Captured, begin: int) -> None:
        """Run this Program from a step on, in a memory that has the values of now."""
        self.captured = captured
        self.state = _memory(self.device, self.kept, captured, Steps(begin, self.steps.end))
        self.feeders = _feeders(self.device, captured, self.steps)
        self.cuts = Cuts(captured, timed=self.times is not None)
        self.pace = Pace(self.state.capacity)

    def execute(self, numbers: Numbers, progress: Progress) -> int:
        """Run to the end, or until the network is stopped.

        Parameters
        ----------
        numbers : Numbers
            The random numbers.
        progress : Progress
            Is told how far it is.

        Returns
        -------
        int
            The step that is to be run next.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C; state, monitors and time are those after the last whole call.
        """
        self.numbers, steps = numbers, self.steps
        step = steps.first
        self._write_keys()
        if progress.tell(0.0):
            self._follow()
        try:
            with brian.running():
                while step < steps.end and not self._stopped(progress):
                    if self.cuts.is_cut(step):
                        step = self._step_in_parts(step)
                    else:
                        end = min(
                            step + self.pace.steps,
                            steps.end,
                            self.cuts.next_from(step),
                            self.state.rewirings.next_after(step),
                        )
                        step = self._call(step, int(end) - step)
                    if progress.tell_if_due((step - steps.first) / steps.number):
                        self._follow()
        finally:
            sort_events(self.captured)
        return step

    def _call(self, step: int, n_steps: int) -> int:
        began = time.perf_counter()
        with interrupts_wait():
            self.state.run(n_steps, self._streams(step, n_steps))
            set_step(self.network, self.captured.grid, step + n_steps)
            record(self.captured, self.state.memory, self.device, step, n_steps)
            self._rewire(step + n_steps)
        self.pace.note(time.perf_counter() - began)
        return step + n_steps

    def _step_in_parts(self, step: int) -> int:
        """A step that is cut: phases, then what the host does, in turns."""
        done: set[str] = set()
        streams = self._streams(step, 1)
        for part, names, operation in self.cuts.parts(step):
            self.state.prepare(part)  # compiling is no object's time
            began = time.perf_counter()
            with interrupts_wait():
                self.state.run_part(part, streams)
                record(self.captured, self.state.memory, self.device, step, 1, names - done)
            done |= names
            if operation is not None:
                operation.run()
                self._follow()
            if self.times is not None:
                self._note(self.cuts.name_of(part, operation), began)
        with interrupts_wait():
            self.state.end_step()
            set_step(self.network, self.captured.grid, step + 1)
            self._rewire(step + 1)
        return step + 1

    def _follow(self) -> None:
        """Go on from what a user's function has set, or refuse to."""
        self.state.require_sizes()
        self.captured.grid.require_same()
        for feed in self.feeders.values():
            feed.require_same()
        for name, array in self.captured.timed.items():
            if not np.array_equal(np.ravel(array.values), self.captured.tables[name], True):
                raise Unsupported(
                    f"The TimedArray '{array.name}' was given other values within a run; end the "
                    "run, set them, and call run() again."
                )
        self.state.push()

    def _rewire(self, step: int) -> None:
        """Rewire the synapses that are due at the end of the steps before one."""
        done: Collection[str] = ()
        while missing := self.state.rewirings.run(step, done):
            done = self.state.rewirings.due(step) - missing.keys()
            self._make_room(missing, step)

    def _make_room(self, missing: Mapping[str, int], step: int) -> None:
        """Go on with larger arrays, as if a run had ended and another began."""
        stopped = brian.is_stopped(self.network)
        self.state.rewirings.make_room(missing)
        with self.device.networks.preparing:
            self.kept.forget()
            captured = prepare(self.device, self.network, self.kept, self.namespace)
            assert captured is not None
            left = self.until - self.network.t_
            brian.set_interval(self.network, captured.clocks, left * second)
            self.get_ready(captured, step)
        self._write_keys()
        if stopped:
            brian.stop(self.network)

    def _write_keys(self) -> None:
        self.state.write_keys(self.numbers.seed, self.numbers.first - self.steps.first)

    def _streams(self, step: int, n_steps: int) -> dict[str, SpikeStream]:
        """The spikes of the sources, each in the steps of its own clock."""
        found = {}
        for name, feed in self.feeders.items():
            clock = self.captured.grid.clocks[self.captured.sources[name].clock]
            first = clock.steps_before(step)
            found[name] = feed(first, clock.steps_before(step + n_steps) - first)
        return found

    def _note(self, name: str | None, began: float) -> None:
        assert self.times is not None
        self.state.wait()
        if name is not None:
            self.times[name] = self.times.get(name, 0.0) + time.perf_counter() - began

    def _stopped(self, progress: Progress) -> bool:
        limit = brian.longest_run(self.device)
        if limit is not None and progress.elapsed > limit:
            brian.stop(self.network)
        return brian.is_stopped(self.network)


def set_step(network: Network, grid: Grid, step: int) -> None:
    """Set a network and its clocks to a step of its Program."""
    steps = {clock: row.steps_before(step) for clock, row in grid.clocks.items()}
    times = {clock: float(row.times(np.array(steps[clock]))) for clock, row in grid.clocks.items()}
    brian.set_time(network, {clock: (steps[clock], times[clock]) for clock in steps})
