"""Sums over the batches of a pass, from which its metrics follow."""

from __future__ import annotations

from dataclasses import dataclass, field

from brian2eprop.device.program import Access, Program
from brian2eprop.learning.objective.losses import Loss
from brian2eprop.learning.training.data import Batch
from brian2eprop.learning.training.engine import Room
from brian2eprop.learning.training.history import Metrics

COUNTS = "spike_count_"


@dataclass
class Tally:
    """What the batches of a pass add up to.

    Parameters
    ----------
    loss : Loss
        Judges the predictions.
    program : Program
        The Program that runs the batches.
    """

    loss: Loss
    program: Program
    n_samples: int = 0
    n_steps: int = 0
    total_loss: float = 0.0
    total_accuracy: float | None = 0.0
    spikes: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.sizes = {
            array.name: array.size
            for array in self.program.arrays
            if array.name.startswith(COUNTS) and array.access is Access.PER_INSTANCE
        }

    def add(self, room: Room, batch: Batch) -> float:
        """Add the batch that the room has just run.

        Returns
        -------
        float
            The sum of the batch's losses.
        """
        n = batch.n_samples
        batch_loss = room.total("loss", n)
        self.total_loss += batch_loss
        if self.total_accuracy is not None and batch.labels is not None:
            accuracy = self.loss.accuracy(room.read("prediction", n), batch.labels)
            self.total_accuracy = None if accuracy is None else self.total_accuracy + n * accuracy
        for name in self.sizes:
            self.spikes[name] = self.spikes.get(name, 0.0) + room.total(name, n)
        self.n_samples += n
        self.n_steps = batch.n_steps
        return batch_loss

    def metrics(self) -> Metrics:
        """Averages over the samples so far."""
        accuracy = self.total_accuracy
        duration = self.n_samples * self.n_steps * self.program.dt
        return Metrics(
            loss=self.total_loss / self.n_samples,
            accuracy=None if accuracy is None else accuracy / self.n_samples,
            rates={
                name.removeprefix(COUNTS): count / (self.sizes[name] * duration)
                for name, count in self.spikes.items()
            },
            n_samples=self.n_samples,
        )
