"""What layers give before neurons are made of it: sums of stages and of kernels that lead on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from brian2eprop.device.convolution.shapes import Places
from brian2eprop.ml.graph import Values
from brian2eprop.ml.stages import Projection

Shape = tuple[int, ...]
Channels = NDArray[np.intp]


@dataclass(frozen=True)
class View:
    """What neurons send, as some channels of a value.

    Parameters
    ----------
    source : str
        Name of their stage.
    shape : tuple of int
        The shape in which they are seen.
    channels : array of int
        Which channel of the value each of theirs is.
    scale : array, shape (channels,)
        By what each channel is multiplied.
    padding : tuple of pairs of int
        Zeros before and after, by direction.
    """

    source: str
    shape: Shape
    channels: Channels
    scale: Values
    padding: Places

    @property
    def inside(self) -> tuple[slice, ...]:
        """Where they are among the places of the value, with its zeros."""
        sizes = zip(self.shape[:-1], self.padding, strict=True)
        return tuple(slice(before, before + size) for size, (before, _) in sizes)


@dataclass(frozen=True)
class Value:
    """What a layer gives: a sum of views and of kernels, and a bias.

    Parameters
    ----------
    name : str
        Name of the layer that began it.
    shape : tuple of int
        Its shape, channels last.
    views : tuple of View
        What neurons send.
    projections : tuple of Projection
        Kernels that lead to it.
    bias : array of that shape
        What is added.
    positive : bool
        Whether no number of it is below zero, so that a rectifier changes nothing.
    """

    name: str
    shape: Shape
    views: tuple[View, ...] = ()
    projections: tuple[Projection, ...] = ()
    bias: Values = field(default_factory=lambda: np.zeros(()))
    positive: bool = False

    @property
    def is_apart(self) -> bool:
        """Whether each of its numbers is a multiple of what one neuron sends, and a bias."""
        channels = [channel for view in self.views for channel in view.channels]
        return not self.projections and len(set(channels)) == len(channels)

    @property
    def is_sent(self) -> bool:
        """Whether each of its numbers is a multiple of what one neuron sends."""
        return self.is_apart and not self.bias.any()

    @property
    def is_led_to(self) -> bool:
        """Whether its channels are those of the kernels that lead to it."""
        return all(each.output_shape == as_image(self.shape) for each in self.projections)


def view_of(source: str, shape: Shape) -> View:
    """A stage as it is."""
    channels = np.arange(shape[-1])
    return View(source, shape, channels, np.ones(len(channels)), ((0, 0),) * (len(shape) - 1))


def as_image(shape: Shape) -> Shape:
    """A shape with at least one direction, as kernels need it."""
    return shape if len(shape) > 1 else (1, *shape)


def led_on(value: Value, kernel: Projection) -> Value:
    """What a kernel that is laid on a value gives.

    Parameters
    ----------
    value : Value
        One of views and a bias.
    kernel : Projection
        The kernel, with the value's shape as its input.

    Returns
    -------
    Value
        Kernels from the stages that are seen, and a bias.
    """
    shape = kernel.output_shape
    bias = kernel.apply(np.broadcast_to(value.bias, value.shape)[None])[0]
    found = tuple(_from_view(view, kernel) for view in value.views)
    return Value(value.name, shape, projections=found, bias=bias)


def _from_view(view: View, kernel: Projection) -> Projection:
    if np.array_equal(view.channels, np.arange(kernel.input_shape[-1])):
        weights, groups = kernel.kernel * view.scale[kernel.channels_in()], kernel.groups
    else:
        weights = kernel.full_kernel()[..., view.channels, :] * view.scale[:, None]
        groups = 1
    inner = view.padding or ((0, 0),)
    padding = tuple((a + c, b + d) for (a, b), (c, d) in zip(inner, kernel.padding, strict=True))
    return replace(
        kernel,
        source=view.source,
        kernel=weights,
        input_shape=as_image(view.shape),
        padding=padding,
        groups=groups,
    )


def identity_of(shape: Shape) -> Projection:
    """The kernel that changes nothing."""
    image = as_image(shape)
    n, channels = len(image) - 1, image[-1]
    once = (1,) * n
    return Projection(
        "", np.ones((*once, 1, channels)), image, once, ((0, 0),) * n, once, groups=channels
    )


def projected(value: Value) -> Value:
    """A value without views: what neurons send is led on as it is."""
    same = led_on(replace(value, projections=(), bias=np.zeros(())), identity_of(value.shape))
    return replace(value, views=(), projections=same.projections + value.projections)


def scaled(value: Value, scale: Values) -> Value:
    """A value of which each channel is multiplied by a number."""
    views = tuple(replace(view, scale=view.scale * scale[view.channels]) for view in value.views)
    factor = np.broadcast_to(scale, value.shape)
    projections = tuple(_multiplied(each, factor) for each in value.projections)
    return replace(value, views=views, projections=projections, bias=value.bias * scale)


def _multiplied(projection: Projection, factor: Values) -> Projection:
    places = factor.reshape(-1, projection.output_shape[-1])
    if (places == places[0]).all():
        return replace(projection, kernel=projection.kernel * places[0])
    gain = factor.reshape(projection.output_shape)
    return replace(projection, gain=gain if projection.gain is None else gain * projection.gain)


def reshaped(value: Value, shape: Shape) -> Value:
    """The same numbers in another shape; what cannot be seen so is led on to it."""
    views = tuple(_seen_as(view, value.shape, shape) for view in value.views)
    left = [view for view, found in zip(value.views, views, strict=True) if found is None]
    onto = projected(replace(value, views=tuple(left)))
    bias = np.broadcast_to(value.bias, value.shape).reshape(shape)
    return replace(
        value,
        shape=shape,
        views=tuple(view for view in views if view is not None),
        projections=onto.projections,
        bias=bias,
    )


def _seen_as(view: View, before: Shape, after: Shape) -> View | None:
    """A view of a value that gets another shape, if its channels are channels there too."""
    padding = ((0, 0),) * (len(after) - 1)
    numbers = np.arange(np.prod(before)).reshape(before)[view.inside][..., view.channels]
    scale = np.broadcast_to(view.scale, view.shape)
    if np.prod(after[:-1]) == 1:
        shape = (*after[:-1], view.channels.size * int(np.prod(view.shape[:-1])))
        return View(view.source, shape, numbers.ravel(), scale.ravel(), padding)
    if any(sum(each) for each in view.padding):
        return None
    if before[-1] == after[-1]:
        return replace(view, shape=(*after[:-1], view.channels.size), padding=padding)
    repeated = scale.reshape(-1, after[-1]) if numbers.size == np.prod(before) else None
    if repeated is None or (repeated != repeated[0]).any():
        return None
    return View(view.source, after, np.arange(after[-1]), repeated[0], padding)


def padded(value: Value, places: Places) -> Value:
    """A value of views with zeros around it."""
    views = tuple(
        replace(
            view,
            padding=tuple(
                (a + c, b + d) for (a, b), (c, d) in zip(view.padding, places, strict=True)
            ),
        )
        for view in value.views
    )
    bias = np.pad(np.broadcast_to(value.bias, value.shape), (*places, (0, 0)))
    return replace(value, shape=bias.shape, views=views, bias=bias)


def together(name: str, values: Sequence[Value]) -> Value:
    """The sum of values of one shape."""
    return Value(
        name,
        values[0].shape,
        tuple(view for value in values for view in value.views),
        tuple(each for value in values for each in value.projections),
        np.asarray(sum(value.bias for value in values)),
        all(value.positive for value in values),
    )


def side_by_side(name: str, values: Sequence[Value]) -> Value:
    """The channels of values one after the other; kernels that lead to some lead to all."""
    first = np.cumsum([0, *(value.shape[-1] for value in values)])
    places, total = values[0].shape[:-1], int(first[-1])
    moved = [
        _moved(value, np.arange(at, at + value.shape[-1]), total)
        for value, at in zip(values, first[:-1], strict=True)
    ]
    bias = np.concatenate([np.broadcast_to(v.bias, v.shape) for v in values], axis=-1)
    return replace(together(name, moved), shape=(*places, total), bias=bias)


def _moved(value: Value, channels: Channels, total: int) -> Value:
    views = tuple(replace(view, channels=channels[view.channels]) for view in value.views)
    projections = []
    for each in value.projections:
        kernel = np.zeros((*each.full_kernel().shape[:-1], total))
        kernel[..., channels] = each.full_kernel()
        gain = each.gain
        if gain is not None and gain.shape[-1] > 1:
            gain = np.ones((*gain.shape[:-1], total))
            gain[..., channels] = each.gain
        projections.append(replace(each, kernel=kernel, groups=1, gain=gain))
    return replace(value, views=views, projections=tuple(projections))
