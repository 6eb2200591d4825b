"""Pathways of synapses: where they read their spikes, and how many steps late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.expansion.recipe import Steps

# Before any step.
EVER = int(np.iinfo(np.int32).min)


@dataclass(frozen=True)
class Delays:
    """The delays of a pathway's synapses for what is sent from a step on.

    Parameters
    ----------
    size : int
        Number of synapses.
    steps : bytes
        The delay of each synapse in Brian2's order, as int32; one where all have the same.
    since : int
        The first step, in those of the source's clock, for whose events they hold.
    """

    size: int
    steps: bytes
    since: int = EVER

    @property
    def known(self) -> npt.NDArray[np.int32]:
        """The delay of each synapse, or the one of all."""
        return np.frombuffer(self.steps, np.int32)

    @property
    def longest(self) -> int:
        """The longest delay."""
        return int(self.known.max(initial=0))

    def each(self, size: int) -> npt.NDArray[np.int32]:
        """The delay of each of so many synapses; zero where it is not known."""
        found = np.zeros(size, np.int32)
        common = min(size, self.size)
        found[:common] = np.broadcast_to(self.known, self.size)[:common]
        return found

    def common(self, size: int) -> int | None:
        """The delay that all of so many synapses have; None where they differ."""
        if self.known.size == 1 and self.size >= size:
            return int(self.known[0])
        steps = self.each(size)
        same = steps.size > 0 and (steps == steps[0]).all()
        return int(steps[0]) if same else None if steps.size else self.longest

    def agrees_with(self, other: Delays) -> bool:
        """Whether the synapses that both have, have the same delays."""
        common = min(self.size, other.size)
        return np.array_equal(self.each(common), other.each(common))


@dataclass(frozen=True)
class MadeDelays(Delays):
    """The delays of synapses that are kept as a rule, which the host has not got.

    Parameters
    ----------
    size, since
        See :class:`Delays`.
    made : Steps, optional
        Where they are.
    """

    steps: bytes = b""
    since: int = EVER
    made: Steps | None = None

    @property
    def where(self) -> Steps:
        """Where they are."""
        assert self.made is not None
        return self.made

    @property
    def known(self) -> npt.NDArray[np.int32]:
        """See :meth:`Delays.known`."""
        return self.where.read()

    @property
    def longest(self) -> int:
        """See :meth:`Delays.longest`."""
        return self.where.most

    def common(self, size: int) -> int | None:
        """See :meth:`Delays.common`."""
        return self.where.most if self.where.least == self.where.most else None

    def agrees_with(self, other: Delays) -> bool:
        """See :meth:`Delays.agrees_with`."""
        same = isinstance(other, MadeDelays) and other.made is self.made
        return same or super().agrees_with(other)


@dataclass(frozen=True)
class Pathway:
    """Where a pathway reads its spikes, and how many steps late.

    Parameters
    ----------
    events : str
        The event buffer.
    delays : tuple of Delays
        Those that still matter, the present ones last: what is on its way when a delay is
        changed arrives as it was to arrive when it was sent.
    """

    events: str
    delays: tuple[Delays, ...]

    @property
    def longest(self) -> int:
        """The longest delay."""
        return max(found.longest for found in self.delays)

    @property
    def is_settled(self) -> bool:
        """Whether no delay matters but the present ones."""
        return len(self.delays) == 1


@dataclass(frozen=True)
class RewiredPathway:
    """What a pathway of synapses that a simulation rewires must know of a formed synapse.

    Parameters
    ----------
    pathway : str
        Its name.
    clock : AnyClock
        The clock in whose steps it counts.
    late : int
        How many steps late it hears.
    delay_tables : tuple of str or None
        The table of each of the pathway's delays; None where all synapses have the same.
    formed : tuple of str
        The tables of the steps in which synapses were formed.
    variable : str, optional
        The array of the delays in seconds, where each synapse has one.
    delay : float
        The delay of a formed synapse in seconds: that of all, or none where they differ.
    """

    pathway: str
    clock: Any
    late: int
    delay_tables: tuple[str | None, ...]
    formed: tuple[str, ...]
    variable: str | None
    delay: float

    @property
    def delays(self) -> tuple[str, ...]:
        """The tables of delays."""
        return tuple(table for table in self.delay_tables if table is not None)

    def steps_before(self, step: int) -> int:
        """How many of the clock's steps come before a step of the Program."""
        return int(self.clock.steps_before(step))
