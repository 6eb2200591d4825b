"""Arrays, event buffers and input streams: what a Program's phases read and write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np


class DType(Enum):
    """Type of an array's elements; ``REAL`` is the precision the Program is compiled for."""

    REAL = "real"
    DOUBLE = "double"
    INT = "int32"
    BOOL = "bool"


class Precision(Enum):
    """Precision of the REAL arrays."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type."""
        return np.dtype(self.value)


class Access(Enum):
    """Who owns an array's elements.

    SHARED
        One copy for all instances. A sweep over instances reads it, or adds to it and never
        reads it; a sweep over what is shared may do anything with it.
    PER_INSTANCE
        One copy an instance, kept between calls.
    SCRATCH
        One copy a worker (a CPU thread, a GPU block), reused from instance to instance:
        zero when allocated, otherwise whatever the previous instance left. For state that
        nobody reads after the instance is done.
    """

    SHARED = "shared"
    PER_INSTANCE = "per instance"
    SCRATCH = "scratch"


OWNED = (Access.PER_INSTANCE, Access.SCRATCH)


class Over(Enum):
    """What a sweep is done for: every instance on its own, or what all instances share."""

    INSTANCES = "instances"
    SHARED = "shared"


@dataclass(frozen=True)
class Slots:
    """Time slots of an array or an event buffer: step ``s`` lies in slot ``s mod depth``.

    Parameters
    ----------
    history : int
        How many earlier (or, going backward, later) steps must stay readable.
    kept : bool
        Whether every step of a call stays readable until, and after, the call's end.
    """

    history: int = 0
    kept: bool = False

    def depth(self, n_steps: int) -> int:
        """Number of slots for calls of at most ``n_steps`` steps."""
        return self.history + (max(n_steps, 1) if self.kept else 1)


def offset_faults(owner: str, slots: Slots | None, offset: int) -> Iterable[str]:
    """What is wrong with a step offset.

    Parameters
    ----------
    owner : str
        What has the slots, e.g. ``"array 'v'"``.
    slots : Slots, optional
        The slots.
    offset : int
        The offset in steps.

    Returns
    -------
    iterable of str
        No fault or one.
    """
    history = 0 if slots is None else slots.history
    if abs(offset) > history:
        yield (
            f"offset {offset} is out of {owner}, whose slots keep {history} other steps; "
            f"lengthen their history"
        )


@dataclass(frozen=True)
class Array:
    """A named array: ``(size,)`` if shared, else ``(instances or workers, [depth,] size)``."""

    name: str
    dtype: DType
    size: int
    access: Access
    slots: Slots | None = None

    def write_faults(self, name: str, over: Over, adds: bool = False) -> Iterable[str]:
        """What is wrong with writing it.

        Parameters
        ----------
        name : str
            The name written, which stands for it.
        over : Over
            What the phase's sweep is over.
        adds : bool
            Whether it is only added to.

        Returns
        -------
        iterable of str
            No fault or one.
        """
        if over is Over.INSTANCES and self.access is Access.SHARED and not adds:
            yield (
                f"'{name}' sets array '{self.name}', which all instances share; add to it by "
                f"'+=', or make it per instance or scratch"
            )


@dataclass(frozen=True)
class Events:
    """A buffer of spikes: for each slot the neurons that spiked, in ascending order, none twice.

    How it is stored is nobody's business but the machine's: phases fill it, hear it and clear
    it, the host reads and writes it through ``backends.base.Memory``.
    """

    name: str
    size: int
    access: Access
    slots: Slots


@dataclass(frozen=True)
class Stream:
    """Input spikes of one population, given to a call; see ``backends.base.SpikeStream``."""

    name: str
    size: int
