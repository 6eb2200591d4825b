"""Sums over the batches of a pass, from which its metrics follow."""

from __future__ import annotations

from dataclasses import dataclass, field

from brian2eprop.learning.objective.losses import Loss
from brian2eprop.learning.training.data import Batch
from brian2eprop.learning.training.engine import Room
from brian2eprop.learning.training.history import Metrics


@dataclass
class Tally:
    """What the batches of a pass add up to.

    Parameters
    ----------
    loss : Loss
        Judges the predictions.
    room : Room
        Runs the batches.
    """

    loss: Loss
    room: Room
    n_samples: int = 0
    n_steps: int = 0
    total_loss: float = 0.0
    total_accuracy: float | None = 0.0
    spikes: dict[str, float] = field(default_factory=dict)

    def add(self, batch: Batch) -> float:
        """Add the batch that the room has just run.

        Returns
        -------
        float
            The sum of the batch's losses.
        """
        room, roles, n = self.room, self.room.roles, batch.n_samples
        batch_loss = room.total(roles.loss, n)
        self.total_loss += batch_loss
        if self.total_accuracy is not None and batch.labels is not None:
            accuracy = self.loss.accuracy(room.read(roles.prediction, n), batch.labels)
            self.total_accuracy = None if accuracy is None else self.total_accuracy + n * accuracy
        for group, counts in roles.counts.items():
            self.spikes[group] = self.spikes.get(group, 0.0) + room.total(counts, n)
        self.n_samples += n
        self.n_steps = batch.n_steps
        return batch_loss

    def metrics(self) -> Metrics:
        """Averages over the samples so far."""
        accuracy = self.total_accuracy
        duration = self.n_samples * self.n_steps * self.room.program.dt
        sizes = {name: array.size for name, array in self.room.program.all_arrays().items()}
        counts = self.room.roles.counts
        return Metrics(
            loss=self.total_loss / self.n_samples,
            accuracy=None if accuracy is None else accuracy / self.n_samples,
            rates={
                group: count / (sizes[counts[group]] * duration)
                for group, count in self.spikes.items()
            },
            n_samples=self.n_samples,
        )
