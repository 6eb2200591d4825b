"""Layers of Keras, one by one: what each is in a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from brian2eprop.errors import Unsupported
from brian2eprop.ml import graph

_Reader = Callable[[Any, str, tuple[str, ...]], graph.Layer]


def _array(weight: Any) -> graph.Values | None:
    return None if weight is None else np.asarray(weight)


def _input(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
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


def _batch_normalisation(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    gamma = 1 if layer.gamma is None else np.asarray(layer.gamma)
    beta = 0 if layer.beta is None else np.asarray(layer.beta)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return graph.Normalisation(name=name, inputs=inputs, scale=scale, shift=beta - mean * scale)


def _normalisation(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    mean, variance = (np.ravel(np.asarray(each)) for each in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    scale, shift = 1 / deviation, -mean / deviation
    if layer.invert:
        scale, shift = deviation, mean
    return graph.Normalisation(name=name, inputs=inputs, scale=scale, shift=shift)


def _rescaling(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    scale, shift = np.asarray(layer.scale, float), np.asarray(layer.offset, float)
    return graph.Normalisation(name=name, inputs=inputs, scale=scale, shift=shift)


def _relu(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    if layer.negative_slope or layer.threshold:
        raise Unsupported(
            f"The layer '{layer.name}' is a ReLU with a slope or a threshold; use one without."
        )
    ceiling = np.inf if layer.max_value is None else float(layer.max_value)
    return graph.ReLU(name=name, inputs=inputs, ceiling=ceiling)


def _qcfs(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    return graph.ReLU(name=name, inputs=inputs, ceiling=float(np.asarray(layer.ceiling)))


def _pooling(kind: type[graph.Pooling]) -> _Reader:
    def read(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
        return kind(
            name=name,
            inputs=inputs,
            window=tuple(layer.pool_size),
            strides=tuple(layer.strides),
            padding=layer.padding,
        )

    return read


def _global(kind: type[graph.Pooling]) -> _Reader:
    def read(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
        return kind(name=name, inputs=inputs, keep_directions=bool(layer.keepdims))

    return read


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


def _concatenate(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    return graph.Concatenate(name=name, inputs=inputs)


def _nothing(layer: Any, name: str, inputs: tuple[str, ...]) -> graph.Layer:
    return graph.Identity(name=name, inputs=inputs)


# By the name of their class.
READERS: dict[str, _Reader] = {
    "InputLayer": _input,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batch_normalisation,
    "Normalization": _normalisation,
    "Rescaling": _rescaling,
    "ReLU": _relu,
    "QCFS": _qcfs,
    "Activation": _nothing,
    "Softmax": _nothing,
    "AveragePooling1D": _pooling(graph.AveragePooling),
    "AveragePooling2D": _pooling(graph.AveragePooling),
    "GlobalAveragePooling1D": _global(graph.AveragePooling),
    "GlobalAveragePooling2D": _global(graph.AveragePooling),
    "MaxPooling1D": _pooling(graph.MaxPooling),
    "MaxPooling2D": _pooling(graph.MaxPooling),
    "GlobalMaxPooling1D": _global(graph.MaxPooling),
    "GlobalMaxPooling2D": _global(graph.MaxPooling),
    "ZeroPadding1D": _zero_padding,
    "ZeroPadding2D": _zero_padding,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Add": _add,
    "Concatenate": _concatenate,
    "Dropout": _nothing,
    "SpatialDropout1D": _nothing,
    "SpatialDropout2D": _nothing,
    "GaussianNoise": _nothing,
}
