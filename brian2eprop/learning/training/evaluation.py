"""What a Trainer finds out about samples while it changes nothing, and what samples it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from brian2eprop.learning.training.arguments import check_count, check_list, shown
from brian2eprop.learning.training.data import (
    Dataset,
    Samples,
    check_pair,
    check_same_inputs,
    is_pair,
    make_dataset,
    without_labels,
)
from brian2eprop.learning.training.history import Metrics
from brian2eprop.learning.training.labels import with_labels
from brian2eprop.learning.training.metrics import Metric, check_metrics
from brian2eprop.learning.training.sources import InMemory, Source, Streamed, gives_batches
from brian2eprop.learning.training.tally import evaluate, mean_gradients, predict
from brian2eprop.learning.training.trainer_state import TrainerState
from brian2eprop.learning.training.weighting import with_lengths, with_weights
from brian2eprop.spikes import Spikes

DEFAULT_BATCH_SIZE = 64


class Evaluation(TrainerState):
    """The passes over samples in which nothing is learned."""

    def evaluate(
        self,
        spikes: Samples | Any,
        labels: npt.ArrayLike | None = None,
        batch_size: int | None = None,
        *,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        lengths: npt.ArrayLike | None = None,
        metrics: Sequence[Metric] = (),
    ) -> Metrics:
        """Judge the network as it is.

        Parameters
        ----------
        spikes : Spikes or mapping of str to Spikes or array
            As for :meth:`fit`: without labels a data set that gives batches.
        labels : array, shape (samples, ...)
            What the loss compares with.
        batch_size : int, optional
            Number of samples that are run together, 64 unless given; that of a data set is its
            own.
        sample_weight, class_weight, lengths, metrics : optional
            As for :meth:`fit`.

        Returns
        -------
        Metrics
            Loss, accuracy and firing rates; in ``extra`` the metrics that were asked for.

        Raises
        ------
        ValueError, TypeError
            If samples or labels are not what the network takes, or it holds parameters that
            are not finite, or states that are NaN.
        """
        further = {"sample_weight": sample_weight, "class_weight": class_weight, "lengths": lengths}
        source = self._source("evaluate", spikes, labels, batch_size, further)
        counted = self._counted("evaluate", metrics, source.first)
        with self._turns.turn():
            self._follow(source.first)
            self._read()
            return evaluate(self._engine.evaluation, self._outputs, source.batches(), counted)

    def predict(
        self,
        spikes: Samples | Any,
        batch_size: int | None = None,
        *,
        lengths: npt.ArrayLike | None = None,
    ) -> Any:
        """What the network answers.

        Parameters
        ----------
        spikes : Spikes or mapping of str to Spikes or array
            As for :meth:`fit`, or a data set that gives batches, whose labels are left out: they
            may be Spikes alone.
        batch_size : int, optional
            Number of samples that are run together, 64 unless given; that of a data set is its
            own.
        lengths : int array, shape (samples,), optional
            As for :meth:`fit`.

        Returns
        -------
        array, shape (samples, ...), or tuple of these
            The loss's predictions, such as the probability of each class; NaN at steps after a
            sample's end. A tuple where there are several outputs.

        Raises
        ------
        ValueError, TypeError
            As :meth:`evaluate`.
        """
        source = self._unlabelled("predict", spikes, batch_size, lengths)
        with self._turns.turn():
            self._follow(source.first)
            self._read()
            found = predict(self._engine.evaluation, self._outputs, source.batches())
            return found[0] if len(found) == 1 else found

    def gradients(
        self,
        spikes: Samples | Any,
        labels: npt.ArrayLike | None = None,
        batch_size: int | None = None,
        *,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        lengths: npt.ArrayLike | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """The rule's gradients of the mean loss, regularisers included; nothing is changed.

        Parameters
        ----------
        spikes, labels, batch_size, sample_weight, class_weight, lengths
            As for :meth:`evaluate`.

        Returns
        -------
        dict of str to array
            The gradient by the name of each parameter that is not frozen (``w_in_w`` for
            ``w_in.w``), in the order of its Brian2 variable.

        Raises
        ------
        ValueError, TypeError
            As :meth:`evaluate`.
        """
        further = {"sample_weight": sample_weight, "class_weight": class_weight, "lengths": lengths}
        source = self._source("gradients", spikes, labels, batch_size, further)
        with self._turns.turn():
            self._follow(source.first)
            self._read()
            means = mean_gradients(self._engine, self._outputs, source.batches())
            return self._parameters.shown(means)

    # What samples are taken

    def _samples(self, spikes: Samples, lengths: Any = None) -> Dataset:
        return with_lengths(make_dataset(spikes, self._streams, self._analogue.checked), lengths)

    def _labelled(
        self,
        spikes: Samples,
        labels: Any,
        sample_weight: Any = None,
        class_weight: Any = None,
        lengths: Any = None,
    ) -> Dataset:
        data = with_labels(self._samples(spikes, lengths), labels, self._outputs)
        return with_weights(data, sample_weight, class_weight, self._outputs)

    def _source(
        self, owner: str, spikes: Any, labels: Any, size: int | None, further: dict[str, Any]
    ) -> Source:
        if labels is None and is_pair(spikes):
            raise TypeError(
                f"{owner}: spikes and labels are given as one {type(spikes).__name__}; give them "
                f"as two arguments: {owner}(spikes, labels)."
            )
        if labels is not None or isinstance(spikes, Spikes | Mapping):
            _refuse_labels_beside(owner, spikes)
            return InMemory(self._labelled(spikes, labels, **further), _size(size))
        _refuse_beside(owner, {"batch_size": size}, _OWN_SIZE)
        _refuse_beside(owner, further)
        return self._streamed(owner, spikes)

    def _streamed(self, owner: str, given: Any) -> Source:
        return Streamed(
            owner, given, lambda name, item: self._labelled(**check_pair(owner, name, item))
        )

    def _unlabelled(self, owner: str, spikes: Any, size: int | None, lengths: Any) -> Source:
        if not gives_batches(spikes):
            return InMemory(self._samples(spikes, lengths), _size(size))
        _refuse_beside(owner, {"batch_size": size}, _OWN_SIZE)
        _refuse_beside(owner, {"lengths": lengths})
        return Streamed(
            owner, spikes, lambda name, item: self._samples(**without_labels(owner, name, item))
        )

    def _held_out(self, given: Any, source: Source) -> Source | None:
        if given is None:
            return None
        found: Source
        if gives_batches(given) and not is_pair(given):
            found = self._streamed("validation_data", given)
        else:
            data = self._labelled(**check_pair("fit", "validation_data", given))
            found = InMemory(data, source.batch_size)
        check_same_inputs(source.first, found.first)
        return found

    def _counted(self, owner: str, metrics: Any, data: Dataset) -> tuple[Metric, ...]:
        found = check_list(owner, "metrics", metrics, Metric, "ConfusionMatrix()")
        check_metrics(found, data.labels, self._outputs)
        return found


def _size(given: Any) -> int:
    return check_count("batch_size", DEFAULT_BATCH_SIZE if given is None else given)


_IN_BATCHES = "let each batch be a dictionary with 'spikes', 'labels' and '{}'"
_OWN_SIZE = "leave it out, for a batch has the samples that the data set gives at once"


def _refuse_beside(owner: str, further: Mapping[str, Any], remedy: str = _IN_BATCHES) -> None:
    """Refuse what a data set has in its batches."""
    for name in (name for name, value in further.items() if value is not None):
        raise TypeError(
            f"{owner}: {name} is given beside a data set that gives batches; {remedy.format(name)}."
        )


def _refuse_labels_beside(owner: str, spikes: Any) -> None:
    """Refuse labels for what has labels in its batches."""
    if gives_batches(spikes) and not isinstance(spikes, list):
        raise TypeError(
            f"{owner}: labels are given beside what is {shown(spikes)} and gives batches; leave "
            "them out if these are (spikes, labels), or give Spikes, such as "
            "Spikes.from_dense(...)."
        )
