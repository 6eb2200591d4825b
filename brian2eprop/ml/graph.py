"""A network of artificial neurons as a small graph of layers, whoever made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian2eprop.errors import Unsupported

Values = NDArray[np.floating[Any]]
# 'valid', 'same' as in Keras, 'causal' along one direction, or pairs of places before and after.
Padding = str | tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What all layers have.

    Parameters
    ----------
    name : str
        Name of the layer; its neurons are called so.
    inputs : tuple of str
        Names of the layers whose values it takes.
    """

    name: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Input(Layer):
    """Where samples enter: their shape, channels last."""

    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Convolution(Layer):
    """A convolution along one or two directions, in the shapes of Keras; depthwise by groups.

    Parameters
    ----------
    kernel : array, shape (rows, columns, channels of the input / groups, channels of the output)
        The weights; without ``rows`` along one direction.
    bias : array, shape (channels of the output,), optional
        What is added.
    strides, dilation : int or tuple of int
        One number for all directions, or one for each.
    padding : str or pairs of int
        'valid', 'same', 'causal' along one direction, or places before and after, by direction.
    groups : int
        Into how many groups the channels are divided.
    """

    kernel: Values
    bias: Values | None = None
    strides: int | tuple[int, ...] = 1
    padding: Padding = "valid"
    dilation: int | tuple[int, ...] = 1
    groups: int = 1


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    """Every channel to every other: a kernel of shape (input, output), and a bias."""

    kernel: Values
    bias: Values | None = None


@dataclass(frozen=True, kw_only=True)
class AveragePooling(Layer):
    """Averages over windows; over the whole image without a ``window``."""

    window: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    padding: Padding = "valid"
    keep_directions: bool = True


@dataclass(frozen=True, kw_only=True)
class Normalisation(Layer):
    """Batch normalisation as it is when trained: ``scale*x + shift``, by channel."""

    scale: Values
    shift: Values


@dataclass(frozen=True, kw_only=True)
class ReLU(Layer):
    """What is positive, up to a ceiling if there is one."""

    ceiling: float = np.inf


@dataclass(frozen=True, kw_only=True)
class ZeroPadding(Layer):
    """Zeros around an image: pairs of places before and after, by direction."""

    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Reshape(Layer):
    """The same values in another shape; None for one axis, ``(-1,)``."""

    shape: tuple[int, ...] = (-1,)


@dataclass(frozen=True, kw_only=True)
class Add(Layer):
    """The sum of several layers of one shape."""


@dataclass(frozen=True, kw_only=True)
class Identity(Layer):
    """What does nothing when a network is used: dropout, a softmax at the end."""


def order(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Layers in an order in which each comes after those that it takes.

    Parameters
    ----------
    layers : sequence of Layer
        A graph with one input; the last layer that no other takes is its output.

    Returns
    -------
    tuple of Layer
        The same layers.

    Raises
    ------
    ValueError
        If two have one name, a layer takes one that is not there, or they form a loop.
    Unsupported
        If there is not exactly one input and one output.
    """
    known = {layer.name: layer for layer in layers}
    if len(known) < len(layers):
        names = [layer.name for layer in layers]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"Two layers are called '{twice}'; give each a name of its own.")
    found: dict[str, Layer] = {}
    waiting = list(layers)
    while waiting:
        ready = [layer for layer in waiting if all(name in found for name in layer.inputs)]
        if not ready:
            layer = waiting[0]
            missing = next(name for name in layer.inputs if name not in found)
            raise ValueError(
                f"Layer '{layer.name}' takes '{missing}', which is not there or takes "
                f"'{layer.name}' itself; a conversion goes through layers that lead forward."
            )
        found.update((layer.name, layer) for layer in ready)
        waiting = [layer for layer in waiting if layer.name not in found]
    _check_ends(tuple(found.values()))
    return tuple(found.values())


def _check_ends(layers: tuple[Layer, ...]) -> None:
    taken = {name for layer in layers for name in layer.inputs}
    inputs = [layer.name for layer in layers if isinstance(layer, Input)]
    outputs = [layer.name for layer in layers if layer.name not in taken]
    for what, names in (("input", inputs), ("output", outputs)):
        if len(names) != 1:
            raise Unsupported(
                f"The model has {len(names)} {what}s ({', '.join(names)}); a conversion takes one "
                f"with a single {what}: convert a model that ends at one of them."
            )
