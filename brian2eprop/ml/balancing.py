"""Threshold balancing: rate conversion with scales by what spikes bring.

Sengupta, Ye, Wang, Liu and Roy (2019), https://doi.org/10.3389/fnins.2019.00095.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from brian2eprop.ml.graph import Values
from brian2eprop.ml.rate import START, Rate
from brian2eprop.ml.stages import Kind, Stage

# Each is simulated for all timesteps, and a few meet as many neurons and steps as many do.
SAMPLES = 32


class ThresholdBalancing(Rate):
    """Neurons as those of :class:`Rate`, whose scale is the largest input that comes in a step.

    Stage after stage is simulated with the scales found before. So no neuron ever gets more in a
    step than it can send on, and most send much less: it takes more timesteps than :class:`Rate`
    with its percentiles of activations. The first 32 samples are simulated.

    Parameters
    ----------
    timesteps : int
        Steps that the output counts.
    percentile, per, calibrated
        See :class:`Rate`; of the inputs in all steps, and for 'layer' only.
    """

    name = "threshold-balancing"

    def __init__(
        self,
        timesteps: int,
        percentile: float = 100.0,
        per: str = "layer",
        calibrated: bool = False,
    ) -> None:
        super().__init__(timesteps, percentile, per, calibrated)
        if per != "layer":
            raise ValueError(
                f"ThresholdBalancing: per is {per!r}; give 'layer', for thresholds are balanced "
                "layer by layer."
            )

    def observe(
        self, stages: tuple[Stage, ...], samples: Mapping[str, Values]
    ) -> Mapping[str, Values]:
        """What reaches the neurons of each stage in each step, from spikes in stages before."""
        observed: dict[str, Values] = {}
        # A step of all samples after the other: what stages do to values, they do to these.
        sent: dict[str, Values] = {}
        for stage in stages:
            if stage.kind is Kind.INPUT:
                image = samples[stage.name][:SAMPLES].astype(np.float32)
                sent[stage.name] = observed[stage.name] = np.concatenate([image] * self.timesteps)
            elif stage.kind is Kind.MAXIMUM:
                sent[stage.name] = self._followed(stage, sent[stage.projections[0].source])
            elif stage.kind is Kind.HIDDEN:
                come = replace(stage, kind=Kind.OUTPUT).apply(sent).astype(np.float32)
                scale = self.scale(come, False, stage.ceiling).astype(np.float32)
                relative = (come / scale).reshape(self.timesteps, -1, *stage.shape)
                observed[stage.name] = come
                sent[stage.name] = _spikes(relative).reshape(come.shape) * scale
        return observed

    def _followed(self, stage: Stage, sent: Values) -> Values:
        """What a maximum sends: by how much the largest sum of what was sent has grown."""
        sums = sent.reshape(self.timesteps, -1, *sent.shape[1:]).cumsum(axis=0)
        largest = stage.apply({stage.projections[0].source: sums.reshape(sent.shape)})
        by_step = largest.reshape(self.timesteps, -1, *stage.shape)
        return np.diff(by_step, axis=0, prepend=0).reshape(largest.shape)


def _spikes(come: Values) -> Values:
    """Spikes of neurons that integrate and fire, from what comes in each step."""
    v = np.full(come.shape[1:], START, np.float32)
    spikes = np.zeros(come.shape, np.float32)
    for now, sent in zip(come, spikes, strict=True):
        v += now
        sent[...] = v >= 1
        v -= sent
    return spikes
