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
    DType,
    ForEach,
    Index,
    Ref,
)
from brian2eprop.device.program.connectivity.base import Transposed
from brian2eprop.errors import LearningError
from brian2eprop.learning.model.due import Due, turned_to_places
from brian2eprop.learning.naming import gradient_of


@dataclass(frozen=True)
class Follower:
    """How an array is updated that is no parameter.

    Attributes
    ----------
    leader : str
        The parameter that it is updated as.
    gradient : str
        The array of its gradient.
    origin : str
        The array of the element of the leader that each of its elements follows.
    """

    leader: str
    gradient: str
    origin: str


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
    due : Due, optional
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
    due: Due | None = None

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


def symmetric(
    name: str,
    pathway: Connectivity,
    contents: Mapping[str, npt.NDArray[Any]],
    weight: str,
    delay: int | str = 0,
    lies: bool = False,
    rewired: bool = False,
) -> Feedback:
    """Feedback by the pathway's own weights, the array ``weight``.

    Long rows are summed up as they lie; of short ones there is a copy in the order of the
    targets. Here and below ``name`` is the pathway's own: synapses may have several; ``delay`` is
    that of all synapses, or the array of those of each; ``lies`` asks for weights in the order of
    the pathway itself. The rows of a pathway that is rewired are summed up as they lie: they are
    the same for the way back.
    """
    if rewired and isinstance(delay, str):
        raise LearningError(
            f"The synapses of '{name}' are rewired, have delays of their own and carry a learning "
            "signal back, which does not go together. Give all of them the same delay."
        )
    long = isinstance(delay, int) and pathway.n_synapses >= _LONG_ROW * pathway.n_source
    if lies or long or rewired:
        return Feedback(pathway, weight, turned=False)
    turned, due = _turned(name, pathway, contents, delay, lies)
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
            Array(name, DType.REAL, pathway.n_synapses, Access.SHARED),
            Array(origin, DType.INT, pathway.n_synapses, Access.SHARED),
            *_tables(due),
        ),
        shared={**turned.tables, **_contents(due), origin: turned.order.astype(np.int32)},
        refresh=ForEach(f"refresh {name}", pathway.n_synapses, Body("feedback = w", refs)),
        due=due,
    )


def random(
    name: str,
    pathway: Connectivity,
    contents: Mapping[str, npt.NDArray[Any]],
    scale: float | None,
    seed: int,
    delay: int | str = 0,
    lies: bool = False,
) -> Feedback:
    """Feedback by fixed normal weights, by default of variance ``1/n_source``.

    The pathway's name is part of the seed: no two pathways have the same weights.
    """
    deviation = pathway.n_source**-0.5 if scale is None else scale
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    values = rng.normal(0, deviation, pathway.n_synapses)
    return _fixed(name, pathway, contents, values, delay, lies)


def adaptive(
    name: str,
    pathway: Connectivity,
    contents: Mapping[str, npt.NDArray[Any]],
    scale: float | None,
    seed: int,
    weight: str,
    gradient: str,
    delay: int | str = 0,
    lies: bool = False,
) -> Feedback:
    """Feedback by weights that begin as random ones and are updated as the pathway's own are.

    ``weight`` is the array of the pathway's weights, ``gradient`` that of their gradient.
    """
    found = random(name, pathway, contents, scale, seed, delay, lies)
    turned, _ = _turned(name, pathway, contents, delay, lies)
    own, origin = gradient_of(found.weight), f"{found.weight}:origin"
    refs = {
        "own": Ref(own, Index.ELEMENT),
        "gradient": Ref(gradient, Index.ELEMENT, via=origin),
    }
    size = pathway.n_synapses
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


def given(
    name: str,
    pathway: Connectivity,
    contents: Mapping[str, npt.NDArray[Any]],
    matrix: npt.NDArray[np.float64],
    delay: int | str = 0,
    lies: bool = False,
) -> Feedback:
    """Feedback by fixed weights of shape (sources, targets), read where there is a synapse."""
    return _fixed(name, pathway, contents, matrix[pathway.pairs(contents)], delay, lies)


def _name(pathway: str) -> str:
    return f"feedback:{pathway}"


def _fixed(
    name: str,
    pathway: Connectivity,
    contents: Mapping[str, npt.NDArray[Any]],
    values: npt.NDArray[np.float64],
    delay: int | str,
    lies: bool,
) -> Feedback:
    """Feedback by one constant a synapse, in the pathway's order."""
    turned, due = _turned(name, pathway, contents, delay, lies)
    array = Array(_name(name), DType.REAL, pathway.n_synapses, Access.SHARED)
    shared = {**turned.tables, **_contents(due), array.name: values[turned.order]}
    arrays = (array, *_tables(due))
    return Feedback(turned.connectivity, array.name, not lies, arrays, shared, due=due)


def _turned(
    name: str,
    pathway: Connectivity,
    contents: Mapping[str, npt.NDArray[Any]],
    delay: int | str,
    lies: bool,
) -> tuple[Transposed, Due | None]:
    if lies:
        return Transposed(pathway, np.arange(pathway.n_synapses), {}), None
    if isinstance(delay, int):
        return pathway.transposed(_name(name), contents), None
    return turned_to_places(_name(name), pathway, contents, contents[delay])


def _contents(due: Due | None) -> dict[str, npt.NDArray[Any]]:
    return {} if due is None else due.tables


def _tables(due: Due | None) -> Iterable[Array]:
    for name, values in _contents(due).items():
        yield Array(name, DType.INT, values.size, Access.SHARED)
