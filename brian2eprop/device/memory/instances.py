"""The values of Brian2's variables in each of many instances.

Brian2 itself sees one value an element, in an array that here serves as the place where the
instances take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from brian2.core.variables import ArrayVariable, VariableView
from brian2.units.fundamentalunits import fail_for_dimension_mismatch

Values = npt.NDArray[Any]


class Instances:
    """Arrays of shape (instances, elements), by variable.

    Parameters
    ----------
    size : int
        Number of instances.
    raw : callable
        Gives Brian2's own array of a variable.
    """

    def __init__(self, size: int, raw: Callable[[Any], Values]) -> None:
        self.size = size
        self.raw = raw
        self.arrays: WeakKeyDictionary[Any, Values] = WeakKeyDictionary()

    def __contains__(self, variable: Any) -> bool:
        if variable not in self.arrays and is_state(variable):
            self.promote(variable)
        return variable in self.arrays

    def promote(self, variable: Any) -> Values:
        """Give a variable an instance axis, at first with equal values."""
        if variable not in self.arrays:
            self.arrays[variable] = np.repeat(self.raw(variable)[None], self.size, axis=0)
        return self.arrays[variable]

    def fill(self, variable: Any, values: Any) -> None:
        """Set every instance of a variable that has an instance axis."""
        if variable in self.arrays:
            self.arrays[variable][:] = values

    def resize(self, variable: Any) -> None:
        """Follow Brian2's array of a variable to a new size; new elements are zero."""
        old = self.arrays.get(variable)
        if old is not None:
            new = np.zeros((self.size, len(self.raw(variable))), old.dtype)
            n = min(old.shape[1], new.shape[1])
            new[:, :n] = old[:, :n]
            self.arrays[variable] = new

    def read(self, view: VariableView, item: Any) -> Values:
        """A copy of what a view gives at an index, with a leading instance axis."""
        values = self.arrays[view.variable]
        if view.variable.scalar:
            _require_all(view, item)
            return values[:, 0].copy()
        if _is_new_axis(item):
            return self.read(view, slice(None))[:, :, None]
        return np.array(values[:, _index(view, item)])

    def write(self, view: VariableView, item: Any, value: Any, check_units: bool) -> None:
        """Set a view at an index, from values with a leading instance axis."""
        variable = view.variable
        if check_units:
            fail_for_dimension_mismatch(
                variable.dim, value, f"Incorrect unit for setting variable {view.name}"
            )
        values = np.asarray(value)
        if variable.scalar:
            _require_all(view, item)
            self._require_shape(view, values, ())
            self.promote(variable)[:, 0] = values
            return
        index = _index(view, item)
        self._require_shape(view, values, self.raw(variable)[index].shape)
        self.promote(variable)[:, index] = values

    def has_axis(self, view: VariableView, value: Any) -> bool:
        """Whether a value to be set has an instance axis."""
        return np.ndim(value) > (0 if view.variable.scalar else 1)

    def _require_shape(self, view: VariableView, values: Values, rest: tuple[int, ...]) -> None:
        wanted = (self.size, *rest)
        if values.shape == wanted or values.shape == (self.size, *(1 for _ in rest)):
            return
        raise ValueError(
            f"'{view.group_name}.{view.name}' was given values of the shape {values.shape} but "
            f"batch_size is {self.size}; give the shape {wanted} for a value in each instance, "
            f"{rest or 'a number'} for the same in all of them."
        )


class InstanceLoop:
    """A code object that runs once for each instance.

    Parameters
    ----------
    code_object : CodeObject
        What to run.
    instances : Instances
        The instances.
    varying : iterable of brian2 Variable
        The variables it reads or writes that have an instance axis.
    target : brian2 Variable, optional
        The one it writes.
    """

    def __init__(
        self,
        code_object: Any,
        instances: Instances,
        varying: Iterable[Any],
        target: Any | None,
    ) -> None:
        self.code_object = code_object
        self.instances = instances
        self.varying = tuple(varying)
        self.target = target

    def __call__(self, **kwds: Any) -> Any:
        """Run; the results of the instances are stacked."""
        results = [self._run(k, kwds) for k in range(self.instances.size)]
        if results[0] is None:
            return None
        if len({np.shape(result) for result in results}) > 1:
            raise ValueError(
                f"The condition selects different numbers of elements of "
                f"'{self.code_object.owner.name}' in different instances; read the whole array "
                "and mask it with NumPy."
            )
        return np.stack(results)

    def _run(self, instance: int, kwds: dict[str, Any]) -> Any:
        for variable in self.varying:
            self.instances.raw(variable)[:] = self.instances.arrays[variable][instance]
        result = self.code_object(**kwds)
        if self.target is not None:
            self.instances.arrays[self.target][instance] = self.instances.raw(self.target)
        return None if result is None else np.array(result)


def is_state(variable: Any) -> bool:
    """Whether a variable is a neuron's state by its very nature."""
    if not isinstance(variable, ArrayVariable) or variable.owner is None:
        return False
    equations = getattr(variable.owner, "equations", None)
    if variable.name in ("lastspike", "not_refractory"):
        return equations is not None
    return equations is not None and variable.name in getattr(equations, "diff_eq_names", ())


def _index(view: VariableView, item: Any) -> Any:
    if isinstance(item, slice) and item == slice(None) and view.index_var == "_idx":
        return item
    return view.indexing(item, view.index_var)


def _is_new_axis(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and item[1] is None


def _require_all(view: VariableView, item: Any) -> None:
    if not (isinstance(item, slice) and item == slice(None)):
        raise IndexError(
            f"Illegal index for variable '{view.name}', it is a scalar variable; use [:]."
        )
