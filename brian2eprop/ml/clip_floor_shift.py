"""Conversion of networks that were trained with as many levels as there are spikes.

Bu, Fang, Ding, Dai, Yu and Huang (2022), https://openreview.net/forum?id=7B3IJMM1k_M.
"""

from __future__ import annotations

import numpy as np

from brian2eprop.ml.graph import Values
from brian2eprop.ml.rate import Rate


class ClipFloorShift(Rate):
    """Neurons as those of :class:`Rate`, whose scale is the ceiling that was trained.

    Between kernels there is the activation ``QCFS``, whose ceiling is trained and whose levels
    are numbers of spikes; membranes start at 1/2, which is its shift. What has no ceiling, as an
    average, is scaled as in :class:`Rate`.

    Parameters
    ----------
    timesteps, percentile, per, calibrated
        See :class:`Rate`.
    """

    name = "qcfs"

    def scale(self, values: Values, is_input: bool, ceiling: float = np.inf) -> Values:
        """The ceiling, where there is one."""
        found = super().scale(values, is_input, ceiling)
        return found if np.isinf(ceiling) else np.full_like(found, ceiling)
