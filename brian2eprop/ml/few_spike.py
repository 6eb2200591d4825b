"""Few-spike conversion: spikes are the binary digits of an activation.

Stöckl and Maass (2021), https://doi.org/10.1038/s42256-021-00311-4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from brian2eprop.ml.algorithm import FOLLOW, Algorithm, Neurons, channel_scale
from brian2eprop.ml.graph import Values


class FewSpike(Algorithm):
    """Neurons that send their membrane's binary digits, the largest first, in K steps.

    In its step t a neuron spikes if its membrane is at least ``h = 2**-(1 + t)``, and loses that;
    what it reaches gets ``w*h``. A channel's scale is its largest activation by ``1 - 2**-K``,
    the largest number that K digits can say. Membranes start half a last digit higher, so that
    activations are rounded rather than cut. A stage listens for K steps, and sends in the next K,
    when all stages use the same h; what leads past stages is delayed by K steps for each. The
    digits of an input have its sign.

    Parameters
    ----------
    timesteps : int
        K.
    """

    name = "few-spike"
    answers_each_step = False
    _send = "v >= h and t > begin and t < end"
    _digits = """v : 1
        h : 1 (shared)
        ahead : integer (shared, constant)"""
    _sent = f"""{_digits}
        sent : 1
        begin : second (shared, constant)
        end : second (shared, constant)"""
    _next_digit = "h = 2.0**(-1 - (int(t/dt + 0.5) + ahead) % K)"
    _add = "v_post += w*h_post"
    input = Neurons(
        f"{_sent}\npolarity : 1 (constant)",
        _send,
        "v -= h; sent += polarity*h",
        "v_post += w*polarity_pre*h_post",
        each_step=_next_digit,
    )
    hidden = Neurons(_sent, _send, "v -= h; sent += h", _add, each_step=_next_digit)
    maximum = Neurons(
        f"{_digits}\nsent : 1", "v > 0", "v = 0; sent += h", _add, FOLLOW, _next_digit
    )
    output = Neurons(_digits, each_step=_next_digit)

    @property
    def steps_per_stage(self) -> int:
        """A stage sends when it has heard all digits."""
        return self.timesteps

    def steps(self, begin: int) -> int:
        """Until the output has heard all digits."""
        return begin

    def scale(self, values: Values, is_input: bool, ceiling: float = np.inf) -> Values:
        """The largest activation, by the largest number that K digits say."""
        largest = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
        return channel_scale(largest, values, ceiling) / (1 - 2.0**-self.timesteps)

    def initial(self, bias: Values, is_output: bool) -> Mapping[str, Any]:
        """The bias, and half a last digit to round by."""
        return {"v": bias if is_output else bias + self._half_digit}

    def present(self, values: Values) -> Mapping[str, Values]:
        """Sizes and signs of the samples."""
        return {"v": np.abs(values) + self._half_digit, "polarity": np.where(values < 0, -1.0, 1.0)}

    def quantise(self, values: Values) -> Values:
        """A number of K binary digits, with the sign of the activation."""
        digits = np.floor(2.0**self.timesteps * np.abs(values) + 0.5)
        largest = 2.0**self.timesteps - 1
        return np.sign(values) * np.minimum(digits, largest) / 2.0**self.timesteps

    def decode(self, sent: Values, steps: int) -> Values:
        """The number whose digits were sent."""
        return sent

    @property
    def _half_digit(self) -> float:
        return float(2.0 ** -(self.timesteps + 1))
