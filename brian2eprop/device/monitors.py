"""Brian2's monitors with an instance axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.monitors.spikemonitor import SpikeMonitor
from brian2.monitors.statemonitor import StateMonitor, StateMonitorView
from brian2.units.fundamentalunits import Quantity

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
