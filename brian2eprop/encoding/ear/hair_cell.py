"""The inner hair cell: the velocity of a place becomes the rate of auditory nerve fibres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class HairCell:
    """The transmitter pools of Meddis (1986, 1988).

    Transmitter is released from a pool ``q`` into the cleft ``c`` at the rate
    ``k = release*(v + a)/(v + a + b)`` (0 for ``v + a < 0``), where ``v`` is the velocity; it is
    lost, or taken back into a store ``w``, and made ready again:
    ``dq/dt = replenishment*max(1 - q, 0) + reprocessing*w - k*q``,
    ``dc/dt = k*q - (loss + reuptake)*c``, ``dw/dt = reuptake*c - reprocessing*w``. A fibre that
    is not refractory spikes at the rate ``firing*c``. All steps are Euler's, as in Meddis'
    programs.

    Parameters
    ----------
    a, b : float
        The velocity at which release begins, with the opposite sign, and that of half of it.
    release, replenishment, loss, reuptake, reprocessing : float
        Rates in 1/s.
    firing : float
        Rate of spikes of a full cleft, in 1/s.

    Notes
    -----
    R. Meddis, J. Acoust. Soc. Am. 79, 702 (1986) and 83, 1056 (1988); the values are those of a
    fibre of medium spontaneous rate.
    """

    a: float = 5.0
    b: float = 300.0
    release: float = 2000.0
    replenishment: float = 5.05
    loss: float = 2500.0
    reuptake: float = 6580.0
    reprocessing: float = 66.3
    firing: float = 50_000.0

    def resting(self) -> tuple[float, float, float]:
        """The pools ``q``, ``c`` and ``w`` in silence."""
        k = self.release * self.a / (self.a + self.b)
        leaving = self.loss + self.reuptake
        cleft = self.replenishment * k / (self.loss * k + self.replenishment * leaving)
        return cleft * leaving / k, cleft, cleft * self.reuptake / self.reprocessing


class HairCells:
    """One hair cell a channel, whose pools go on from block to block.

    Parameters
    ----------
    cell : HairCell
        Their parameters.
    n_channels : int
        Number of cells.
    rate : int
        Steps in a second.
    """

    def __init__(self, cell: HairCell, n_channels: int, rate: int) -> None:
        self.cell, self.dt = cell, 1 / rate
        self.pools = [np.full(n_channels, level) for level in cell.resting()]

    def fire(self, velocity: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Probability of a spike in each step, shape (steps, channels), as the velocity's."""
        cell, dt = self.cell, self.dt
        open_ = np.maximum(velocity.astype(np.float64) + cell.a, 0)
        released = cell.release * dt * open_ / (open_ + cell.b)
        cleft = np.empty_like(released)
        q, c, w = self.pools
        for step, k in enumerate(released):
            ejected = k * q
            reprocessed = cell.reprocessing * dt * w
            q = q + np.maximum(1 - q, 0) * (cell.replenishment * dt) + reprocessed - ejected
            w = w + cell.reuptake * dt * c - reprocessed
            c = c * (1 - (cell.loss + cell.reuptake) * dt) + ejected
            cleft[step] = c
        self.pools = [q, c, w]
        return np.minimum(cleft * (cell.firing * dt), 1)
