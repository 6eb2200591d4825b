"""What is trained: where it stands, and on which neurons it acts."""

from __future__ import annotations

from dataclasses import dataclass

from brian2eprop.device.program import Index, Loop, Propagate
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.coefficients import parameter_names
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.traces.trace_body import Place


@dataclass(frozen=True)
class TrainedParameter:
    """A parameter.

    Attributes
    ----------
    parameter : str
        Its array.
    place : Place
        Where it stands.
    population : frozenset of str
        State of the neurons that it acts on.
    events : str, optional
        Their spikes, if they have a threshold.
    """

    parameter: str
    place: Place
    population: frozenset[str]
    events: str | None


def find_trained(model: Model, parameter: str) -> TrainedParameter:
    """Where a parameter stands.

    Raises
    ------
    LearningError
        If it stands nowhere, acts on several populations, or is a kernel that synapses share.
    """
    uses = [
        phase
        for phase in model.phases
        if isinstance(phase, Loop) and parameter_names(phase.body, parameter, _of(phase))
    ]
    if not uses:
        raise LearningError(
            f"'{parameter}' has no influence on the output that can be followed: it stands in no "
            "equation, threshold, reset or on_pre of the network. Take it out of the parameters."
        )
    pathways = {phase.connectivity for phase in uses if isinstance(phase, Propagate)}
    connectivity = model.connectivities[pathways.pop()] if pathways else None
    if connectivity is not None and connectivity.shares:
        raise LearningError(
            f"'{parameter}' is a kernel that the synapses of '{connectivity.name}' share, and a "
            "form that goes forward would keep a trace for each of them. Use "
            "EProp(form='adjoint')."
        )
    place = Place(parameter, model.arrays[parameter].size, connectivity)
    population = _population(model, parameter, uses)
    events = next((model.spiking.get(array) for array in sorted(population)), None)
    return TrainedParameter(parameter, place, population, events)


def _population(model: Model, parameter: str, uses: list[Loop]) -> frozenset[str]:
    state = {ref.array for phase in uses for ref in phase.body.refs.values()} & set(model.state)
    populations = {model.population(array) for array in state}
    if len(populations) != 1:
        raise LearningError(
            f"'{parameter}' acts on several populations, which only the adjoint form follows. Use "
            "EProp(form='adjoint')."
        )
    return populations.pop()


def _of(phase: Loop) -> Index:
    """What a parameter is one value of, in a phase."""
    return Index.SYNAPSE if isinstance(phase, Propagate) else Index.ELEMENT
