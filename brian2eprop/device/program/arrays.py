"""Arrays, event buffers and input streams: what a Program's phases read and write."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Array:
    """A named array: ``(size,)`` if shared, else ``(instances or workers, [depth,] size)``."""

    name: str
    dtype: DType
    size: int
    access: Access
    slots: Slots | None = None


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
