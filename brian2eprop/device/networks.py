"""What the device keeps of each network from one run to the next."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, finalize

from brian2.core.network import Network

from brian2eprop.device.backends.base import Kernel
from brian2eprop.device.capture.captured import Captured
from brian2eprop.device.capture.unchanged import Origin, Stamps
from brian2eprop.device.memory.state import State
from brian2eprop.device.memory.transit import Transit
from brian2eprop.errors import Unsupported


class Kept:
    """What is kept of one network: its capture, kernel, and memory or what was left of it."""

    def __init__(self) -> None:
        self.captured: Captured | None = None
        self.origin: Origin | None = None
        self.state: State | None = None
        self.kernel: Kernel | None = None  # of the last memory
        self._transit = Transit()
        self.running = threading.Lock()

    @property
    def transit(self) -> Transit:
        """The spikes in transit."""
        return self._transit if self.state is None else self.state.transit()

    @property
    def is_settled(self) -> bool:
        """Whether the capture is one of what is on its way, with the present delays only."""
        pathways = {} if self.captured is None else self.captured.pathways
        others = self._transit.pathways
        settled = all(pathway.is_settled for pathway in pathways.values())
        return settled and others in ({}, pathways)

    def is_unchanged(
        self,
        objects: Iterable[Any],
        namespace: Mapping[str, Any],
        stamps: Stamps,
        instances_of: Callable[[Captured], tuple[Any, ...]],
    ) -> bool:
        """Whether the capture is still one of the network; see :meth:`Origin.is_unchanged`."""
        self.note_settled()
        if self.captured is None or self.origin is None or not self.is_settled:
            return False
        instances = instances_of(self.captured)
        return self.origin.is_unchanged(objects, namespace, stamps, instances, self.is_ahead)

    def is_ahead(self, variable: Any) -> bool:
        """Whether a variable is of synapses that the memory has rewired, and Brian2 not yet."""
        return self.state is not None and self.state.rewirings.stale(variable) is not None

    def note_settled(self) -> None:
        """Take what the memory itself has rewired as what the capture was made from."""
        if self.state is not None and self.origin is not None:
            self.origin = self.origin.with_stamps(self.state.settled)
            self.state.settled.clear()

    def adopt(self, state: State) -> None:
        """Go on with a memory that has got the spikes in transit."""
        self.state, self.kernel, self._transit = state, state.kernel, Transit()

    def rest(self, transit: Transit | None = None) -> None:
        """Give the memory back: values go to Brian2's arrays, spikes in transit stay.

        Parameters
        ----------
        transit : Transit, optional
            Spikes in transit to have instead.
        """
        self._transit = self.transit if transit is None else transit
        if self.state is not None:
            self.state.pull_all()
            self.note_settled()
        self.state = None

    def forget(self) -> None:
        """Keep nothing but values and spikes in transit."""
        self.rest()
        self.captured = self.origin = self.kernel = None


_KNOWN: WeakSet[Networks] = WeakSet()


class Networks:
    """What is kept of all networks."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Network, Kept] = WeakKeyDictionary()
        self.begin()
        _KNOWN.add(self)

    def begin(self) -> None:
        """Let no thread run or prepare a network."""
        self.preparing = threading.RLock()  # held by a thread while Brian2 prepares a network
        for kept in list(self._kept.values()):
            kept.running = threading.Lock()

    def of(self, network: Network) -> Kept:
        """What is kept of a network."""
        with self.preparing:
            known = self._kept.get(network)
            if known is None:
                known = self._kept[network] = Kept()
                # Groups outlive their network; what they hold must not be lost with its memory.
                finalize(network, known.forget).atexit = False
            return known

    @contextmanager
    def running(self, network: Network) -> Iterator[Kept]:
        """What is kept of a network, for the only one who runs it.

        Parameters
        ----------
        network : Network
            The network.

        Raises
        ------
        Unsupported
            If it is running already.
        """
        kept = self.of(network)
        if not kept.running.acquire(blocking=False):
            raise Unsupported(
                f"'{network.name}' is running already, in another thread or in a function that "
                "this run calls; wait until that run is over."
            )
        try:
            yield kept
        finally:
            kept.running.release()

    def rest(self) -> None:
        """Give all memory back."""
        for kept in list(self._kept.values()):
            kept.forget()


def _begin_anew() -> None:
    """A forked process has none of the threads that may have held a lock."""
    for networks in list(_KNOWN):
        networks.begin()


os.register_at_fork(after_in_child=_begin_anew)
