"""Which random numbers a run draws: those of a seed, from a step on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import randbits
from typing import Any

_KEPT = "eprop_cuda:randomness"


def _any_seed() -> int:
    return randbits(63)


@dataclass
class Randomness:
    """A seed, and how many steps were run with it.

    As Brian2's generators it goes on from run to run, whatever the time of the network is:
    after ``restore`` other numbers are drawn, unless the random state is restored as well.

    Parameters
    ----------
    seed : int
        The seed; by default one that nobody knows.
    steps : int
        The number of steps that were run with it.
    """

    seed: int = field(default_factory=_any_seed)
    steps: int = 0

    def begin(self, seed: int | None) -> None:
        """Begin with a seed, or with one that nobody knows."""
        self.seed, self.steps = _any_seed() if seed is None else int(seed), 0

    def keep(self) -> dict[str, Any]:
        """What :meth:`restore` goes on with."""
        return {_KEPT: (self.seed, self.steps)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as when the state was kept; another device's changes nothing."""
        self.seed, self.steps = state.get(_KEPT, (self.seed, self.steps))
