"""Labels: what outputs should have been, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from brian2.units import Quantity
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    Dimension,
    get_dimensions,
    get_unit_for_display,
)

from brian2eprop.learning.objective.loss import Loss
from brian2eprop.learning.training.data import Dataset


@dataclass(frozen=True)
class Head:
    """What the loss reads.

    Parameters
    ----------
    name : str
        Its array.
    size : int
        Number of neurons.
    loss : Loss
        Judges it.
    dimensions : brian2 Dimension
        Its unit.
    weight : float
        What its loss counts.
    """

    name: str
    size: int
    loss: Loss
    dimensions: Dimension = DIMENSIONLESS
    weight: float = 1.0


def with_labels(data: Dataset, labels: Any, outputs: Sequence[Head]) -> Dataset:
    """The samples with labels, and with what the losses make of these.

    Parameters
    ----------
    data : Dataset
        The samples.
    labels : array, shape (samples, ...), or sequence of these
        One label (a class, a trajectory) a sample; for each output, where there are several.
    outputs : sequence of Head
        What is compared with them.

    Returns
    -------
    Dataset
        The same samples, labelled.

    Raises
    ------
    ValueError
        If there are more or fewer labels than samples or outputs, they have another unit than
        the output, or the loss refuses them.
    """
    given = [labels] if len(outputs) == 1 else labels
    if not isinstance(given, list | tuple) or len(given) != len(outputs):
        count = f" of {len(given)}" if isinstance(given, list | tuple) else ""
        raise ValueError(
            f"The labels are a {type(labels).__name__}{count}, but there are {len(outputs)} "
            f"outputs ({', '.join(output.name for output in outputs)}); give a list with the "
            "labels of each."
        )
    plain = [_without_unit(each, output) for each, output in zip(given, outputs, strict=True)]
    for each in plain:
        if _count(each) != data.n_samples:
            raise ValueError(
                f"There are {data.n_samples} samples of spikes but {_count(each)} labels; give one "
                "label a sample."
            )
    # First, for a loss knows what is wrong with labels that are no array.
    targets = tuple(
        output.loss.targets(each, output.size, data.n_steps)
        for each, output in zip(plain, outputs, strict=True)
    )
    # Copies, for who gives batches may use his arrays for the next one.
    return replace(data, labels=tuple(map(np.array, plain)), targets=targets)


def _without_unit(labels: Any, output: Head) -> Any:
    """The labels in SI units as plain numbers, refused where their unit is another one."""
    loss = output.loss
    unit = output.dimensions if loss.in_units_of_output else DIMENSIONLESS
    try:
        found = get_dimensions(labels)
    except (TypeError, ValueError):  # strings and the like, which the loss refuses
        found = unit
    if found is not unit or _mixes_units(labels):
        place = f", that of the output '{output.name}'" if loss.in_units_of_output else ""
        raise ValueError(
            f"The labels have {_unit(found)}; give labels with {_unit(unit)}{place}."
            if found is not unit
            else f"Some labels have a unit and some have none; give all {_unit(unit)}{place}."
        )
    return np.asarray(Quantity(labels)) if unit is not DIMENSIONLESS else labels


def _mixes_units(labels: Any) -> bool:
    if not isinstance(labels, list | tuple):
        return False
    return 0 < sum(isinstance(label, Quantity) for label in labels) < len(labels)


def _unit(dimensions: Dimension) -> str:
    if dimensions is DIMENSIONLESS:
        return "no unit"
    return f"the unit {get_unit_for_display(dimensions)}"


def _count(labels: Any) -> int:
    try:
        return len(labels)
    except TypeError:  # a number, or an array without axes
        return 0
