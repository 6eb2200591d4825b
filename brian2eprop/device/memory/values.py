"""The values of Brian2's variables: read and set where they are, with or without instances."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt
from brian2.core.variables import Subexpression, VariableView
from brian2.devices.device import RuntimeDevice, get_device
from brian2.units.fundamentalunits import fail_for_dimension_mismatch

from brian2eprop.device import brian
from brian2eprop.device.capture.captured import Captured
from brian2eprop.device.capture.unchanged import Stamps
from brian2eprop.device.lent import Lent
from brian2eprop.device.memory.formed import Formed, Growth
from brian2eprop.device.memory.instances import Instances, name_of
from brian2eprop.device.memory.postponed import Fill, Postponed
from brian2eprop.device.memory.state import State
from brian2eprop.errors import Unsupported

brian.let_devices_show_views()


class _Here(threading.local):
    """What a thread is about."""

    looking = False  # it will not change the arrays that it gets
    read: set[Any] | None = None  # while capturing, the variables whose values were read


class ValuesDevice(RuntimeDevice):  # type: ignore[misc]
    """Brian2's runtime device, whose arrays may be out of date or one of many instances.

    A network's :class:`State` brings a variable up to date when it is read; :class:`Instances`
    holds what differs between instances; :class:`Stamps` tells which values have changed, and
    :class:`Lent` who else has the newest ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.instances = Instances(self._raw)
        self.stamps = Stamps(self._up_to_date)
        self.lent = Lent()
        self.formed = Formed()
        self.postponed = Postponed(self._put)
        self._state_of: WeakKeyDictionary[Any, ReferenceType[State]] = WeakKeyDictionary()
        self._here = _Here()

    # Brian2's arrays

    def _raw(self, variable: Any) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = super().get_value(variable)
        return values

    def _put(self, variable: Any, values: npt.NDArray[Any]) -> None:
        """Set Brian2's array of a variable, of whatever size, to what its values are anyway."""
        super().resize(variable, len(values))
        variable.size = len(values)
        self._raw(variable)[:] = values

    def _up_to_date(self, variable: Any) -> npt.NDArray[Any]:
        self._pull(variable)
        return self._raw(variable)

    def get_value(self, var: Any, access_data: bool = True) -> Any:
        """Brian2's array of a variable, up to date; whoever gets it may change it."""
        self._pull(var)
        if self._here.read is not None:
            self._here.read.add(var)
            self._require_shared(var)
        if not self._here.looking:
            self._touch(var)
        if access_data and var in self.instances.arrays:
            self._require_current(var)
            self._raw(var)[:] = self.instances.arrays[var][0]
        return super().get_value(var, access_data)

    def _require_current(self, variable: Any) -> None:
        """Refuse to give one instance's values, as if they were all, to another device."""
        values = self.instances.arrays[variable]
        if get_device() is not self and not (values == values[:1]).all():
            raise Unsupported(
                f"'{name_of(variable)}' has other values in each of {len(values)} instances, which "
                "Brian2's other devices do not have; call set_device('eprop_cuda', batch_size="
                f"{len(values)}) to read them or to go on, or make '{variable.owner.name}' anew."
            )

    def _require_shared(self, variable: Any) -> None:
        """Refuse to make a network from values that differ from instance to instance."""
        values = self.instances.arrays.get(variable)
        if values is not None and not (values == values[:1]).all():
            raise Unsupported(
                f"'{name_of(variable)}' differs between instances, but eprop_cuda runs one network "
                "in all of them, with the same connections, delays and recorded neurons; give "
                "values without an instance axis."
            )

    def fill_with_array(self, var: Any, arr: Any) -> None:
        """Set a variable, in every instance."""
        self._pull(var)
        self._touch(var)
        super().fill_with_array(var, arr)
        self.instances.fill(var, self._raw(var))

    def resize(self, var: Any, new_size: Any) -> None:
        """Resize a variable, in every instance."""
        self._pull(var)
        self._touch(var)
        super().resize(var, new_size)
        self.instances.resize(var)

    def resize_along_first(self, var: Any, new_size: Any) -> None:
        """Resize a variable along its first axis; those have no instance axis."""
        self._touch(var)
        super().resize_along_first(var, new_size)

    def _state_holding(self, variable: Any) -> State | None:
        found = self._state_of.get(variable)
        return None if found is None else found()

    def _pull(self, variable: Any) -> None:
        self.postponed.settle(variable)
        self.lent.pull(variable)
        state = self._state_holding(variable)
        if state is not None:
            state.pull(variable)

    def _touch(self, variable: Any) -> None:
        """Note that Brian2's array of a variable may be changed."""
        self.postponed.changed(variable)
        self.stamps.advance(variable)
        self.lent.touch(variable)
        state = self._state_holding(variable)
        if state is not None:
            state.touch(variable)

    @contextmanager
    def only_looking(self) -> Iterator[None]:
        """Within, nobody changes the arrays that this thread gets."""
        before, self._here.looking = self._here.looking, True
        try:
            yield
        finally:
            self._here.looking = before

    @contextmanager
    def capturing(self, read: set[Any]) -> Iterator[None]:
        """Within, this thread is given code objects that do nothing.

        Parameters
        ----------
        read : set
            Gets the variables whose values are read.
        """
        self._here.read = read
        try:
            with self.only_looking():
                yield
        finally:
            self._here.read = None

    @property
    def is_capturing(self) -> bool:
        """Whether this thread is capturing a network."""
        return self._here.read is not None

    def host_values(self, variable: Any) -> npt.NDArray[Any]:
        """See :class:`brian2eprop.device.memory.state.Host`."""
        self.postponed.settle(variable)
        self.instances.settle(variable)
        if variable in self.instances.arrays:
            return self.instances.arrays[variable]
        return self._raw(variable)

    def set_host_values(self, variable: Any, values: npt.NDArray[Any]) -> None:
        """See :class:`brian2eprop.device.memory.state.Host`."""
        self.stamps.advance(variable)
        if self.instances.size is None:
            if self._raw(variable).shape != values[0].shape:  # it was never asked for
                super().resize(variable, len(values[0]))
            self._raw(variable)[:] = values[0]
        else:
            self.instances.promote(variable)[:] = values

    def fill_of(self, variable: Any) -> Fill | None:
        """See :class:`brian2eprop.device.memory.state.Host`."""
        return self.postponed.fill_of(variable)

    def note_changing(self, variable: Any) -> None:
        """See :class:`brian2eprop.device.memory.state.Host`."""
        self.postponed.forget(variable)

    def set_synapses(
        self,
        synapses: Any,
        ends: tuple[npt.NDArray[Any], npt.NDArray[Any]],
        values: Mapping[Any, npt.NDArray[Any]],
        born: npt.NDArray[np.float64],
    ) -> Mapping[Any, bytes]:
        """See :class:`brian2eprop.device.memory.rewirings.SynapticHost`."""
        if len(synapses) != len(born):
            brian.set_number(synapses, len(born))
        for variable, known in (*zip(brian.ends(synapses), ends, strict=True), *values.items()):
            if known.ndim == 1:
                self.fill_with_array(variable, known)
            else:
                self.set_host_values(variable, known)
        for neurons, counted in zip(ends, ("N_outgoing", "N_incoming"), strict=True):
            variable = synapses.variables[counted]
            self.fill_with_array(variable, np.bincount(neurons, minlength=variable.size))
        self.formed.restore(synapses, Growth.of(born))
        kept = (synapses.variables[name] for name in ("N", "N_outgoing", "N_incoming"))
        delays = filter(brian.is_delay, values)
        return {v: self.stamps.of(v) for v in (*brian.ends(synapses), *kept, *delays)}

    def hold(self, captured: Captured, state: State) -> None:
        """Note where the newest values of a network's variables are."""
        for variable in (*captured.variables.values(), *state.rewirings.variables):
            self._state_of[variable] = ref(state)

    def is_per_instance(self, variable: Any) -> bool:
        """Whether a variable has an instance axis."""
        return variable in self.arrays and variable in self.instances

    def give_instances(self, variable: Any) -> None:
        """Give a variable an instance axis, at first with equal values."""
        self._pull(variable)
        self._touch(variable)
        self.instances.promote(variable)

    def take_instances(self, variable: Any) -> None:
        """Take the instance axis of a variable away, whose values must be equal."""
        self._pull(variable)
        self._touch(variable)
        self.instances.unite(variable)

    def add_counts(self, variable: Any, instance: Any, neuron: Any) -> None:
        """Add events to a monitor's ``count``."""
        batched = self.instances.size is not None
        counts = self.instances.promote(variable) if batched else self._raw(variable)
        size = counts.shape[-1]
        found = np.bincount(instance * size + neuron, minlength=counts.size)
        counts += found.reshape(counts.shape).astype(counts.dtype)

    # Reading and setting variables

    def variableview_get_with_index_array(self, view: VariableView, item: Any) -> Any:
        """Read a variable: a copy, so that what was read does not change in the next run."""
        if view.variable not in self.arrays:  # it belongs to another device
            return brian.original(VariableView.get_with_index_array)(view, item)
        self._pull(view.variable)
        if view.variable in self.instances:
            values = self.instances.read(view, item)
        else:
            with self.only_looking():
                values = brian.original(VariableView.get_with_index_array)(view, item)
            if not np.may_share_memory(values, self._raw(view.variable)):
                return values
            values = values.copy()
        # On Brian2's own device a change of this array changes the group; here it cannot.
        if _is_whole(item) and isinstance(values, np.ndarray):
            values.flags.writeable = False
        return values

    def variableview_set_with_index_array(
        self, view: VariableView, item: Any, value: Any, check_units: bool
    ) -> None:
        """Set a variable, from one value an element or from values with an instance axis."""
        original = brian.original(VariableView.set_with_index_array)
        ours = view.variable in self.arrays
        if not ours or (self.instances.size is None and view.variable not in self.instances):
            original(view, item, value, check_units)
            return
        self._pull(view.variable)
        if check_units:
            fail_for_dimension_mismatch(
                view.variable.dim, value, f"Incorrect unit for setting variable {view.name}"
            )
        with self.only_looking():
            values = np.asarray(value)
        self._touch(view.variable)
        if self.instances.size is None:
            self._without_instances(view, item)
        elif self.instances.write(view, item, values):
            return
        original(view, item, values, False)

    def _without_instances(self, view: VariableView, item: Any) -> None:
        if _is_whole(item):
            self.instances.forget(view.variable)
        else:
            self.instances.settle(view.variable)

    def variableview_shape(self, view: VariableView) -> Any:
        """The shape of ``view[:]``, with a leading instance axis where it has one."""
        original = brian.original(VariableView.shape.fget)
        return self.instances.shape(view) if self._varies(view) else original(view)

    def variableview_ndim(self, view: VariableView) -> int:
        """The number of axes of ``view[:]``."""
        original = brian.original(VariableView.ndim.fget)
        return len(self.instances.shape(view)) if self._varies(view) else original(view)

    def variableview_repr(self, view: VariableView) -> str:
        """What is printed of a view; of a shared variable that varies, all of its values."""
        if not view.variable.scalar or not self._varies(view):
            return str(brian.original(VariableView.__repr__)(view))
        name = view.name + ("_" if view.dim is None else "")
        return f"<{view.group_name}.{name}: {view.get_item(slice(None), level=2)!r}>"

    def _varies(self, view: VariableView) -> bool:
        ours = isinstance(view.variable, Subexpression) or view.variable in self.arrays
        return ours and self.instances.varies(view)

    def variableview_get_subexpression_with_index_array(
        self, view: VariableView, item: Any, run_namespace: Any
    ) -> Any:
        """Evaluate a subexpression."""
        original = brian.original(VariableView.get_subexpression_with_index_array)
        owner = view.variable.owner
        ours = any(variable in self.arrays for variable in owner.variables.values())
        if not ours or self.instances.size is None or view.variable.scalar:
            return original(view, item, run_namespace)
        single = np.ndim(view.indexing(item, view.index_var)) == 0
        result = original(view, np.atleast_1d(item) if single else item, run_namespace)
        return result[..., 0] if single else result


def _is_whole(item: Any) -> bool:
    first = item[0] if isinstance(item, tuple) and len(item) == 2 and item[1] is None else item
    return isinstance(first, slice) and first == slice(None)
