"""Synapses that carry the learning signal back: a pathway's, turned around."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
from brian2eprop.errors import LearningError


@dataclass(frozen=True)
class Feedback:
    """A pathway's synapses ordered by target, with weights of their own.

    Attributes
    ----------
    pathway : str
        Name of the synapses that it follows back.
    connectivity : Connectivity
        From the pathway's targets to its sources.
    arrays : tuple of Array
        Its SHARED arrays besides the connectivity's.
    shared : mapping of str to array
        What the SHARED arrays hold at the start.
    refresh : ForEach, optional
        What copies the pathway's own weights (symmetric feedback).
    """

    pathway: str
    connectivity: Connectivity
    arrays: tuple[Array, ...]
    shared: Mapping[str, npt.NDArray[Any]]
    refresh: ForEach | None

    @property
    def weight(self) -> str:
        """Array of the feedback's weights."""
        return self.connectivity.name


def symmetric(
    name: str, pathway: Connectivity, contents: Mapping[str, npt.NDArray[Any]], weight: str
) -> Feedback:
    """Feedback by the pathway's own weights, the array ``weight``.

    Here and below ``name`` is the pathway's own: synapses may have several.
    """
    turned = pathway.transposed(_name(name), contents)
    name = turned.connectivity.name
    origin = f"{name}:origin"
    refs = {
        "feedback": Ref(name, Index.ELEMENT),
        "w": Ref(weight, Index.ELEMENT, via=origin),
    }
    return Feedback(
        pathway.name,
        turned.connectivity,
        (
            Array(name, DType.REAL, pathway.n_synapses, Access.SHARED),
            Array(origin, DType.INT, pathway.n_synapses, Access.SHARED),
        ),
        {**turned.tables, origin: turned.order.astype(np.int32)},
        ForEach(f"refresh {name}", pathway.n_synapses, Body("feedback = w", refs)),
    )


def random(
    name: str,
    pathway: Connectivity,
    contents: Mapping[str, npt.NDArray[Any]],
    scale: float | None,
    seed: int,
) -> Feedback:
    """Feedback by fixed normal weights, by default of variance ``1/n_source``.

    The pathway's name is part of the seed: no two pathways have the same weights.
    """
    deviation = pathway.n_source**-0.5 if scale is None else scale
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    values = rng.normal(0, deviation, pathway.n_synapses)
    return _fixed(name, pathway, contents, values)


def given(
    name: str,
    pathway: Connectivity,
    contents: Mapping[str, npt.NDArray[Any]],
    weights: Mapping[str, npt.ArrayLike],
) -> Feedback:
    """Feedback by fixed weights of shape (sources, targets), by name of the pathway.

    Raises
    ------
    LearningError
        If there are none for the pathway, or they are of another shape or not finite.
    """
    synapses, shape = pathway.name, (pathway.n_source, pathway.n_target)
    if synapses not in weights:
        raise LearningError(
            f"EProp was given no feedback for the synapses '{synapses}', which lead to the output. "
            f"Add '{synapses}': an array of shape {shape}."
        )
    matrix = np.asarray(weights[synapses], dtype=float)
    if matrix.shape != shape:
        raise LearningError(
            f"EProp's feedback for the synapses '{synapses}' has the shape {matrix.shape}. Give "
            f"one weight for every source and target: an array of shape {shape}."
        )
    if not np.all(np.isfinite(matrix)):
        raise LearningError(
            f"EProp's feedback for the synapses '{synapses}' is not finite everywhere. Give finite "
            "weights."
        )
    return _fixed(name, pathway, contents, matrix[pathway.pairs(contents)])


def check_used(weights: Mapping[str, npt.ArrayLike], feedbacks: Iterable[Feedback]) -> None:
    """Every name that weights were given for must be a pathway that carries a signal back.

    Raises
    ------
    LearningError
        If one is not.
    """
    known = sorted({feedback.pathway for feedback in feedbacks})
    for name in weights:
        if name not in known:
            raise LearningError(
                f"EProp was given feedback for '{name}', but no synapses of that name lead to the "
                f"output. Those that do are {', '.join(known) or 'none'}."
            )


def _name(pathway: str) -> str:
    return f"feedback:{pathway}"


def _fixed(
    name: str,
    pathway: Connectivity,
    contents: Mapping[str, npt.NDArray[Any]],
    values: npt.NDArray[np.float64],
) -> Feedback:
    """Feedback by one constant a synapse, in the pathway's order."""
    turned = pathway.transposed(_name(name), contents)
    array = Array(_name(name), DType.REAL, pathway.n_synapses, Access.SHARED)
    shared: dict[str, npt.NDArray[Any]] = {**turned.tables, array.name: values[turned.order]}
    return Feedback(pathway.name, turned.connectivity, (array,), shared, None)
