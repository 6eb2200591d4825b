"""Rate conversion with spikes that take others back.

Wang, Zhang, Chen and Qu (2022), https://doi.org/10.24963/ijcai.2022/347.
"""

from __future__ import annotations

from dataclasses import replace

from brian2eprop.ml.rate import Rate


class SignedRate(Rate):
    """Neurons as those of :class:`Rate`, which take a spike back when the membrane is at -1/2.

    What comes first decides in :class:`Rate` over what is sent: a neuron whose inputs are in the
    end negative may have spiked before these came. Here it sends as many spikes of the other sign,
    though never more than it has sent before, so that no number of spikes is below zero.
    Membranes start at 1/2, and -1/2 is a spike below that.

    Parameters
    ----------
    timesteps, percentile, per, calibrated
        See :class:`Rate`.
    """

    name = "signed-rate"
    hidden = replace(
        Rate.hidden,
        takes_back="v <= -0.5 and sent > 0",
        taken_back="v += 1; sent -= 1",
        on_taken_back="v_post -= w",
    )
