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
    """The sizes that Synapses had, and since when they had it.

    Parameters
    ----------
    sizes : tuple of int
        How many synapses there were; ascends.
    times : tuple of float
        Since when, in seconds of the network's time; ascends unless they are rewired. Clocks may
        differ, and change.
    """

    sizes: tuple[int, ...] = ()
    times: tuple[float, ...] = ()

    @classmethod
    def of(cls, times: npt.NDArray[np.float64]) -> Growth:
        """That of synapses which are there since some times each, in Brian2's order."""
        ends: Any = []
        if len(times):
            ends = np.append(np.flatnonzero(np.diff(times)) + 1, len(times))
        return cls(tuple(map(int, ends)), tuple(float(times[end - 1]) for end in ends))

    def grown(self, size: int, time: float) -> Growth:
        """The same, when there are ``size`` synapses at a time: of those before, the first ones."""
        # A restore may have taken synapses away, and the time back.
        before = list(zip(self.sizes, self.times, strict=True))
        kept = [(n, min(t, time)) for n, t in before if n < size]
        last = next((t for n, t in before if n >= size), time)
        sizes, times = zip(*kept, (size, min(last, time)), strict=True)
        return Growth(sizes, times)

    def each(self, clock: Any) -> Steps:
        """The step of a clock at which each synapse was formed, in Brian2's order."""
        steps = [brian.step_of(clock, time) for time in self.times]
        return np.repeat(np.array(steps, np.int64), np.diff([0, *self.sizes]))


class Formed:
    """Remembers when the synapses of each Synapses object were formed."""

    def __init__(self) -> None:
        # A Synapses object may be known by a proxy only; its variable is one and the same.
        self._growth: WeakKeyDictionary[Any, Growth] = WeakKeyDictionary()

    def note(self, synapses: Any, time: float) -> Growth:
        """Note the synapses that are there when a run begins."""
        key, size = brian.ends(synapses)[0], brian.number_stored(synapses)
        found = self._growth[key] = self._growth.get(key, Growth()).grown(size, time)
        return found

    def times(self, synapses: Any, time: float) -> npt.NDArray[np.float64]:
        """Since when each of the synapses is there, in seconds, in Brian2's order."""
        growth = self.note(synapses, time)
        return np.repeat(np.array(growth.times, np.float64), np.diff([0, *growth.sizes]))

    def relevant(self, pathway: Any, delay: int, time: float) -> Steps | None:
        """The steps at which synapses were formed, where spikes may be older than a synapse.

        Parameters
        ----------
        pathway : brian2 SynapticPathway
            The pathway of a network.
        delay : int
            Its longest delay in steps.
        time : float
            The network's time in seconds.

        Returns
        -------
        int array, shape (n_synapses,), or None
            In Brian2's order; None where every synapse is older than what it may hear.
        """
        growth = self.note(pathway.synapses, time)
        youngest = max((brian.step_of(pathway.clock, each) for each in growth.times), default=0)
        oldest = max(0, brian.step_of(pathway.clock, time) - delay)
        return growth.each(pathway.clock) if youngest > oldest else None

    def stored(self, found: Any) -> Growth | None:
        """What is to be stored of a Synapses object."""
        return self._growth.get(brian.ends(found)[0])

    def restore(self, found: Any, growth: Growth) -> None:
        """Go back to what was stored of a Synapses object."""
        self._growth[brian.ends(found)[0]] = growth
