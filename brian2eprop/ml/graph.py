"""A network of artificial neurons as a small graph of layers, whoever made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
# 'valid', 'same' as in Keras, 'causal' along one direction, or pairs of places before and after.
Padding = str | tuple[tuple[int, int], ...]
# Names of layers: one, some in order, or some by the names that their arrays have.
Names = str | Sequence[str] | Mapping[str, str]


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

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, np.ndarray) and not np.isfinite(value).all():
                raise ValueError(
                    f"The layer '{self.name}' has a {each.name} with numbers that are not finite; "
                    "give those of a model that has been trained to its end."
                )


@dataclass(frozen=True, kw_only=True)
class Input(Layer):
    """Where samples enter: their shape, channels last."""

    shape: tuple[int, ...]


def _check_bias(name: str, kernel: Values, bias: Values | None) -> None:
    if bias is not None and np.shape(bias) != np.shape(kernel)[-1:]:
        raise ValueError(
            f"The bias of '{name}' has the shape {np.shape(bias)}; give one number for each of "
            f"its {np.shape(kernel)[-1]} channels."
        )


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

    def __post_init__(self) -> None:
        """Refuse a bias that is none of each channel."""
        super().__post_init__()
        _check_bias(self.name, self.kernel, self.bias)


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    """Every channel to every other: a kernel of shape (input, output), and a bias."""

    kernel: Values
    bias: Values | None = None

    def __post_init__(self) -> None:
        """Refuse a bias that is none of each channel."""
        super().__post_init__()
        _check_bias(self.name, self.kernel, self.bias)


@dataclass(frozen=True, kw_only=True)
class Pooling(Layer):
    """What all poolings have.

    Parameters
    ----------
    window : tuple of int, optional
        Places of a window by direction; the whole image by default.
    strides : tuple of int, optional
        Steps between windows; as wide as these by default.
    padding : str or pairs of int
        As of a convolution; what is added counts in no window.
    keep_directions : bool
        Whether a single place is left as one, rather than as channels alone.
    """

    window: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    padding: Padding = "valid"
    keep_directions: bool = True


@dataclass(frozen=True, kw_only=True)
class AveragePooling(Pooling):
    """Averages over windows, of the places that are there."""


@dataclass(frozen=True, kw_only=True)
class MaxPooling(Pooling):
    """The largest in each window."""


@dataclass(frozen=True, kw_only=True)
class Normalisation(Layer):
    """Batch normalisation as it is when trained: ``scale*x + shift``, by channel."""

    scale: Values
    shift: Values


@dataclass(frozen=True, kw_only=True)
class ReLU(Layer):
    """What is positive, up to a ceiling if there is one."""

    ceiling: float = np.inf

    def __post_init__(self) -> None:
        """Refuse a ceiling below which there is nothing."""
        super().__post_init__()
        if not self.ceiling > 0:
            raise ValueError(
                f"The ceiling of '{self.name}' is {self.ceiling!r}; give a number above zero."
            )


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
class Concatenate(Layer):
    """The channels of several layers, one after the other."""


@dataclass(frozen=True, kw_only=True)
class Identity(Layer):
    """What does nothing when a network is used: dropout, a softmax at the end."""


@dataclass(frozen=True)
class Graph:
    """A network: layers, where samples enter, and what is asked for.

    Parameters
    ----------
    layers : tuple of Layer
        In an order in which each comes after those that it takes.
    inputs, outputs : str, list or dict of str
        Names of layers, arranged as the arrays that are given for them, and that come out.
    """

    layers: tuple[Layer, ...]
    inputs: Names
    outputs: Names


def names_in(names: Names) -> tuple[str, ...]:
    """Names of layers, however they are arranged."""
    if isinstance(names, str):
        return (names,)
    return tuple(names.values() if isinstance(names, Mapping) else names)


def renamed(names: Names, others: Mapping[str, str]) -> Names:
    """Other names, arranged alike."""
    if isinstance(names, str):
        return others[names]
    if isinstance(names, Mapping):
        return {key: others[name] for key, name in names.items()}
    return [others[name] for name in names]


def graph_of(layers: Sequence[Layer]) -> Graph:
    """A network of layers; what no other layer takes is an output.

    Parameters
    ----------
    layers : sequence of Layer
        The layers in any order.

    Returns
    -------
    Graph
        Several inputs, and several outputs, are dicts by the names of their layers.

    Raises
    ------
    ValueError
        If two have one name, a layer takes one that is not there, or they form a loop, or there
        is no input.
    """
    ordered = order(layers)
    taken = {name for layer in ordered for name in layer.inputs}
    inputs = [layer.name for layer in layers if isinstance(layer, Input)]
    outputs = [layer.name for layer in layers if layer.name not in taken]
    if not inputs:
        raise ValueError("None of the layers is an Input; begin with one, which has a shape.")
    return Graph(ordered, _arranged(inputs), _arranged(outputs))


def _arranged(names: list[str]) -> Names:
    return names[0] if len(names) == 1 else {name: name for name in names}


def order(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Layers in an order in which each comes after those that it takes.

    Parameters
    ----------
    layers : sequence of Layer
        A graph.

    Returns
    -------
    tuple of Layer
        The same layers.

    Raises
    ------
    ValueError
        If two have one name, a layer takes one that is not there, or they form a loop.
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
    return tuple(found.values())
