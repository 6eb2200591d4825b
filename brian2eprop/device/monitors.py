"""Brian2's monitors with an instance axis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from brian2.monitors.ratemonitor import PopulationRateMonitor
from brian2.monitors.spikemonitor import EventMonitor, SpikeMonitor
from brian2.monitors.statemonitor import StateMonitor, StateMonitorView
from brian2.units.fundamentalunits import Quantity


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


class _Instances(Protocol):
    def _each(self) -> Sequence[Any]:
        """What each instance alone has recorded."""


class _BatchedRates:
    """Brian2's rates of a monitor, one instance after the other."""

    def binned_rate(self: _Instances, bin_size: Any) -> Any:
        """The rates in bins; of a population, of all its neurons.

        Parameters
        ----------
        bin_size : Quantity
            Their width, a multiple of dt.

        Returns
        -------
        bins : Quantity, shape (n,)
            Their starts.
        rates : Quantity, shape (instances, neurons, n) or (instances, n)
            The rates.
        """
        bins, rates = zip(*(one.binned_rate(bin_size) for one in self._each()), strict=True)
        return bins[0], _stacked(rates)

    def smooth_rate(self: _Instances, window: Any = "gaussian", width: Any = None) -> Any:
        """The smoothed rates, with a leading instance axis; see Brian2's."""
        return _stacked([one.smooth_rate(window, width) for one in self._each()])


class BatchedEventMonitor(_BatchedRates, EventMonitor):  # type: ignore[misc]
    """An EventMonitor of many instances.

    ``i``, ``t``, ``instance`` and the recorded variables list all events by instance, then time,
    then neuron; ``count`` has the shape (instances, neurons). What Brian2 gives as a dictionary
    by neuron is a list of them here, one for each instance; rates have a leading instance axis.
    """

    def values(self, var: str) -> list[dict[int, Any]]:
        """The values of a variable at the events.

        Parameters
        ----------
        var : str
            Name of the variable.

        Returns
        -------
        list of dict
            For each instance the values by neuron.
        """
        self._require_record()
        n = len(self.source)
        owner = self.instance[:].astype(np.int64) * n + self.i[:]
        values = self.state(var, use_units=False)[:][np.argsort(owner, kind="stable")]
        ends = np.cumsum(np.bincount(owner, minlength=n * self._instances))
        dim = self.variables[var].dim
        trains = [Quantity(train, dim=dim) for train in np.split(values, ends[:-1])]
        return [dict(enumerate(trains[first : first + n])) for first in range(0, len(trains), n)]

    def all_values(self) -> dict[str, list[dict[int, Any]]]:
        """The values of each recorded variable, as :meth:`values` gives them."""
        self._require_record()
        return {name: self.values(name) for name in self.record_variables - {"i"}}

    def _each(self) -> list[_Events]:
        if not self.record:
            return [_Events(self, [], [])] * self._instances
        starts = np.searchsorted(self.instance[:], np.arange(self._instances + 1))
        times, neurons = self.t[:], self.i[:]
        pieces = [slice(*ends) for ends in pairwise(starts)]
        return [_Events(self, times[piece], neurons[piece]) for piece in pieces]

    def _require_record(self) -> None:
        if not self.record:
            raise AttributeError(
                f"'{self.name}' has not recorded {self.event}s; make it with record=True."
            )


class BatchedSpikeMonitor(BatchedEventMonitor, SpikeMonitor):  # type: ignore[misc]
    """A SpikeMonitor of many instances; see :class:`BatchedEventMonitor`."""


class BatchedRateMonitor(_BatchedRates, PopulationRateMonitor):  # type: ignore[misc]
    """A PopulationRateMonitor of many instances: rates are of shape (instances, times)."""

    def __getattr__(self, item: str) -> Any:
        if item not in ("rate", "rate_"):
            return super().__getattr__(item)
        variable = self.variables["rate"]
        values = np.array(variable.get_value().T)
        return values if item.endswith("_") else Quantity(values, dim=variable.dim)

    def _each(self) -> list[_Rates]:
        return [_Rates(self, rate) for rate in self.rate]


class _Events:
    """The events of one instance, as far as Brian2's rates ask for them."""

    def __init__(self, monitor: EventMonitor, times: Any, neurons: Any) -> None:
        self.clock, self.source, self.record = monitor.clock, monitor.source, monitor.record
        self.t, self.i = times, neurons

    binned_rate = EventMonitor.binned_rate
    smooth_rate = EventMonitor.smooth_rate


class _Rates:
    """The population rate of one instance, as far as Brian2's rates ask for it."""

    def __init__(self, monitor: PopulationRateMonitor, rate: Any) -> None:
        self.clock, self.t, self.rate = monitor.clock, monitor.t, rate

    binned_rate = PopulationRateMonitor.binned_rate
    smooth_rate = PopulationRateMonitor.smooth_rate


def _stacked(rates: Sequence[Any]) -> Any:
    return Quantity(np.stack([np.asarray(one) for one in rates]), dim=rates[0].dim)


_BATCHED: dict[Any, type] = {
    StateMonitor: BatchedStateMonitor,
    EventMonitor: BatchedEventMonitor,
    SpikeMonitor: BatchedSpikeMonitor,
    PopulationRateMonitor: BatchedRateMonitor,
}
_SINGLE: dict[Any, type] = {batched: single for single, batched in _BATCHED.items()}


def is_batched(monitor: Any) -> bool:
    """Whether a monitor has an instance axis."""
    return monitor.__class__ in _SINGLE  # type() would be that of a weak proxy


def with_instances(kind: type, batched: bool) -> type:
    """The class of a monitor with or without an instance axis, from either."""
    single = _SINGLE.get(kind, kind)
    return _BATCHED.get(single, single) if batched else single
