"""The random numbers of the device: those of runs, and of what is made outside of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brian2eprop.device.memory.randomness import Randomness
from brian2eprop.device.memory.values import ValuesDevice


class SeededDevice(ValuesDevice):
    """A device whose numbers go on from where they were, in every thread."""

    def __init__(self) -> None:
        super().__init__()
        self.randomness = Randomness()

    def seed(self, seed: int | None = None) -> None:
        """Set the seed of all random numbers, inside of runs and outside; None for any one."""
        super().seed(seed)
        self.randomness.begin(seed)

    def set_random_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the random numbers from a state that was got."""
        super().set_random_state(state)
        self.randomness.restore(state)

    def get_random_state(self) -> dict[str, Any]:
        """The state of the random numbers."""
        found: dict[str, Any] = super().get_random_state()
        return found | self.randomness.keep()
