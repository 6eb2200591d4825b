"""The values of Brian2's variables in each of many instances.

Brian2 itself sees one value an element, in an array that here serves as the place where the
instances take turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from brian2.core.variables import ArrayVariable, Subexpression, VariableView

from brian2eprop.device import brian
from brian2eprop.device.brian import owner_of
from brian2eprop.device.memory.limits import require_memory
from brian2eprop.errors import Unsupported

Values = npt.NDArray[Any]


class Instances:
    """Arrays of shape (instances, elements), by variable.

    An array may have the number of instances of an earlier ``set_device``: it is read as it
    is, and a run or a new value gives it the present number.

    Parameters
    ----------
    raw : callable
        Gives Brian2's own array of a variable.
    """

    def __init__(self, raw: Callable[[Any], Values]) -> None:
        self.raw = raw
        self.size: int | None = None
        self.arrays: WeakKeyDictionary[Any, Values] = WeakKeyDictionary()

    @property
    def number(self) -> int:
        """Number of instances; one where there is no instance axis."""
        return 1 if self.size is None else self.size

    def __contains__(self, variable: Any) -> bool:
        if self.size is not None and variable not in self.arrays and is_state(variable):
            self.promote(variable)
        return variable in self.arrays

    def promote(self, variable: Any) -> Values:
        """Give a variable an instance axis, at first with equal values."""
        known = self.arrays.get(variable)
        if known is None or len(known) != self.size:
            shared = self._shared(variable)
            require_memory(
                shared.nbytes * self.number,
                f"'{name_of(variable)}' in {self.number} instances",
                "give a smaller batch_size",
            )
            self.arrays[variable] = np.repeat(shared[None], self.number, axis=0)
        return self.arrays[variable]

    def settle(self, variable: Any) -> None:
        """Give a variable the present number of instances, if it has another."""
        known = self.arrays.get(variable)
        if known is None or len(known) == self.size:
            return
        if self.size is None:
            self.unite(variable)
        else:
            self.promote(variable)

    def unite(self, variable: Any) -> None:
        """Take a variable's instance axis away, where the values are equal."""
        self.raw(variable)[:] = self._shared(variable)
        self.forget(variable)

    def forget(self, variable: Any) -> None:
        """Take a variable's instance axis away."""
        self.arrays.pop(variable, None)

    def fill(self, variable: Any, values: Any) -> None:
        """Set every instance of a variable that has an instance axis."""
        if variable in self.arrays:
            self.arrays[variable][:] = values

    def resize(self, variable: Any) -> None:
        """Follow Brian2's array of a variable to a new size; new elements are zero."""
        old = self.arrays.get(variable)
        if old is not None:
            new = np.zeros((len(old), len(self.raw(variable))), old.dtype)
            n = min(old.shape[1], new.shape[1])
            new[:, :n] = old[:, :n]
            self.arrays[variable] = new

    def varies(self, view: VariableView) -> bool:
        """Whether what a view gives has a leading instance axis."""
        if not isinstance(view.variable, Subexpression):
            return view.variable in self
        read = brian.read_by(view.variable)
        return self.size is not None and any(variable in self for variable in read)

    def shape(self, view: VariableView) -> tuple[int, ...]:
        """The shape of all that a view gives, with a leading instance axis."""
        if isinstance(view.variable, Subexpression):
            return (self.number,) if view.variable.scalar else (self.number, len(view.group))
        rest = np.shape(self.raw(view.variable)[_index(view, slice(None))])
        return len(self.arrays[view.variable]), *rest

    def read(self, view: VariableView, item: Any) -> Values:
        """A copy of what a view gives at an index, with a leading instance axis."""
        values = self.arrays[view.variable]
        if view.variable.scalar:
            return values[:, _index(view, item)].copy()
        if _is_new_axis(item):
            return self.read(view, slice(None))[:, :, None]
        return np.array(values[:, _index(view, item)])

    def write(self, view: VariableView, item: Any, value: Any) -> bool:
        """Set a view at an index, where its variable has an instance axis or is to get one.

        Parameters
        ----------
        view : VariableView
            The view.
        item : index
            As given to the view.
        value : array
            Values of the selected elements, or with a leading instance axis.

        Returns
        -------
        bool
            False where nothing was done: the values are Brian2's to set.
        """
        values = np.asarray(value)
        index = _index(view, item)
        rest = np.shape(self.raw(view.variable)[index])
        self._require_shape(view, values, rest)
        if values.ndim <= len(rest) and view.variable not in self:
            return False
        if values.ndim > len(rest):
            refuse_network(view.variable)
        if not rest and values.ndim > 1:
            values = values[:, 0]
        if _is_all(item):
            self._discard_other_sizes(view.variable)
        self.promote(view.variable)[:, index] = values
        return True

    def _discard_other_sizes(self, variable: Any) -> None:
        if variable in self.arrays and len(self.arrays[variable]) != self.size:
            self.forget(variable)

    def _shared(self, variable: Any) -> Values:
        known = self.arrays.get(variable)
        if known is None:
            return self.raw(variable)
        if not (known == known[0]).all():
            same = len(known) == self.size
            what = "be common to all" if same else f"go on with batch_size={self.size}"
            back = "" if same else f", or go back to batch_size={len(known)}"
            raise Unsupported(
                f"'{name_of(variable)}' has other values in each of {len(known)} instances, which "
                f"cannot {what}; set all of it anew{back}."
            )
        return np.asarray(known[0])

    def _require_shape(self, view: VariableView, values: Values, rest: tuple[int, ...]) -> None:
        shared = values.shape in ((), rest) or (bool(rest) and values.shape == (1,))
        wanted = (self.number, *rest)
        alike = (self.number, *(1 for _ in rest or "1"))
        if shared or values.shape in (wanted, alike):
            return
        within = f"{alike} for one that all of its elements share, " if rest else ""
        raise ValueError(
            f"'{view.group_name}.{view.name}' was given values of the shape {values.shape} but "
            f"batch_size is {self.size}; give the shape {wanted} for values in each instance, "
            f"{within}{rest or 'a number'} for the same in all instances."
        )


def is_state(variable: Any) -> bool:
    """Whether a variable is a neuron's state by its very nature."""
    owner = owner_of(variable)
    if not isinstance(variable, ArrayVariable) or owner is None:
        return False
    equations = getattr(owner, "equations", None)
    if variable.name in ("lastspike", "not_refractory"):
        return equations is not None
    return equations is not None and variable.name in getattr(equations, "diff_eq_names", ())


def name_of(variable: Any) -> str:
    """How a message calls a variable."""
    owner = owner_of(variable)
    return variable.name if owner is None else f"{owner.name}.{brian.plain_name(variable)}"


def refuse_network(variable: Any, name: str = "") -> None:
    """Refuse to give each instance values of its own where they make the network.

    Parameters
    ----------
    variable : Variable
        The variable.
    name : str
        What the user has called it, if that is another name than its own.

    Raises
    ------
    Unsupported
        If it is a delay, or what Brian2 sets alone, such as the ends of synapses.
    """
    if variable.read_only or brian.is_delay(variable):
        remedy = (
            "run once for each set of delays, in a loop"
            if brian.is_delay(variable)
            else "make a network with other ones for other instances"
        )
        raise Unsupported(
            f"'{name or name_of(variable)}' is a part of the network, which is the same in all "
            f"instances; give values without an instance axis, or {remedy}."
        )


def _index(view: VariableView, item: Any) -> Any:
    if view.variable.scalar:
        if not _is_all(item):
            raise IndexError(
                f"Illegal index for variable '{view.name}', it is a scalar variable; use [:]."
            )
        return 0
    if _is_all(item) and view.index_var == brian.ELEMENT:
        return slice(None)
    if isinstance(item, tuple) and not brian.is_synapses(owner_of(view.variable)):
        raise IndexError(
            f"'{view.group_name}.{view.name}' is indexed by neuron, as on Brian2's own device, "
            f"and {item!r} is none; read instance b with {view.name}[:][b], and set values of the "
            "shape (instances, neurons)."
        )
    return view.indexing(item, view.index_var)


def _is_all(item: Any) -> bool:
    return isinstance(item, slice) and item == slice(None)


def _is_new_axis(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and item[1] is None
