"""Synapses that carry the learning signal back."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Connectivity,
    Delay,
    DType,
    ForEach,
    Index,
    Propagate,
    Ref,
)
from brian2eprop.device.program.connectivity.base import Transposed
from brian2eprop.errors import LearningError
from brian2eprop.learning.feedback.delay_line import DelayLine, turned_to_places
from brian2eprop.learning.model.linearise import Effect
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.naming import gradient_of
from brian2eprop.learning.objective.task import Follower, Task


@dataclass(frozen=True)
class Feedback:
    """The synapses by which a pathway is followed back, with their weights.

    Attributes
    ----------
    connectivity : Connectivity
        The pathway's own, or one from its targets to its sources.
    weight : str
        Array of the feedback's weights.
    turned : bool
        Whether the connectivity is one of its own, that runs the other way.
    arrays : tuple of Array
        Its SHARED arrays besides the connectivity's.
    shared : mapping of str to array
        What the SHARED arrays hold at the start.
    refresh : ForEach, optional
        What copies the pathway's own weights (symmetric feedback).
    follower : Follower, optional
        How the weights are updated (adaptive feedback).
    learn : ForEach, optional
        What copies the gradient of the pathway's own weights there.
    due : DelayLine, optional
        Where its synapses lead to, if each has a delay of its own.
    """

    connectivity: Connectivity
    weight: str
    turned: bool = True
    arrays: tuple[Array, ...] = ()
    shared: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    refresh: ForEach | None = None
    follower: Follower | None = None
    learn: ForEach | None = None
    due: DelayLine | None = None

    @property
    def sender(self) -> Index:
        """What the neuron is, seen from these synapses, whose spike was sent."""
        return Index.TARGET if self.turned else Index.SOURCE

    @property
    def receiver(self) -> Index:
        """What the neuron is, seen from these synapses, that the spike arrived at."""
        return Index.SOURCE if self.turned else Index.TARGET

    @property
    def n_senders(self) -> int:
        """The number of neurons that send spikes."""
        if self.due is not None:
            return self.due.n
        return self.connectivity.n_target if self.turned else self.connectivity.n_source


# Rows of fewer weights in the mean are not worth a sum along each: the sum of a vector costs as
# much as so many products.
_LONG_ROW = 64


@dataclass(frozen=True)
class FeedbackPathway:
    """A pathway as feedback is made for it.

    Attributes
    ----------
    name : str
        Its own name: synapses may have several.
    connectivity : Connectivity
        Its synapses.
    contents : mapping of str to array
        Contents of their tables.
    delay : int or str
        The delay of all of them, or the array of those of each.
    in_order : bool
        Whether weights are wanted in the order of the pathway itself.
    rewired : bool
        Whether its synapses change.
    """

    name: str
    connectivity: Connectivity
    contents: Mapping[str, npt.NDArray[Any]]
    delay: Delay = 0
    in_order: bool = False
    rewired: bool = False

    @property
    def feedback(self) -> str:
        """What its feedback is called."""
        return f"feedback:{self.name}"

    def turned(self) -> tuple[Transposed, DelayLine | None]:
        """Its synapses, the way back."""
        found = self.connectivity
        if self.in_order:
            return Transposed(found, np.arange(found.n_synapses), {}), None
        if isinstance(self.delay, int):
            return found.transposed(self.feedback, self.contents), None
        return turned_to_places(self.feedback, found, self.contents, self.contents[self.delay])


def pathway_of(model: Model, task: Task, phase: Propagate, effect: Effect) -> FeedbackPathway:
    """A pathway of a model; what a spike adds there may depend on the state (``effect``)."""
    return FeedbackPathway(
        phase.label,
        model.connectivities[phase.connectivity],
        task.contents,
        phase.delay,
        # Synapses that share weights are as many the way back, and none is turned around.
        in_order=effect.depends or model.connectivities[phase.connectivity].shares,
        rewired=phase.connectivity in task.rewired,
    )


def symmetric(pathway: FeedbackPathway, weight: str) -> Feedback:
    """Feedback by the pathway's own weights, the array ``weight``.

    Long rows are summed up as they lie; of short ones there is a copy in the order of the
    targets. The rows of a pathway that is rewired are summed up as they lie: they are the same for
    the way back.
    """
    if pathway.rewired and isinstance(pathway.delay, str):
        raise LearningError(
            f"The synapses of '{pathway.name}' are rewired, have delays of their own and carry a "
            "learning signal back, which does not go together. Give all of them the same delay."
        )
    found = pathway.connectivity
    long = isinstance(pathway.delay, int) and found.n_synapses >= _LONG_ROW * found.n_source
    if pathway.in_order or long or pathway.rewired:
        return Feedback(found, weight, turned=False)
    turned, due = pathway.turned()
    name = turned.connectivity.name
    origin = f"{name}:origin"
    refs = {
        "feedback": Ref(name, Index.ELEMENT),
        "w": Ref(weight, Index.ELEMENT, via=origin),
    }
    return Feedback(
        turned.connectivity,
        name,
        arrays=(
            Array(name, DType.REAL, found.n_synapses, Access.SHARED),
            Array(origin, DType.INT, found.n_synapses, Access.SHARED),
            *_tables(due),
        ),
        shared={**turned.tables, **_contents(due), origin: turned.order.astype(np.int32)},
        refresh=ForEach(f"refresh {name}", found.n_synapses, Body("feedback = w", refs)),
        due=due,
    )


def random(pathway: FeedbackPathway, scale: float | None, seed: int) -> Feedback:
    """Feedback by fixed normal weights, by default of variance ``1/n_source``.

    The pathway's name is part of the seed: no two pathways have the same weights.
    """
    found = pathway.connectivity
    deviation = found.n_source**-0.5 if scale is None else scale
    rng = np.random.default_rng([seed, zlib.crc32(pathway.name.encode())])
    return _fixed(pathway, rng.normal(0, deviation, found.n_synapses))


def adaptive(pathway: FeedbackPathway, scale: float | None, seed: int, weight: str) -> Feedback:
    """Feedback by weights that begin as random ones and are updated as the pathway's own are.

    ``weight`` is the array of the pathway's weights.
    """
    found = random(pathway, scale, seed)
    turned, _ = pathway.turned()
    own, origin = gradient_of(found.weight), f"{found.weight}:origin"
    refs = {
        "own": Ref(own, Index.ELEMENT),
        "gradient": Ref(gradient_of(weight), Index.ELEMENT, via=origin),
    }
    size = pathway.connectivity.n_synapses
    return replace(
        found,
        arrays=(
            *found.arrays,
            Array(own, DType.REAL, size, Access.SHARED),
            Array(origin, DType.INT, size, Access.SHARED),
        ),
        shared={**found.shared, origin: turned.order.astype(np.int32)},
        follower=Follower(weight, own, origin),
        learn=ForEach(f"gradient of {found.weight}", size, Body("own = gradient", refs)),
    )


def given(pathway: FeedbackPathway, matrix: npt.NDArray[np.float64]) -> Feedback:
    """Feedback by fixed weights of shape (sources, targets), read where there is a synapse.

    Raises
    ------
    LearningError
        If the pathway's synapses share their weights.
    """
    if pathway.connectivity.shares:
        raise LearningError(
            f"The synapses of '{pathway.name}' share a kernel, and were given feedback weights for "
            "each pair of neurons. Use 'symmetric', 'random' or 'adaptive' feedback there."
        )
    return _fixed(pathway, matrix[pathway.connectivity.pairs(pathway.contents)])


def _fixed(pathway: FeedbackPathway, values: npt.NDArray[np.float64]) -> Feedback:
    """Feedback by one constant a synapse, in the pathway's order."""
    turned, due = pathway.turned()
    size = pathway.connectivity.n_synapses
    array = Array(pathway.feedback, DType.REAL, size, Access.SHARED)
    shared = {**turned.tables, **_contents(due), array.name: values[turned.order]}
    arrays = (array, *_tables(due))
    return Feedback(turned.connectivity, array.name, not pathway.in_order, arrays, shared, due=due)


def _contents(due: DelayLine | None) -> dict[str, npt.NDArray[Any]]:
    return {} if due is None else due.tables


def _tables(due: DelayLine | None) -> Iterable[Array]:
    for name, values in _contents(due).items():
        yield Array(name, DType.INT, values.size, Access.SHARED)
