"""Random numbers that bodies draw, and the keys under which they are drawn.

A number is a function of its key, its element, its step and its instance, and of nothing
else: it is the same on every machine, in every order, for any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program.arrays import DType


class Distribution(Enum):
    """What is drawn."""

    UNIFORM = "uniform"  # from 0 up to, but not including, 1
    NORMAL = "normal"  # with mean 0 and variance 1


@dataclass(frozen=True)
class Draw:
    """A random number, drawn anew for every element, step and instance.

    In a loop over elements or events it is the element's; in a loop over synapses it is the
    synapse's, by its number in the connectivity's order (by source, then by target).

    Parameters
    ----------
    distribution : Distribution
        What is drawn.
    owner : str
        Who draws: change what surrounds an object, and it still draws the same numbers.
    call : int
        Number of the call in the owner's code.
    dtype : DType
        REAL, or DOUBLE in both precisions.
    """

    distribution: Distribution
    owner: str
    call: int
    dtype: DType = DType.REAL


# Of each draw: two words of key, and the two of what is added to the step.
WORDS = 4


def draw_keys(draws: Sequence[Draw], seed: int, shift: int) -> npt.NDArray[np.int32]:
    """The keys of draws.

    Parameters
    ----------
    draws : sequence of Draw
        The draws.
    seed : int
        The seed.
    shift : int
        What is added to the step.

    Returns
    -------
    int32 array, shape (4 n,)
        For each draw the low and the high word of its key, and of the shift.
    """
    shifts = np.array([shift], np.int64).view(np.int32)
    keys = [np.frombuffer(_key(draw, seed), np.int32) for draw in draws]
    return np.concatenate(
        [np.zeros(0, np.int32), *(part for key in keys for part in (key, shifts))]
    )


def _key(draw: Draw, seed: int) -> bytes:
    return blake2b(f"{seed} {draw.call} {draw.owner}".encode(), digest_size=8).digest()
