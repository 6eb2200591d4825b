"""A graph of layers becomes stages: what is linear is merged into the stage that it leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from brian2eprop.device.convolution.shapes import Places, find_places
from brian2eprop.errors import Unsupported
from brian2eprop.ml import graph
from brian2eprop.ml.graph import Values
from brian2eprop.ml.monotone import rectify_first
from brian2eprop.ml.ports import Ports
from brian2eprop.ml.stages import Kind, Projection, Stage
from brian2eprop.ml.values import (
    Shape,
    Value,
    as_image,
    identity_of,
    led_on,
    padded,
    projected,
    reshaped,
    scaled,
    side_by_side,
    together,
    view_of,
)


def simplify(network: graph.Graph) -> tuple[tuple[Stage, ...], Ports]:
    """Merge layers until each that is left is made of neurons.

    Batch normalisation is folded into kernels, ReLU merged with what it follows, padding with
    what it precedes, sums with the kernels that lead to them, and kernels take their channels of
    what is concatenated.

    Parameters
    ----------
    network : Graph
        The layers.

    Returns
    -------
    tuple of Stage
        Each after those that lead to it.
    Ports
        Which of them are the inputs, and the outputs.

    Raises
    ------
    ValueError
        If names or shapes do not go together.
    Unsupported
        If what stands between two kernels may be negative, or a layer does not convert.
    """
    network = rectify_first(network)
    found = _Simplification()
    for layer in network.layers:
        found.values[layer.name] = _RULES[type(layer)](
            found, layer, *(found.values[name] for name in layer.inputs)
        )
    ends = {name: found.finish(found.values[name]) for name in graph.names_in(network.outputs)}
    return tuple(found.stages), Ports(network.inputs, graph.renamed(network.outputs, ends))


class _Simplification:
    """The stages there are, and what each layer gives in terms of them."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.stages: list[Stage] = []
        self._sent: dict[tuple[int, float], tuple[Value, Value]] = {}

    def add(self, name: str, shape: Shape, kind: Kind, **others: Any) -> Value:
        """Make a stage, which is then seen as it is."""
        self.stages.append(Stage(name, shape, kind, **others))
        view = view_of(name, shape)
        return Value(name, shape, views=(view,), positive=kind is not Kind.INPUT)

    def free_name(self, *names: str) -> str:
        """The first of some names that no stage has, or the last with a number."""
        taken = {stage.name for stage in self.stages}
        numbered = (f"{names[-1]}_{number}" for number in range(len(taken) + 1))
        return next(name for name in (*names, *numbered) if name not in taken)

    def sent(self, value: Value, layer: graph.Layer) -> Value:
        """A value as neurons send it, for a layer that needs it so."""
        if value.is_sent:
            return value
        if not value.positive:
            raise Unsupported(
                f"'{layer.name}' takes what '{value.name}' gives, which may be negative, and "
                f"neurons send nothing then; put a ReLU after '{value.name}' and train it so."
            )
        return self.rectify(value, np.inf, layer)

    def rectify(self, value: Value, ceiling: float, layer: graph.Layer) -> Value:
        """What is positive of a value; neurons that do that already do it for all."""
        key = id(value), ceiling
        if key not in self._sent:
            whole = projected(value)
            name = self.free_name(value.name, layer.name)
            made = self.add(
                name, value.shape, Kind.HIDDEN,
                projections=whole.projections, bias=whole.bias, ceiling=ceiling,
            )  # fmt: skip
            self._sent[key] = value, made
        return self._sent[key][1]

    def finish(self, value: Value) -> str:
        """Let a value be an output, whose membranes are read; its name."""
        whole = projected(value)
        name = self.free_name(value.name, f"{value.name}_output")
        self.add(name, value.shape, Kind.OUTPUT, projections=whole.projections, bias=whole.bias)
        return name


def _input(found: _Simplification, layer: graph.Input) -> Value:
    return found.add(layer.name, tuple(layer.shape), Kind.INPUT)


def _convolution(found: _Simplification, layer: graph.Convolution, value: Value) -> Value:
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
    strides, dilation = _each(layer, "strides", n), _each(layer, "dilation", n)
    places = _places(layer, value.shape, kernel.shape[:-2], strides, dilation)
    laid = Projection("", kernel, value.shape, strides, places, dilation, layer.groups)
    return _led_on(found, layer, value, laid, layer.bias)


def _dense(found: _Simplification, layer: graph.Dense, value: Value) -> Value:
    kernel, image = np.asarray(layer.kernel), as_image(value.shape)
    if kernel.ndim != 2 or len(kernel) != image[-1]:
        raise ValueError(
            f"'{layer.name}' has a kernel of the shape {kernel.shape} and takes '{value.name}' of "
            f"the shape {value.shape}; give one of the shape ({image[-1]}, outputs)."
        )
    once = (1,) * (len(image) - 1)
    laid = replace(identity_of(image), kernel=kernel.reshape(*once, *kernel.shape), groups=1)
    made = _led_on(found, layer, value, laid, layer.bias)
    return reshaped(made, (*value.shape[:-1], kernel.shape[-1]))


def _led_on(
    found: _Simplification,
    layer: graph.Convolution | graph.Dense,
    value: Value,
    laid: Projection,
    bias: Any,
) -> Value:
    """A kernel laid on a value; kernels that lead there are multiplied by it if they can be."""
    if not _is_merged(value, laid):
        value = found.sent(value, layer)
    merged = tuple(
        replace(each, kernel=each.full_kernel() @ _across(laid), groups=1)
        for each in value.projections
    )
    made = led_on(value, laid)
    added = made.bias if bias is None else made.bias + np.asarray(bias)
    return replace(made, name=layer.name, projections=made.projections + merged, bias=added)


def _across(laid: Projection) -> Values:
    """A kernel of one place, as a matrix."""
    return laid.kernel.reshape(laid.kernel.shape[-2:])


def _is_merged(value: Value, laid: Projection) -> bool:
    """Whether a kernel can be laid on a value that is not sent as it is."""
    if value.positive:
        return value.is_apart
    return all(
        laid.groups == 1
        and laid.kernel.size == np.prod(laid.kernel.shape[-2:])
        and laid.output_shape[:-1] == laid.input_shape[:-1] == each.output_shape[:-1]
        and each.output_shape[-1] == laid.input_shape[-1]
        and (each.gain is None or each.gain.shape[-1] == 1)
        for each in value.projections
    )


def _each(layer: graph.Convolution, what: str, n: int) -> tuple[int, ...]:
    given = np.asarray(getattr(layer, what))
    if given.dtype.kind not in "iu" or given.shape not in ((), (1,), (n,)) or given.min() < 1:
        raise ValueError(
            f"The {what} of '{layer.name}' are {getattr(layer, what)!r}; give whole numbers from "
            f"1 up, one for all directions or {n}."
        )
    return tuple(int(each) for each in np.broadcast_to(given, n))


def _places(
    layer: graph.Convolution | graph.Pooling,
    shape: Shape,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Places:
    """How many places a layer adds around its input."""
    if not len(window) == len(strides) == len(shape) - 1:
        raise ValueError(
            f"'{layer.name}' has a window of the shape {window} and takes values of the shape "
            f"{shape}; give one number for each direction."
        )
    found = find_places(layer.padding, shape[:-1], window, strides, dilation)
    if found is None:
        raise ValueError(
            f"The padding of '{layer.name}' is {layer.padding!r}; give 'valid', 'same', 'causal' "
            "along one direction, or places before and after."
        )
    laid = Projection("", np.zeros((*window, 1, 1)), shape, strides, found, dilation)
    if min(laid.output_shape) < 1:
        raise ValueError(
            f"The window of '{layer.name}' of the shape {window} is larger than what it takes, of "
            f"the shape {shape}; give a smaller one, or padding='same'."
        )
    return found


def _window(layer: graph.Pooling, shape: Shape) -> Projection:
    """A kernel of ones as wide as the windows, for each channel of its own."""
    window = tuple(layer.window or shape[:-1])
    strides = tuple(layer.strides or window)
    once = (1,) * len(window)
    places = _places(layer, shape, window, strides, once)
    kernel = np.ones((*window, 1, shape[-1]))
    return Projection("", kernel, shape, strides, places, once, groups=shape[-1])


def _average(found: _Simplification, layer: graph.AveragePooling, value: Value) -> Value:
    if value.projections:
        value = found.sent(value, layer)
    if value.is_sent and value.positive and len(value.views) > 1:
        pooled = _each_view(found, layer, value, _averaged)
    else:
        pooled = replace(_mean(layer, value), name=layer.name, positive=value.positive)
    return pooled if layer.keep_directions else reshaped(pooled, (value.shape[-1],))


def _mean(layer: graph.AveragePooling, value: Value) -> Value:
    ones = _window(layer, value.shape)
    size = np.prod(ones.kernel.shape[:-2])
    there = ones.apply(np.ones((1, *value.shape)))[0, ..., :1]
    gain = None if (there == size).all() else size / there
    return led_on(value, replace(ones, kernel=ones.kernel / size, gain=gain))


def _averaged(found: _Simplification, layer: graph.AveragePooling, value: Value) -> Value:
    mean = replace(_mean(layer, value), name=layer.name, positive=True)
    return found.rectify(mean, np.inf, layer)


def _maximum(found: _Simplification, layer: graph.MaxPooling, value: Value) -> Value:
    if not value.positive:
        raise Unsupported(
            f"'{layer.name}' takes the largest of what '{value.name}' gives, which may be "
            f"negative, and neurons send nothing then; put a ReLU before '{layer.name}' or right "
            "behind it, or pool the samples beforehand."
        )
    pooled = _each_view(found, layer, found.sent(value, layer), _largest)
    return pooled if layer.keep_directions else reshaped(pooled, (value.shape[-1],))


def _largest(found: _Simplification, layer: graph.MaxPooling, value: Value) -> Value:
    met = led_on(value, _window(layer, value.shape))
    name = found.free_name(layer.name)
    return found.add(name, met.shape, Kind.MAXIMUM, projections=met.projections)


def _each_view(
    found: _Simplification, layer: graph.Pooling, value: Value, pool: Callable[..., Value]
) -> Value:
    """What each stage sends is pooled for itself, since channels do not meet."""
    views = []
    for number, view in enumerate(value.views):
        alone = view_of(view.source, view.shape)
        shape = (*value.shape[:-1], view.shape[-1])
        seen = Value(value.name, shape, (replace(alone, padding=view.padding),), positive=True)
        name = layer.name if len(value.views) == 1 else f"{layer.name}_{number}"
        made = pool(found, replace(layer, name=name), seen)
        views.append(replace(made.views[0], channels=view.channels, scale=view.scale))
    shape = (*made.shape[:-1], value.shape[-1])
    return Value(layer.name, shape, tuple(views), positive=True)


def _normalisation(found: _Simplification, layer: graph.Normalisation, value: Value) -> Value:
    scale = np.broadcast_to(np.asarray(layer.scale), value.shape[-1:])
    shift = np.broadcast_to(np.asarray(layer.shift), value.shape[-1:])
    made = scaled(value, scale)
    positive = bool(value.positive and (scale >= 0).all() and (shift >= 0).all())
    return replace(made, bias=made.bias + shift, positive=positive)


def _relu(found: _Simplification, layer: graph.ReLU, value: Value) -> Value:
    if value.positive and layer.ceiling == np.inf:
        return value
    return found.rectify(value, layer.ceiling, layer)


def _zero_padding(found: _Simplification, layer: graph.ZeroPadding, value: Value) -> Value:
    if len(layer.places) != len(value.shape) - 1:
        raise ValueError(
            f"'{layer.name}' pads along {len(layer.places)} directions and takes values of the "
            f"shape {value.shape}; give places for each of its directions."
        )
    value = found.sent(value, layer) if value.projections else value
    return padded(value, layer.places)


def _reshape(found: _Simplification, layer: graph.Reshape, value: Value) -> Value:
    size = int(np.prod(value.shape))
    known = -int(np.prod(layer.shape))
    shape = tuple(size // known if n == -1 else n for n in layer.shape)
    if np.prod(shape) != size or min(shape) < 1:
        raise ValueError(
            f"'{layer.name}' gives the shape {layer.shape} to {size} numbers of the shape "
            f"{value.shape}; give one of as many."
        )
    if value.positive:
        value = found.sent(value, layer)
    return reshaped(value, shape)


def _add(found: _Simplification, layer: graph.Add, *values: Value) -> Value:
    if len({value.shape for value in values}) > 1:
        raise ValueError(
            f"'{layer.name}' adds values of the shapes {[value.shape for value in values]}; a sum "
            "is of one shape."
        )
    return together(layer.name, values)


def _concatenate(found: _Simplification, layer: graph.Concatenate, *values: Value) -> Value:
    if len({value.shape[:-1] for value in values}) > 1:
        raise ValueError(
            f"'{layer.name}' takes values of the shapes {[value.shape for value in values]}; only "
            "their channels, which are last, may differ."
        )
    parts = [
        found.sent(value, layer) if value.positive or not value.is_led_to else value
        for value in values
    ]
    return side_by_side(layer.name, parts)


def _identity(found: _Simplification, layer: graph.Identity, value: Value) -> Value:
    return value


_RULES: dict[type[graph.Layer], Callable[..., Value]] = {
    graph.Input: _input,
    graph.Convolution: _convolution,
    graph.Dense: _dense,
    graph.AveragePooling: _average,
    graph.MaxPooling: _maximum,
    graph.Normalisation: _normalisation,
    graph.ReLU: _relu,
    graph.ZeroPadding: _zero_padding,
    graph.Reshape: _reshape,
    graph.Add: _add,
    graph.Concatenate: _concatenate,
    graph.Identity: _identity,
}
