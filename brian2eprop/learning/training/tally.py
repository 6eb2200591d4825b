"""Passes over samples that change nothing: sums over the batches, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.utils.logger import get_logger

from brian2eprop.learning.objective.loss import Loss
from brian2eprop.learning.training.data import Batch, Dataset, batches
from brian2eprop.learning.training.engine import Engine
from brian2eprop.learning.training.history import Metrics
from brian2eprop.learning.training.numbers import Key, Numbers, fetch
from brian2eprop.learning.training.session import Session

logger = get_logger(__name__)


@dataclass
class Tally:
    """What the batches of a pass add up to.

    Parameters
    ----------
    loss : Loss
        Judges the predictions.
    session : Session
        Runs the batches.
    """

    loss: Loss
    session: Session
    n_samples: int = 0
    total_steps: int = 0
    sums: dict[Key, float] = field(default_factory=dict)

    def numbers(self, batch: Batch) -> Numbers:
        """What is to be added of the batch that the session has just run, where it lies."""
        session, roles, n = self.session, self.session.roles, batch.n_samples
        found = {("loss", ""): session.samples(roles.loss, n).sum()}
        if self.loss.has_accuracy and batch.labels is not None:
            labels = session.memory.xp.asarray(batch.labels)
            prediction = session.samples(roles.prediction, n)
            found["accuracy", ""] = n * self.loss.accuracy(prediction, labels)
        for group, counts in roles.counts.items():
            found["spikes", group] = session.samples(counts, n).sum()
        for state, counts in session.nan_counts.items():
            found["nan", state] = (session.samples(counts, n) > 0).sum()
        return found

    def add(self, batch: Batch, numbers: Mapping[Key, float]) -> None:
        """Add the numbers of a batch."""
        for key, value in numbers.items():
            self.sums[key] = self.sums.get(key, 0.0) + value
        self.n_samples += batch.n_samples
        self.total_steps += batch.total_steps

    def metrics(self) -> Metrics:
        """Averages over the samples so far."""
        accuracy = self.sums.get(("accuracy", ""))
        duration = self.total_steps * self.session.program.dt
        sizes = {name: array.size for name, array in self.session.program.all_arrays().items()}
        return Metrics(
            loss=self.sums["loss", ""] / self.n_samples,
            accuracy=None if accuracy is None else accuracy / self.n_samples,
            rates={
                group: self.sums["spikes", group] / (sizes[counts] * duration)
                for group, counts in self.session.roles.counts.items()
            },
            n_samples=self.n_samples,
        )

    def warn_of_nan(self) -> None:
        """One warning if states became NaN, as Brian2 gives after a run."""
        fault = nan_fault(self.sums, self.n_samples)
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


def evaluate(session: Session, loss: Loss, data: Dataset, batch_size: int) -> Metrics:
    """Judge the parameters that the session has.

    Parameters
    ----------
    session : Session
        Runs the batches.
    loss : Loss
        Judges the predictions.
    data : Dataset
        The samples, with labels.
    batch_size : int
        Number of samples that are run together.

    Returns
    -------
    Metrics
        Averages over the samples.
    """
    tally = Tally(loss, session)
    for batch in batches(data, batch_size, None):
        session.run(batch)
        tally.add(batch, fetch(session.memory.xp, tally.numbers(batch)))
    tally.warn_of_nan()
    return tally.metrics()


def predict(
    session: Session, loss: Loss, data: Dataset, batch_size: int
) -> npt.NDArray[np.floating]:
    """What the network answers.

    Parameters
    ----------
    session : Session
        Runs the batches.
    loss : Loss
        Says what a prediction is.
    data : Dataset
        The samples.
    batch_size : int
        Number of samples that are run together.

    Returns
    -------
    array, shape (samples, ...)
        The loss's predictions.
    """
    tally, found = Tally(loss, session), []
    for batch in batches(data, batch_size, None):
        session.run(batch)
        found.append(_of_own_steps(session.read(session.roles.prediction, batch.n_samples), batch))
        tally.add(batch, fetch(session.memory.xp, tally.numbers(batch)))
    tally.warn_of_nan()
    return np.concatenate(found)


def _of_own_steps(prediction: npt.NDArray[Any], batch: Batch) -> npt.NDArray[Any]:
    """Where there is a prediction a step, NaN after the sample's end."""
    if batch.lengths is not None and prediction.ndim == 3:
        after = np.arange(prediction.shape[1]) >= batch.lengths[:, None]
        prediction[after] = np.nan
    return prediction


def mean_gradients(
    engine: Engine, loss: Loss, data: Dataset, batch_size: int
) -> dict[str, npt.NDArray[Any]]:
    """The gradients of the mean loss of samples, by the parameter's array.

    Parameters
    ----------
    engine : Engine
        Runs the batches.
    loss : Loss
        Judges the predictions.
    data : Dataset
        The samples, with labels.
    batch_size : int
        Number of samples that are run together.
    """
    tally = Tally(loss, engine.training)
    totals = dict.fromkeys(engine.parameters, np.zeros(()))
    for batch in batches(data, batch_size, None):
        engine.training.run(batch)
        tally.add(batch, fetch(engine.store.xp, tally.numbers(batch)))
        share = batch.n_samples / data.n_samples
        for name, gradient in engine.gradients.items():
            totals[name] = totals[name] + share * engine.store.read(gradient)
    tally.warn_of_nan()
    return totals
