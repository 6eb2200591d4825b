"""Analogue input: values of variables for every sample, step and neuron."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    Dimension,
    get_dimensions,
    get_unit_for_display,
)

from brian2eprop.device.program import Access, Array, DType, Program, Slots
from brian2eprop.device.program.connectivity.pairs import in_their_order
from brian2eprop.learning.naming import public_name
from brian2eprop.learning.objective.trial import changed_arrays
from brian2eprop.learning.training.host import CapturedNetwork

Values = npt.NDArray[Any]


def with_inputs(program: Program, names: Iterable[str]) -> Program:
    """The Program with a value of some arrays for every instance and step.

    Parameters
    ----------
    program : Program
        A captured Program.
    names : iterable of str
        SHARED arrays that it only reads.
    """
    given = set(names)
    return replace(program, arrays=tuple(_by_step(a, given) for a in program.arrays))


def _by_step(array: Array, given: set[str]) -> Array:
    if array.name not in given:
        return array
    return replace(array, access=Access.PER_INSTANCE, slots=Slots(kept=True))


@dataclass(frozen=True)
class AnalogueInputs:
    """Checks what is given as analogue input of a network.

    Parameters
    ----------
    captured : CapturedNetwork
        The network.
    trained : sequence of str
        Arrays that are trained, which no sample can set.
    dtype : dtype
        Precision of the engine.
    """

    captured: CapturedNetwork
    trained: Sequence[str]
    dtype: np.dtype[Any]

    def checked(self, given: Mapping[str, Any]) -> dict[str, Values]:
        """The values by array, ordered as in the Program.

        Parameters
        ----------
        given : mapping of str to array, shape (samples, steps, elements)
            Values by the variable's name, such as ``hidden_drive`` for ``hidden.drive``.

        Raises
        ------
        ValueError, TypeError
            If there is no such variable, a run changes or trains it, or the values have another
            shape or unit or are not finite.
        """
        arrays = {name: self._array(name) for name in given}
        return {
            array.name: self._checked(name, array, given[name]) for name, array in arrays.items()
        }

    def _checked(self, name: str, array: Array, given: Any) -> Values:
        self._check_unit(name, self.captured.variables[array.name].dim, given)
        wanted = f"an array of shape (samples, steps, {array.size})"
        try:
            values = np.asarray(given)
        except ValueError:  # rows of unequal length
            values = np.asarray(None)
        if values.dtype.kind not in "biuf":
            raise TypeError(f"The input '{name}' holds no real numbers; give {wanted}.")
        if values.ndim != 3 or values.shape[2] != array.size:
            raise ValueError(f"The input '{name}' has the shape {values.shape}; give {wanted}.")
        with np.errstate(over="ignore"):
            converted = values.astype(self.dtype)
        bad = ~np.isfinite(converted).all(axis=(1, 2))
        if bad.any():
            raise ValueError(
                f"The input '{name}' of sample {int(np.argmax(bad))} is not finite everywhere in "
                f"{self.dtype.name}; remove the sample or mend its input."
            )
        return in_their_order(converted, self.captured.orders.get(array.name))

    def _array(self, name: str) -> Array:
        program = self.captured.program
        named = [a for a in program.arrays if public_name(a.name) == name]
        named = [a for a in named if a.name in self.captured.variables]
        if len(named) > 1:
            raise ValueError(
                f"There is input for '{name}', which both '{named[0].name}' and '{named[1].name}' "
                "are called; rename one of their groups."
            )
        if not named:
            raise ValueError(
                f"There is input for '{name}', but the network has no SpikeSource, and its "
                "equations read no variable, of that name; name a SpikeSource, or a variable by "
                "group and name, such as 'hidden_drive' for hidden.drive."
            )
        (array,), fault = named, None
        if array.name in self.trained:
            fault = "is trained"
        elif array.name in changed_arrays(program.phases()):
            fault = "is changed by the run"
        elif array.dtype is not DType.REAL:
            fault = "is no real number"
        elif array.access is not Access.SHARED:
            fault = "differs between the instances of the batch"
        if fault is not None:
            raise ValueError(
                f"There is input for '{name}', but it {fault}; give input for a parameter of the "
                "equations, such as 'drive : 1', that they only read."
            )
        return array

    def _check_unit(self, name: str, wanted: Dimension, given: Any) -> None:
        try:
            found = get_dimensions(given)
        except (TypeError, ValueError):  # no numbers, which is refused elsewhere
            return
        if found is not wanted:
            shown = ("no unit" if d is DIMENSIONLESS else f"the unit {get_unit_for_display(d)}"
                     for d in (found, wanted))  # fmt: skip
            raise ValueError("The input '{}' has {}; give values with {}.".format(name, *shown))
