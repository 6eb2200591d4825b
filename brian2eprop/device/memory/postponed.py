"""Values that are worked out when somebody first asks for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt

Make = Callable[[], Iterable[npt.NDArray[Any]]]


class Postponed:
    """What is still to be worked out, by Brian2's dynamic variables."""

    def __init__(self) -> None:
        # Variables are held weakly, by each other too.
        self._later: WeakKeyDictionary[Any, tuple[list[ref[Any]], Make]] = WeakKeyDictionary()

    def add(self, variables: Iterable[Any], make: Make) -> None:
        """Have the values of some variables made together, when one of them is settled."""
        found = list(variables)
        self._later.update((each, ([*map(ref, found)], make)) for each in found)

    def settle(self, variable: Any) -> None:
        """Make the values of a variable, and of those with it, if they are still to be made."""
        known = self._later.pop(variable, None)
        if known is None:
            return
        others, make = known
        together = [other() for other in others]
        for each in together:
            self._later.pop(each, None)
        for each, values in zip(together, make(), strict=True):
            if each is not None:
                each.resize(len(values))
                each.set_value(np.asarray(values))
