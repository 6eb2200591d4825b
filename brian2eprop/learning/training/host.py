"""What a training needs of the device: the captured network and the values of its variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from brian2.devices.device import get_device

from brian2eprop.device.backends.base import Backend
from brian2eprop.device.lent import Borrower
from brian2eprop.device.program import DType, ForEach, Program
from brian2eprop.device.rewiring.phases import Rewired
from brian2eprop.device.rewiring.rules import Rewiring


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

    @property
    def rounding(self) -> Mapping[str, ForEach]:
        """For each delay that is trained, what rounds it to the steps that its pathway reads."""

    @property
    def rewired(self) -> Mapping[str, Rewired]:
        """The synapses that are rewired, by their name."""


@runtime_checkable
class TrainingDevice(Protocol):
    """The device's services to a training. Arrays are ordered as in the Program."""

    @property
    def backend(self) -> Backend:
        """Where Programs run."""

    def capture(
        self,
        network: Any,
        namespace: Mapping[str, Any],
        *,
        trained: Mapping[Any, float],
        rewirings: Mapping[Any, Rewiring],
    ) -> CapturedNetwork:
        """The network as a Program.

        Some delays may become as long as is said, and some synapses are rewired.
        """

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

    def rewrite(self, captured: Any, name: str, contents: Mapping[str, npt.NDArray[Any]]) -> None:
        """Make synapses those of other rows, with the values of their variables and tables."""

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
        # Variables that are DOUBLE are time stamps, such as that of the last spike.
        stamped = arrays[source].dtype is DType.DOUBLE and source in captured.variables
        found[name] = values - now if stamped else values
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
