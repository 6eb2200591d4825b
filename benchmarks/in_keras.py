"""Layers as a model of Keras, whose answers and times a conversion is compared with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from brian2eprop import ml


def keras_model(layers: list[ml.graph.Layer]) -> Any:
    """The model, with the weights of the layers; what Keras runs is compiled as a whole.

    Parameters
    ----------
    layers : list of Layer
        Each after those that it takes.

    Returns
    -------
    callable
        Takes images, gives outputs.
    """
    tensors: dict[str, Any] = {}
    for layer in layers:
        tensors[layer.name] = _tensor(layer, [tensors[name] for name in layer.inputs])
    model = keras.Model(tensors[layers[0].name], tensors[layers[-1].name])
    model.compile()
    return model.predict_on_batch


def _tensor(layer: ml.graph.Layer, inputs: list[Any]) -> Any:
    """What a layer gives."""
    match layer:
        case ml.Input():
            return keras.Input(layer.shape)
        case ml.Convolution():
            return _convolution(layer, inputs[0])
        case ml.Normalisation():
            made = keras.layers.BatchNormalization(epsilon=0)
            found = made(inputs[0])
            size = len(layer.scale)
            made.set_weights([layer.scale, layer.shift, np.zeros(size), np.ones(size)])
            return found
        case ml.Dense():
            return _weighted(keras.layers.Dense(layer.kernel.shape[-1]), layer, inputs[0])
        case ml.ReLU():
            return keras.layers.ReLU()(inputs[0])
        case ml.Add():
            return keras.layers.Add()(inputs)
        case ml.AveragePooling(window=None):
            return keras.layers.GlobalAveragePooling2D()(inputs[0])
        case ml.MaxPooling():
            return keras.layers.MaxPooling2D(layer.window)(inputs[0])
        case ml.AveragePooling():
            return keras.layers.AveragePooling2D(layer.window)(inputs[0])
        case ml.Reshape():
            return keras.layers.Flatten()(inputs[0])
    raise TypeError(f"'{layer.name}' is a {type(layer).__name__}, which no network here has.")


def _convolution(layer: ml.Convolution, image: Any) -> Any:
    padding = layer.padding
    if not isinstance(padding, str):
        image, padding = keras.layers.ZeroPadding2D(padding)(image), "valid"
    made = keras.layers.Conv2D(
        layer.kernel.shape[-1], layer.kernel.shape[:-2], strides=layer.strides, padding=padding
    )
    return _weighted(made, layer, image)


def _weighted(made: Any, layer: ml.Convolution | ml.Dense, image: Any) -> Any:
    found = made(image)
    bias = np.zeros(layer.kernel.shape[-1]) if layer.bias is None else layer.bias
    made.set_weights([layer.kernel, bias])
    return found
