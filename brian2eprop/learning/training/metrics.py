"""What can be measured of classes beside the accuracy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.learning.objective.classes import rank
from brian2eprop.learning.training.labels import Head
from brian2eprop.number_checks import whole

Counts = npt.NDArray[np.float64]


class Metric(ABC):
    """Something that is counted over samples of one class each.

    As for the accuracy, classes that tie are no answer.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Its entry in the history."""

    @property
    def is_number(self) -> bool:
        """Whether it is one number, which callbacks can follow."""
        return False

    @abstractmethod
    def count(self, scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Counts:
        """What is to be added up, of some samples.

        Parameters
        ----------
        scores : array, shape (samples, classes)
            What the network answers; the largest is its class. For :class:`FirstSpikeTime` they
            are the times with a minus; minus infinity is a class that cannot be it.
        labels : int array, shape (samples,)
            The classes.
        """

    @abstractmethod
    def result(self, counts: Counts, n_samples: int) -> Any:
        """The metric, of what was added up."""


@dataclass(frozen=True)
class TopKAccuracy(Metric):
    """Share of the samples whose class is among the ``k`` largest predictions.

    Classes that tie share the last of their places: none of them is among the ``k`` largest
    unless all are. So ``TopKAccuracy(1)`` is the accuracy. (In Keras all are that tie for the
    last place.) The entry in the history is ``top_<k>_accuracy``.

    Parameters
    ----------
    k : int
        How many.

    Raises
    ------
    ValueError
        If it is no whole number from 1 up.
    """

    k: int = 5

    def __post_init__(self) -> None:
        whole("TopKAccuracy", "k", self.k, 1)

    @property
    def name(self) -> str:
        """See :class:`Metric`."""
        return f"top_{self.k}_accuracy"

    @property
    def is_number(self) -> bool:
        """See :class:`Metric`."""
        return True

    def count(self, scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Counts:
        """See :class:`Metric`."""
        return np.asarray((rank(scores, labels) <= self.k).sum(), float)

    def result(self, counts: Counts, n_samples: int) -> float:
        """See :class:`Metric`."""
        return float(counts) / n_samples


@dataclass(frozen=True)
class ConfusionMatrix(Metric):
    """How many samples of each class (row) were taken for each class (column).

    A sample whose largest predictions tie is taken for none, and stands in no column. The
    entry in the history is ``confusion_matrix``, a list of lists of int.
    """

    @property
    def name(self) -> str:
        """See :class:`Metric`."""
        return "confusion_matrix"

    def count(self, scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Counts:
        """See :class:`Metric`; a last column counts the samples that are taken for no class."""
        n_classes = scores.shape[1]
        found = np.zeros((n_classes, n_classes + 1))
        best = scores.argmax(axis=1)
        np.add.at(found, (labels, np.where(rank(scores, best) == 1, best, n_classes)), 1)
        return found

    def result(self, counts: Counts, n_samples: int) -> list[list[int]]:
        """See :class:`Metric`."""
        matrix: list[list[int]] = counts[:, :-1].astype(int).tolist()
        return matrix


@dataclass(frozen=True)
class ClassAccuracy(ConfusionMatrix):
    """Share of the samples of each class that were predicted right; ties are not right.

    The entry in the history is ``class_accuracy``, a list with NaN for classes without samples.
    """

    @property
    def name(self) -> str:
        """See :class:`Metric`."""
        return "class_accuracy"

    def result(self, counts: Counts, n_samples: int) -> Any:
        """See :class:`Metric`."""
        of_class = counts.sum(axis=1)
        shares = np.full(of_class.size, np.nan)
        np.divide(counts.diagonal(), of_class, out=shares, where=of_class > 0)
        return shares.tolist()


def check_metrics(
    metrics: Sequence[Metric], labels: Sequence[npt.NDArray[Any]], outputs: Sequence[Head]
) -> None:
    """Refuse what cannot be counted.

    Raises
    ------
    ValueError
        If no output has one class a sample, or two metrics have one name.
    """
    names = [metric.name for metric in metrics]
    for name in (name for name in names if names.count(name) > 1):
        raise ValueError(f"metrics has '{name}' twice; give it once.")
    if metrics and not any(map(has_classes, outputs, labels)):
        raise ValueError(
            f"metrics has '{names[0]}', which is for an output with one class a sample, and there "
            "is none; leave it out."
        )


def has_classes(output: Head, labels: npt.NDArray[Any]) -> bool:
    """Whether there is one class a sample."""
    return output.loss.has_classes and labels.ndim == 1
