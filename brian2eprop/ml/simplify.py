"""A graph of layers becomes stages: what is linear is merged into the stage that it leads to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brian2eprop.errors import Unsupported
from brian2eprop.ml import graph
from brian2eprop.ml.graph import Values
from brian2eprop.ml.stages import Projection, Stage

Places = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Value:
    """What a layer gives: a stage as it is, zeros around it, or a sum that is none yet."""

    name: str
    shape: tuple[int, ...]
    projections: tuple[Projection, ...] = ()
    bias: Values | float = 0.0
    stage: str | None = None
    padding: Places | None = None
    # Whether no value of it is below zero, so that a rectifier changes nothing.
    positive: bool = False


def simplify(layers: Sequence[graph.Layer]) -> tuple[Stage, ...]:
    """Merge layers until each that is left is made of neurons.

    Batch normalisation is folded into kernels, ReLU merged with what it follows, padding with
    what it precedes, and sums with the kernels that lead to them.

    Parameters
    ----------
    layers : sequence of Layer
        The graph.

    Returns
    -------
    tuple of Stage
        The input first, the output last, each after those that lead to it.

    Raises
    ------
    ValueError
        If names or shapes do not go together.
    Unsupported
        If what stands between two kernels may be negative, or a layer does not convert.
    """
    found = _Simplification()
    ordered = graph.order(layers)
    for layer in ordered:
        found.values[layer.name] = _RULES[type(layer)](
            found, layer, *(found.values[name] for name in layer.inputs)
        )
    taken = {name for layer in ordered for name in layer.inputs}
    (last,) = (layer.name for layer in ordered if layer.name not in taken)
    found.finish(found.values[last])
    return tuple(found.stages)


class _Simplification:
    """The stages there are, and what each layer gives in terms of them."""

    def __init__(self) -> None:
        self.values: dict[str, _Value] = {}
        self.stages: list[Stage] = []

    def enter(self, layer: graph.Input) -> _Value:
        self.stages.append(Stage(layer.name, layer.shape))
        return _Value(layer.name, layer.shape, stage=layer.name)

    def whole(self, value: _Value, layer: graph.Layer) -> _Value:
        """A value that neurons have, for what comes next."""
        if value.stage is not None:
            return value
        if not value.positive:
            raise Unsupported(
                f"'{layer.name}' takes what '{value.name}' gives, which may be negative, and "
                f"neurons send nothing then; put a ReLU after '{value.name}' and train it so."
            )
        return self.rectify(value, np.inf)

    def rectify(self, value: _Value, ceiling: float) -> _Value:
        for stage in self.stages:
            if stage.projections is value.projections and stage.ceiling == ceiling:
                return _Value(stage.name, value.shape, stage=stage.name, positive=True)
        name = value.name
        self.stages.append(Stage(name, value.shape, value.projections, value.bias, True, ceiling))
        return _Value(name, value.shape, stage=name, positive=True)

    def finish(self, value: _Value) -> None:
        """Let the last value be the output, whose membranes are read."""
        if value.stage is not None:
            value = _passed_on(value)
            value = replace(value, name=f"{value.name}_output")
        self.stages.append(Stage(value.name, value.shape, value.projections, value.bias))


def _input(found: _Simplification, layer: graph.Input) -> _Value:
    return found.enter(layer)


def _convolution(found: _Simplification, layer: graph.Convolution, value: _Value) -> _Value:
    value = found.whole(value, layer)
    n = len(value.shape) - 1
    kernel = np.asarray(layer.kernel)
    if n not in (1, 2) or kernel.ndim != n + 2:
        raise ValueError(
            f"'{layer.name}' has a kernel of the shape {kernel.shape} and takes '{value.name}' of "
            f"the shape {value.shape}; give (rows, columns, channels) or (steps, channels), and a "
            "kernel with two axes of channels."
        )
    if kernel.shape[-2] * layer.groups != value.shape[-1]:
        raise ValueError(
            f"The kernel of '{layer.name}' takes {kernel.shape[-2] * layer.groups} channels, and "
            f"'{value.name}' has {value.shape[-1]}; give one with as many."
        )
    strides, dilation = _each(layer.strides, n), _each(layer.dilation, n)
    shape, inner = value.shape, value.padding or ((0, 0),) * n
    outer = _places(layer, shape, kernel.shape, strides, dilation)
    padding = tuple((a + c, b + d) for (a, b), (c, d) in zip(inner, outer, strict=True))
    seen = (*(s - sum(p) for s, p in zip(shape, inner, strict=False)), shape[-1])
    projection = Projection(
        value.stage or "", kernel, seen, strides, padding, dilation, layer.groups
    )
    if min(projection.output_shape) < 1:
        raise ValueError(
            f"The kernel of '{layer.name}' of the shape {kernel.shape} is larger than "
            f"'{value.name}' of the shape {shape}; give a smaller one, or padding='same'."
        )
    return _sum(layer.name, projection, layer.bias)


def _sum(name: str, projection: Projection, bias: Values | None) -> _Value:
    shape = projection.output_shape
    values = np.broadcast_to(0.0 if bias is None else np.asarray(bias), shape)
    return _Value(name, shape, (projection,), values)


def _each(numbers: Any, n: int) -> tuple[int, ...]:
    found = np.broadcast_to(numbers, n)
    return tuple(int(each) for each in found)


def _places(
    layer: graph.Convolution | graph.AveragePooling,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Places:
    """How many places a layer adds around its input."""
    if not isinstance(layer.padding, str):
        return layer.padding
    n = len(strides)
    reach = [(width - 1) * apart for width, apart in zip(kernel[:n], dilation, strict=True)]
    if layer.padding == "valid":
        return ((0, 0),) * n
    if layer.padding == "causal" and n == 1:
        return ((reach[0], 0),)
    if layer.padding != "same":
        raise ValueError(
            f"The padding of '{layer.name}' is {layer.padding!r}; give 'valid', 'same', 'causal' "
            "along one direction, or places before and after."
        )
    whole = [
        max((size - 1) // step * step + far + 1 - size, 0)
        for size, step, far in zip(shape, strides, reach, strict=False)
    ]
    return tuple((each // 2, each - each // 2) for each in whole)


def _dense(found: _Simplification, layer: graph.Dense, value: _Value) -> _Value:
    directions = max(len(value.shape) - 1, 1)
    if len(value.shape) == 1:
        value = _reshaped(value, (1, *value.shape))
    kernel = np.asarray(layer.kernel)
    across = graph.Convolution(
        name=layer.name, kernel=kernel.reshape(*(1,) * directions, *kernel.shape), bias=layer.bias
    )
    flat = len(found.values[layer.inputs[0]].shape) == 1
    result = _convolution(found, across, value)
    return replace(_reshaped(result, (kernel.shape[-1],)) if flat else result, name=layer.name)


def _pooling(found: _Simplification, layer: graph.AveragePooling, value: _Value) -> _Value:
    window = layer.window or value.shape[:-1]
    strides = layer.strides or window
    places = _places(layer, value.shape, window, strides, (1,) * len(window))
    if any(sum(each) for each in places):
        raise Unsupported(
            f"'{layer.name}' averages over windows that reach beyond the image, where Keras "
            "divides by fewer places; use padding='valid', or sizes that the windows divide."
        )
    channels = value.shape[-1]
    kernel = np.full((*window, 1, channels), 1 / np.prod(window))
    mean = graph.Convolution(name=layer.name, kernel=kernel, strides=strides, groups=channels)
    value = found.whole(value, layer)
    averaged = replace(_convolution(found, mean, value), positive=value.positive)
    return averaged if layer.keep_directions else _reshaped(averaged, (channels,))


def _normalisation(found: _Simplification, layer: graph.Normalisation, value: _Value) -> _Value:
    if value.stage is not None:
        raise Unsupported(
            f"'{layer.name}' normalises what '{value.name}' has already sent; put it before the "
            "ReLU, or leave it out at the input and normalise the samples."
        )
    scaled = tuple(
        replace(each, kernel=each.kernel * np.asarray(layer.scale)) for each in value.projections
    )
    bias = np.broadcast_to(value.bias * np.asarray(layer.scale) + layer.shift, value.shape)
    return replace(value, projections=scaled, bias=bias, positive=False)


def _relu(found: _Simplification, layer: graph.ReLU, value: _Value) -> _Value:
    if value.stage is None or (layer.ceiling < np.inf or not value.positive):
        value = _passed_on(value) if value.stage is not None else value
        return found.rectify(replace(value, name=_free(found, value.name, layer)), layer.ceiling)
    return value


def _free(found: _Simplification, name: str, layer: graph.Layer) -> str:
    return layer.name if any(stage.name == name for stage in found.stages) else name


def _zero_padding(found: _Simplification, layer: graph.ZeroPadding, value: _Value) -> _Value:
    value = found.whole(value, layer)
    before = value.padding or ((0, 0),) * len(layer.places)
    places = tuple((a + c, b + d) for (a, b), (c, d) in zip(before, layer.places, strict=True))
    sizes = (size + sum(each) for size, each in zip(value.shape, layer.places, strict=False))
    return replace(value, shape=(*sizes, value.shape[-1]), padding=places)


def _reshape(found: _Simplification, layer: graph.Reshape, value: _Value) -> _Value:
    if value.positive:
        value = found.whole(value, layer)
    size = int(np.prod(value.shape))
    known = -int(np.prod(layer.shape))
    return _reshaped(value, tuple(size // known if n == -1 else n for n in layer.shape))


def _reshaped(value: _Value, shape: tuple[int, ...]) -> _Value:
    if value.padding is not None:
        raise Unsupported(
            f"What '{value.name}' gives is padded and then reshaped; leave the padding out."
        )
    bias = value.bias if value.stage is not None else np.reshape(value.bias, shape)
    return replace(value, shape=shape, bias=bias)


def _add(found: _Simplification, layer: graph.Add, *values: _Value) -> _Value:
    if len({value.shape for value in values}) > 1:
        raise ValueError(
            f"'{layer.name}' adds values of the shapes {[value.shape for value in values]}; a sum "
            "is of one shape."
        )
    parts = [_passed_on(value) if value.stage is not None else value for value in values]
    projections = tuple(each for part in parts for each in part.projections)
    bias = np.asarray(sum(np.broadcast_to(part.bias, part.shape) for part in parts))
    positive = all(value.positive for value in values)
    return _Value(layer.name, values[0].shape, projections, bias, positive=positive)


def _passed_on(value: _Value) -> _Value:
    """A stage's values, as a kernel that changes nothing."""
    if value.padding is not None:
        raise Unsupported(
            f"What '{value.name}' gives is padded and then added; pad in a convolution instead."
        )
    shape = value.shape if len(value.shape) > 1 else (1, *value.shape)
    n, channels = len(shape) - 1, shape[-1]
    projection = Projection(
        value.stage or "",
        np.ones((*(1,) * n, 1, channels)),
        shape,
        (1,) * n,
        ((0, 0),) * n,
        (1,) * n,
        channels,
    )
    return replace(value, projections=(projection,), bias=np.zeros(value.shape), stage=None)


def _identity(found: _Simplification, layer: graph.Identity, value: _Value) -> _Value:
    return value


_RULES: dict[type[graph.Layer], Callable[..., _Value]] = {
    graph.Input: _input,
    graph.Convolution: _convolution,
    graph.Dense: _dense,
    graph.AveragePooling: _pooling,
    graph.Normalisation: _normalisation,
    graph.ReLU: _relu,
    graph.ZeroPadding: _zero_padding,
    graph.Reshape: _reshape,
    graph.Add: _add,
    graph.Identity: _identity,
}
