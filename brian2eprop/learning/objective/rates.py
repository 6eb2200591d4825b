"""What firing-rate regularisation adds to a spike's adjoint, in every step."""

from __future__ import annotations

from brian2eprop.device.program import Index, Ref
from brian2eprop.learning.model.lines import Lines
from brian2eprop.learning.objective.task import Task
from brian2eprop.learning.objective.trial import TRIAL_STEPS, count_of


def rate_terms(lines: Lines, task: Task, dt: float, events: str, index: Index) -> list[str]:
    """The derivative of the weighted regularisers by any one spike of a neuron.

    Parameters
    ----------
    lines : Lines
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
        One term a regulariser.
    """
    terms = []
    for number, regulariser in enumerate(task.regularisers):
        count = lines.bind("spike_count", Ref(count_of(events), index))
        steps = lines.bind(TRIAL_STEPS, Ref(TRIAL_STEPS, Index.SCALAR))
        weight = lines.bind("weight", Ref("weight", Index.SCALAR))
        strength = lines.define(f"rate_strength_{number}", float(regulariser.strength))
        target = lines.define(f"rate_target_{number}", float(regulariser.target) * dt)
        terms.append(f"{weight}*{strength}/{steps}*({count}/{steps} - {target})")
    return terms
