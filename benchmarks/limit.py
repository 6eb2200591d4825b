"""How fast a training step could be if moving bytes through the caches were all there is."""

from __future__ import annotations

import numpy as np
from network import milliseconds
from workload import Workload

FLOAT = 4


def moved_bytes(work: Workload, rate: float) -> float:
    """Bytes that the adjoint form reads and writes in a training step.

    Every spike reads a row of weights on the way there, and on the way back reads and writes a
    row of the gradient. Each hidden neuron's pseudo-derivative is written and read once a step,
    and the feedback weights are read once a step. Adam reads four arrays (parameter, gradient
    and two moments) and writes three.
    """
    trials = work.batch * work.steps
    outgoing = work.density * work.inputs * work.hidden
    outgoing += rate * work.hidden * (work.hidden + work.outputs)
    tape = 2 * work.hidden
    feedback = work.hidden * work.outputs
    parameters = work.hidden * (work.inputs + work.hidden + work.outputs)
    return FLOAT * (trials * (3 * outgoing + tape + feedback) + 7 * parameters)


def cache_bandwidth() -> float:
    """Bytes a second that one core moves in an addition over two arrays of half a megabyte."""
    a, b = np.zeros((2, 1 << 17), np.float32)

    def add() -> None:
        np.add(a, b, out=a)

    per_call = 1e-3 * milliseconds(add, 200)
    return 3 * a.nbytes / per_call


def byte_limit(work: Workload, rate: float, cores: int) -> float:
    """Milliseconds of a training step at the measured bandwidth of ``cores`` cores."""
    return 1e3 * moved_bytes(work, rate) / (cores * cache_bandwidth())
