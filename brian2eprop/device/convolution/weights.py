"""A variable that synapses share: as many values as a kernel has elements, and of its shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2.core.variables import ArrayVariable, VariableView

from brian2eprop.device import brian


class KernelVariable(ArrayVariable):  # type: ignore[misc]
    """The elements of a kernel, which Brian2 reaches through an index of each synapse.

    Parameters
    ----------
    shape : tuple of int
        Shape of the kernel.
    **others
        As for Brian2's ArrayVariable.
    """

    def __init__(self, shape: tuple[int, ...], **others: Any) -> None:
        super().__init__(size=int(np.prod(shape)), **others)
        self.shape = shape

    def get_addressable_value(self, name: str, group: Any) -> KernelView:
        """What ``synapses.w_`` is."""
        return KernelView(name, self, group, None)

    def get_addressable_value_with_unit(self, name: str, group: Any) -> KernelView:
        """What ``synapses.w`` is."""
        return KernelView(name, self, group, self.dim)


class KernelView(VariableView):  # type: ignore[misc]
    """A kernel as an array of its own shape; with instances there is an axis of them before."""

    variable: KernelVariable

    def __init__(self, name: str, variable: KernelVariable, group: Any, dimensions: Any) -> None:
        super().__init__(name=name, variable=variable, group=group, dimensions=dimensions)
        # What is read and set are elements, whichever synapse has them.
        self.index_var_name = self.index_var = brian.ELEMENT

    def get_item(self, item: Any, level: int = 0, namespace: Any = None) -> Any:
        """Weights at an index of the kernel's axes."""
        self._refuse_text(item)
        values = super().get_item(slice(None), level + 1, namespace)
        values = values.reshape(*values.shape[:-1], *self.variable.shape)
        # A part is one's own to change, as whatever Brian2 gives at indices.
        return values if _is_all(item) else values[self._index(values, item)].copy()

    def set_item(self, item: Any, value: Any, level: int = 0, namespace: Any = None) -> None:
        """Set weights at an index of the kernel's axes."""
        self._refuse_text(item)
        self._refuse_text(value)
        if not _is_all(item):
            values = self.get_item(slice(None)).copy()
            values[self._index(values, item)] = value
            value = values
        super().set_item(slice(None), self._flat(value), level + 1, namespace)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the kernel, with that of instances before."""
        return tuple(np.shape(self.get_item(slice(None))))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def _index(self, values: Any, item: Any) -> Any:
        whole = (slice(None),) * (values.ndim - len(self.variable.shape))
        return (*whole, *(item if isinstance(item, tuple) else (item,)))

    def _flat(self, value: Any) -> Any:
        """The elements in order, perhaps in each instance; one number is left as it is."""
        given, shape = np.asanyarray(value), self.variable.shape
        if given.ndim == 0:
            return value
        wanted = shape if given.ndim <= len(shape) else (len(given), *shape)
        try:
            values = np.broadcast_to(given, wanted, subok=True)
        except ValueError:
            raise ValueError(
                f"'{self.group_name}.{self.name}' is a kernel of the shape {shape} and was given "
                f"values of the shape {given.shape}; give them in its shape."
            ) from None
        return values.reshape(*wanted[: -len(shape)], -1)

    def _refuse_text(self, given: Any) -> None:
        if isinstance(given, str):
            raise TypeError(
                f"'{self.group_name}.{self.name}' is a kernel that synapses share, for which "
                f"Brian2 evaluates no text such as {given!r}; give numbers, in the shape "
                f"{self.variable.shape}."
            )


def _is_all(item: Any) -> bool:
    return isinstance(item, slice) and item == slice(None)
