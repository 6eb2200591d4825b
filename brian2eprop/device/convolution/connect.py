"""Synapses that share the weights of a kernel: what a user asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2.synapses.synapses import Synapses

from brian2eprop.device import brian
from brian2eprop.device.convolution.shapes import find_convolution, shape_of_kernel
from brian2eprop.device.convolution.synapses import (
    code_of,
    connect_all,
    connect_none,
    kept_for_each,
    refuse_others,
    share_delays,
    share_elements,
    written_by,
)
from brian2eprop.device.memory.values import ValuesDevice
from brian2eprop.errors import Unsupported


def connect_kernel(
    synapses: Synapses,
    kernel: Any,
    input_shape: tuple[int, ...],
    *,
    strides: int | tuple[int, ...] = 1,
    padding: Any = "valid",
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    variable: str = "w",
) -> tuple[int, ...]:
    """Connect synapses as a convolution, whose kernel they share as their weights.

    In place of ``synapses.connect(...)``. Neurons are places of an image whose channels are its
    last axis: that of row ``y``, column ``x`` and channel ``c`` has the number
    ``(y*columns + x)*channels + c``. Shapes and padding are those of Keras's ``Conv1D``,
    ``Conv2D`` and, with as many ``groups`` as channels, ``DepthwiseConv2D``; average pooling is
    such a one with equal weights.

    The variable has the kernel's shape from then on, and is the same for all synapses that lie
    alike. On ``eprop_cuda`` it is all that is stored, and a spike is led along it; on Brian2's
    runtime each synapse is made, and reads it.

    Parameters
    ----------
    synapses : Synapses
        The synapses, between two whole groups of neurons and not connected yet. Besides the
        variable they have none but shared ones; each pathway has one delay.
    kernel : array, shape (rows, columns, channels of the input / groups, channels of the output)
        The weights, in the variable's unit; without ``rows`` for one dimension.
    input_shape : tuple of int
        ``(rows, columns, channels)`` of the source, or ``(steps, channels)``.
    strides : int or tuple of int
        Steps between the places of the input that the kernel is laid on.
    padding : str or numbers
        'valid', 'same' as in Keras, in one dimension also 'causal', or how many places there are
        before and after: ``((top, bottom), (left, right))`` or ``(before, after)``. Nothing
        spikes there.
    dilation : int or tuple of int
        Steps between the places that neighbouring elements of the kernel lie on.
    groups : int
        Into how many groups the channels of both are divided, each with its part of the kernel.
    variable : str
        Name of the synapses' variable that is the kernel.

    Returns
    -------
    tuple of int
        Shape of the target.

    Raises
    ------
    TypeError
        If the first argument is no Synapses, or the kernel is not one of numbers.
    ValueError
        If shapes, or the sizes of the two groups, do not go together.
    Unsupported
        If the synapses are connected already, end at parts of groups or at synapses, have other
        variables of their own, or write the variable.

    Examples
    --------
    >>> import numpy as np
    >>> from brian2 import NeuronGroup, Synapses, set_device
    >>> import brian2eprop as b2e
    >>> set_device('eprop_cuda')
    >>> image = NeuronGroup(8*8*2, 'v : 1', threshold='v > 1', reset='v = 0')
    >>> maps = NeuronGroup(4*4*16, 'v : 1')
    >>> synapses = Synapses(image, maps, 'w : 1', on_pre='v_post += w')
    >>> b2e.connect_kernel(synapses, np.ones((3, 3, 2, 16)), (8, 8, 2), strides=2, padding='same')
    (4, 4, 16)
    >>> synapses.w[:].shape, len(synapses)
    ((3, 3, 2, 16), 3872)
    """
    if not isinstance(synapses, Synapses):
        raise TypeError(f"connect_kernel: {synapses!r} is to be connected; give Synapses.")
    weights = _weights(synapses.name, kernel)
    _check_synapses(synapses, variable)
    options = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    found = find_convolution(synapses.name, weights.shape, input_shape, **options)
    n = len(input_shape) - 1
    _check_sizes(synapses, found.inputs[2 - n :], found.outputs[2 - n :])
    share_elements(synapses, variable, found, shape_of_kernel(found, n))
    share_delays(synapses)
    device = synapses.variables[variable].device
    if isinstance(device, ValuesDevice):
        connect_none(synapses, found, device.postponed.add)
    else:
        connect_all(synapses, found)
    refuse_others(synapses)
    setattr(synapses, variable, weights)
    return found.outputs[2 - n :]


def _weights(name: str, kernel: Any) -> Any:
    try:
        found = np.asanyarray(kernel)
    except ValueError:
        found = np.array("")
    if found.dtype.kind not in "biuf":
        raise TypeError(
            f"connect_kernel: the kernel of '{name}' is {kernel!r}; give an array of numbers."
        )
    return found


def _check_synapses(synapses: Synapses, variable: str) -> None:
    name, kept = synapses.name, kept_for_each(synapses)
    if brian.was_connected(synapses):
        raise Unsupported(
            f"'{name}' is connected already, and a kernel is all that connects synapses; make "
            "other Synapses for it."
        )
    if variable not in kept:
        raise ValueError(
            f"connect_kernel: '{name}' has no variable '{variable}' of each synapse that could be "
            f"its kernel; write '{variable} : 1' in its model, or give the name of one."
        )
    others = [other for other in kept if other != variable]
    if others:
        raise Unsupported(
            f"'{name}' has the variable '{others[0]}' of each synapse, and of synapses that share "
            "a kernel none is stored; make it '(shared)', or a variable of the neurons."
        )
    for group in (synapses.source, synapses.target):
        if brian.whole(group) is not group or brian.is_synapses(group):
            raise Unsupported(
                f"'{name}' ends at '{group.name}', which is a part of a group or Synapses; a "
                "kernel connects two whole groups of neurons."
            )
    equations = getattr(synapses, "equations", {})
    changed = set(getattr(equations, "diff_eq_names", ())).union(
        *map(written_by, code_of(synapses))
    )
    if variable in changed:
        raise Unsupported(
            f"'{name}' changes '{variable}' in a run, which is an element of a kernel that many "
            "synapses share; leave that out, or connect them each for itself."
        )


def _check_sizes(synapses: Synapses, *shapes: tuple[int, ...]) -> None:
    for what, group, shape in zip(
        ("source", "target"), (synapses.source, synapses.target), shapes, strict=True
    ):
        if len(group) != np.prod(shape):
            raise ValueError(
                f"connect_kernel: the {what} of '{synapses.name}', '{group.name}', has "
                f"{len(group)} neurons, and its image of the shape {shape} has {np.prod(shape)} "
                f"places; make it a group of {np.prod(shape)}."
            )
