"""Connectivity as a rule: the targets of each row of synapses follow from numbers that are drawn.

What is drawn is a row's own: rows may be made in any order, by as many threads as there are, or
once more. Every operation is one that IEEE 754 rounds in one way, so that all machines find the
same targets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

# From a number and how many: those of a row's uniform numbers, above 0 and up to 1.
Uniform = Callable[[int, int], Reals]

_AT_ONCE = 256
_SQRT_2 = 2.0**0.5
_FARTHEST = 1e18  # no row is as long
_LN_2 = float(np.log(2.0))
# Of the series of the inverse hyperbolic tangent, from the last one on.
_TERMS = tuple(1.0 / k for k in range(19, 0, -2))


def exponentials(uniform: Reals) -> Reals:
    """Minus the logarithm of some numbers from 2**-53 to 1, of additions and products alone.

    ``templates/expand.h`` has the same in C++, operation by operation.
    """
    mantissa, exponent = np.frexp(uniform)
    # From the half of a root of two up to it.
    small = mantissa < _SQRT_2 / 2
    mantissa = np.where(small, 2 * mantissa, mantissa)
    exponent = np.where(small, exponent - 1, exponent)
    ratio = (mantissa - 1) / (mantissa + 1)
    square = ratio * ratio
    series = np.full_like(square, _TERMS[0])
    for term in _TERMS[1:]:
        series = series * square + term
    return np.asarray(-(exponent * _LN_2 + 2 * ratio * series))


@dataclass(frozen=True)
class Range:
    """Neurons of a population that follow one another."""

    first: int
    size: int


@dataclass(frozen=True)
class Rule(ABC):
    """Which targets the sources of a range have, among those of another.

    Rows and places are counted from the first neuron of these ranges on.

    Parameters
    ----------
    sources, targets : Range
        Between which neurons there are synapses.
    """

    # Whether a pair of neurons may be there several times, and whether the number of each row's
    # synapses must be given.
    repeats: ClassVar[bool] = False
    numbered: ClassVar[bool] = False

    sources: Range
    targets: Range

    @property
    def kind(self) -> str:
        """Its kind's name, which its macro has too."""
        return type(self).__name__.lower()

    @property
    def scale(self) -> float:
        """What an exponential number is multiplied by, where it is."""
        return 0.0

    @abstractmethod
    def places(self, row: int, number: int, uniform: Uniform) -> Integers:
        """The places of a row's candidates, ascending: the meaning of the rule.

        Parameters
        ----------
        row : int
            The row.
        number : int
            How many synapses it has, where that is given.
        uniform : callable
            Gives the row's uniform numbers.
        """


@dataclass(frozen=True)
class Places(Rule):
    """Each place is a candidate with the same probability, by itself.

    From one candidate to the next there is a geometric number of places, so that a row costs what
    its candidates cost.

    Parameters
    ----------
    sources, targets
        See :class:`Rule`.
    chance : float
        The probability.
    """

    chance: float

    @property
    def scale(self) -> float:
        """See :meth:`Rule.scale`."""
        return 0.0 if self.chance >= 1 else min(float(-1 / np.log1p(-self.chance)), _FARTHEST)

    def places(self, row: int, number: int, uniform: Uniform) -> Integers:
        """See :meth:`Rule.places`."""
        if self.scale == 0:
            return np.arange(self.targets.size)
        found, last, drawn = [np.zeros(0)], -1.0, 0
        while last < self.targets.size:
            skips = np.floor(exponentials(uniform(drawn, _AT_ONCE)) * self.scale)
            found.append(last + np.cumsum(skips + 1))
            last, drawn = float(found[-1][-1]), drawn + _AT_ONCE
        places = np.concatenate(found)
        return places[places < self.targets.size].astype(np.int64)


@dataclass(frozen=True)
class OneToOne(Rule):
    """Row ``k`` has the place ``k``."""

    def places(self, row: int, number: int, uniform: Uniform) -> Integers:
        """See :meth:`Rule.places`."""
        return np.arange(row, min(row + 1, self.targets.size))


@dataclass(frozen=True)
class _Chosen(Rule):
    """A given number of places for each row, all of them equally likely.

    Parameters
    ----------
    sources, targets
        See :class:`Rule`.
    own : bool
        Whether a neuron may be its own target; if not, sources and targets are of one group.
    """

    numbered: ClassVar[bool] = True

    own: bool

    def choices(self, row: int) -> int:
        """Among how many places a row chooses."""
        return self.targets.size - (0 <= self.left_out(row) < self.targets.size)

    def left_out(self, row: int) -> int:
        """The place that a row leaves out; none of its places where there is none."""
        return -1 if self.own else row + self.sources.first - self.targets.first

    def _around(self, row: int, places: Reals) -> Integers:
        """Places counted without the one that is left out."""
        out = self.left_out(row)
        found = places.astype(np.int64)
        return found if out < 0 else found + (found >= out)


@dataclass(frozen=True)
class WithReplacement(_Chosen):
    """A given number of places for each row, each drawn among all of them.

    Sums of exponential numbers, divided by the last one, are uniform numbers in order (Devroye
    1986, Non-Uniform Random Variate Generation, V.3): nothing needs to be sorted.
    """

    repeats: ClassVar[bool] = True

    def places(self, row: int, number: int, uniform: Uniform) -> Integers:
        """See :meth:`Rule.places`."""
        choices = self.choices(row)
        sums = np.cumsum(exponentials(uniform(0, number + 1)))
        found = np.floor(sums[:-1] / sums[-1] * choices)
        return self._around(row, np.minimum(found, choices - 1))


@dataclass(frozen=True)
class WithoutReplacement(_Chosen):
    """A given number of places for each row, no two of them the same.

    Method A of Vitter (1984, doi:10.1145/358105.893): one number is drawn for each synapse, and
    every place is passed by once.
    """

    def places(self, row: int, number: int, uniform: Uniform) -> Integers:
        """See :meth:`Rule.places`."""
        left, place, found = self.choices(row), -1, []
        for wanted, drawn in zip(range(number, 0, -1), uniform(0, number), strict=True):
            top, skip = left - wanted, 0
            beyond = top / left
            while drawn <= beyond:
                skip, top, left = skip + 1, top - 1, left - 1
                beyond *= top / left
            place, left = place + 1 + skip, left - 1
            found.append(place)
        return self._around(row, np.array(found, np.float64))
