"""The bushy cell: the spikes of many nerve fibres become few that keep to the sound's phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class BushyCell:
    """A leaky integrate-and-fire cell on which nerve fibres of one place converge.

    ``dV/dt = -V/tau_mem + weight/fibres*I`` and ``dI/dt = -I/tau_syn``, where each spike of a
    fibre adds 1 to ``I``; a spike at ``V >= 1``, then ``V = 0`` for the refractory time. The
    fibres spike at the rate that the hair cell gives them, each on its own, and are refractory
    as long.

    Parameters
    ----------
    fibres : int
        Number of fibres.
    weight : float
        What the spikes of all fibres together add, in 1/s.
    tau_mem, tau_syn, refractory : float
        Times in seconds.

    Notes
    -----
    Cramer et al., https://doi.org/10.1109/TNNLS.2020.3044364.
    """

    fibres: int = 40
    weight: float = 13e3
    tau_mem: float = 1e-3
    tau_syn: float = 5e-4
    refractory: float = 1e-3


class BushyCells:
    """One bushy cell a channel, whose state goes on from block to block.

    Fibres of a cell are alike, so what is drawn is how many of those that are not refractory
    spike.

    Parameters
    ----------
    cell : BushyCell
        Their parameters.
    n_channels : int
        Number of cells.
    rate : int
        Steps in a second.
    rng : numpy.random.Generator
        Where the spikes of the fibres come from.
    """

    def __init__(self, cell: BushyCell, n_channels: int, rate: int, rng: np.random.Generator):
        self.cell, self.dt, self.rng = cell, 1 / rate, rng
        self.wait = max(1, round(cell.refractory * rate))
        self.step = 0
        self.v, self.i = np.zeros(n_channels), np.zeros(n_channels)
        self.ready = np.zeros(n_channels, np.int64)
        self.free = np.full(n_channels, cell.fibres)
        self.recent = np.zeros((self.wait, n_channels), np.int64)

    def hear(
        self, probability: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Steps, counted from the first block's first one, and channels of the spikes."""
        first, cell = self.step, self.cell
        gain = cell.weight / cell.fibres * self.dt
        kept_v, kept_i = np.exp(-self.dt / cell.tau_mem), np.exp(-self.dt / cell.tau_syn)
        spiked = np.empty(probability.shape, np.bool_)
        for row, chance in enumerate(probability):
            self.i = self.i * kept_i + self._arriving(chance)
            v = (self.v * kept_v + self.i * gain) * (self.ready <= self.step)
            spiked[row] = fires = v >= 1
            self.ready[fires] = self.step + self.wait + 1
            v[fires] = 0
            self.v = v
            self.step += 1
        steps, channels = np.nonzero(spiked)
        return steps + first, channels

    def _arriving(self, chance: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """How many fibres of each cell spike in this step."""
        slot = self.step % self.wait
        self.free += self.recent[slot]
        arriving: npt.NDArray[np.int64] = self.rng.binomial(self.free, chance)
        self.free -= arriving
        self.recent[slot] = arriving
        return arriving
