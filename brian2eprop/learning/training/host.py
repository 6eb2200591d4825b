"""What a training needs of the device: the captured network and the values of its variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from brian2.devices.device import get_device
from brian2.groups.group import Group
from brian2.groups.neurongroup import NeuronGroup
from brian2.synapses.synapses import Synapses
from brian2.units.fundamentalunits import DIMENSIONLESS

from brian2eprop.device.backends.base import Backend
from brian2eprop.device.lent import Borrower
from brian2eprop.device.program import Access, Array, DType, Program
from brian2eprop.learning.model.naming import public_name
from brian2eprop.learning.objective.loss import Loss
from brian2eprop.learning.objective.spike_losses import SpikeLoss
from brian2eprop.learning.training.labels import Output


class CapturedNetwork(Protocol):
    """A network as a Program, with the contents of its index arrays."""

    @property
    def program(self) -> Program:
        """What happens in a run."""

    @property
    def tables(self) -> Mapping[str, npt.NDArray[Any]]:
        """Contents of the arrays that hold no Brian2 variable."""

    @property
    def variables(self) -> Mapping[str, Any]:
        """The Brian2 variable of each array that holds one."""

    @property
    def orders(self) -> Mapping[str, npt.NDArray[Any]]:
        """Brian2's number of each element, for arrays that lie in another order."""


@runtime_checkable
class TrainingDevice(Protocol):
    """The device's services to a training. Arrays are ordered as in the Program."""

    @property
    def backend(self) -> Backend:
        """Where Programs run."""

    def capture(self, network: Any, namespace: Mapping[str, Any]) -> CapturedNetwork:
        """The network as a Program."""

    def changed(self, network: Any, captured: Any) -> str | None:
        """Name of what of the network is not as it was captured; None where nothing is."""

    def array_name(self, view: Any) -> str:
        """Name of the array of a variable."""

    def events_name(self, group: Any) -> str:
        """Name of the spikes of a group."""

    def read_array(self, captured: Any, name: str) -> npt.NDArray[Any]:
        """Values of a variable or table, with an instance axis where instances differ."""

    def write_array(self, captured: Any, name: str, values: npt.ArrayLike) -> None:
        """Set a variable, in every instance."""

    def lend(
        self, captured: Any, names: Iterable[str], borrower: Borrower
    ) -> AbstractContextManager[None]:
        """While active, the borrower has the newest values of variables."""

    def in_transit(self, network: Any, captured: Any) -> tuple[str, ...]:
        """Names of the pathways that have still to deliver spikes."""


def training_device() -> TrainingDevice:
    """Brian2's current device.

    Returns
    -------
    TrainingDevice
        The device.

    Raises
    ------
    RuntimeError
        If it is not this package's.
    """
    device = get_device()
    if not isinstance(device, TrainingDevice):
        raise RuntimeError(
            f"Trainer works on the device 'eprop_cuda', not on {type(device).__name__}; call "
            "set_device('eprop_cuda') before the network is made."
        )
    return device


def check_device(device: TrainingDevice, captured: CapturedNetwork, backend: Backend) -> None:
    """Refuse to go on where other settings would not be followed.

    Raises
    ------
    ValueError
        If Brian2 has another device, backend, precision or dt than when the Trainer was made.
    """
    now = get_device()
    changed = None
    if now is not device:
        changed = "Brian2's device"
    elif device.backend.name != backend.name:
        changed = f"the backend, then '{backend.name}',"
    elif device.backend.precision is not backend.precision:
        changed = f"the precision, then {backend.precision.value},"
    elif getattr(captured, "has_other_dt", False):
        changed = "the network's dt"
    if changed is not None:
        raise ValueError(
            f"Trainer: {changed} has been changed since the Trainer was made; make a new Trainer, "
            "or change it back."
        )


def check_unchanged(device: TrainingDevice, network: Any, captured: CapturedNetwork) -> None:
    """Refuse to go on where changes of the network would not be followed.

    Raises
    ------
    ValueError
        If it is not as it was when the Trainer was made: its objects, connections, delays, or
        what their names mean.
    """
    changed = device.changed(network, captured)
    if changed is not None:
        raise ValueError(
            f"Trainer: '{changed}' is not what it was when the Trainer was made, which a training "
            "would not follow; make a new Trainer, which goes on with the values of the "
            "parameters, or change it back."
        )


def check_transit(device: TrainingDevice, network: Any, captured: CapturedNetwork) -> None:
    """Refuse to begin samples in the middle of what a network has sent.

    Raises
    ------
    ValueError
        If spikes are on their way to their targets.
    """
    pathways = device.in_transit(network, captured)
    if pathways:
        raise ValueError(
            f"Trainer: spikes are on their way through {', '.join(sorted(pathways))}, but every "
            "sample starts without any; make the Trainer before the network runs, or run "
            "without input until they have arrived."
        )


def read(
    device: TrainingDevice, captured: CapturedNetwork, sources: Mapping[str, str], now: float
) -> dict[str, npt.NDArray[Any]]:
    """Contents of SHARED arrays of a training Program, from the network's variables.

    Parameters
    ----------
    device : TrainingDevice
        The device.
    captured : CapturedNetwork
        The network.
    sources : mapping of str to str
        For each array the array of the network that it takes its contents from.
    now : float
        Time of the network in seconds. Samples start at ``t = 0``, so time stamps such as
        those of the last spikes, which lie before ``now``, are moved to lie as long before 0.

    Returns
    -------
    dict of str to array
        The contents by name.

    Raises
    ------
    ValueError
        If a variable differs between the instances of a batch.
    """
    arrays = captured.program.all_arrays()
    found = {}
    for name, source in sources.items():
        values = read_shared(device, captured, source)
        # Only time stamps, such as that of the last spike, are DOUBLE.
        found[name] = values - now if arrays[source].dtype is DType.DOUBLE else values
    return found


def read_shared(device: TrainingDevice, captured: CapturedNetwork, name: str) -> npt.NDArray[Any]:
    """The values of an array, the same in all instances.

    Parameters
    ----------
    device, captured
        The device and the network.
    name : str
        Name of the array.

    Raises
    ------
    ValueError
        If they differ between the instances of a batch.
    """
    values = device.read_array(captured, name)
    if values.ndim < 2:
        return values
    if not np.array_equal(values, np.broadcast_to(values[:1], values.shape), equal_nan=True):
        raise ValueError(
            f"Trainer: '{name}' differs between the instances of the batch, "
            "but every sample starts from the same values; set it to one value for all instances."
        )
    first: npt.NDArray[Any] = values[0]
    return first


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
            f"Trainer: parameters is {_shown(views)}; give a list of variables, such as "
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
) -> tuple[Output, ...]:
    """What the losses are to read.

    Parameters
    ----------
    device : TrainingDevice
        The device.
    captured : CapturedNetwork
        The network.
    heads : sequence of (VariableView or NeuronGroup, Loss, float)
        Each variable, such as ``readout.y``, or for losses that judge spikes each group, with its
        loss and what that counts.

    Raises
    ------
    TypeError, ValueError
        If one is no variable of the network, or no group that spikes, or is there twice.
    """
    found: list[Output] = []
    for view, loss, weight in heads:
        judged = _judged_spikes if isinstance(loss, SpikeLoss) else _judged_state
        name, size = judged(device, captured, view, type(loss).__name__)
        if name in {output.name for output in found}:
            raise ValueError(f"Trainer: '{name}' is an output twice; give each variable one loss.")
        found.append(Output(name, size, loss, getattr(view, "dim", DIMENSIONLESS), weight))
    return tuple(found)


def _judged_state(
    device: TrainingDevice, captured: CapturedNetwork, view: Any, loss: str
) -> tuple[str, int]:
    """Name and size of the array of a variable that a loss reads."""
    if isinstance(view, Group):
        raise TypeError(
            f"Trainer: the output is the group '{view.name}', and {loss} reads a variable; give "
            f"one, such as {view.name}.v, or judge spikes by FirstSpikeTime or SpikeCount."
        )
    name = find_array(device, captured, view, "output")
    return name, captured.program.all_arrays()[name].size


def _judged_spikes(
    device: TrainingDevice, captured: CapturedNetwork, group: Any, loss: str
) -> tuple[str, int]:
    """Name and size of the events of a group that a loss judges."""
    if not isinstance(group, NeuronGroup):
        raise TypeError(
            f"Trainer: {loss} judges spikes, and the output is {_shown(group)}; give a "
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
            f"Trainer: the {role} {_shown(view)} is no variable of a group; give one as "
            "group.variable, such as synapses.w."
        )
    name = device.array_name(view)
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


def _shown(view: Any) -> str:
    plain = isinstance(view, str | int | float | None)
    return repr(view) if plain else f"of type {type(view).__name__}"


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
