"""Convolution: synapses between two images that share the weights of one kernel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import ClassVar

import numpy as np

from brian2eprop.device.program.connectivity.base import (
    Connectivity,
    Contents,
    Integers,
    Row,
    Transposed,
)
from brian2eprop.device.program.phase import Side

Image = tuple[int, int, int]
Pair = tuple[int, int]
# The places of inputs, of outputs and of kernels that meet.
Met = tuple[Integers, Integers, Integers]


@dataclass(frozen=True)
class Axis:
    """How a convolution meets the positions along one of its two directions.

    Output position ``p`` meets with element ``k`` of the window the input position
    ``p*stride + k*dilation - before``, where there is one.

    Parameters
    ----------
    inputs, outputs, window : int
        Numbers of positions and of elements.
    stride, dilation : int
        Steps between positions, and between elements.
    before : int
        By how much the input is padded before its first position.
    """

    inputs: int
    outputs: int
    window: int
    stride: int
    dilation: int
    before: int

    @property
    def reach(self) -> int:
        """From the first element of a window to its last, in input positions."""
        return (self.window - 1) * self.dilation

    def met(self) -> Met:
        """Input position, output position and element of all that meet."""
        output, element = np.indices((self.outputs, self.window)).reshape(2, -1)
        position = output * self.stride + element * self.dilation - self.before
        there = (position >= 0) & (position < self.inputs)
        return position[there], output[there], element[there]


@dataclass(frozen=True)
class Convolution(Connectivity):
    """A two-dimensional convolution of images whose channels are their last axis.

    A neuron is a place of an image of shape ``(rows, columns, channels)``, in C's order. Synapses
    that lie alike are one element of the kernel, of shape ``(rows, columns, channels of the input
    by groups, channels of the output)``, and its elements are what is numbered, in C's order.

    Parameters
    ----------
    inputs, outputs : tuple of int
        Shapes of the images.
    window : tuple of int
        Rows and columns of the kernel.
    strides, dilation, before : tuple of int
        See :class:`Axis`, for rows and columns.
    groups : int
        Into how many groups channels are divided, each of which meets its own alone.
    """

    # The place in a run of channels follows from the neuron at the other end.
    aligned: ClassVar[bool] = True
    shares: ClassVar[bool] = True

    inputs: Image
    outputs: Image
    window: Pair
    strides: Pair = (1, 1)
    dilation: Pair = (1, 1)
    before: Pair = (0, 0)
    groups: int = 1

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """Rows and columns."""
        steps = zip(self.window, self.strides, self.dilation, self.before, strict=True)
        sizes = zip(self.inputs[:2], self.outputs[:2], strict=True)
        rows, columns = (Axis(*size, *step) for size, step in zip(sizes, steps, strict=True))
        return rows, columns

    @property
    def per_group(self) -> Pair:
        """Channels of the input, and of the output, that belong to a group."""
        return self.inputs[2] // self.groups, self.outputs[2] // self.groups

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the kernel."""
        return (*self.window, self.per_group[0], self.outputs[2])

    @property
    def n_synapses(self) -> int:
        """Number of elements of the kernel, which are the synapses that are stored."""
        return prod(self.shape)

    @property
    def n_unrolled(self) -> int:
        """Number of synapses, each for itself."""
        rows, columns = (axis.met()[0].size for axis in self.axes)
        return rows * columns * self.inputs[2] * self.per_group[1]

    @property
    def unique(self) -> bool:
        """See :class:`Connectivity`."""
        return True

    def faults(self) -> Iterable[str]:
        """See :meth:`Connectivity.faults`."""
        sizes = (self.n_source, self.n_target)
        if sizes != (prod(self.inputs), prod(self.outputs)):
            yield (
                f"connectivity '{self.name}' is one of images of the shapes {self.inputs} and "
                f"{self.outputs}, and there are {sizes[0]} sources and {sizes[1]} targets; make "
                f"the numbers those of the images"
            )
        if any(channels % self.groups for channels in (self.inputs[2], self.outputs[2])):
            yield (
                f"connectivity '{self.name}' has {self.groups} groups of {self.inputs[2]} and "
                f"{self.outputs[2]} channels; divide them into groups of one size"
            )

    def row(self, contents: Contents, neuron: int, side: Side) -> Row:
        """See :meth:`Connectivity.row`."""
        end, other = (0, 1) if side is Side.SOURCE else (1, 0)
        place = np.unravel_index(neuron, (self.inputs, self.outputs)[end])
        own = (
            tuple(each[met[end] == here] for each in met)
            for met, here in zip(self._met, place, strict=True)
        )
        ends = self._all(*own)
        return Row(ends[other], ends[2])

    def pairs(self, contents: Contents) -> tuple[Integers, Integers]:
        """Source and target of every synapse, each for itself, by source and then target."""
        source, target, _ = self.unrolled()
        return source, target

    def unrolled(self) -> tuple[Integers, Integers, Integers]:
        """Source, target and element of every synapse, each for itself, by source, then target."""
        source, target, element = self._all(*self._met)
        order = np.lexsort((target, source))
        return source[order], target[order], element[order]

    def settings(self) -> tuple[int, ...]:
        """The numbers that say all of it: sixteen, the last of which is zero."""
        pairs = (*self.window, *self.strides, *self.dilation, *self.before)
        return (*self.inputs, *self.outputs, *pairs, self.groups, 0)

    def numbers(self, side: Side) -> Integers:
        """How many synapses each neuron of a side has."""
        end = 0 if side is Side.SOURCE else 1
        shape = (self.inputs, self.outputs)[end]
        rows, columns, channels = (
            np.bincount(met[end], minlength=size)
            for met, size in zip(self._met, shape, strict=True)
        )
        return np.multiply.outer(np.multiply.outer(rows, columns), channels).ravel()

    def transposed(self, name: str, contents: Contents) -> Transposed:
        """Refused: what goes back along shared synapses goes through the rows of their targets."""
        raise NotImplementedError(f"'{self.name}' has no synapses of its own to be turned around")

    @cached_property
    def _met(self) -> tuple[Met, Met, Met]:
        """What meets along rows, columns and channels."""
        rows, columns = (axis.met() for axis in self.axes)
        return rows, columns, self._met_channels()

    def _met_channels(self) -> Met:
        """Channel of the input, that of the output, and where the two stand in the kernel."""
        first, second = self.per_group
        group, given, taken = np.indices((self.groups, first, second)).reshape(3, -1)
        output = group * second + taken
        return group * first + given, output, given * self.outputs[2] + output

    def _all(self, rows: Met, columns: Met, channels: Met) -> Met:
        """Source, target and element of all that meet along each axis."""
        sizes = (self.inputs, self.outputs, (*self.window, self.per_group[0] * self.outputs[2]))
        source, target, element = (
            np.ravel_multi_index(np.ix_(*places), size).ravel()
            for places, size in zip(zip(rows, columns, channels, strict=True), sizes, strict=True)
        )
        return source, target, element
