"""E-prop's learning signals: how they come from the outputs to neurons that spike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt
from brian2.units.fundamentalunits import Dimension

from brian2eprop.device.program import Body, Connectivity, Propagate, Ref
from brian2eprop.errors import LearningError
from brian2eprop.learning.feedback.broadcast import with_broadcasts
from brian2eprop.learning.feedback.pathways import (
    Feedback,
    FeedbackPathway,
    adaptive,
    given,
    pathway_of,
    random,
    symmetric,
)
from brian2eprop.learning.model.linearise import Effect
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.objective.task import Task
from brian2eprop.number_checks import real_array, unit_fault, without_unit

KINDS = ("symmetric", "random", "adaptive")
Kind = Literal["symmetric", "random", "adaptive"]


class Signals:
    """By which weights the learning signal comes back.

    Parameters
    ----------
    model : Model
        The model.
    task : Task
        Outputs and parameters.
    feedback : str or mapping of str to (str or array)
        See :class:`EProp`.
    scale : float, optional
        Standard deviation of what is drawn.

    Attributes
    ----------
    model : Model
        The model with a pathway for every signal that comes straight.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        feedback: Kind | Mapping[str, Any],
        scale: Any,
    ) -> None:
        self._task, self._feedback, self._scale = task, feedback, scale
        self._output = outputs_state(model, task)
        self._used: set[str] = set()
        self._columns = _columns(model, task)
        self.model = with_broadcasts(model, self._straight(model), self._columns)

    def _straight(self, model: Model) -> list[str]:
        """The populations that are not to hear through synapses of their own."""
        if isinstance(self._feedback, Mapping):
            return [events for events in model.conditions if events in self._feedback]
        if self._feedback != "random":
            return []
        heard = {
            phase.events
            for number, phase in enumerate(model.phases)
            if isinstance(phase, Propagate) and model.acted_on(number) & self._output
        }
        acting = {events for _, events, _ in trained(model, self._task)}
        judged = {output.array for output in self._task.outputs}
        return [events for events in model.conditions if events in acting - heard - judged]

    def cross(self, phase: Propagate, effect: Effect) -> Feedback | None:
        """E-prop's rule: only the output's neurons send a signal back, to others than their own.

        Those that spike do so only where it is the spikes that are judged.

        Raises
        ------
        LearningError
            If there are no weights for a pathway that they send it through.
        """
        model, task = self.model, self._task
        targets = {phase.body.refs[name].array for name in effect.increments}
        spiking = {model.spiking[array] for array in targets & model.spiking.keys()}
        unheard = {e for e in spiking if e == phase.events or not task.spike_losses(e)}
        if not targets & self._output or unheard:
            return None
        straight = phase in model.imagined
        if not straight and self._given(phase.events) is not None:
            return None
        name = phase.events if straight else phase.connectivity
        self._used.add(name)
        unit = self._unit(phase, min(targets))
        chosen = self._given(name) if isinstance(self._feedback, Mapping) else self._feedback
        pathway = pathway_of(model, task, phase, effect)
        if isinstance(chosen, str):
            self._check_scale(name, unit)
            return self._named(name, chosen, phase, pathway)
        if pathway.rewired:
            _refuse_rewired(name)
        columns = self._columns[targets.pop()] if straight else slice(None)
        matrix = self._matrix(name, chosen, pathway.connectivity, straight, unit)
        return given(pathway, matrix[:, columns])

    def _named(self, name: str, kind: str, phase: Propagate, pathway: FeedbackPathway) -> Feedback:
        """The feedback of a kind that has a name."""
        scale, seed = without_unit(self._scale), self._task.seed
        if pathway.rewired and kind != "symmetric":
            _refuse_rewired(name)
        if kind == "random":
            return random(pathway, scale, seed)
        weight = phase.body.refs[self.model.weight(phase)].array
        if kind == "adaptive" and weight in self._task.frozen:
            return random(pathway, scale, seed)
        self._check_own(name, kind, phase in self.model.imagined, weight)
        if kind == "symmetric":
            return symmetric(pathway, weight)
        return adaptive(pathway, scale, seed, weight)

    def _given(self, name: str) -> Any:
        return self._feedback.get(name) if isinstance(self._feedback, Mapping) else None

    def _check_own(self, name: str, chosen: str, straight: bool, weight: str) -> None:
        """Weights that are made of a pathway's own need such."""
        if straight:
            raise LearningError(
                f"EProp's feedback for the neurons '{name}' is '{chosen}', which is made of the "
                "weights of synapses, and their signal comes straight from the output. Give "
                "'random', or an array."
            )
        if chosen == "adaptive" and weight not in self._task.parameters:
            raise LearningError(
                f"EProp's feedback for the synapses '{name}' is 'adaptive', which follows the "
                f"training of '{weight}', but that is not among the parameters. Train it, or "
                "choose feedback='random'."
            )

    def _matrix(
        self,
        name: str,
        chosen: Any,
        pathway: Connectivity,
        straight: bool,
        unit: Dimension | None,
    ) -> npt.NDArray[np.float64]:
        """The weights that were given, one for every pair of a neuron and an output."""
        n_outputs = max(c.stop for c in self._columns.values()) if straight else pathway.n_target
        shape = (pathway.n_source, n_outputs)
        owner = f"the {'neurons' if straight else 'synapses'} '{name}'"
        if chosen is None:
            raise LearningError(
                f"EProp was given no feedback for {owner}, which lead to the output. Add "
                f"'{name}': an array of shape {shape}.{self._unknown()}"
            )
        fault = None if unit is None else unit_fault(chosen, unit)
        if fault is not None:
            raise LearningError(f"EProp's feedback for {owner} has {fault}, as output weights are.")
        matrix = real_array(chosen)
        if matrix is None:
            raise LearningError(
                f"EProp's feedback for {owner} is no array of real numbers. Give one of shape "
                f"{shape}."
            )
        if matrix.shape != shape:
            raise LearningError(
                f"EProp's feedback for {owner} has the shape {matrix.shape}. Give one weight for "
                f"every {'neuron and output' if straight else 'source and target'}: an array of "
                f"shape {shape}."
            )
        if not np.all(np.isfinite(matrix)):
            raise LearningError(
                f"EProp's feedback for {owner} is not finite everywhere. Give finite weights."
            )
        return matrix.astype(np.float64)

    def _unknown(self) -> str:
        """What is said of names in the feedback that nothing has."""
        known = sorted(
            {n for n in (*self.model.connectivities, *self.model.conditions) if ":" not in n}
        )
        given = self._feedback if isinstance(self._feedback, Mapping) else ()
        wrong = next((name for name in given if name not in known), None)
        if wrong is None:
            return ""
        return (
            f" It has feedback for '{wrong}', but the names here are {', '.join(known)}; "
            f"Synapses(..., name='{wrong}') would name synapses so."
        )

    def _unit(self, phase: Propagate, target: str) -> Dimension | None:
        """The dimension of feedback through a pathway: its weights', else that of the output."""
        held = (self._task.dimensions.get(ref.array) for ref in self._weights(phase))
        return next((dim for dim in held if dim is not None), self._task.dimensions.get(target))

    def _weights(self, phase: Propagate) -> list[Ref]:
        try:
            return [phase.body.refs[self.model.weight(phase)]]
        except LearningError:  # none, or several, which is refused where they are needed
            return []

    def _check_scale(self, name: str, unit: Dimension | None) -> None:
        fault = None if unit is None else unit_fault(self._scale, unit)
        if fault is not None:
            raise LearningError(f"EProp's feedback_scale, for '{name}', has {fault}.")

    def check(self, signalled: set[str]) -> None:
        """What is trained must hear a signal, and every feedback that was given be used.

        Parameters
        ----------
        signalled : set of str
            The events that a learning signal reaches.

        Raises
        ------
        LearningError
            If it is not so.
        """
        for parameter, events, array in trained(self.model, self._task):
            if array not in self._output and events not in signalled:
                raise LearningError(
                    f"'{parameter}' is to be trained, but the neurons it acts on ('{array}') have "
                    "no synapses onto the output, so e-prop has no learning signal for them. "
                    f"Connect them to the output, {_straight_to(events)}or take it out of the "
                    "parameters."
                )
        known = ", ".join(sorted(self._used)) or "none"
        for name in self._feedback if isinstance(self._feedback, Mapping) else ():
            if name not in self._used:
                raise LearningError(
                    f"EProp was given feedback for '{name}', but no synapses of that name lead to "
                    f"the output, and no neurons of that name spike. Those that do are {known}."
                    f"{self._unknown()}"
                )


def _refuse_rewired(name: str) -> NoReturn:
    raise LearningError(
        f"EProp's feedback for the synapses '{name}' has weights of its own, and they are rewired, "
        "which it would not follow. Choose 'symmetric' for them."
    )


def trained(model: Model, task: Task) -> Iterator[tuple[str, str | None, str]]:
    """The parameters, with the events, if they spike, and each state of the neurons they act on."""
    for number, phase in enumerate(model.phases):
        body = getattr(phase, "body", Body(""))
        found = {ref.array for ref in body.refs.values()} & set(task.parameters)
        for array in sorted(model.acted_on(number)) if found else ():
            yield min(found), model.spiking.get(array), array


def outputs_state(model: Model, task: Task) -> frozenset[str]:
    """All state of the outputs' neurons."""
    return frozenset().union(*(model.population(output.array) for output in task.outputs))


def _columns(model: Model, task: Task) -> dict[str, slice]:
    """Where the neurons of each output of which state is judged stand among those of all."""
    found: dict[str, slice] = {}
    start = 0
    for output in task.states:
        stop = start + model.arrays[output.array].size
        found[output.array] = slice(start, stop)
        start = stop
    return found


def _straight_to(events: str | None) -> str:
    if events is None:
        return ""
    return f"send it straight to them (feedback='random', or feedback={{'{events}': array}}), "
