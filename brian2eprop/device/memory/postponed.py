"""Values that are worked out when somebody first asks for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
Make = Callable[[], Iterable[Values]]
# From a backend, its memory and an array there: has it filled.
Fill = Callable[[Any, Any, Any], None]


@dataclass(frozen=True)
class _Later:
    """How values are made."""

    together: list[ref[Any]]
    make: Make
    fill: Fill | None


class Postponed:
    """What is still to be worked out, by Brian2's dynamic variables.

    Parameters
    ----------
    put : callable
        Sets a variable to values of whatever size; nobody need be told of it.
    """

    def __init__(self, put: Callable[[Any, Values], None]) -> None:
        # Variables are held weakly, by each other too.
        self._put = put
        self._later: WeakKeyDictionary[Any, _Later] = WeakKeyDictionary()
        self._watched: WeakKeyDictionary[Any, Callable[[], None]] = WeakKeyDictionary()

    def add(self, variables: Iterable[Any], make: Make, fill: Fill | None = None) -> None:
        """Have the values of some variables made together, when one of them is settled.

        What may be made where a network runs, too, has a ``fill``.
        """
        found = list(variables)
        later = _Later([*map(ref, found)], make, fill)
        self._later.update((each, later) for each in found)

    def holds(self, variable: Any) -> bool:
        """Whether the values of a variable are still to be made."""
        return variable in self._later

    def fill_of(self, variable: Any) -> Fill | None:
        """What makes the values of a variable where a network runs, if they are to be made."""
        known = self._later.get(variable)
        return None if known is None else known.fill

    def forget(self, variable: Any) -> None:
        """Make no values of a variable: it has others."""
        self._later.pop(variable, None)

    def settle(self, variable: Any) -> None:
        """Make the values of a variable, and of those with it, if they are still to be made."""
        known = self._later.pop(variable, None)
        if known is None:
            return
        together = [other() for other in known.together]
        for each in together:
            self._later.pop(each, None)
        for each, values in zip(together, known.make(), strict=True):
            if each is not None:
                self._put(each, np.asarray(values))

    def when_changed(self, variable: Any, do: Callable[[], None]) -> None:
        """Have something done when a variable may be changed for the first time."""
        self._watched[variable] = do

    def changed(self, variable: Any) -> None:
        """Note that a variable may be changed."""
        do = self._watched.pop(variable, None)
        if do is not None:
            do()
