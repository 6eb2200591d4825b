"""A rectifier behind a maximum or zeros is put before them, which changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from brian2eprop.ml import graph

Layers = Mapping[str, graph.Layer]

_LATE = (graph.MaxPooling, graph.ZeroPadding)
_NONE_NEW = (*_LATE, graph.AveragePooling, graph.Reshape, graph.Add, graph.Concatenate,
             graph.Identity)  # fmt: skip


def rectify_first(network: graph.Graph) -> graph.Graph:
    """Let neurons rectify before the largest of them is taken, or zeros are put around.

    ``relu(max(x))`` is ``max(relu(x))``, as of whatever grows with x; so a maximum is taken
    behind a normalisation too, if no scale of it is below zero and a rectifier follows.

    Parameters
    ----------
    network : Graph
        The layers.

    Returns
    -------
    Graph
        Layers that give the same, under the names that they had.
    """
    layers: dict[str, graph.Layer] = {layer.name: layer for layer in network.layers}
    ends = {name: name for name in graph.names_in(network.outputs)}
    for late in reversed(network.layers):
        if not isinstance(late, _LATE) or _is_positive(late.inputs[0], layers, {}):
            continue
        rectifier = _rectifier_behind(late, layers, frozenset(ends.values()))
        if rectifier is not None:
            _move_behind(late.name, rectifier, layers)
            ends = {name: late.name if now == rectifier else now for name, now in ends.items()}
    ordered = graph.order(tuple(layers.values()))
    return graph.Graph(ordered, network.inputs, graph.renamed(network.outputs, ends))


def _is_positive(name: str, layers: Layers, known: dict[str, bool]) -> bool:
    if name not in known:
        layer = layers[name]
        known[name] = isinstance(layer, graph.ReLU) or (
            isinstance(layer, _NONE_NEW)
            and all(_is_positive(each, layers, known) for each in layer.inputs)
        )
    return known[name]


def _rectifier_behind(late: graph.Layer, layers: Layers, ends: frozenset[str]) -> str | None:
    """A rectifier to which only what may come first leads."""
    name = late.name
    while True:
        takers = [each for each in layers.values() if name in each.inputs]
        if len(takers) != 1 or name in ends:
            return None
        (taker,) = takers
        if isinstance(taker, graph.ReLU):
            return taker.name
        grows = isinstance(taker, graph.Normalisation) and (np.asarray(taker.scale) >= 0).all()
        if not isinstance(taker, graph.Identity) and not (
            grows and isinstance(late, graph.MaxPooling)
        ):
            return None
        name = taker.name


def _move_behind(late: str, rectifier: str, layers: dict[str, graph.Layer]) -> None:
    before = layers[late].inputs
    for name, layer in list(layers.items()):
        swapped = {rectifier: (late,), late: before}
        inputs = tuple(new for each in layer.inputs for new in swapped.get(each, (each,)))
        layers[name] = replace(layer, inputs=inputs)
    layers[late] = replace(layers[late], inputs=(rectifier,))
