"""A model of Keras 3 becomes a graph of layers; Keras itself is not imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from brian2eprop.errors import Unsupported
from brian2eprop.ml import graph
from brian2eprop.ml.names import brian_name

# What stands in for layers that do not convert.
_REMEDIES = {
    "MaxPooling1D": "AveragePooling1D, or a convolution with strides",
    "MaxPooling2D": "AveragePooling2D, or a convolution with strides",
    "GlobalMaxPooling1D": "GlobalAveragePooling1D",
    "GlobalMaxPooling2D": "GlobalAveragePooling2D",
    "Concatenate": "Add, of convolutions that give as many channels",
    "LayerNormalization": "BatchNormalization",
    "GroupNormalization": "BatchNormalization",
    "LeakyReLU": "ReLU",
    "PReLU": "ReLU",
    "ELU": "ReLU",
    "Rescaling": "samples that are scaled beforehand",
    "Normalization": "samples that are normalised beforehand",
}


def read_keras(model: Any) -> tuple[graph.Layer, ...]:
    """The layers of a model.

    Parameters
    ----------
    model : keras.Model
        A Sequential or Functional model that is built.

    Returns
    -------
    tuple of Layer
        Its graph.

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
    return _Reading().read(model)


class _Reading:
    """A walk back from the output, along the tensors of Keras."""

    def __init__(self) -> None:
        self.layers: dict[str, graph.Layer] = {}
        self.names: dict[tuple[int, int], str] = {}

    def read(self, model: Any) -> tuple[graph.Layer, ...]:
        if len(model.outputs) != 1:
            raise Unsupported(
                f"The model '{model.name}' has {len(model.outputs)} outputs; convert a model that "
                "ends at one of them."
            )
        self._tensor(model.outputs[0], last=True)
        return tuple(self.layers.values())

    def _tensor(self, tensor: Any, last: bool = False) -> str:
        """Name of the layer that gives a tensor; those before it come first."""
        waiting = [tensor]
        while waiting:
            now = waiting[-1]
            before = [t for t in _inputs(now) if _key(t) not in self.names]
            if before:
                waiting += before
                continue
            waiting.pop()
            if _key(now) not in self.names:
                self._add(now, last and now is tensor)
        return self.names[_key(tensor)]

    def _add(self, tensor: Any, last: bool) -> None:
        layer, node, _ = tensor._keras_history
        inputs = tuple(self.names[_key(each)] for each in _inputs(tensor))
        name = brian_name(layer.name) + (f"_{node}" if node and inputs else "")
        kind = type(layer).__name__
        if kind not in _READERS:
            remedy = _REMEDIES.get(kind, f"one of {', '.join(sorted(_READERS))}")
            raise Unsupported(
                f"The layer '{layer.name}' is of the kind {kind}, which does not convert; use "
                f"{remedy} in its place."
            )
        _check_format(layer, len(tensor.shape) - 1)
        self.layers[name] = _READERS[kind](layer, name, inputs)
        activation = _activation(layer, name, last) if kind not in ("ReLU", "Softmax") else None
        if kind == "Softmax" and not last:
            raise _no_activation(layer, "softmax")
        if activation is not None:
            self.layers[activation.name] = activation
            name = activation.name
        self.names[_key(tensor)] = name


def _key(tensor: Any) -> tuple[int, int]:
    layer, node, _ = tensor._keras_history
    return id(layer), node


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


def _activation(layer: Any, name: str, last: bool) -> graph.Layer | None:
    function = getattr(layer, "activation", None)
    kind = getattr(function, "__name__", None)
    if function is None or kind == "linear":
        return None
    if kind in ("relu", "relu6"):
        return graph.ReLU(
            name=f"{name}_activation", inputs=(name,), ceiling=np.inf if kind == "relu" else 6.0
        )
    if kind == "softmax" and last:
        return None
    raise _no_activation(layer, str(kind))


def _no_activation(layer: Any, kind: str) -> Unsupported:
    return Unsupported(
        f"The layer '{layer.name}' has the activation {kind}, which does not convert; use 'relu' "
        "or 'relu6', and 'softmax' in the last layer only."
    )


def _array(weight: Any) -> graph.Values | None:
    return None if weight is None else np.asarray(weight)


def _name_of_input(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    shape = layer.batch_shape[1:]
    if None in shape:
        raise Unsupported(
            f"The input '{layer.name}' has the shape {shape}; give a model with sizes in place of "
            "None."
        )
    return graph.Input(name=name, shape=tuple(shape))


def _convolution(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    return _kernel(layer, name, inputs, _array(layer.kernel), layer.groups)


def _depthwise(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    kernel = np.asarray(layer.kernel)
    flat = kernel.reshape(*kernel.shape[:-2], 1, -1)
    return _kernel(layer, name, inputs, flat, kernel.shape[-2])


def _separable(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    depth, point = np.asarray(layer.depthwise_kernel), np.asarray(layer.pointwise_kernel)
    across = point.reshape(*depth.shape[-2:], -1)
    return _kernel(layer, name, inputs, np.einsum("...cm,cmo->...co", depth, across), 1)


def _kernel(
    layer: Any, name: str, inputs: tuple[str, ...], kernel: Any, groups: int
) -> graph.Layer:
    return graph.Convolution(
        name=name,
        inputs=inputs,
        kernel=kernel,
        bias=_array(layer.bias),
        strides=layer.strides,
        padding=layer.padding,
        dilation=layer.dilation_rate,
        groups=groups,
    )


def _dense(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    kernel = np.asarray(layer.kernel)
    return graph.Dense(name=name, inputs=inputs, kernel=kernel, bias=_array(layer.bias))


def _normalisation(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    gamma = 1 if layer.gamma is None else np.asarray(layer.gamma)
    beta = 0 if layer.beta is None else np.asarray(layer.beta)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return graph.Normalisation(name=name, inputs=inputs, scale=scale, shift=beta - mean * scale)


def _relu(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    if layer.negative_slope or layer.threshold:
        raise Unsupported(
            f"The layer '{layer.name}' is a ReLU with a slope or a threshold; use one without."
        )
    ceiling = np.inf if layer.max_value is None else float(layer.max_value)
    return graph.ReLU(name=name, inputs=inputs, ceiling=ceiling)


def _pooling(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    return graph.AveragePooling(
        name=name,
        inputs=inputs,
        window=tuple(layer.pool_size),
        strides=tuple(layer.strides),
        padding=layer.padding,
    )


def _global(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    return graph.AveragePooling(name=name, inputs=inputs, keep_directions=bool(layer.keepdims))


def _zero_padding(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    pairs = np.asarray(layer.padding).reshape(-1, 2)
    places = tuple((int(before), int(after)) for before, after in pairs)
    return graph.ZeroPadding(name=name, inputs=inputs, places=places)


def _reshape(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    return graph.Reshape(name=name, inputs=inputs, shape=tuple(layer.target_shape))


def _flatten(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    return graph.Reshape(name=name, inputs=inputs)


def _add(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    return graph.Add(name=name, inputs=inputs)


def _nothing(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    return graph.Identity(name=name, inputs=inputs)


_READERS: dict[str, Callable[[Any, str, tuple[str, ...]], graph.Layer]] = {
    "InputLayer": _name_of_input,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _normalisation,
    "ReLU": _relu,
    "Activation": _nothing,
    "Softmax": _nothing,
    "AveragePooling1D": _pooling,
    "AveragePooling2D": _pooling,
    "GlobalAveragePooling1D": _global,
    "GlobalAveragePooling2D": _global,
    "ZeroPadding1D": _zero_padding,
    "ZeroPadding2D": _zero_padding,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Add": _add,
    "Dropout": _nothing,
    "SpatialDropout1D": _nothing,
    "SpatialDropout2D": _nothing,
    "GaussianNoise": _nothing,
}
