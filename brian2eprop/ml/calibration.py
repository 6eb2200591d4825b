"""Calibration: biases by which spiking neurons say, on average, what the model would.

Li, Deng, Dong, Gong and Gu (2021), https://arxiv.org/abs/2106.06984, call it light: what is
corrected is the bias of each channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from brian2eprop.ml.algorithm import Algorithm
from brian2eprop.ml.building import Scaled
from brian2eprop.ml.graph import Values
from brian2eprop.ml.ports import Ports
from brian2eprop.ml.running import Running
from brian2eprop.ml.stages import Kind

# The first round changes what reaches the stages that come later; the second makes up for that.
ROUNDS = 2


def calibrate(
    stages: tuple[Scaled, ...], algorithm: Algorithm, ports: Ports, samples: Mapping[str, Values]
) -> tuple[Scaled, ...]:
    """Correct the biases of a conversion by what its neurons say on samples.

    A channel's bias gets what is missing, on average, from what the model would give of that which
    reached the channel. So a stage is corrected for what its own neurons do wrong, whatever those
    before it do, and all are corrected in the same run.

    Parameters
    ----------
    stages : tuple of Scaled
        Each after those that lead to it.
    algorithm : Algorithm
        What activations become.
    ports : Ports
        How arrays are arranged that enter, and that come out.
    samples : dict
        Typical inputs, by name of the stage.

    Returns
    -------
    tuple of Scaled
        The same stages with other biases.
    """
    for _ in range(ROUNDS):
        known = {**samples, **Running(stages, algorithm, ports).activations(samples)}
        stages = tuple(
            _corrected(each, known) if each.stage.kind is Kind.HIDDEN else each for each in stages
        )
    return stages


def _corrected(each: Scaled, known: Mapping[str, Values]) -> Scaled:
    stage = each.stage
    wanted = stage.apply(known).clip(max=each.scale)
    missing = (wanted - known[stage.name]).reshape(-1, stage.shape[-1]).mean(axis=0)
    return replace(each, stage=replace(stage, bias=stage.bias + missing))
