"""When synapses were formed: those that are new do not hear the spikes sent before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from brian2eprop.device import brian

Steps = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Growth:
    """The sizes that Synapses had, and the step from which on they had it.

    Parameters
    ----------
    sizes, steps : tuple of int
        From step ``steps[k]`` on there were ``sizes[k]`` synapses; both ascend.
    """

    sizes: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()

    def grown(self, size: int, step: int) -> Growth:
        """The same, when there are ``size`` synapses at a step."""
        # A restore may have taken synapses away, a change of dt the meaning of steps.
        kept = [(n, min(s, step)) for n, s in zip(self.sizes, self.steps, strict=True) if n < size]
        last = next((s for n, s in zip(self.sizes, self.steps, strict=True) if n >= size), step)
        sizes, steps = zip(*kept, (size, min(last, step)), strict=True)
        return Growth(sizes, steps)

    def each(self) -> Steps:
        """The step at which each synapse was formed, in Brian2's order."""
        return np.repeat(np.array(self.steps, np.int64), np.diff([0, *self.sizes]))


class Formed:
    """Remembers when the synapses of each Synapses object were formed."""

    def __init__(self) -> None:
        # A Synapses object may be known by a proxy only; its variable is one and the same.
        self._growth: WeakKeyDictionary[Any, Growth] = WeakKeyDictionary()

    def note(self, synapses: Any, step: int) -> Growth:
        """Note the synapses that are there when a step is to be run."""
        key = brian.ends(synapses)[0]
        known = self._growth.get(key, Growth())
        found = self._growth[key] = known.grown(len(synapses), step)
        return found

    def relevant(self, pathway: Any, delay: int, step: int) -> Steps | None:
        """The steps at which synapses were formed, where spikes may be older than a synapse.

        Parameters
        ----------
        pathway : brian2 SynapticPathway
            The pathway of a network.
        delay : int
            Its longest delay in steps.
        step : int
            The step to run next.

        Returns
        -------
        int array, shape (n_synapses,), or None
            In Brian2's order; None where every synapse is older than what it may hear.
        """
        growth = self.note(pathway.synapses, step)
        return growth.each() if growth.steps[-1] > max(0, step - delay) else None

    def stored(self, found: Any) -> Growth | None:
        """What is to be stored of a Synapses object."""
        return self._growth.get(brian.ends(found)[0])

    def restore(self, found: Any, growth: Growth) -> None:
        """Go back to what was stored of a Synapses object."""
        self._growth[brian.ends(found)[0]] = growth
