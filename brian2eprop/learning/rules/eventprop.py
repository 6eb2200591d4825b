"""EventProp: exact gradients of a network's equations, by the times of its spikes."""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy
from brian2.units import Quantity

from brian2eprop.device.program import Program, Propagate
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.spiketimes import SpikeTimeCrossing
from brian2eprop.learning.model.flow import Flows
from brian2eprop.learning.model.model import Model, analyse, condition_arrays
from brian2eprop.learning.model.numbers import function_of, numbers_of
from brian2eprop.learning.model.surrogates import (
    Surrogate,
    Triangular,
    at_rest,
    is_positive,
)
from brian2eprop.learning.model.symbolic import Expression, absolute
from brian2eprop.learning.naming import public_name
from brian2eprop.learning.objective.task import Task, TrainingPrograms
from brian2eprop.learning.objective.trial import make_trial
from brian2eprop.learning.rules.programs import (
    adjoint_program,
    check_settings,
    check_surrogate,
    refuse_rewards,
    training_programs,
    with_weight,
)


@dataclass(frozen=True)
class EventProp:
    r"""Exact gradients through spikes.

    The network's differential equations have solutions in continuous time, whose spikes move
    with the parameters. EventProp is the gradient of the loss of those solutions: an adjoint
    system :math:`a` that runs backward in time, and jumps where there are spikes:

    .. math:: \dot a = -\frac{\partial f}{\partial x}^T a - \frac{\partial l}{\partial x},
              \quad a^- = \frac{\partial R}{\partial x}^T a^+ - \frac{\partial g}{\partial x}^T
              \frac{a^+ \cdot (\frac{\partial R}{\partial x} f^- - f^+) + \sum_j a_j \cdot
              (f_j^- - f_j^+)}{\frac{\partial g}{\partial x} \cdot f^-}

    with :math:`f` the equations, :math:`g` the distance to threshold, :math:`R` the reset, and the
    sum over the neurons at which the spike arrives. All of it is derived from the model; the
    grid of time steps is an approximation whose error falls with ``dt``. It costs what the
    spikes cost: nothing is done where there are none, save the linear dynamics.

    A spike must change its targets smoothly: synapses add to a current or a conductance, not to
    the variable in the threshold, nor to that in the loss. Neurons that never spike get no
    gradient from the loss, save those that :class:`FirstSpikeTime` wants to spike; regularise
    rates.

    Delays of synapses may be parameters as well, of input pathways too, each with a longest value:
    ``Trainer(parameters=[w.delay], constraints={w.delay: Clip(0*ms, 20*ms)}, ...)``.

    Parameters
    ----------
    min_slope : Quantity or float, optional
        The least rate at which a neuron is taken to come to its threshold, in the threshold's
        unit by second: the gradient of the time of a spike that only just happened is without
        bound. By default the distance to threshold where all state is zero, per second. How
        often that happened stands in ``Metrics.clipped``.
    surrogate : Surrogate
        What takes the place of a spike's derivative where spikes are counted: for the
        regularisers of rates, and for the loss :class:`SpikeCount`. All else is differentiated
        without one.

    Examples
    --------
    >>> import brian2eprop as b2e
    >>> b2e.EventProp(min_slope=0.5)
    EventProp(min_slope=0.5, surrogate=Triangular(gamma=0.3, width=None))

    References
    ----------
    Wunderlich & Pehle 2021, Scientific Reports 11:12829, table 1.
    Nowotny, Turner & Knight 2025, Neuromorphic Computing and Engineering 5:014001.
    Meszaros, Knight & Nowotny 2025 (delays).
    """

    min_slope: Quantity | float | None = None
    surrogate: Surrogate = field(default_factory=Triangular)

    def __post_init__(self) -> None:
        check_settings(self, self.surrogate, None)
        if self.min_slope is not None and not is_positive(self.min_slope):
            raise ValueError(
                f"EventProp's min_slope is {self.min_slope!r}. Give a positive number or Quantity."
            )

    def training_program(self, model: Program, task: Task) -> TrainingPrograms:
        """The Programs that train a model on a task.

        Raises
        ------
        LearningError
            If the model, or what is asked of it, cannot be trained so.
        """
        refuse_rewards(self, task)
        trial = with_weight(make_trial(model, task, kept=True))
        analysed = analyse(trial.model, (), task.values)
        check_smooth(analysed, task)
        if task.counts_spikes:
            check_surrogate(self.surrogate, analysed, task)
        flows = Flows(analysed)
        crossing = SpikeTimeCrossing(analysed, flows, self._slowest(analysed, task), self.surrogate)
        train = adjoint_program("EventProp", trial, analysed, task, crossing)
        return training_programs(train, trial, analysed, task, clipped=crossing.clipped)

    def _slowest(self, model: Model, task: Task) -> dict[str, Expression]:
        if self.min_slope is not None:
            return dict.fromkeys(model.conditions, sympy.Float(float(self.min_slope)))
        for condition in model.conditions.values():
            measured = at_rest(condition)
            numbers = numbers_of(condition.body, measured, task.values, model.dt)
            if not (function_of(measured)(numbers) != 0).all():
                raise LearningError(
                    f"EventProp has no min_slope for {condition.label}: by default that is the "
                    f"distance to the threshold '{condition.text}' where all state is zero, per "
                    "second, and there some neurons are at it. Give one, such as "
                    "EventProp(min_slope=20*mV/second)."
                )
        return {e: absolute(at_rest(condition)) for e, condition in model.conditions.items()}


def check_smooth(model: Model, task: Task) -> None:
    """What spikes do must be smooth: their times are what is differentiated.

    Raises
    ------
    LearningError
        If a spike can bring about another one at once, or makes the loss jump.
    """
    judged = {output.array for output in task.outputs}
    spiking = judged & set(model.spiking)
    if spiking:
        raise LearningError(
            f"The neurons of the output '{public_name(min(spiking))}' spike, and EventProp does "
            "not follow the jumps of the loss at their resets. Take as output a group without a "
            "threshold, or let the spikes be judged: by FirstSpikeTime, with the group as output."
        )
    at_threshold = frozenset().union(*map(condition_arrays, model.conditions.values()))
    for number, phase in enumerate(model.phases):
        if not isinstance(phase, Propagate):
            continue
        for name in model.effects[number].increments:
            array = phase.body.refs[name].array
            if array in at_threshold:
                raise LearningError(
                    f"{phase.label} adds to '{public_name(array)}', which stands in the threshold: "
                    "a spike may bring about another one at once, whose time EventProp does not "
                    "follow. Add to a current or conductance instead, such as 'I_post += w' with "
                    "dI/dt = -I/tau_syn, or use SurrogateBPTT."
                )
            moves = phase.events in model.conditions or task.trained_delay(phase)
            if array in judged and moves:
                raise LearningError(
                    f"{phase.label} adds to the output '{public_name(array)}', so the loss jumps "
                    "at a spike, which EventProp does not follow. Add to a current of the "
                    "readout instead, such as 'I_post += w' with dI/dt = -I/tau_syn."
                )
