"""The values of Brian2's variables: read and set where they are, with or without instances."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from brian2.core.variables import VariableView
from brian2.devices.device import RuntimeDevice

from brian2eprop.device.memory.instances import Instances
from brian2eprop.device.memory.lent import Lent
from brian2eprop.device.memory.state import State


class ValuesDevice(RuntimeDevice):  # type: ignore[misc]
    """Brian2's runtime device, whose arrays may be out of date or one of many instances.

    A network's :class:`State` brings a variable up to date when it is read; :class:`Instances`
    holds what differs between instances.
    """

    instances: Instances | None
    _state_of: WeakKeyDictionary[Any, ReferenceType[State]]
    _looking: bool
    lent: Lent

    def start_values(self, batch_size: int | None) -> None:
        """Forget all instances and networks.

        Parameters
        ----------
        batch_size : int, optional
            Number of instances; None is one, without an instance axis.
        """
        self.instances = None if batch_size is None else Instances(batch_size, self._raw)
        self._state_of = WeakKeyDictionary()
        self._looking = False

    # Brian2's arrays

    def _raw(self, variable: Any) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = super().get_value(variable)
        return values

    def get_value(self, var: Any, access_data: bool = True) -> Any:
        """Brian2's array of a variable, up to date; whoever gets it may change it."""
        self._pull(var)
        if not self._looking:
            self._touch(var)
        if self.instances is not None and access_data and var in self.instances.arrays:
            self._raw(var)[:] = self.instances.arrays[var][0]
        return super().get_value(var, access_data)

    def fill_with_array(self, var: Any, arr: Any) -> None:
        """Set a variable, in every instance."""
        self._pull(var)
        self._touch(var)
        super().fill_with_array(var, arr)
        if self.instances is not None:
            self.instances.fill(var, self._raw(var))

    def resize(self, var: Any, new_size: Any) -> None:
        """Resize a variable, in every instance."""
        self._pull(var)
        super().resize(var, new_size)
        if self.instances is not None:
            self.instances.resize(var)

    def _state_holding(self, variable: Any) -> State | None:
        found = self._state_of.get(variable)
        return None if found is None else found()

    def _pull(self, variable: Any) -> None:
        self.lent.pull(variable)
        state = self._state_holding(variable)
        if state is not None:
            state.pull(variable)

    def _touch(self, variable: Any) -> None:
        self.lent.touch(variable)
        state = self._state_holding(variable)
        if state is not None:
            state.touch(variable)

    @contextmanager
    def _only_looking(self) -> Any:
        before, self._looking = self._looking, True
        try:
            yield
        finally:
            self._looking = before

    def host_values(self, variable: Any) -> npt.NDArray[Any]:
        """See :class:`brian2eprop.device.memory.state.Host`."""
        if self.instances is not None and variable in self.instances.arrays:
            return self.instances.arrays[variable]
        return self._raw(variable)

    def set_host_values(self, variable: Any, values: npt.NDArray[Any]) -> None:
        """See :class:`brian2eprop.device.memory.state.Host`."""
        if self.instances is None:
            self._raw(variable)[:] = values[0]
        else:
            self.instances.promote(variable)[:] = values

    def add_counts(self, variable: Any, instance: Any, neuron: Any) -> None:
        """Add spikes to a monitor's ``count``."""
        if self.instances is None:
            np.add.at(self._raw(variable), neuron, 1)
        else:
            np.add.at(self.instances.promote(variable), (instance, neuron), 1)

    # Reading and setting variables

    def _varies(self, variable: Any) -> bool:
        return self.instances is not None and variable in self.instances

    def variableview_get_with_index_array(self, view: VariableView, item: Any) -> Any:
        """Read a variable."""
        if self._varies(view.variable):
            self._pull(view.variable)
            assert self.instances is not None
            return self.instances.read(view, item)
        with self._only_looking():
            values = VariableView.get_with_index_array.original_function(view, item)
        # A live view would go stale with the next run, which changes the device's own array.
        return values.copy() if view.variable in self._state_of else values

    def variableview_set_with_index_array(
        self, view: VariableView, item: Any, value: Any, check_units: bool
    ) -> None:
        """Set a variable."""
        original = VariableView.set_with_index_array.original_function
        if self.instances is None:
            original(view, item, value, check_units)
            return
        self._pull(view.variable)
        self._touch(view.variable)
        if self.instances.has_axis(view, value):
            self.instances.write(view, item, value, check_units)
            return
        original(view, item, value, check_units)
        if self._varies(view.variable):
            spread = np.broadcast_to(np.asarray(value), np.shape(self._selected(view, item)))
            self.instances.write(
                view, item, np.broadcast_to(spread, (self.instances.size, *spread.shape)), False
            )

    @staticmethod
    def _selected(view: VariableView, item: Any) -> Any:
        values = VariableView.get_with_index_array.original_function(view, item)
        return values

    def variableview_get_subexpression_with_index_array(
        self, view: VariableView, item: Any, run_namespace: Any
    ) -> Any:
        """Evaluate a subexpression."""
        original = VariableView.get_subexpression_with_index_array.original_function
        if self.instances is None or view.variable.scalar:
            return original(view, item, run_namespace)
        single = np.ndim(view.indexing(item, view.index_var)) == 0
        result = original(view, np.atleast_1d(item) if single else item, run_namespace)
        return result[..., 0] if single else result
