"""What the losses of spikes, and regularisation, add to a spike's adjoint in a step."""

from __future__ import annotations

from collections.abc import Iterable

from brian2eprop.device.program import Index, Ref
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.objective.loss import TRIAL_STEPS, Loss
from brian2eprop.learning.objective.regularisers import CountedSpikes
from brian2eprop.learning.objective.task import WEIGHT, Task
from brian2eprop.learning.objective.trial import count_of


def rate_terms(
    scope: Scope, task: Task, dt: float, events: str, index: Index, so_far: str | None = None
) -> list[str]:
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
    so_far : str, optional
        Where the body is one of a step, at whose end the spikes so far are judged: the array of
        the number of steps that this is averaged over.

    Returns
    -------
    list of str
        Terms of a sum; none without regularisers.
    """
    if not task.regularisers:
        return []
    count = scope.bind("spike_count", Ref(count_of(events), index))
    steps = scope.bind("trial_steps", Ref(so_far or TRIAL_STEPS, Index.SCALAR))
    spikes = CountedSpikes(count, "(step + 1)" if so_far else steps, steps, dt)
    return weighted(scope, (t for part in task.regularisers for t in part.terms(scope, spikes)))


def loss_terms(
    scope: Scope, losses: Iterable[Loss], dt: float, events: str, index: Index
) -> list[str]:
    """The derivative of weighted losses by a neuron's spike in the step in hand.

    Parameters
    ----------
    scope : Scope
        The body that the terms are for; what they need is bound there.
    losses : iterable of Loss
        Losses that judge the population's spikes.
    dt : float
        Length of a step in seconds.
    events : str
        The population's events.
    index : Index
        How the body finds the neuron.

    Returns
    -------
    list of str
        Terms of a sum; none without losses.
    """
    return weighted(scope, (loss.by_spike(scope, dt, events, index) for loss in losses))


def weighted(scope: Scope, terms: Iterable[str]) -> list[str]:
    """Terms by what an instance counts."""
    return [f"{scope.bind('weight', Ref(WEIGHT, Index.SCALAR))}*{term}" for term in terms]
