"""Converted networks as populations and pathways: rates, whose neurons integrate and fire."""

from __future__ import annotations

import numpy as np

from brian2eprop.device.convolution.shapes import find_convolution
from brian2eprop.errors import Unsupported
from brian2eprop.ml.building import DT, delay_of, scaled_kernel
from brian2eprop.ml.converted import ConvertedNetwork
from brian2eprop.ml.interchange.pathways import Pathway
from brian2eprop.ml.interchange.recognition import Population
from brian2eprop.ml.rate import Rate
from brian2eprop.ml.stages import Kind, Stage


def read_rates(
    converted: ConvertedNetwork, soft_reset: bool
) -> tuple[dict[str, Population], list[Pathway]]:
    """What a converted network is in NIR.

    Parameters
    ----------
    converted : ConvertedNetwork
        The network.
    soft_reset : bool
        Whether its reset is noted in the metadata rather than refused.

    Returns
    -------
    dict of str to Population, list of Pathway
        Its stages, and the kernels between them.

    Raises
    ------
    Unsupported
        If its algorithm has no node, or its reset has none.
    """
    algorithm, stages = converted.algorithm, converted.stages
    if not isinstance(algorithm, Rate) or algorithm.hidden.takes_back is not None:
        raise Unsupported(
            f"The algorithm {algorithm.name!r} has neurons whose threshold changes in time, or "
            "whose spikes are taken back, for which NIR has no node; convert with "
            "algorithm='rate'."
        )
    for each in stages:
        _require_nodes(each.stage)
    spiking_ones = [each.stage.name for each in stages if each.stage.kind is Kind.HIDDEN]
    if not soft_reset and spiking_ones:
        raise Unsupported(
            f"'{spiking_ones[0]}' keeps what is above its threshold when it spikes, and NIR's "
            "IF does not; give soft_reset='metadata' to note it where only tools that read it "
            "follow."
        )
    populations: dict[str, Population] = {}
    pathways = []
    by_name = {each.stage.name: each for each in stages}
    rate = {"r": np.array(1 / float(DT))}
    for each in stages:
        name = each.stage.name
        bias = np.ravel(np.broadcast_to(each.stage.bias, each.stage.shape) / each.everywhere)
        if each.stage.kind is Kind.INPUT:
            populations[name] = Population("Input", {})
        elif each.stage.kind is Kind.OUTPUT:
            populations[name] = Population("I", rate, bias=bias)
        else:
            spiking = {"v_threshold": np.ones(1), "v_reset": np.zeros(1)}
            noted = {"reset": "subtract", "v_initial": algorithm.initial(bias, False)["v"]}
            populations[name] = Population("IF", rate | spiking, bias=bias, metadata=noted)
        for projection in each.stage.projections:
            source = by_name[projection.source]
            label = f"{projection.source}_to_{name}"
            found = find_convolution(
                label, projection.kernel.shape, projection.input_shape, projection.strides,
                projection.padding, projection.dilation, projection.groups,
            )  # fmt: skip
            kernel = scaled_kernel(projection, source, each).reshape(found.shape)
            waits = delay_of(source, each, algorithm) * float(DT)
            delays = np.full(source.stage.size, waits), np.zeros(each.stage.size)
            pathways.append(
                Pathway(label, projection.source, name, "I", None, kernel, delays, found)
            )
    return populations, pathways


def _require_nodes(stage: Stage) -> None:
    """Raise Unsupported where a stage does what no node of NIR does."""
    if stage.kind is Kind.MAXIMUM:
        raise Unsupported(
            f"'{stage.name}' follows the largest of its inputs, for which NIR has no node; use "
            "average pooling in its place."
        )
    if any(projection.gain is not None for projection in stage.projections):
        raise Unsupported(
            f"'{stage.name}' multiplies what comes in by numbers that differ from place to place, "
            "for which NIR has no node; use pooling whose windows do not reach beyond the image."
        )
