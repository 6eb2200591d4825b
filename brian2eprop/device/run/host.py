"""What a run asks of the device."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from brian2.core.network import Network

from brian2eprop.device.backends.base import Backend
from brian2eprop.device.capture.captured import Captured
from brian2eprop.device.capture.unchanged import Origin
from brian2eprop.device.memory.randomness import Randomness
from brian2eprop.device.memory.state import Host as ValuesHost
from brian2eprop.device.memory.state import State
from brian2eprop.device.memory.transit import Transit
from brian2eprop.device.networks import Kept, Networks
from brian2eprop.device.options import Options


class MonitorHost(Protocol):
    """Who has the arrays of monitors' variables."""

    def add_counts(self, variable: Any, instance: Any, neuron: Any) -> None:
        """Add events to a monitor's ``count``."""


class Host(ValuesHost, MonitorHost, Protocol):
    """The device, as a run knows it."""

    options: Options
    networks: Networks
    randomness: Randomness

    @property
    def backend(self) -> Backend:
        """Where networks run."""

    def is_unchanged(self, network: Network, kept: Kept, namespace: Mapping[str, Any]) -> bool:
        """Whether the capture that is kept of a network is still one of it."""

    def capture_for_run(
        self, network: Network, namespace: Mapping[str, Any], transit: Transit
    ) -> tuple[Captured | None, Origin | None]:
        """A network as a Program with what it was made from; None where there is nothing to run."""

    def hold(self, captured: Captured, state: State) -> None:
        """Note where the newest values of a network's variables are."""

    def only_looking(self) -> AbstractContextManager[None]:
        """Within, nobody changes the arrays that this thread gets."""
