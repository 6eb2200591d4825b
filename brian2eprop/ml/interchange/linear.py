"""Nodes of NIR that are linear: what they do to arrays in NIR's shapes, channels first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from brian2eprop.device.convolution.shapes import find_convolution
from brian2eprop.errors import Unsupported
from brian2eprop.ml.graph import Values

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Kernel:
    """A convolution as ``connect_kernel`` takes it, channels last."""

    values: Values
    input_shape: Shape
    strides: Shape
    padding: tuple[tuple[int, int], ...]
    dilation: Shape
    groups: int


@dataclass(frozen=True)
class Linear:
    """A linear map of arrays, and what is added.

    Parameters
    ----------
    name : str
        Name of the node.
    inputs, outputs : tuple of int
        Shapes before and after.
    matrix : sparse matrix, shape (outputs, inputs), optional
        The map of flattened arrays; without, they only get another shape.
    bias : array, shape (outputs,)
        What is added.
    delay : array, shape (outputs,), optional
        By how many seconds it comes later.
    kernel : Kernel, optional
        The map as a convolution.
    mixes : bool
        Whether a value after it is made of several before.
    """

    name: str
    inputs: Shape
    outputs: Shape
    matrix: Any = None
    bias: Values | float = 0.0
    delay: Values | None = None
    kernel: Kernel | None = None
    mixes: bool = False

    def apply(self, values: Values) -> Values:
        """What becomes of flattened values."""
        return np.asarray(values if self.matrix is None else self.matrix @ values) + self.bias


def channels_last(shape: Shape) -> NDArray[np.intp]:
    """Which element of a flattened array of NIR, channels first, each neuron of a group is."""
    places = np.arange(prod(shape)).reshape(shape)
    return np.moveaxis(places, 0, -1).ravel()


def linear(name: str, node: Any, shape: Shape) -> Linear:
    """What a node does.

    Parameters
    ----------
    name : str
        Its name.
    node : NIRNode
        The node.
    shape : tuple of int
        Shape of what it gets.

    Returns
    -------
    Linear
        The map.

    Raises
    ------
    ValueError
        If it takes another shape.
    Unsupported
        If there is no such node.
    """
    kind = type(node).__name__
    if kind not in _MADE:
        raise Unsupported(
            f"The node '{name}' is of the kind {kind}, which from_nir does not know; use one of "
            f"{', '.join(sorted(_MADE))}."
        )
    made: Linear = _MADE[kind](name, node, shape)
    return made


def same(name: str, node: Any, shape: Shape) -> Linear:
    """What only passes on."""
    return Linear(name, shape, shape)


def _affine(name: str, node: Any, shape: Shape) -> Linear:
    weight = np.asarray(node.weight, float)
    if weight.ndim != 2 or shape != weight.shape[1:]:
        raise ValueError(
            f"'{name}' has weights of the shape {weight.shape} and gets values of the shape "
            f"{shape}; give (outputs, inputs), and a Flatten before it where there are directions."
        )
    bias = np.asarray(getattr(node, "bias", 0.0), float)
    found = np.broadcast_to(bias, weight.shape[:1])
    return Linear(name, shape, weight.shape[:1], sparse.csr_array(weight), found, mixes=True)


def _scale(name: str, node: Any, shape: Shape) -> Linear:
    factors = _spread(name, "scale", node.scale, shape)
    return Linear(name, shape, shape, sparse.diags_array(factors))


def _delay(name: str, node: Any, shape: Shape) -> Linear:
    delay = _spread(name, "delay", node.delay, shape)
    if not (np.isfinite(delay) & (delay >= 0)).all():
        raise ValueError(f"'{name}' has delays that are no numbers from 0 up; give seconds.")
    return Linear(name, shape, shape, delay=delay)


def _spread(name: str, what: str, values: Any, shape: Shape) -> Values:
    found = np.asarray(values, float)
    if found.size != 1 and found.shape != shape:
        raise ValueError(
            f"'{name}' has a {what} of the shape {found.shape} and gets values of the shape "
            f"{shape}; give it that shape."
        )
    return np.broadcast_to(found.reshape(() if found.size == 1 else shape), shape).ravel()


def _flatten(name: str, node: Any, shape: Shape) -> Linear:
    n = len(shape)
    first, last = int(node.start_dim), int(node.end_dim)
    first, last = first + n * (first < 0), last + n * (last < 0)
    if n and not 0 <= first <= last < n:
        raise ValueError(
            f"'{name}' flattens the axes {node.start_dim} to {node.end_dim} of values of the shape "
            f"{shape}; give axes that there are, not counting one of samples."
        )
    joined = (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])
    return Linear(name, shape, joined)


def _convolution(name: str, node: Any, shape: Shape) -> Linear:
    weight = np.asarray(node.weight, float)
    n = weight.ndim - 2
    if len(shape) != n + 1 or weight.shape[1] * int(node.groups) != shape[0]:
        raise ValueError(
            f"'{name}' has weights of the shape {weight.shape} in {node.groups} groups and gets "
            f"values of the shape {shape}; give (outputs, inputs / groups, ...) and channels first."
        )
    dilation, window = _each(node.dilation, n), weight.shape[2:]
    kernel = Kernel(
        np.moveaxis(weight, (0, 1), (-1, -2)),
        (*shape[1:], shape[0]),
        _each(node.stride, n),
        _padding(node.padding, window, dilation),
        dilation,
        int(node.groups),
    )
    return _by_kernel(name, shape, kernel, node.bias)


def _pool(mean: bool) -> Callable[[str, Any, Shape], Linear]:
    def made(name: str, node: Any, shape: Shape) -> Linear:
        if len(shape) != 3:
            raise ValueError(
                f"'{name}' pools values of the shape {shape}; give (channels, rows, columns)."
            )
        window = _each(node.kernel_size, 2)
        weight = 1 / prod(window) if mean else 1.0
        kernel = Kernel(
            np.full((*window, 1, shape[0]), weight),
            (*shape[1:], shape[0]),
            _each(node.stride, 2),
            _padding(node.padding, window, (1, 1)),
            (1, 1),
            shape[0],
        )
        return _by_kernel(name, shape, kernel, 0.0)

    return made


def _by_kernel(name: str, shape: Shape, kernel: Kernel, bias: Any) -> Linear:
    found = find_convolution(
        name,
        kernel.values.shape,
        kernel.input_shape,
        kernel.strides,
        kernel.padding,
        kernel.dilation,
        kernel.groups,
    )
    n = len(shape) - 1
    outputs = (found.outputs[-1], *found.outputs[2 - n : 2])
    source, target, element = found.unrolled()
    places = (channels_last(outputs)[target], channels_last(shape)[source])
    size = (prod(outputs), prod(shape))
    matrix = sparse.csr_array((kernel.values.ravel()[element], places), shape=size)
    added = np.broadcast_to(np.reshape(bias, (-1, *(1,) * n)), outputs).ravel()
    return Linear(name, shape, outputs, matrix, added, kernel=kernel, mixes=True)


def _each(numbers: Any, n: int) -> Shape:
    return tuple(int(each) for each in np.broadcast_to(numbers, n))


def _padding(padding: Any, window: Shape, dilation: Shape) -> tuple[tuple[int, int], ...]:
    if isinstance(padding, bytes):
        padding = padding.decode()
    if isinstance(padding, str) and padding == "same":
        reach = [(width - 1) * apart for width, apart in zip(window, dilation, strict=True)]
        return tuple((each // 2, each - each // 2) for each in reach)
    places = _each(0 if isinstance(padding, str) else padding, len(window))
    return tuple((each, each) for each in places)


_MADE: dict[str, Callable[[str, Any, Shape], Linear]] = {
    "Affine": _affine,
    "AvgPool2d": _pool(True),
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "Delay": _delay,
    "Flatten": _flatten,
    "Linear": _affine,
    "Scale": _scale,
    "SumPool2d": _pool(False),
}
