"""A run: calls of bounded length, with the monitors drained after each."""

from __future__ import annotations

import time
from typing import Any

from brian2.core.network import Network
from brian2.groups.group import Group

from brian2eprop.device.backends.base import Call
from brian2eprop.device.capture.captured import Captured
from brian2eprop.device.memory.state import State
from brian2eprop.device.monitors import add_instances
from brian2eprop.device.run.progress import Pace, Progress, interrupts_wait
from brian2eprop.device.run.recording import drain, sort_spikes


class Run:
    """One run of a network.

    Parameters
    ----------
    device : EpropDevice
        The device.
    network : Network
        The network, with its clock set to the interval.
    captured : Captured
        The network as a Program.
    state : State
        Its memory.
    """

    def __init__(self, device: Any, network: Network, captured: Captured, state: State) -> None:
        self.device = device
        self.network = network
        self.captured = captured
        self.state = state
        (self.clock,) = network._clocks
        self.first = int(self.clock.variables["timestep"].get_value()[0])
        self.end = int(self.clock._i_end)
        options = device.options
        self.streams = {
            name: source.spikes_for(options.batch_size).stream()
            for name, source in captured.sources.items()
        }

    def execute(self, progress: Progress) -> bool:
        """Run to the end, or until the network is stopped.

        Parameters
        ----------
        progress : Progress
            Is told how far it is.

        Returns
        -------
        bool
            Whether the end was reached.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C; state, monitors and time are those after the last whole call.
        """
        self._prepare_monitors()
        self.state.adopt(self.captured, self.first, self.end - self.first)
        pace = Pace(self.state.capacity)
        step = self.first
        progress.tell(0.0)
        Network._globally_running = True
        try:
            while step < self.end and not self._stopped(progress):
                step = self._call(step, min(pace.steps, self.end - step), pace)
                progress.tell_if_due((step - self.first) / (self.end - self.first))
        finally:
            Network._globally_running = False
            sort_spikes(self.captured)
        return step == self.end

    def _call(self, step: int, n_steps: int, pace: Pace) -> int:
        assert self.state.kernel is not None
        began = time.perf_counter()
        with interrupts_wait():
            self.state.kernel.run(self.state.memory, Call(step, n_steps, self.streams))
            self.state.advance(n_steps)
            drain(self.captured, self.state.memory, self.device, step, n_steps)
            self._set_time(step + n_steps)
        pace.note(time.perf_counter() - began)
        return step + n_steps

    def _set_time(self, step: int) -> None:
        time_now = step * self.clock.dt_
        self.clock.variables["timestep"].set_value(step)
        self.clock.variables["t"].set_value(time_now)
        self.network.t_ = time_now

    def _stopped(self, progress: Progress) -> bool:
        limit = self.device._maximum_run_time
        if limit is not None and progress.elapsed > float(limit):
            self.network._stopped = True
        return bool(self.network._stopped or Network._globally_stopped)

    def _prepare_monitors(self) -> None:
        if self.device.options.batch_size is None:
            return
        monitors = [recording.monitor for recording in self.captured.recordings]
        monitors += [counting.monitor for counting in self.captured.countings]
        for monitor in monitors:
            add_instances(monitor, self.device.arrays, self.device.options.batch_size)


def check_states(network: Network) -> None:
    """Let Brian2 warn of values that are not finite."""
    for found in network.sorted_objects:
        if isinstance(found, Group):
            found._check_for_invalid_states()
