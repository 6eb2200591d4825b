"""Functions of time that are given by values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from brian2eprop.device.program.arrays import Access, Array, DType


@dataclass(frozen=True)
class Timed:
    """A function of time, and of a column where there is more than one: ``f(t)``, ``f(t, i)``.

    It has the value of the row that ``t`` lies in, of the first or last one where there is none,
    and is not a number for columns that are not there. Times are told apart in double precision,
    by fractions of a row, such that those of a clock are never rounded to the wrong one.

    Parameters
    ----------
    array : str
        The SHARED array of its values, row by row.
    columns : int, optional
        Number of columns; None where it is a function of time alone.
    dt : float
        How long a row is, in seconds.
    fractions : int
        Number of fractions of a row.
    """

    array: str
    columns: int | None
    dt: float
    fractions: int

    @property
    def n_arguments(self) -> int:
        """Number of arguments."""
        return 1 if self.columns is None else 2

    @property
    def width(self) -> int:
        """Number of values in a row."""
        return 1 if self.columns is None else self.columns

    def faults(self, name: str, arrays: Mapping[str, Array]) -> Iterable[str]:
        """What is not legal in it, each half a sentence.

        Parameters
        ----------
        name : str
            What it is called by.
        arrays : mapping of str to Array
            The arrays that there are.
        """
        array = arrays.get(self.array)
        if array is None:
            yield f"'{name}' has the values of array '{self.array}', which is not there; declare it"
            return
        if array.access is not Access.SHARED or array.dtype not in (DType.REAL, DType.DOUBLE):
            yield f"'{name}' has array '{array.name}', which is not REAL and shared; make it both"
        if self.width < 1 or array.size < 1 or array.size % self.width:
            yield f"'{name}' has {array.size} values in rows of {self.width}; give whole rows"
        if not (math.isfinite(self.dt) and self.dt > 0 and self.fractions > 0):
            yield f"'{name}' has rows of {self.dt} s in {self.fractions} parts; give positive ones"
