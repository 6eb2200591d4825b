"""What a conversion makes neurons of: stages, each a sum of kernels, a bias and a rectifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """

    source: str
    kernel: Values
    input_shape: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what it leads to."""
        sizes = zip(
            self.input_shape, self.padding, self.kernel.shape, self.strides, self.dilation,
            strict=False,
        )  # fmt: skip
        places = [
            (size + sum(added) - (width - 1) * apart - 1) // step + 1
            for size, added, width, step, apart in sizes
        ]
        return (*places, self.kernel.shape[-1])

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
        image = values.reshape(len(values), *self.input_shape)
        padded = np.pad(image, ((0, 0), *self.padding, (0, 0)))
        channels, outputs = self.kernel.shape[-2:]
        places = self.output_shape[:-1]
        found = np.zeros((len(values), *places, outputs), np.result_type(image, self.kernel))
        for offset in np.ndindex(self.kernel.shape[:-2]):
            where = tuple(
                slice(first * apart, first * apart + (size - 1) * step + 1, step)
                for first, apart, size, step in zip(
                    offset, self.dilation, places, self.strides, strict=True
                )
            )
            part = padded[(slice(None), *where)]
            if self.groups == 1:
                found += part @ self.kernel[offset]
            else:
                kernel = self.kernel[offset].reshape(channels, self.groups, -1)
                part = part.reshape(*part.shape[:-1], self.groups, channels)
                found += np.einsum("...gc,cgm->...gm", part, kernel).reshape(found.shape)
        return found

    def channels_in(self) -> np.ndarray[tuple[int, int], np.dtype[np.intp]]:
        """Which channel of the input an element of the kernel starts at, by its last two axes."""
        per_group, outputs = self.kernel.shape[-2:]
        group = np.arange(outputs) // (outputs // self.groups)
        return np.asarray(group[None, :] * per_group + np.arange(per_group)[:, None])


@dataclass(frozen=True)
class Stage:
    """The neurons of one layer.

    Parameters
    ----------
    name : str
        The layer that begins it.
    shape : tuple of int
        Its shape, channels last.
    projections : tuple of Projection
        What leads to it; none leads to the input.
    bias : array of that shape
        What is added.
    rectified : bool
        Whether only what is positive goes on; not so at the input and the output.
    ceiling : float
        What goes on at most.
    """

    name: str
    shape: tuple[int, ...]
    projections: tuple[Projection, ...] = ()
    bias: Values | float = 0.0
    rectified: bool = False
    ceiling: float = np.inf

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    def apply(self, known: dict[str, Values]) -> Values:
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
        sums = [each.apply(known[each.source]) for each in self.projections]
        values = np.asarray(sum(found.reshape(-1, *self.shape) for found in sums) + self.bias)
        return np.clip(values, 0, self.ceiling) if self.rectified else values


def depths(stages: tuple[Stage, ...]) -> dict[str, int]:
    """Through how many projections the longest way to a stage leads, by name."""
    found: dict[str, int] = {}
    for stage in stages:
        before = [found[each.source] for each in stage.projections]
        found[stage.name] = 1 + max(before, default=-1)
    return found


def activations(stages: tuple[Stage, ...], samples: Values) -> dict[str, Values]:
    """Values of all stages, by name.

    Parameters
    ----------
    stages : tuple of Stage
        The input first, each after those that lead to it.
    samples : array, shape (samples, *shape of the input)
        What enters.

    Returns
    -------
    dict
        Arrays of shape (samples, *shape of the stage).
    """
    known = {stages[0].name: samples.reshape(-1, *stages[0].shape)}
    for stage in stages[1:]:
        known[stage.name] = stage.apply(known)
    return known
