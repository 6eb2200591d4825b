"""Brian2's monitors with an instance axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.memory.dynamicarray import DynamicArray
from brian2.monitors.spikemonitor import SpikeMonitor
from brian2.monitors.statemonitor import StateMonitor, StateMonitorView
from brian2.units.fundamentalunits import Quantity

from brian2eprop.device.memory.instances import Instances
from brian2eprop.errors import Unsupported


class BatchedStateMonitor(StateMonitor):  # type: ignore[misc]
    """A StateMonitor of many instances.

    ``monitor.v`` has the shape (instances, recorded neurons, times), ``monitor[i].v`` the shape
    (instances, times), ``monitor[[i, j]].v`` the shape (instances, 2, times).
    """

    def __getattr__(self, item: str) -> Any:
        name = item.removesuffix("_")
        if item == "_group_attribute_access_active" or name not in self.record_variables:
            return super().__getattr__(item)
        values = self.recorded(name)
        if item.endswith("_"):
            return values
        return Quantity(values, dim=self.variables[name].dim, copy=True)

    def __getitem__(self, item: Any) -> BatchedStateMonitorView:
        return BatchedStateMonitorView(self, super().__getitem__(item).item)

    def recorded(self, name: str) -> npt.NDArray[Any]:
        """What was recorded of a variable, without units.

        Parameters
        ----------
        name : str
            Name of the variable.

        Returns
        -------
        array, shape (instances, recorded neurons, times)
            The values.
        """
        values = self.variables[name].get_value()
        shape = (values.shape[0], self._instances, self.n_indices)
        return np.asarray(values.reshape(shape).transpose(1, 2, 0))


class BatchedStateMonitorView(StateMonitorView):  # type: ignore[misc]
    """Chosen neurons of a :class:`BatchedStateMonitor`."""

    def __getattr__(self, item: str) -> Any:
        name = item.removesuffix("_")
        if item == "_group_attribute_access_active" or name not in self.monitor.record_variables:
            return super().__getattr__(item)
        values = self.monitor.recorded(name)[:, self.indices].copy()
        if item.endswith("_"):
            return values
        return Quantity(values, dim=self.monitor.variables[name].dim)


class BatchedSpikeMonitor(SpikeMonitor):  # type: ignore[misc]
    """A SpikeMonitor of many instances.

    ``i``, ``t`` and ``instance`` list all spikes by instance, then time, then neuron;
    ``count`` has the shape (instances, neurons). What Brian2 gives as a dictionary by neuron
    is a list of them here, one for each instance.
    """

    def values(self, var: str) -> list[dict[int, Any]]:
        """The values of a variable at the spikes.

        Parameters
        ----------
        var : str
            ``'t'``.

        Returns
        -------
        list of dict
            For each instance the values by neuron.
        """
        self._require_record()
        neurons, instance = self.i[:], self.instance[:]
        values = self.state(var, use_units=False)[:]
        dim = self.variables[var].dim
        return [
            {
                neuron: Quantity(values[(instance == k) & (neurons == neuron)], dim=dim)
                for neuron in range(len(self.source))
            }
            for k in range(self._instances)
        ]

    def all_values(self) -> dict[str, list[dict[int, Any]]]:
        """The values of each recorded variable, as :meth:`values` gives them."""
        self._require_record()
        return {name: self.values(name) for name in self.record_variables - {"i"}}

    def binned_rate(self, bin_size: Any) -> Any:
        """Refused: Brian2's way of counting knows one instance only."""
        raise Unsupported(
            f"'{self.name}' has {self._instances} instances, for which there is no binned_rate; "
            "use np.histogram on the spike times of each instance."
        )

    def _require_record(self) -> None:
        if not self.record:
            raise AttributeError(
                f"'{self.name}' has not recorded spikes; make it with record=True."
            )


def fit_instances(found: Any, arrays: Any, instances: Instances) -> None:
    """Give a monitor that has recorded nothing the present instance axis; others are no matter.

    Parameters
    ----------
    found : BrianObject
        Any object of a network.
    arrays : mutable mapping of brian2 Variable to array
        The device's arrays.
    instances : Instances
        The instances.

    Raises
    ------
    Unsupported
        If it has data of another number of instances.
    """
    if not isinstance(found, StateMonitor | SpikeMonitor):
        return
    before = vars(found).get("_instances")
    if before == instances.size:
        return
    if _has_data(found, instances):
        raise Unsupported(
            f"'{found.name}' has data that was recorded with batch_size={before} and cannot go on "
            f"with batch_size={instances.size}; make a new monitor, or set it inactive."
        )
    object.__setattr__(found, "_instances", instances.size)
    if isinstance(found, StateMonitor):
        _fit_state_monitor(found, arrays, instances)
    else:
        _fit_spike_monitor(found, instances)


def _has_data(monitor: Any, instances: Instances) -> bool:
    if monitor.variables["N"].get_value() > 0:
        return True
    if isinstance(monitor, StateMonitor):
        return False
    count = monitor.variables["count"]
    return bool(np.any(instances.arrays.get(count, instances.raw(count))))


def _fit_state_monitor(monitor: Any, arrays: Any, instances: Instances) -> None:
    for variable in monitor.recorded_variables.values():
        shape = (0, instances.number * monitor.n_indices)
        arrays[variable] = DynamicArray(shape, dtype=variable.dtype)
        variable.size = shape
    monitor.__class__ = StateMonitor if instances.size is None else BatchedStateMonitor


def _fit_spike_monitor(monitor: Any, instances: Instances) -> None:
    instances.forget(monitor.variables["count"])
    if monitor.record and "instance" not in monitor.variables:
        monitor.variables.add_dynamic_array("instance", size=0, dtype=np.int32, read_only=True)
    monitor.__class__ = SpikeMonitor if instances.size is None else BatchedSpikeMonitor
