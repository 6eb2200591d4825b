"""The trained variables as users see them: by public name, in the order of the Brian2 variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.units.fundamentalunits import DIMENSIONLESS

from brian2eprop.device.program import Array
from brian2eprop.device.program.connectivity.pairs import in_brian_order, in_their_order
from brian2eprop.learning.naming import public_name
from brian2eprop.learning.training.host import CapturedNetwork
from brian2eprop.number_checks import real_array, unit_fault

Values = npt.NDArray[Any]


class Parameters:
    """Translates between users and the engine.

    Parameters
    ----------
    captured : CapturedNetwork
        The network.
    arrays : sequence of Array
        What is trained.
    dtype : dtype
        Type of real numbers in the engine.
    """

    def __init__(
        self, captured: CapturedNetwork, arrays: Sequence[Array], dtype: np.dtype[Any]
    ) -> None:
        self.captured: Any = captured
        self.arrays = {public_name(array.name): array for array in arrays}
        self.dtype = dtype

    def shown(self, values: Mapping[str, Values]) -> dict[str, Values]:
        """Values by public name in Brian2's order, from values by array in the Program's."""
        return {
            name: self.in_brian_order(array.name, values[array.name]).reshape(self._shape(array))
            for name, array in self.arrays.items()
            if array.name in values
        }

    def taken(self, values: Mapping[str, Any]) -> dict[str, Values]:
        """Values by array in the Program's order, from what a user gives.

        Raises
        ------
        TypeError
            If it is no mapping.
        ValueError
            If there is no such parameter, or its values have another shape or unit, are no
            real numbers, or are not finite in the precision of the engine.
        """
        if not isinstance(values, Mapping):
            raise TypeError(
                f"Trainer: the parameters' values are of type {type(values).__name__}; give a "
                "dictionary of arrays by name, as parameter_values() does."
            )
        return {
            self._array(name).name: self.in_program_order(
                self._array(name).name, self._checked(name, given).ravel()
            )
            for name, given in values.items()
        }

    def in_brian_order(self, parameter: str, values: Values) -> Values:
        """Values beside a parameter, as its Brian2 variable is ordered."""
        return in_brian_order(values, self.captured.orders.get(parameter))

    def in_program_order(self, parameter: str, values: Values) -> Values:
        """Values beside a parameter, as its array is ordered."""
        return in_their_order(values, self.captured.orders.get(parameter))

    def _shape(self, array: Array) -> tuple[int, ...]:
        """The shape that users see: a kernel's own."""
        variable = self.captured.variables.get(array.name)
        return getattr(variable, "shape", (array.size,))

    def _array(self, name: str) -> Array:
        if name not in self.arrays:
            raise ValueError(
                f"Trainer: '{name}' is no parameter; choose of {', '.join(self.arrays)}."
            )
        return self.arrays[name]

    def _checked(self, name: str, given: Any) -> Values:
        array = self._array(name)
        self._check_unit(name, array, given)
        values = real_array(given)
        if values is None:
            raise ValueError(
                f"Trainer: the values of '{name}' are no real numbers; give an array of "
                f"{array.size} real numbers."
            )
        if values.shape != self._shape(array):
            raise ValueError(
                f"Trainer: the values of '{name}' have the shape {values.shape}; give an array "
                f"of shape {self._shape(array)}."
            )
        with np.errstate(over="ignore"):
            converted = values.astype(self.dtype)
        if not np.isfinite(converted).all():
            raise ValueError(
                f"Trainer: the values of '{name}' are not all finite in {self.dtype.name}; give "
                "finite numbers."
            )
        return converted

    def _check_unit(self, name: str, array: Array, given: Any) -> None:
        variable = self.captured.variables.get(array.name)
        wanted = DIMENSIONLESS if variable is None else variable.dim
        fault = unit_fault(given, wanted)
        if fault is not None:
            raise ValueError(f"Trainer: the values of '{name}' have {fault}.")
