"""What a conversion makes neurons of: stages, each a sum of kernels, a bias and a rectifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian2eprop.device.convolution.shapes import Places, output_sizes
from brian2eprop.ml.graph import Values


@dataclass(frozen=True)
class Projection:
    """A kernel that leads from one stage to another; a dense layer is a kernel of one place.

    Parameters
    ----------
    source : str
        Name of the stage it starts at.
    kernel : array, shape (..., channels of the input / groups, channels of the output)
        The weights.
    input_shape : tuple of int
        The shape in which the source is seen: directions, then channels.
    strides, dilation : tuple of int
        One number for each direction.
    padding : tuple of pairs of int
        Places before and after, by direction.
    groups : int
        Into how many groups the channels are divided.
    gain : array that can be broadcast to the output's shape, optional
        By what is multiplied whatever comes in, place by place.
    """

    source: str
    kernel: Values
    input_shape: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Places
    dilation: tuple[int, ...]
    groups: int = 1
    gain: Values | None = None

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what it leads to."""
        window = self.kernel.shape[:-2]
        sizes = output_sizes(
            self.input_shape[:-1], self.padding, window, self.strides, self.dilation
        )
        return (*sizes, self.kernel.shape[-1])

    def apply(self, values: Values) -> Values:
        """What comes in at the other end.

        Parameters
        ----------
        values : array, shape (samples, ...)
            Values of the source.

        Returns
        -------
        array, shape (samples, *output_shape)
            The convolution.
        """
        channels = self.kernel.shape[-2]
        found: Any = 0.0
        for offset, part in self._met(values):
            if self.groups == 1:
                found += part @ self.kernel[offset]
            else:
                kernel = self.kernel[offset].reshape(channels, self.groups, -1)
                part = part.reshape(*part.shape[:-1], self.groups, channels)
                met = np.einsum("...gc,cgm->...gm", part, kernel)
                found += met.reshape(*met.shape[:-2], -1)
        return np.asarray(found if self.gain is None else found * self.gain)

    def largest(self, values: Values) -> Values:
        """The largest value that each place at the other end meets, of values above zero.

        Parameters
        ----------
        values : array, shape (samples, ...)
            Values of the source.

        Returns
        -------
        array, shape (samples, *output_shape)
            Zero where only padding is met.
        """
        found: Any = 0.0
        for _, part in self._met(values):
            found = np.maximum(found, part)
        return np.asarray(found)

    def _met(self, values: Values) -> Iterator[tuple[tuple[int, ...], Values]]:
        """For each place of the kernel, what it meets of the source."""
        image = values.reshape(len(values), *self.input_shape)
        padded = np.pad(image, ((0, 0), *self.padding, (0, 0)))
        for offset in np.ndindex(self.kernel.shape[:-2]):
            where = tuple(
                slice(first * apart, first * apart + (size - 1) * step + 1, step)
                for first, apart, size, step in zip(
                    offset, self.dilation, self.output_shape[:-1], self.strides, strict=True
                )
            )
            yield offset, padded[(slice(None), *where)]

    def full_kernel(self) -> Values:
        """The kernel with all channels of the input, zero where a group has no part in."""
        if self.groups == 1:
            return self.kernel
        per_group, outputs = self.kernel.shape[-2:]
        full = np.zeros((*self.kernel.shape[:-2], per_group * self.groups, outputs))
        full[..., self.channels_in(), np.arange(outputs)] = self.kernel
        return full

    def channels_in(self) -> NDArray[np.intp]:
        """Which channel of the input an element of the kernel starts at, by its last two axes."""
        per_group, outputs = self.kernel.shape[-2:]
        group = np.arange(outputs) // (outputs // self.groups)
        return np.asarray(group[None, :] * per_group + np.arange(per_group)[:, None])


class Kind(Enum):
    """What the neurons of a stage do."""

    INPUT = "input"
    # Only what is positive goes on.
    HIDDEN = "hidden"
    # The largest of what leads to them goes on.
    MAXIMUM = "maximum"
    # Their membranes are read.
    OUTPUT = "output"


@dataclass(frozen=True)
class Stage:
    """The neurons of one layer.

    Parameters
    ----------
    name : str
        The layer that begins it.
    shape : tuple of int
        Its shape, channels last.
    kind : Kind
        What its neurons do.
    projections : tuple of Projection
        What leads to it; none leads to an input, one to a maximum.
    bias : array of that shape
        What is added.
    ceiling : float
        What goes on at most.
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind
    projections: tuple[Projection, ...] = ()
    bias: Values | float = 0.0
    ceiling: float = np.inf

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    def apply(self, known: Mapping[str, Values]) -> Values:
        """Its values, from those of the stages before.

        Parameters
        ----------
        known : dict
            Values by name of the stage, each of shape (samples, *shape).

        Returns
        -------
        array, shape (samples, *shape)
            The values.
        """
        if self.kind is Kind.MAXIMUM:
            (projection,) = self.projections
            return projection.largest(known[projection.source]).reshape(-1, *self.shape)
        sums = [each.apply(known[each.source]) for each in self.projections]
        values = np.asarray(sum(found.reshape(-1, *self.shape) for found in sums) + self.bias)
        return np.clip(values, 0, self.ceiling) if self.kind is Kind.HIDDEN else values


def activations(stages: tuple[Stage, ...], samples: Mapping[str, Values]) -> dict[str, Values]:
    """Values of all stages, by name.

    Parameters
    ----------
    stages : tuple of Stage
        Each after those that lead to it.
    samples : dict
        What enters, by name of the input, each of shape (samples, *shape of the input).

    Returns
    -------
    dict
        Arrays of shape (samples, *shape of the stage).
    """
    known: dict[str, Values] = {}
    for stage in stages:
        known[stage.name] = samples[stage.name] if stage.kind is Kind.INPUT else stage.apply(known)
    return known
