"""Rate conversion: an activation is how often a neuron spikes.

Rueckauer, Lungu, Hu, Pfeiffer and Liu (2017), https://doi.org/10.3389/fnins.2017.00682.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from brian2eprop.ml.algorithm import FOLLOW, Algorithm, Neurons, channel_scale
from brian2eprop.ml.graph import Values
from brian2eprop.number_checks import number

# Where membranes start, so that numbers of spikes are rounded rather than cut.
START = 0.5


class Rate(Algorithm):
    """Neurons that integrate, spike at 1 and keep what is above it (soft reset).

    A neuron whose activation is at the scale of its channel, a percentile of what is positive on
    the samples, spikes in every step. Membranes start at 1/2, so that numbers of spikes are rounded
    rather than cut. The input is a current that stays, and each stage begins when the first
    spikes can reach it. The output's membranes are the sums of what reached them.

    Parameters
    ----------
    timesteps : int
        Steps that the output counts.
    percentile : float
        From 0 to 100, which is the largest activation; Rueckauer et al. take 99.9, since a few
        outliers would make all others slow.
    per : str
        'channel' or 'layer', whose activations have one scale.
    calibrated : bool
        Whether the biases of channels are corrected on the samples (``calibration.py``).

    Raises
    ------
    ValueError
        If one of them is something else.
    """

    name = "rate"
    answers_each_step = True
    _integrate = """dv/dt = int(t > begin)*drive/dt : 1
        drive : 1
        begin : second (shared, constant)"""
    input = Neurons("x : 1", "t < dt/2", "", "drive_post += w*x_pre", graded=True)
    hidden = Neurons(f"{_integrate}\nsent : 1", "v >= 1", "v -= 1; sent += 1", "v_post += w")
    maximum = Neurons("v : 1\nsent : 1", "v > 0", "v = 0; sent += 1", "v_post += w", FOLLOW)
    output = Neurons(_integrate)

    def __init__(
        self,
        timesteps: int,
        percentile: float = 99.9,
        per: str = "channel",
        calibrated: bool = False,
    ) -> None:
        super().__init__(timesteps)
        what = type(self).__name__
        self.percentile = number(what, "percentile", percentile, most=100)
        if per not in ("channel", "layer"):
            raise ValueError(f"{what}: per is {per!r}; give 'channel' or 'layer'.")
        self.per = per
        self.calibrated = bool(calibrated)

    @property
    def steps_per_stage(self) -> int:
        """A spike reaches the next stage in the next step."""
        return 1

    def steps(self, begin: int) -> int:
        """Those that count, and before them those in which nothing reaches the output."""
        return self.timesteps + begin - 1

    def scale(self, values: Values, is_input: bool, ceiling: float = np.inf) -> Values:
        """The percentile of what is positive; an input is a current, of any size."""
        channels = values.reshape(-1, values.shape[-1])
        ones = np.ones(channels.shape[-1])
        if is_input:
            return ones
        if self.per == "layer":
            channels = channels.reshape(-1, 1)
        above = np.where(channels > 0, channels, np.nan)
        silent = np.isnan(above).all(axis=0)
        above[0, silent] = 0
        percentile = np.nanpercentile(above, self.percentile, axis=0)
        return channel_scale(percentile, values, ceiling) * ones

    def initial(self, bias: Values, is_output: bool) -> Mapping[str, Any]:
        """The bias is a part of the current."""
        return {"v": 0.0 if is_output else START, "drive": bias}

    def present(self, values: Values) -> Mapping[str, Values]:
        """The samples, which the input passes on once."""
        return {"x": values}

    def quantise(self, values: Values) -> Values:
        """A number of spikes, at most one in each step."""
        spikes = np.floor(self.timesteps * np.clip(values, 0, 1) + 0.5)
        return np.asarray(spikes / self.timesteps)

    def decode(self, sent: Values, steps: int) -> Values:
        """Spikes per step."""
        return sent / steps
