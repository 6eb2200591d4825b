"""Kernels with as much padding before as after, as NIR has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brian2eprop.device.program import Convolution
from brian2eprop.errors import Unsupported
from brian2eprop.ml.graph import Values


@dataclass(frozen=True)
class Symmetric:
    """A kernel, perhaps with zeros around it, and its padding on either side, by direction."""

    kernel: Values
    padding: tuple[int, int]


def symmetric(name: str, of: Convolution, kernel: Values) -> Symmetric:
    """Put zeros around a kernel until its padding is the same on either side.

    Parameters
    ----------
    name : str
        Name of the synapses.
    of : Convolution
        What it is laid on.
    kernel : array, shape (rows, columns, channels of the input / groups, channels of the output)
        The weights.

    Returns
    -------
    Symmetric
        What gives the same.

    Raises
    ------
    Unsupported
        If no zeros do that.
    """
    padding = []
    zeros = [(0, 0)] * kernel.ndim
    for axis in range(2):
        numbers = (of.inputs, of.outputs, of.window, of.strides, of.dilation, of.before)
        found = _zeros(*(each[axis] for each in numbers))
        if found is None:
            raise Unsupported(
                f"The padding of '{name}' before and after is not the same, and NIR's is; give "
                "padding='valid', or places that are."
            )
        padding.append(found[0])
        zeros[axis] = found[1:]
    return Symmetric(np.pad(kernel, zeros), (padding[0], padding[1]))


def _zeros(
    size: int, outputs: int, width: int, step: int, apart: int, before: int
) -> tuple[int, int, int] | None:
    """Padding, and zeros before and after the kernel, that leave every output where it is."""
    for first in range(size):
        places = before + first * apart
        room = size + 2 * places - 1
        for last in range(size):
            if (room - (width + first + last - 1) * apart) // step + 1 == outputs:
                return places, first, last
    return None
