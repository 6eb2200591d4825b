"""What regularisation adds to a spike's adjoint, in every step."""

from __future__ import annotations

from brian2eprop.device.program import Index, Ref
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.objective.regularisers import SpikeCount
from brian2eprop.learning.objective.task import WEIGHT, Task
from brian2eprop.learning.objective.trial import TRIAL_STEPS, count_of


def rate_terms(scope: Scope, task: Task, dt: float, events: str, index: Index) -> list[str]:
    """The derivative of the weighted regularisers by any one spike of a neuron.

    Parameters
    ----------
    scope : Scope
        The body that the terms are for; what they need is bound there.
    task : Task
        Whose regularisers they are.
    dt : float
        Length of a step in seconds.
    events : str
        The population's events.
    index : Index
        How the body finds the neuron.

    Returns
    -------
    list of str
        Terms of a sum; none without regularisers.
    """
    if not task.regularisers:
        return []
    count = scope.bind("spike_count", Ref(count_of(events), index))
    steps = scope.bind("trial_steps", Ref(TRIAL_STEPS, Index.SCALAR))
    weight = scope.bind("weight", Ref(WEIGHT, Index.SCALAR))
    spikes = SpikeCount(count, steps, dt)
    found = [term for part in task.regularisers for term in part.terms(scope, spikes)]
    return [f"{weight}*{term}" for term in found]
