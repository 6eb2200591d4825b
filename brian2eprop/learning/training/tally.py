"""Passes over samples that change nothing: sums over the batches, and what follows from them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.utils.logger import get_logger

from brian2eprop.learning.naming import public_name
from brian2eprop.learning.training.data import Batch
from brian2eprop.learning.training.engine import Engine
from brian2eprop.learning.training.history import Metrics
from brian2eprop.learning.training.labels import Head
from brian2eprop.learning.training.metrics import Metric, has_classes
from brian2eprop.learning.training.numbers import Key, Numbers, fetch
from brian2eprop.learning.training.position import Sums
from brian2eprop.learning.training.session import Session

logger = get_logger(__name__)

# The share of spikes that EventProp may clip without a word; all are counted in the history.
_MANY = 0.01


@dataclass
class Tally:
    """What the batches of a pass add up to.

    Parameters
    ----------
    outputs : sequence of Head
        What is judged.
    session : Session
        Runs the batches.
    found : Sums
        What earlier batches add up to, which is added to.
    counted : sequence of Metric
        What else is counted.
    """

    outputs: Sequence[Head]
    session: Session
    found: Sums = field(default_factory=Sums)
    counted: Sequence[Metric] = ()

    @property
    def sums(self) -> dict[Key, Any]:
        """Sums over the samples so far, by what is added and whose it is."""
        return self.found.numbers

    def numbers(self, batch: Batch) -> Numbers:
        """What is to be added of the batch that the session has just run, where it lies."""
        session, roles, n = self.session, self.session.roles, batch.n_samples
        found: dict[Key, Any] = {}
        for output, role in zip(self.outputs, roles.outputs, strict=True):
            found["loss", output.name] = session.samples(role.loss, n).sum()
        for output, role, given in zip(self.outputs, roles.outputs, batch.labels, strict=False):
            if output.loss.has_accuracy:
                labels = session.memory.xp.asarray(given)
                prediction = session.samples(role.prediction, n)
                found["accuracy", output.name] = n * output.loss.accuracy(prediction, labels)
        for group, counts in roles.counts.items():
            found["spikes", group] = session.samples(counts, n).sum()
        for group, counts in self._clipped.items():
            found["clipped", group] = session.samples(counts, n).sum()
        for state, counts in session.nan_counts.items():
            found["nan", state] = (session.samples(counts, n) > 0).sum()
        return found

    def add(self, batch: Batch, numbers: Mapping[Key, float]) -> None:
        """Add the numbers of a batch, and the metrics of what the session has still."""
        counted = self._counts(batch) if self.counted else {}
        self.found.add(batch.n_samples, batch.total_steps, {**numbers, **counted})

    def _counts(self, batch: Batch) -> dict[Key, Any]:
        found = {}
        for output, role, labels in zip(
            self.outputs, self.session.roles.outputs, batch.labels, strict=True
        ):
            if has_classes(output, labels):
                prediction = self.session.read(role.prediction, batch.n_samples)
                scores = output.loss.scores(prediction)
                classes = labels.astype(int)
                for metric in self.counted:
                    found[metric.name, output.name] = metric.count(scores, classes)
        return found

    def metrics(self) -> Metrics:
        """Averages over the samples so far."""
        found = {output.name: self._judged(output.name) for output in self.outputs}
        accuracies = [each["accuracy"] for each in found.values() if "accuracy" in each]
        duration = self.found.total_steps * self.session.program.dt
        sizes = {name: array.size for name, array in self.session.program.all_arrays().items()}
        return Metrics(
            loss=sum(each["loss"] for each in found.values()),
            accuracy=accuracies[0] if len(accuracies) == 1 else None,
            rates={
                group: self.sums["spikes", group] / (sizes[counts] * duration)
                for group, counts in self.session.roles.counts.items()
            },
            clipped={
                group: self.sums["clipped", group] / max(self.sums["spikes", group], 1)
                for group in self._clipped
            },
            n_samples=self.found.n_samples,
            outputs={public_name(n): v for n, v in found.items()} if len(found) > 1 else {},
            extra={
                _name_of(metric, output, self.outputs): metric.result(
                    self.sums[metric.name, output.name], self.found.n_samples
                )
                for output in self.outputs
                for metric in self.counted
                if (metric.name, output.name) in self.sums
            },
        )

    @property
    def _clipped(self) -> dict[str, str]:
        """The arrays of clipped spikes of the Program that runs, by group."""
        arrays = self.session.program.all_arrays()
        return {group: name for group, name in self.session.roles.clipped.items() if name in arrays}

    def _judged(self, output: str) -> dict[str, float]:
        return {
            what: self.sums[what, output] / self.found.n_samples
            for what in ("loss", "accuracy")
            if (what, output) in self.sums
        }

    def warn_of_clipped(self) -> None:
        """One warning if more than a few spikes were not followed exactly."""
        for group in self._clipped:
            count, spikes = self.sums["clipped", group], self.sums["spikes", group]
            if count > _MANY * spikes:
                logger.warn(
                    f"EventProp: {count:.0f} of {spikes:.0f} spikes of '{group}' came to the "
                    "threshold more slowly than min_slope, by which their times were "
                    "differentiated. Raise weights, or look at min_slope.",
                    name_suffix="clipped",
                )

    def warn_of_nan(self) -> None:
        """One warning if states became NaN, as Brian2 gives after a run."""
        fault = nan_fault(self.sums, self.found.n_samples)
        if fault is not None:
            logger.warn(
                f"Trainer: {fault}; results with it mean nothing. Look for a division by zero, "
                "a time constant of zero, or a method that is not stable with this dt.",
                name_suffix="invalid_values",
            )


def nan_fault(numbers: Mapping[Key, float], n_samples: int) -> str | None:
    """Which state became NaN in how many samples, if any did."""
    for (what, state), count in numbers.items():
        if what == "nan" and count:
            return f"the state '{state}' became NaN in {count:.0f} of {n_samples} samples"
    return None


def _name_of(metric: Metric, output: Head, outputs: Sequence[Head]) -> str:
    return metric.name if len(outputs) == 1 else f"{public_name(output.name)}_{metric.name}"


def metric_names(
    outputs: Sequence[Head], metrics: Sequence[Metric], labels: Sequence[Any]
) -> tuple[str, ...]:
    """Names of the numbers that a pass gives for labelled samples."""
    known = {
        output.name: {"loss": 0.0} | ({"accuracy": 0.0} if output.loss.has_accuracy else {})
        for output in outputs
    }
    judged = [output for output in outputs if output.loss.has_accuracy]
    named = {public_name(name): values for name, values in known.items()}
    accuracy = 0.0 if len(judged) == 1 else None
    extra = {
        _name_of(metric, output, outputs): 0.0
        for output, each in zip(outputs, labels, strict=True)
        for metric in metrics
        if metric.is_number and has_classes(output, each)
    }
    several = named if len(named) > 1 else {}
    return tuple(Metrics(0.0, accuracy, outputs=several, extra=extra).named())


def evaluate(
    session: Session,
    outputs: Sequence[Head],
    batches: Generator[Batch],
    metrics: Sequence[Metric] = (),
) -> Metrics:
    """Judge the parameters that the session has.

    Parameters
    ----------
    session : Session
        Runs the batches.
    outputs : sequence of Head
        What is judged.
    batches : generator of Batch
        The samples, with labels.
    metrics : sequence of Metric
        What else is counted.

    Returns
    -------
    Metrics
        Averages over the samples.
    """
    tally = Tally(outputs, session, counted=metrics)
    with closing(batches):
        for batch in batches:
            session.run(batch)
            tally.add(batch, fetch(session.memory.xp, tally.numbers(batch)))
    tally.warn_of_nan()
    return tally.metrics()


def predict(
    session: Session, outputs: Sequence[Head], batches: Generator[Batch]
) -> tuple[npt.NDArray[np.floating], ...]:
    """What the network answers.

    Parameters
    ----------
    session : Session
        Runs the batches.
    outputs : sequence of Head
        Say what a prediction is.
    batches : generator of Batch
        The samples.

    Returns
    -------
    tuple of array, shape (samples, ...)
        The predictions of each output's loss.
    """
    tally = Tally(outputs, session)
    found: list[list[npt.NDArray[Any]]] = [[] for _ in outputs]
    with closing(batches):
        for batch in batches:
            session.run(batch)
            for role, each in zip(session.roles.outputs, found, strict=True):
                each.append(_of_own_steps(session.read(role.prediction, batch.n_samples), batch))
            tally.add(batch, fetch(session.memory.xp, tally.numbers(batch)))
    tally.warn_of_nan()
    return tuple(map(np.concatenate, found))


def _of_own_steps(prediction: npt.NDArray[Any], batch: Batch) -> npt.NDArray[Any]:
    """Where there is a prediction a step, NaN after the sample's end."""
    if batch.lengths is not None and prediction.ndim == 3:
        after = np.arange(prediction.shape[1]) >= batch.lengths[:, None]
        prediction[after] = np.nan
    return prediction


def mean_gradients(
    engine: Engine, outputs: Sequence[Head], batches: Generator[Batch]
) -> dict[str, npt.NDArray[Any]]:
    """The gradients of the mean loss of samples, by the parameter's array.

    Parameters
    ----------
    engine : Engine
        Runs the batches.
    outputs : sequence of Head
        What is judged.
    batches : generator of Batch
        The samples, with labels.
    """
    tally = Tally(outputs, engine.training)
    means = dict.fromkeys(engine.gradients, np.zeros(()))
    with closing(batches):
        for batch in batches:
            engine.training.run(batch)
            tally.add(batch, fetch(engine.store.xp, tally.numbers(batch)))
            share = batch.n_samples / tally.found.n_samples
            for name, gradient in engine.gradients.items():
                means[name] = means[name] + share * (engine.store.read(gradient) - means[name])
    tally.warn_of_nan()
    tally.warn_of_clipped()
    return means
