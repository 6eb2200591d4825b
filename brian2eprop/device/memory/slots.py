"""The steps that a memory keeps of its arrays and event buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.program import Events


def read_slots(memory: Memory, name: str, steps: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """The slots of an array for some steps.

    Parameters
    ----------
    memory : Memory
        Where the array lies.
    name : str
        Its name.
    steps : int array, shape (n,)
        The steps.

    Returns
    -------
    array, shape (instances, n, size)
        The values.
    """
    stored = memory.arrays[name]
    chosen = stored[:, memory.xp.asarray(steps % stored.shape[1])]
    return np.asarray(chosen if memory.xp is np else memory.xp.asnumpy(chosen))


def read_spikes(
    memory: Memory, events: Events, steps: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The spikes of some steps.

    Parameters
    ----------
    memory : Memory
        Where the buffer lies.
    events : Events
        The buffer.
    steps : int array, shape (n,)
        The steps.

    Returns
    -------
    instance, position, neuron : int arrays, shape (n_spikes,)
        Instance, position in ``steps`` and neuron of each spike, in this order.
    """
    counts = read_slots(memory, events.count, steps)
    index = read_slots(memory, events.index, steps)
    there = np.arange(events.size) < counts
    instance, position, _ = there.nonzero()
    return instance, position, index[there]
