"""The network that the benchmarks run: the same numbers for every library. Needs NumPy only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Workload:
    """A recurrent LIF network with a readout that integrates, and one batch for it.

    A step is: ``v`` decays and is compared with the threshold of 1; the input's and the hidden
    neurons' spikes of the step are added; those that spiked lose 1. ``y`` decays and takes
    the hidden spikes. The loss is the softmax cross-entropy of ``y`` after each step, averaged
    over steps and samples.
    """

    inputs: int = 700
    hidden: int = 256
    outputs: int = 20
    batch: int = 32
    steps: int = 100
    density: float = 0.02
    tau: float = 0.02
    dt: float = 0.001
    learning_rate: float = 1e-9  # so small that the rates stay as they are while it is timed
    seed: int = 0

    @property
    def decay(self) -> float:
        """Decay of ``v`` and ``y`` over a step."""
        return math.exp(-self.dt / self.tau)

    def spikes(self) -> npt.NDArray[np.bool_]:
        """Input spikes, shape (batch, steps, inputs)."""
        shape = (self.batch, self.steps, self.inputs)
        return np.random.default_rng(self.seed).random(shape) < self.density

    def labels(self) -> npt.NDArray[np.int64]:
        """Classes, shape (batch,)."""
        return np.random.default_rng(self.seed + 1).integers(0, self.outputs, self.batch)

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """First values of ``w_in``, ``w_rec`` and ``w_out``, shape (sources, targets)."""
        rng = np.random.default_rng(self.seed + 2)
        active = math.sqrt(self.density * self.inputs)
        return {
            "w_in": rng.normal(0, 0.55 / active, (self.inputs, self.hidden)),
            "w_rec": rng.normal(0, 0.5 / math.sqrt(self.hidden), (self.hidden, self.hidden)),
            "w_out": rng.normal(0, 1 / math.sqrt(self.hidden), (self.hidden, self.outputs)),
        }
