"""How long each sample is, and what its loss counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.learning.training.data import Dataset
from brian2eprop.learning.training.labels import Head


def with_lengths(data: Dataset, lengths: Any) -> Dataset:
    """The samples, each ending after its own number of steps.

    Parameters
    ----------
    data : Dataset
        The samples.
    lengths : int array, shape (samples,), or None
        Number of steps of each; None is that of the spikes for all.

    Raises
    ------
    ValueError
        If they are no whole numbers from 1 to the number of steps, one a sample.
    """
    if lengths is None:
        return data
    wanted = f"one whole number from 1 to {data.n_steps} for each of the {data.n_samples} samples"
    found = np.asarray(lengths)
    if found.dtype.kind not in "iu" or found.shape != (data.n_samples,):
        raise ValueError(
            f"lengths is an array of {found.dtype} of shape {found.shape}; give {wanted}."
        )
    bad = (found < 1) | (found > data.n_steps)
    if bad.any():
        sample = int(np.argmax(bad))
        raise ValueError(f"lengths has {found[sample]} for sample {sample}; give {wanted}.")
    return replace(data, lengths=found.astype(np.int64))


def with_weights(
    data: Dataset, sample_weight: Any, class_weight: Any, outputs: Sequence[Head]
) -> Dataset:
    """The labelled samples with what the loss of each counts: the product of both weights.

    Parameters
    ----------
    data : Dataset
        The samples.
    sample_weight : array, shape (samples,), or None
        A weight for each sample.
    class_weight : mapping of int to float, or None
        A weight for each class; classes that are left out count 1.
    outputs : sequence of Head
        What is compared with the labels.

    Raises
    ------
    TypeError, ValueError
        If they are no finite numbers from 0 up, one a sample or by class.
    """
    if sample_weight is None and class_weight is None:
        return data
    weights = np.ones(data.n_samples)
    if sample_weight is not None:
        weights = _finite("sample_weight", sample_weight, (data.n_samples,))
    if class_weight is not None:
        weights = weights * _of_classes(data, class_weight, outputs[0])
    return replace(data, weights=weights)


def _of_classes(data: Dataset, class_weight: Any, output: Head) -> npt.NDArray[np.float64]:
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight is of type {type(class_weight).__name__}; give a dictionary with a "
            "weight by class, such as {0: 1.0, 1: 9.0}."
        )
    if len(data.labels) != 1 or data.labels[0].ndim != 1:
        raise ValueError(
            "class_weight is for one output with one class a sample, and these labels are none; "
            "give sample_weight."
        )
    (labels,) = data.labels
    weights = np.ones(data.n_samples)
    for label, weight in class_weight.items():
        if output.loss.has_classes and label not in range(output.size):
            raise ValueError(
                f"class_weight has {label!r}, but the classes are 0 to {output.size - 1}, one for "
                "each output; give weights for some of these."
            )
        weights[labels == label] = _finite(f"class_weight[{label!r}]", weight, ())
    return weights


def _finite(name: str, values: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    wanted = "a finite number from 0 up" + (f" for each of the {shape[0]} samples" if shape else "")
    found = np.asarray(values)
    if found.dtype.kind not in "biuf" or found.shape != shape:
        raise ValueError(f"{name} is {found.dtype} of shape {found.shape}; give {wanted}.")
    bad = ~(np.isfinite(found) & (found >= 0))
    if bad.any():
        raise ValueError(f"{name} holds {found[bad].flat[0]}; give {wanted}.")
    return found.astype(np.float64)
