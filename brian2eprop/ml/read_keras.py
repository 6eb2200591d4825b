"""A model of Keras 3 becomes a graph of layers; Keras itself is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, count
from typing import Any

import numpy as np

from brian2eprop.errors import Unsupported
from brian2eprop.ml import graph
from brian2eprop.ml.keras_layers import READERS
from brian2eprop.ml.names import brian_name

# A layer, its number of calls before, and which of its results: what a tensor of Keras is.
_Key = tuple[int, int, int]
# What keeps the order of an output, or the largest of its numbers, and is left out there.
_ENDS = ("softmax", "sigmoid")
# What stands in for layers that do not convert.
_REMEDIES = {
    "LayerNormalization": "BatchNormalization",
    "GroupNormalization": "BatchNormalization",
    "LeakyReLU": "ReLU",
    "PReLU": "ReLU",
    "ELU": "ReLU",
    "Subtract": "Add, behind a convolution that changes the sign",
    "Average": "Add, behind convolutions that are divided",
    "Maximum": "MaxPooling1D, of what is stacked as steps",
    "MaxPooling3D": "MaxPooling2D",
    "Conv3D": "Conv2D",
    "Conv2DTranspose": "Conv2D",
}


def read_keras(model: Any) -> graph.Graph:
    """The layers of a model.

    Parameters
    ----------
    model : keras.Model
        A Sequential or Functional model that is built.

    Returns
    -------
    Graph
        Its layers, those of models within it too, and how its inputs and outputs are arranged.

    Raises
    ------
    TypeError
        If it is no model of Keras 3.
    ValueError
        If it is not built yet, or a class of its own.
    Unsupported
        If a layer does not convert; the sentence names it, and what to use in its place.
    """
    if not hasattr(model, "layers") or not hasattr(model, "built"):
        raise TypeError(f"{model!r} is to be converted; give a Sequential or Functional model.")
    if not getattr(model, "outputs", None):
        raise ValueError(
            f"The model '{model.name}' has no graph of layers; call build(input_shape) of a "
            "Sequential one, or write it as a Functional one."
        )
    ends = frozenset(map(_key, model.outputs))
    reading = _Reading({}, ends)
    for tensor in (*model.inputs, *model.outputs):
        reading.name_of(tensor)
    layers = graph.order(tuple(reading.layers.values()))
    inputs, outputs = _arranged(model)
    return graph.Graph(
        layers, _named(model, inputs, reading.names), _named(model, outputs, reading.names)
    )


def _arranged(model: Any) -> tuple[Any, Any]:
    """Inputs and outputs as a Functional model has them; a Sequential one has one of each."""
    if type(model).__name__ == "Sequential":
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def _named(model: Any, tensors: Any, names: Mapping[_Key, str]) -> graph.Names:
    if hasattr(tensors, "_keras_history"):
        return names[_key(tensors)]
    each = tensors.values() if isinstance(tensors, Mapping) else tensors
    if not all(hasattr(tensor, "_keras_history") for tensor in each):
        raise Unsupported(
            f"The model '{model.name}' has lists or dicts within those of its inputs or outputs; "
            "make it one with a single list or dict."
        )
    if isinstance(tensors, Mapping):
        return {str(key): names[_key(tensor)] for key, tensor in tensors.items()}
    return [names[_key(tensor)] for tensor in tensors]


class _Reading:
    """A walk back from the outputs, along the tensors of Keras.

    Parameters
    ----------
    layers : dict
        Where layers are put, by name.
    ends : set
        The tensors that are the model's outputs, in which a softmax does not matter.
    names : dict, optional
        Layers that are there already, by the tensors they give.
    prefix : str
        What the names of layers begin with.
    """

    def __init__(
        self,
        layers: dict[str, graph.Layer],
        ends: frozenset[_Key],
        names: Mapping[_Key, str] | None = None,
        prefix: str = "",
    ) -> None:
        self.layers, self.ends, self.prefix = layers, ends, prefix
        self.names: dict[_Key, str] = dict(names or {})
        self._within: dict[tuple[int, int], _Reading] = {}
        self._left_out: dict[_Key, str] = {}

    def name_of(self, tensor: Any) -> str:
        """Name of the layer that gives a tensor; those before it come first."""
        waiting = [tensor]
        while waiting:
            now = waiting[-1]
            before = [] if _key(now) in self.names else _inputs(now)
            missing = [each for each in before if _key(each) not in self.names]
            waiting += missing
            if not missing:
                waiting.pop()
                if _key(now) not in self.names:
                    self.names[_key(now)] = self._add(now)
        return self.names[_key(tensor)]

    def _add(self, tensor: Any) -> str:
        layer = tensor._keras_history.operation
        for each in _inputs(tensor):
            if _key(each) in self._left_out:
                raise _no_activation(each._keras_history.operation, self._left_out[_key(each)])
        if hasattr(layer, "layers") and getattr(layer, "outputs", None):
            return self._add_within(tensor)
        kind = type(layer).__name__
        if kind not in READERS:
            remedy = _REMEDIES.get(kind, f"one of {', '.join(sorted(READERS))}")
            raise Unsupported(
                f"The layer '{layer.name}' is of the kind {kind}, which does not convert; use "
                f"{remedy} in its place."
            )
        _check_format(layer, len(tensor.shape) - 1)
        inputs = tuple(self.names[_key(each)] for each in _inputs(tensor))
        name = self._free(self.prefix + brian_name(layer.name))
        self.layers[name] = READERS[kind](layer, name, inputs)
        return self._add_activation(tensor, name)

    def _add_activation(self, tensor: Any, name: str) -> str:
        layer = tensor._keras_history.operation
        function = getattr(layer, "activation", None)
        kind = "softmax" if type(layer).__name__ == "Softmax" else _kind_of(function)
        own = self._free(f"{name}_activation")
        if kind in ("relu", "relu6"):
            ceiling = np.inf if kind == "relu" else 6.0
            self.layers[own] = graph.ReLU(name=own, inputs=(name,), ceiling=ceiling)
            return own
        if kind in ("ReLU", "QCFS"):
            self.layers[own] = READERS[kind](function, own, (name,))
            return own
        if kind in _ENDS and _key(tensor) in self.ends:
            self._left_out[_key(tensor)] = kind
        elif kind != "linear":
            raise _no_activation(layer, kind)
        return name

    def _add_within(self, tensor: Any) -> str:
        """A tensor of a model that is a layer of this one."""
        model, node, index = tensor._keras_history
        if (id(model), node) not in self._within:
            given = dict(
                zip(map(_key, model.inputs), map(self.name_of, _inputs(tensor)), strict=True)
            )
            ends = frozenset(
                _key(inner)
                for number, inner in enumerate(model.outputs)
                if (id(model), node, number) in self.ends
            )
            prefix = f"{self.prefix}{brian_name(model.name)}_" + f"{node}_" * bool(node)
            self._within[id(model), node] = _Reading(self.layers, ends, given, prefix)
        inner = self._within[id(model), node]
        name = inner.name_of(model.outputs[index])
        if _key(model.outputs[index]) in inner._left_out:
            self._left_out[_key(tensor)] = inner._left_out[_key(model.outputs[index])]
        return name

    def _free(self, name: str) -> str:
        """A name that no layer has: a layer that is called again gets a number."""
        again = (f"{name}_{number}" for number in count(1))
        return next(each for each in chain([name], again) if each not in self.layers)


def _key(tensor: Any) -> _Key:
    layer, node, index = tensor._keras_history
    return id(layer), node, index


def _inputs(tensor: Any) -> list[Any]:
    layer, node, _ = tensor._keras_history
    return list(layer._inbound_nodes[node].input_tensors)


def _check_format(layer: Any, last: int) -> None:
    axis = getattr(layer, "axis", -1)
    if getattr(layer, "data_format", None) == "channels_first" or axis not in (-1, last, [last]):
        raise Unsupported(
            f"The layer '{layer.name}' does not have its channels last; make the model with "
            "data_format='channels_last' and axis=-1."
        )


def _no_activation(layer: Any, kind: str) -> Unsupported:
    return Unsupported(
        f"The layer '{layer.name}' has the activation {kind}, which does not convert; use 'relu' "
        "or 'relu6', and 'softmax' or 'sigmoid' at outputs alone."
    )


def _kind_of(activation: Any) -> str:
    """What Keras calls an activation, a function of its own or a layer."""
    if activation is None:
        return "linear"
    if getattr(activation, "__module__", "").startswith("keras."):
        return str(getattr(activation, "__name__", type(activation).__name__))
    layer = type(activation).__name__
    return layer if layer in READERS else repr(activation)
