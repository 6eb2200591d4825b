"""Whether a variable is common to all instances of a batch, or has a value in each."""

from __future__ import annotations

from typing import Any

from brian2.core.variables import ArrayVariable, Subexpression, VariableView
from brian2.devices.device import get_device

from brian2eprop.device.memory.instances import is_state, name_of, refuse_network
from brian2eprop.device.memory.values import ValuesDevice
from brian2eprop.errors import Unsupported


def is_per_instance(view: VariableView) -> bool:
    """Whether a variable has values of its own in each instance of a batch.

    Parameters
    ----------
    view : VariableView
        A variable of a group, such as ``group.v`` or ``synapses.w``; of a part of a group and
        of a linked variable, the one that it stands for is meant.

    Returns
    -------
    bool
        True where ``view[:]`` has a leading instance axis; False where all instances have the
        same values, and always without ``batch_size`` and on other devices.

    Raises
    ------
    TypeError
        If it is no variable of a group that holds values.

    Examples
    --------
    >>> from brian2 import NeuronGroup, set_device
    >>> import brian2eprop as b2e
    >>> set_device('eprop_cuda', batch_size=3)
    >>> group = NeuronGroup(2, '''dv/dt = (I - v)/(10*ms) : 1
    ...                           I : 1''', method='exact')
    >>> b2e.is_per_instance(group.v), b2e.is_per_instance(group.I)
    (True, False)
    """
    variable = _variable_of(view)
    device = get_device()
    return isinstance(device, ValuesDevice) and device.is_per_instance(variable)


def set_per_instance(view: VariableView, per_instance: bool = True) -> None:
    """Give a variable values of its own in each instance, at first equal ones, or take them away.

    To set it with values of shape (instances, elements) does the same; this is for strings that
    draw: with it ``synapses.w = 'rand()'`` draws other weights in each instance.

    Parameters
    ----------
    view : VariableView
        A variable of a group, such as ``synapses.w``.
    per_instance : bool
        False: the instances have the same values again, and use the memory of one.

    Raises
    ------
    TypeError
        If it is no variable of a group that holds values.
    Unsupported
        Without ``batch_size``; for what makes the network, such as connections and delays; and
        with False, for what differs between instances and for what a differential equation
        changes.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses, set_device
    >>> import brian2eprop as b2e
    >>> set_device('eprop_cuda', batch_size=3)
    >>> group = NeuronGroup(2, 'v : 1', threshold='v > 1')
    >>> synapses = Synapses(group, group, 'w : 1', on_pre='v_post += w')
    >>> synapses.connect()
    >>> b2e.set_per_instance(synapses.w)
    >>> synapses.w = 'rand()'
    >>> synapses.w[:].shape
    (3, 4)
    """
    variable = _variable_of(view)
    device = get_device()
    if not isinstance(device, ValuesDevice) or device.instances.size is None:
        raise Unsupported(
            f"'{name_of(variable)}' has one value an element without instances; call "
            "set_device('eprop_cuda', batch_size=...) first."
        )
    if per_instance:
        refuse_network(variable, f"{view.group_name}.{view.name}")
        device.give_instances(variable)
    elif is_state(variable):
        raise Unsupported(
            f"'{name_of(variable)}' is changed by a run, in each instance in another way; only "
            "parameters and weights can be common to all."
        )
    else:
        device.take_instances(variable)


def _variable_of(view: Any) -> ArrayVariable:
    variable = getattr(view, "variable", None)
    if not isinstance(view, VariableView) or not isinstance(variable, ArrayVariable):
        what = repr(view)
        if isinstance(variable, Subexpression):
            what = f"'{variable.name}', a subexpression, which is computed from others,"
        raise TypeError(
            f"{what} is no variable of a group that holds values; give one such as group.v or "
            "synapses.w."
        )
    return variable
