"""The arrays of a network that a user means: parameters, outputs, others by their variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brian2.groups.group import Group
from brian2.groups.neurongroup import NeuronGroup
from brian2.synapses.synapses import Synapses, SynapticPathway
from brian2.units.fundamentalunits import DIMENSIONLESS

from brian2eprop.device.program import Access, Array, DType
from brian2eprop.learning.naming import public_name
from brian2eprop.learning.objective.loss import Judged, Loss
from brian2eprop.learning.training.arguments import shown
from brian2eprop.learning.training.host import CapturedNetwork, TrainingDevice
from brian2eprop.learning.training.labels import Head


def find_parameters(
    device: TrainingDevice, captured: CapturedNetwork, views: Sequence[Any]
) -> tuple[Array, ...]:
    """The arrays of the variables that are to be trained.

    Parameters
    ----------
    device : TrainingDevice
        The device.
    captured : CapturedNetwork
        The network.
    views : sequence of VariableView
        The variables, such as ``synapses.w``.

    Returns
    -------
    tuple of Array
        Their arrays.

    Raises
    ------
    TypeError
        If one is no variable of a group.
    ValueError
        If one is not in the network, is there twice, is no real number, or changes in a run.
    """
    if not isinstance(views, list | tuple):
        raise TypeError(
            f"Trainer: parameters is {shown(views)}; give a list of variables, such as "
            "[synapses.w]."
        )
    names = [find_array(device, captured, view, "parameter") for view in views]
    if not names:
        raise ValueError("Trainer: there are no parameters; give some, such as [synapses.w].")
    arrays = captured.program.all_arrays()
    for name in names:
        fault = _parameter_fault(arrays[name], names.count(name))
        if fault:
            raise ValueError(f"Trainer: the parameter '{name}' {fault}.")
    _check_public(names)
    return tuple(arrays[name] for name in names)


def _check_public(names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        same = next((n for n in names[:number] if public_name(n) == public_name(name)), None)
        if same is not None:
            raise ValueError(
                f"Trainer: the parameters '{same}' and '{name}' would both be called "
                f"'{public_name(name)}'; rename one of their groups."
            )


def find_outputs(
    device: TrainingDevice, captured: CapturedNetwork, heads: Sequence[tuple[Any, Loss, float]]
) -> tuple[Head, ...]:
    """What the losses are to read.

    Parameters
    ----------
    device : TrainingDevice
        The device.
    captured : CapturedNetwork
        The network.
    heads : sequence of (VariableView or NeuronGroup, Loss, float)
        Each variable, or group whose spikes are judged, with its loss and what that counts.

    Raises
    ------
    TypeError, ValueError
        If one is no variable of the network, or no group that spikes, or is there twice.
    """
    found: list[Head] = []
    for view, loss, weight in heads:
        judged = _judged_state if loss.judges is Judged.STATE else _judged_spikes
        name, size = judged(device, captured, view, type(loss).__name__)
        if name in {output.name for output in found}:
            raise ValueError(f"Trainer: '{name}' is an output twice; give each variable one loss.")
        found.append(Head(name, size, loss, getattr(view, "dim", DIMENSIONLESS), weight))
    return tuple(found)


def _judged_state(
    device: TrainingDevice, captured: CapturedNetwork, view: Any, loss: str
) -> tuple[str, int]:
    """Name and size of the array of a variable that a loss reads."""
    if isinstance(view, Group):
        raise TypeError(
            f"Trainer: the output is the group '{view.name}', and {loss} reads a variable; give "
            f"{_offered(captured, view)}, or judge spikes by FirstSpikeTime or SpikeCount."
        )
    name = find_array(device, captured, view, "output")
    return name, captured.program.all_arrays()[name].size


def _offered(captured: CapturedNetwork, group: Any) -> str:
    """The variables of a group that its equations change, as code."""
    whole = getattr(group, "source", group)
    arrays = captured.program.all_arrays()
    held = [arrays.get(f"{whole.name}.{name}") for name in group.variables]
    found = [a.name for a in held if a is not None and a.dtype is DType.REAL]
    changed = [name for name in found if arrays[name].access is not Access.SHARED]
    offered = [name.replace(whole.name, group.name, 1) for name in changed or found]
    return " or ".join(offered) or "a variable of another group"


def _judged_spikes(
    device: TrainingDevice, captured: CapturedNetwork, group: Any, loss: str
) -> tuple[str, int]:
    """Name and size of the events of a group that a loss judges."""
    if not isinstance(group, NeuronGroup):
        raise TypeError(
            f"Trainer: {loss} judges spikes, and the output is {shown(group)}; give a "
            "NeuronGroup, such as output=hidden."
        )
    sizes = {events.name: events.size for events in captured.program.events}
    name = device.events_name(group)
    if name not in sizes:
        raise ValueError(
            f"Trainer: {loss} judges spikes, and '{group.name}' has none in this network; give a "
            "group with a threshold, and add it to the Network."
        )
    return name, sizes[name]


def find_array(device: TrainingDevice, captured: CapturedNetwork, view: Any, role: str) -> str:
    """Name of the array of a variable of the network.

    Parameters
    ----------
    device : TrainingDevice
        The device.
    captured : CapturedNetwork
        The network.
    view : VariableView
        The variable.
    role : str
        What it is to be, for the sentences.

    Returns
    -------
    str
        The array's name.

    Raises
    ------
    TypeError
        If it is no variable of a group.
    ValueError
        If the network does not use it.
    """
    if not (hasattr(view, "variable") and hasattr(view, "group_name")):
        raise TypeError(
            f"Trainer: the {role} {shown(view)} is no variable of a group; give one as "
            "group.variable, such as synapses.w."
        )
    name = device.array_name(view)
    if is_delay(view) and name not in captured.program.all_arrays():
        shown_name = delay_name(view)
        raise ValueError(
            f"Trainer: the {role} '{shown_name}' is a delay that is not trained; add "
            f"{shown_name} to the parameters, with its longest value in constraints, or leave it "
            "out here."
        )
    if name not in captured.program.all_arrays():
        group = getattr(view, "group", None)
        if isinstance(group, Synapses) and not len(group):
            raise ValueError(
                f"Trainer: the {role} '{name}' belongs to Synapses without synapses; call "
                f"{group.name}.connect(...) before the Trainer is made."
            )
        raise ValueError(
            f"Trainer: the {role} '{name}' is not used by the network; add its group to the "
            "Network, or choose a variable that the equations use."
        )
    return name


def is_delay(view: Any) -> bool:
    """Whether a variable is the delay of a pathway."""
    group = getattr(view, "group", None)
    return isinstance(group, SynapticPathway) and group.variables["delay"] is view.variable


def delay_name(view: Any) -> str:
    """A pathway's delay as users write it, such as ``w_in.delay``."""
    pathway = view.group
    of = "" if pathway.objname == "pre" else f".{pathway.objname}"
    return f"{pathway.synapses.name}{of}.delay"


def _parameter_fault(array: Array, count: int) -> str | None:
    if count > 1:
        return "is there more than once; name it once"
    if array.dtype is not DType.REAL:
        return "is no real number; only real numbers can be trained"
    if array.access is not Access.SHARED:
        return (
            "changes in a run or differs between instances; train variables that the run only "
            "reads, with one value for all instances"
        )
    return None
