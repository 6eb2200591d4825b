"""Forward differentiation in NumPy, as an arithmetic of the surrogate map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.oracles.forward_mode import FUNCTIONS, GAMMA, SHAPES, Dual, plain
from tests.oracles.surrogate_map import Map
from tests.oracles.systems import Floats, System


class Duals:
    """Numbers that carry their derivatives by all parameters along."""

    functions = FUNCTIONS

    def spike(self, distance: Any, width: Any, shape: str) -> Any:
        """See :class:`Arithmetic`."""
        value = (plain(distance) > 0) * 1.0
        if not isinstance(distance, Dual):
            return value
        return Dual(value, GAMMA / width * SHAPES[shape](distance.value / width) * distance.slope)

    def stop(self, x: Any) -> Any:
        """See :class:`Arithmetic`."""
        return plain(x)

    def choose(self, where: Any, one: Any, other: Any) -> Any:
        """See :class:`Arithmetic`."""
        value = np.where(where, plain(one), plain(other))
        slopes = [x.slope if isinstance(x, Dual) else 0.0 for x in (one, other)]
        if not isinstance(one, Dual) and not isinstance(other, Dual):
            return value
        return Dual(value, np.where(where, *slopes))

    def take(self, x: Any, places: Any) -> Any:
        """See :class:`Arithmetic`."""
        return Dual(x.value[places], x.slope[:, places]) if isinstance(x, Dual) else x[places]

    def add_at(self, x: Any, places: Any, values: Any) -> Any:
        """See :class:`Arithmetic`."""
        value = np.array(plain(x), float)
        np.add.at(value, places, plain(values))
        if not isinstance(values, Dual):
            return Dual(value, x.slope) if isinstance(x, Dual) else value
        slope = np.zeros((len(values.slope), len(value)))
        slope += x.slope if isinstance(x, Dual) else 0.0
        np.add.at(slope, (slice(None), places), values.slope)
        return Dual(value, slope)

    def sum(self, x: Any) -> Any:
        """See :class:`Arithmetic`."""
        return Dual(x.value.sum(), x.slope.sum(axis=1)) if isinstance(x, Dual) else x.sum()


def loss(system: System) -> float:
    """The loss alone; infinite where the state leaves all bounds."""
    steps = Map(system, Duals(), crosses=False, attached=False)
    with np.errstate(all="ignore"):
        found = float(steps.loss(system.parameters))
    state = [values for group in steps.state.values() for values in group.values()]
    return found if all(np.isfinite(values).all() for values in state) else np.inf


def gradients(
    system: System, crosses: bool = False, attached: bool = False
) -> Mapping[str, Floats]:
    """Derivatives of the loss by all parameters."""
    parameters = system.parameters
    ends = np.cumsum([0, *(len(values) for values in parameters.values())])
    eye = np.eye(ends[-1])
    known = {
        name: Dual(values, eye[:, ends[n] : ends[n + 1]])
        for n, (name, values) in enumerate(parameters.items())
    }
    slope = Map(system, Duals(), crosses, attached).loss(known).slope
    return {name: slope[ends[n] : ends[n + 1]] for n, name in enumerate(parameters)}
