"""What a training run reports: metrics of a pass over the data, and their history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Metrics:
    """Averages over the samples of one pass.

    Parameters
    ----------
    loss : float
        Mean loss of a sample.
    accuracy : float, optional
        Fraction of the samples predicted right, where the loss of one output knows what that is.
    rates : mapping of str to float
        Mean firing rate of each spiking group in Hz.
    n_samples : int
        Number of samples.
    outputs : mapping of str to (mapping of str to float)
        Where there are several outputs, each one's part of the loss and its accuracy.
    clipped : mapping of str to float
        With EventProp, in training: the share of the spikes of each group whose neurons came to
        the threshold more slowly than ``min_slope``.
    extra : mapping of str to (float or list)
        The metrics that were asked for, by name.
    """

    loss: float
    accuracy: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    n_samples: int = 0
    outputs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    clipped: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def named(self, prefix: str = "") -> dict[str, float]:
        """Loss, accuracy and other numbers, in all and of each output, by prefixed name."""
        values = {f"{prefix}loss": self.loss}
        if self.accuracy is not None:
            values[f"{prefix}accuracy"] = self.accuracy
        for output, found in self.outputs.items():
            values |= {f"{prefix}{output}_{name}": value for name, value in found.items()}
        numbers = {name: value for name, value in self.extra.items() if isinstance(value, float)}
        return values | {f"{prefix}{name}": value for name, value in numbers.items()}

    def recorded(self, prefix: str = "") -> dict[str, Any]:
        """The same and the lists among the metrics, as the history gets them."""
        return self.named(prefix) | {f"{prefix}{k}": value for k, value in self.extra.items()}


class History(dict[str, list[Any]]):
    """Lists with one entry an epoch.

    ``loss``, ``accuracy`` (averages over the epoch, while the parameters changed), ``rates``
    (a dictionary of Hz by group), with EventProp ``clipped`` (the share of spikes by group whose
    times were not followed exactly), with rewiring ``churn`` (by synapses, how many were formed
    in the epoch, as a share of their number) and, with validation data, ``val_loss`` and
    ``val_accuracy`` (at the end of the epoch). Accuracies are there for losses that have one;
    with several outputs there are also ``<output>_loss`` and ``<output>_accuracy``. The metrics
    that ``fit`` was asked for have their names, and ``val_`` before these.
    """

    def expect(self, names: Iterable[str]) -> None:
        """Have a list for each of these, if still an empty one."""
        for name in names:
            self.setdefault(name, [])

    def record(self, values: Mapping[str, Any]) -> None:
        """Append one epoch's values to their lists."""
        for name, value in values.items():
            self.setdefault(name, []).append(value)
