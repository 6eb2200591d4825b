"""Which parameters are delays, and how long each of them may become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brian2eprop.errors import LearningError
from brian2eprop.learning.training.constraints import Clip
from brian2eprop.learning.training.finding import delay_name, is_delay


def trained_delays(parameters: Any, constraints: Any, rule: Any) -> dict[Any, float]:
    """The delays among the variables that are to be trained.

    What else may be wrong with the arguments is said by who finds parameters and constraints.

    Parameters
    ----------
    parameters : sequence of VariableView
        What is trained.
    constraints : mapping of VariableView to Constraint
        The constraints of parameters.
    rule : Rule
        How gradients are computed; one with ``trains_delays = False`` has none of delays.

    Returns
    -------
    dict of brian2 Variable to float
        For each delay the longest that it may become, in seconds.

    Raises
    ------
    LearningError
        If the rule has no gradients of delays.
    ValueError
        If a delay has no such bound, may become negative, or is one for all synapses.
    """
    views = parameters if isinstance(parameters, list | tuple) else ()
    given = constraints.items() if isinstance(constraints, Mapping) else ()
    bounds = {getattr(view, "variable", None): bound for view, bound in given}
    found = {}
    for view in filter(is_delay, views):
        if not getattr(rule, "trains_delays", True):
            raise LearningError(
                f"Trainer: the parameter '{delay_name(view)}' is a delay, and "
                f"{type(rule).__name__} does not follow the times of spikes, which it changes; "
                "use EventProp, the rule that trains delays, or take it out of the parameters."
            )
        bound: Any = bounds.get(view.variable)
        fault = _fault(view, bound)
        if fault is not None:
            raise ValueError(f"Trainer: the parameter '{delay_name(view)}' {fault}.")
        found[view.variable] = float(bound.high)
    return found


def _fault(view: Any, bound: Any) -> str | None:
    if view.variable.scalar:
        return (
            "is one for all of its synapses; leave delay= out where they are made, and set "
            "synapses.delay after connect(), so that each has its own"
        )
    if not isinstance(bound, Clip) or bound.fault(view) is not None:
        return (
            "has no longest value, for which spikes would be kept; give one in seconds, such as "
            "constraints={synapses.delay: Clip(0*ms, 20*ms)}"
        )
    if float(bound.low) < 0:
        return f"may become negative by {bound!r}; give a lower bound from zero up"
    return None
