"""Keeps Brian2's variables and the engine's arrays in agreement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt

from brian2eprop.interrupts import interrupts_wait
from brian2eprop.learning.training import host
from brian2eprop.learning.training.connectivity import Connections
from brian2eprop.learning.training.engine import Engine


class Mirror:
    """The border between a network and the engine that trains it.

    Between trainings the network's variables are the newest, and nobody tells what was
    changed: all are read. While a training is on its way the parameters are newest in the
    engine; the device then asks for them when somebody reads their variables, and tells when
    somebody may have changed a variable. So who does not look pays nothing.

    The state that samples start from is that of the moment the mirror was made.

    Parameters
    ----------
    device : TrainingDevice
        Holds the variables.
    captured : CapturedNetwork
        The network as a Program.
    network : Network
        The network.
    engine : Engine
        Holds the arrays.
    connections : Connections
        The synapses as they were.
    """

    def __init__(
        self,
        device: host.TrainingDevice,
        captured: host.CapturedNetwork,
        network: Any,
        engine: Engine,
        connections: Connections,
    ) -> None:
        self._connections = connections
        self._device, self._captured, self._network = device, captured, network
        self._engine = engine
        self._initial = self._found(engine.programs.roles.initial.values())
        self._names = tuple(name for name in engine.given if name not in self._initial)
        self._group = {
            array: name
            for name, rewired in captured.rewired.items()
            for array in (*rewired.ends, *rewired.variables)
        }
        self._lent = False
        self._behind: set[str] = set()  # parameters whose newest values are the engine's
        self._changed: set[str] = set()  # what somebody may have changed in Brian2

    def read(self) -> None:
        """Take over what was changed in Brian2's variables.

        Raises
        ------
        ValueError
            If the network or the device is no longer what it was when the Trainer was made.
        """
        self._connections.check()
        host.check_device(self._device, self._captured, self._engine.backend)
        host.check_unchanged(self._device, self._network, self._captured)
        if not self._lent:
            self._engine.load({**self._found(self._names), **self._initial})
            self._changed.clear()
        self.follow()

    def follow(self) -> None:
        """Take over the values that were changed while a training is on its way."""
        if self._changed:
            self._engine.load(self._found(sorted(self._changed)))
            self._changed.clear()

    @contextmanager
    def training(self) -> Iterator[None]:
        """Read the network, and write the parameters back whatever happens."""
        self.read()
        if self._lent:
            yield
            return
        variables = {name for name in self._names if name not in self._captured.tables}
        variables |= self._group.keys()
        try:
            with self._device.lend(self._captured, sorted(variables), self):
                self._lent = True
                yield
        finally:
            with interrupts_wait():
                self._lent = False
                for name in sorted(self._behind):
                    self.pull(name)

    def updated(self) -> None:
        """Note that the engine has changed the parameters, and what goes along with them."""
        self._behind |= {*self._engine.parameters, *self._group}

    def pull(self, name: str) -> None:
        """Bring Brian2's array of a variable up to date."""
        if name not in self._behind:
            return
        with interrupts_wait():
            if name in self._group:
                self._pull_synapses(self._group[name])
                return
            self._behind.discard(name)
            self._device.write_array(self._captured, name, self._engine.store.read(name))
            self._changed.discard(name)  # the device has told of this very write

    def _pull_synapses(self, name: str) -> None:
        """Bring all that there is of rewired synapses up to date: they go together."""
        rewired, store = self._captured.rewired[name], self._engine.store
        arrays = {*rewired.rows, *rewired.tables, *rewired.ends, *rewired.variables}
        self._behind -= arrays
        initial = self._engine.programs.roles.initial
        found = {array: store.read(initial.get(array, array)) for array in sorted(arrays)}
        self._initial |= {initial[a]: found[a] for a in arrays & initial.keys()}
        self._device.rewrite(self._captured, name, found)
        self._changed -= arrays

    def touch(self, name: str) -> None:
        """Note that Brian2's array of a variable may be changed."""
        if name in self._names:  # what samples start from is not read anew
            self._changed.add(name)

    def is_ahead(self, name: str) -> bool:
        """Whether the newest values of a variable are the engine's."""
        return name in self._behind

    def _found(self, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
        now = float(self._network.t_)
        sources = {name: self._engine.source_of(name) for name in names}
        return host.read(self._device, self._captured, sources, now)
