"""Which convolution a user means: shapes, strides and padding as Keras has them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from brian2eprop.device.program import Convolution

Places = tuple[tuple[int, int], ...]
# More than any place of an image, and less than what an int of a kernel holds.
_MOST = 2**30
# The axes that an image has besides its channels.
_DIRECTIONS = (1, 2)


def find_convolution(
    name: str,
    kernel_shape: Any,
    input_shape: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: Any = 1,
) -> Convolution:
    """The convolution of a name.

    Parameters
    ----------
    name : str
        Name of the synapses.
    kernel_shape, input_shape, strides, padding, dilation, groups
        See :func:`brian2eprop.connect_kernel`.

    Returns
    -------
    Convolution
        One of two dimensions; one of one dimension has a single row.

    Raises
    ------
    ValueError
        If shapes do not go together, or a number is none that can be.
    """
    image = _numbers(name, "input_shape", input_shape, 1)
    n = len(image) - 1
    if n not in _DIRECTIONS:
        raise ValueError(
            f"connect_kernel: the input_shape of '{name}' is {input_shape!r}; give (steps, "
            "channels) or (rows, columns, channels)."
        )
    *window, per_group, channels = _kernel_shape(name, kernel_shape, n)
    stride, dilate = (
        _numbers(name, what, value, 1, n)
        for what, value in (("strides", strides), ("dilation", dilation))
    )
    (group,) = _numbers(name, "groups", groups, 1, 1)
    _check_channels(name, image[-1], per_group, channels, group)
    places = find_places(padding, image[:-1], window, stride, dilate)
    if places is None:
        example = "(1, 1)" if n == 1 else "((1, 1), (1, 1))"
        raise ValueError(
            f"connect_kernel: the padding of '{name}' is {padding!r}; give 'valid', 'same', "
            f"'causal' in one direction, or the numbers before and after the input, such as "
            f"{example}."
        )
    outputs = output_sizes(image[:-1], places, window, stride, dilate)
    if min(outputs) < 1:
        raise ValueError(
            f"connect_kernel: the kernel of '{name}' of the shape {tuple(kernel_shape)} is larger "
            f"than its input of the shape {image}; give a smaller one, or padding='same'."
        )
    return Convolution(
        name,
        prod(image),
        prod(outputs) * channels,
        (*_both(image[:-1], 1), image[-1]),
        (*_both(outputs, 1), channels),
        _both(window, 1),
        _both(stride, 1),
        _both(dilate, 1),
        _both([before for before, _ in places], 0),
        group,
    )


def _both(numbers: Sequence[int], alone: int) -> tuple[int, int]:
    """One number for rows and one for columns, from those of the directions there are."""
    rows, columns = (alone, *numbers)[-2:]
    return rows, columns


def shape_of_kernel(found: Convolution, n: int) -> tuple[int, ...]:
    """Shape of the kernel of a convolution along ``n`` directions."""
    return found.shape[2 - n :]


def _kernel_shape(name: str, shape: Any, n: int) -> tuple[int, ...]:
    found = _numbers(name, "kernel's shape", shape, 1)
    if len(found) != n + 2:
        axes = "(steps, " if n == 1 else "(rows, columns, "
        raise ValueError(
            f"connect_kernel: the kernel of '{name}' has the shape {found}; its input has {n} "
            f"direction{'s' if n > 1 else ''}, so give one of {axes}input channels / groups, "
            "output channels)."
        )
    return found


def _check_channels(name: str, given: int, per_group: int, channels: int, groups: int) -> None:
    if given % groups or channels % groups:
        raise ValueError(
            f"connect_kernel: '{name}' has {given} channels of the input and {channels} of the "
            f"output, which {groups} groups do not divide; give a number that divides both."
        )
    if per_group * groups != given:
        raise ValueError(
            f"connect_kernel: the kernel of '{name}' takes {per_group} channels in each of "
            f"{groups} group{'s' if groups > 1 else ''}, and its input has {given}; give a kernel "
            f"with {given // groups} on its last axis but one."
        )


def output_sizes(
    sizes: Sequence[int],
    places: Places,
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, ...]:
    """How many places a kernel can be laid on, by direction; none or less if it is too large.

    Parameters
    ----------
    sizes : sequence of int
        Places of the input.
    places : sequence of pairs of int
        Places added before and after.
    window, strides, dilation : sequence of int
        See :func:`brian2eprop.connect_kernel`.
    """
    given = zip(sizes, places, window, strides, dilation, strict=True)
    return tuple(
        (size + before + after - (width - 1) * apart - 1) // step + 1
        for size, (before, after), width, step, apart in given
    )


def find_places(
    padding: Any,
    sizes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> Places | None:
    """How many places a padding adds before and after the input, by direction.

    Parameters
    ----------
    padding : str or numbers
        See :func:`brian2eprop.connect_kernel`.
    sizes, window, strides, dilation : sequence of int
        As for :func:`output_sizes`.

    Returns
    -------
    tuple of pairs of int, or None
        None if it is no padding.
    """
    n = len(sizes)
    if not isinstance(padding, str):
        return _pairs(padding, n)
    if padding not in ("valid", "same", "causal") or (padding == "causal" and n > 1):
        return None
    found = []
    for size, width, step, apart in zip(sizes, window, strides, dilation, strict=True):
        reach = (width - 1) * apart
        # As in Keras: as many outputs as there are strides in the input, the rest behind it.
        whole = max((size - 1) // step * step + reach + 1 - size, 0)
        added = {"valid": (0, 0), "same": (whole // 2, whole - whole // 2), "causal": (reach, 0)}
        found.append(added[padding])
    return tuple(found)


def _pairs(padding: Any, n: int) -> Places | None:
    try:
        found = np.asarray(padding)
    except ValueError:
        return None
    fits = found.size == 2 * n and found.shape in ((2,), (n, 2)) and found.dtype.kind in "iu"
    if not fits or found.min() < 0:
        return None
    return tuple((int(before), int(after)) for before, after in found.reshape(n, 2))


def _numbers(name: str, what: str, value: Any, low: int, n: int | None = None) -> tuple[int, ...]:
    """Whole numbers from ``low`` up, of which one may stand for ``n`` equal ones."""
    try:
        found = np.asarray(value)
    except ValueError:
        found = np.array("")
    number = found.ndim == 0 and n is not None
    whole = found.dtype.kind in "iu" and (number or (found.ndim == 1 and found.size > 0))
    sizes = number or n in (None, found.size)
    if not whole or not low <= found.min() <= found.max() <= _MOST or not sizes:
        many = "" if n is None else "one, or " * (n > 1) + f"{n} of them, "
        raise ValueError(
            f"connect_kernel: the {what} of '{name}' is {value!r}; give whole numbers from {low} "
            f"to {_MOST}, {many}such as {(low,) * (n or 3)}."
        )
    return tuple(int(each) for each in (np.repeat(found, n or 1) if number else found))
