"""How the spikes of a population reach an output, for the forward form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy

from brian2eprop.device.program import (
    Body,
    ForEach,
    ForEachSynapse,
    Index,
    Phase,
    Propagate,
    Ref,
)
from brian2eprop.device.program.assignments import ALWAYS_THERE
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.coefficients import CoefficientScope, swapped, unmoved
from brian2eprop.learning.adjoint.surrogate import Cross
from brian2eprop.learning.adjoint.tape import Origin, Tape
from brian2eprop.learning.feedback.pathways import Feedback
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.symbolic import Expression, names
from brian2eprop.learning.objective.task import Task
from brian2eprop.learning.objective.trial import changed_arrays


@dataclass(frozen=True)
class Route:
    """One pathway onto the neurons of one or more outputs, and its feedback.

    What a spike adds to the readout's variables is one expression of the weight, ``size``,
    times a number for each variable: so a learning signal can be made of the sizes, and the
    numbers filtered beside it.

    Attributes
    ----------
    origin : Origin
        The pathway's phase.
    phase : Propagate
        The same.
    feedback : Feedback
        The weights of the learning signal.
    outputs : tuple of str
        Arrays of the outputs that it reaches.
    size : Expression
        What a spike adds to the first variable, in the phase's names.
    ratios : mapping of str to Expression
        For each of the variables, as the phase calls them, what is added by the size.
    """

    origin: Origin
    phase: Propagate
    feedback: Feedback
    outputs: tuple[str, ...]
    size: Expression
    ratios: Mapping[str, Expression]

    def signal(self, output: str) -> str:
        """Array of the population's learning signal from one of the readout's variables."""
        return f"signal:{self.phase.events}:{output}"

    def send(self, model: Model, tape: Tape, values: str, into: str) -> tuple[Phase, ...]:
        """What weighs values of the readout's neurons by what a spike adds to each.

        Parameters
        ----------
        model, tape
            The model, and where past values are found.
        values : str
            Array with one element a neuron of the readout.
        into : str
            Array with one element a neuron that sends spikes.
        """
        forget = Body("signal = 0.0", {"signal": Ref(into, Index.ELEMENT)})
        scope = CoefficientScope(tape, swapped if self.feedback.turned else unmoved)
        signal = scope.bind("signal", Ref(into, self.feedback.sender))
        gradient = scope.bind("gradient", Ref(values, self.feedback.receiver))
        feedback = scope.bind("feedback", Ref(self.feedback.weight, Index.SYNAPSE))
        known = {model.weight(self.phase): feedback}
        sent = scope.coefficient(self.origin, self.size, known)
        scope.line(signal, "+=", [f"{sent}*{gradient}"])
        return (
            ForEach(f"forget {into}", self.feedback.n_senders, forget),
            ForEachSynapse(into, self.feedback.connectivity.name, scope.body()),
        )


def find_routes(model: Model, task: Task, cross: Cross) -> dict[str, tuple[Route, ...]]:
    """How each population's spikes reach the outputs, by the population's events.

    Raises
    ------
    LearningError
        If one has several pathways to an output, or the output's neurons spike.
    """
    found: dict[str, tuple[Route, ...]] = {}
    for population in dict.fromkeys(model.population(output.array) for output in task.outputs):
        outputs = tuple(o.array for o in task.outputs if model.population(o.array) == population)
        late = next((o for o in task.outputs if o.array in outputs and not o.loss.online), None)
        if late is not None:
            raise LearningError(
                f"{type(late.loss).__name__} of '{late.array}' is known only when a sample is "
                "over, and only the adjoint form waits for that. Use EProp(form='adjoint')."
            )
        if population & set(model.spiking):
            raise LearningError(
                f"The neurons of the output '{outputs[0]}' spike, which only the adjoint form "
                "follows. Use EProp(form='adjoint')."
            )
        for events, route in _routes_to(model, outputs, cross).items():
            found[events] = (*found.get(events, ()), route)
    return found


def _routes_to(model: Model, outputs: tuple[str, ...], cross: Cross) -> dict[str, Route]:
    population = model.population(outputs[0])
    found: dict[str, Route] = {}
    _refuse_jumps(model, population)
    for number, phase in enumerate(model.phases):
        if not isinstance(phase, Propagate) or phase.events not in model.conditions:
            continue
        effect = model.effects[number]
        if not {phase.body.refs[name].array for name in effect.increments} & population:
            continue
        feedback = cross(phase, effect)
        if phase.events in found:
            raise LearningError(
                f"{phase.label} is a second pathway from {phase.events} to the output, which "
                "only the adjoint form follows. Use EProp(form='adjoint')."
            )
        if feedback is not None:
            found[phase.events] = _route(model, number, phase, feedback, outputs)
    return found


def _route(
    model: Model, number: int, phase: Propagate, feedback: Feedback, outputs: tuple[str, ...]
) -> Route:
    increments = model.effects[number].increments
    size = next(iter(increments.values()))
    ratios = {name: sympy.simplify(added / size) for name, added in increments.items()}
    origin = Origin(number, phase.body, feedback.n_senders)
    for ratio in ratios.values():
        check_uniform(origin, ratio)
    changing = changed_arrays(model.phases)
    for name in sorted(names(size)):
        if name in ALWAYS_THERE - {"dt"} or _array(origin, name) in changing:
            raise LearningError(
                f"What {phase.label} adds depends on '{name}', which changes in a run; only the "
                "adjoint form follows that. Use EProp(form='adjoint')."
            )
    return Route(origin, phase, feedback, outputs, size, ratios)


def _refuse_jumps(model: Model, output: frozenset[str]) -> None:
    """The traces filter all spikes that reach a readout alike."""
    for number, effect in model.effects.items():
        refs = effect.body.refs
        label = model.phases[number].label
        if effect.depends and output & {refs[name].array for name in effect.increments}:
            raise LearningError(
                f"What {label} adds to the output depends on the state, which only the adjoint "
                "form follows. Use EProp(form='adjoint')."
            )
        if effect.kept:
            raise LearningError(
                f"{label} changes '{effect.kept[0]}' of its synapses at a spike, which only the "
                "adjoint form follows. Use EProp(form='adjoint')."
            )


def _array(origin: Origin, name: str) -> str | None:
    return origin.body.refs[name].array if name in origin.body.refs else None


def check_uniform(origin: Origin, coefficient: Expression) -> None:
    """A coefficient of a readout must be one number for all its neurons and synapses.

    Raises
    ------
    LearningError
        If it is not.
    """
    refs = origin.body.refs
    differing = sorted(
        name for name in names(coefficient) & set(refs) if refs[name].index is not Index.SCALAR
    )
    if differing:
        raise LearningError(
            "Only the adjoint form follows readouts that do not filter alike, and "
            f"'{differing[0]}' in '{origin.body.code}' may differ from neuron to neuron. Use "
            "EProp(form='adjoint')."
        )
