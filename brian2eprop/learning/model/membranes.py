"""Which state is a neuron's membrane: what the spike condition means, not how it is spelled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from brian2eprop.errors import LearningError
from brian2eprop.learning.model.linearise import Condition
from brian2eprop.learning.model.numbers import Numbers, Values, function_of, numbers_of
from brian2eprop.learning.model.symbolic import Expression, names
from brian2eprop.learning.naming import public_name

# Lengths of the steps that a variable is moved by in search of the threshold, in SI units:
# from far below to far above whatever a state variable is measured in.
_STEPS = 10.0 ** np.arange(-15, 15.25, 0.25)


def find_membranes(
    conditions: Mapping[str, Condition], reset: frozenset[str], values: Values, dt: float
) -> frozenset[str]:
    """The state arrays that take a neuron up to its threshold.

    A condition with one state variable has that for a membrane. Of several, those are
    membranes by whose rise alone a neuron gets from below its threshold to above it: with all
    else as it is when the training begins, by the numbers that constants and parameters have.
    ``v > v_th + beta*a``, ``v/v_th > 1 + k*a`` and ``v_th + beta*a < v`` have the membrane ``v``.

    Parameters
    ----------
    conditions : mapping of str to Condition
        Spike conditions by their events.
    reset : frozenset of str
        State arrays that a spike changes: of the others nothing needs to be known.
    values : callable
        The values of an array by its name.
    dt : float
        Length of a step in seconds.

    Raises
    ------
    LearningError
        If the numbers say so for some of the neurons only, or of no variable.
    """
    found: frozenset[str] = frozenset()
    for condition in conditions.values():
        refs = condition.body.refs
        state = [name for name in condition.state if name in names(condition.distance)]
        if len(state) > 1 and reset & {refs[name].array for name in state}:
            numbers = numbers_of(condition.body, condition.distance, values, dt)
            state = _rising(condition, state, numbers, reset)
        found |= {refs[name].array for name in state}
    return found


def _rising(
    condition: Condition, state: list[str], numbers: Numbers, reset: frozenset[str]
) -> list[str]:
    """The variables by whose rise alone neurons reach the threshold."""
    found = []
    for name in state:
        array = condition.body.refs[name].array
        reaches = reaches_threshold(condition.distance, name, numbers)
        if array in reset and reaches.any() and not reaches.all():
            why = f"the rise of '{array}' takes some neurons there and others not"
            raise _undecided(condition, why, state)
        if reaches.any():
            found.append(name)
    if not found:
        raise _undecided(condition, "the rise of no variable alone takes a neuron there", state)
    return found


def reaches_threshold(distance: Expression, name: str, numbers: Numbers) -> npt.NDArray[np.bool_]:
    """For which neurons a variable's rise alone crosses the threshold from below.

    A neuron that is above it already must have crossed it on the way.
    """
    function = function_of(distance)
    own = np.asarray(numbers[name], float)
    start = function(numbers)
    direction = np.where(start > 0, -1, 1)

    def at(step: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return function({**numbers, name: own + direction * step})

    def beyond(value: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        crossed: npt.NDArray[np.bool_] = (value > 0) != (start > 0)
        return crossed & np.isfinite(value)

    reached = np.array([at(step) for step in _STEPS])
    first = np.argmax(beyond(reached), axis=0)
    low, high = _STEPS[first - 1] * (first > 0), _STEPS[first]
    for _ in range(60):
        middle = (low + high) / 2
        passed = beyond(at(middle))
        low, high = np.where(passed, low, middle), np.where(passed, middle, high)
    # Where the distance changes its sign at a pole, that is not the threshold.
    end = np.take_along_axis(np.atleast_2d(reached), np.atleast_2d(first), axis=0)[0]
    smooth: npt.NDArray[np.bool_] = np.abs(at(high)) <= np.abs(end)
    return smooth & beyond(reached).any(axis=0)


def _undecided(condition: Condition, why: str, state: list[str]) -> LearningError:
    arrays = ", ".join(public_name(condition.body.refs[name].array) for name in state)
    return LearningError(
        f"EProp cannot tell which state takes {condition.label} to the threshold "
        f"'{condition.text}': {why}. Name those of {arrays} whose reset is to be left out of the "
        "derivative: EProp(detach=('...',))."
    )
