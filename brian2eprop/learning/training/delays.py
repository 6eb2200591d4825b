"""Which parameters are delays, and how long each of them may become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brian2.synapses.synapses import SynapticPathway

from brian2eprop.learning.training.constraints import Clip


def trained_delays(parameters: Any, constraints: Any) -> dict[Any, float]:
    """The delays among the variables that are to be trained.

    What else may be wrong with the arguments is said by who finds parameters and constraints.

    Parameters
    ----------
    parameters : sequence of VariableView
        What is trained.
    constraints : mapping of VariableView to Constraint
        The constraints of parameters.

    Returns
    -------
    dict of brian2 Variable to float
        For each delay the longest that it may become, in seconds.

    Raises
    ------
    ValueError
        If a delay has no such bound, may become negative, or is one for all synapses.
    """
    views = parameters if isinstance(parameters, list | tuple) else ()
    given = constraints.items() if isinstance(constraints, Mapping) else ()
    bounds = {getattr(view, "variable", None): bound for view, bound in given}
    found = {}
    for view in filter(_is_delay, views):
        bound: Any = bounds.get(view.variable)
        fault = _fault(view, bound)
        if fault is not None:
            raise ValueError(f"Trainer: the delay of '{view.group.name}' {fault}.")
        found[view.variable] = float(bound.high)
    return found


def _is_delay(view: Any) -> bool:
    group = getattr(view, "group", None)
    return isinstance(group, SynapticPathway) and group.variables["delay"] is view.variable


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
