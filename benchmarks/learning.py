"""What the benchmarks of accuracy have in common: train to the end, judge once, keep the result."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from kept import Kept

import brian2eprop as b2e

Samples = tuple[b2e.Spikes, Any]


@dataclass(frozen=True)
class Split:
    """Samples with labels; those of the test are looked at once, after the last epoch."""

    train: Samples
    validation: Samples
    test: Samples


def trained(
    trainer: b2e.Trainer, kept: Kept, name: str, split: Split, epochs: int, **options: Any
) -> dict[str, Any]:
    """Accuracies, rates and cost of a training, which goes on from where it was cut.

    ``options`` are those of ``fit``. Seconds are those that cores were busy.
    """
    callbacks: list[b2e.Callback] = [Report(name)]
    if kept.folder is not None:
        kept.folder.mkdir(parents=True, exist_ok=True)
        checkpoint = kept.folder / f"{name}.npz"
        if checkpoint.exists():
            trainer.load(checkpoint)
        callbacks.append(b2e.ModelCheckpoint(checkpoint))
    left, began = epochs - trainer.epoch, time.process_time()
    if left > 0:
        trainer.fit(*split.train, epochs=left, callbacks=callbacks, verbose=False, **options)
    seconds = (time.process_time() - began) / max(left, 1)
    batch_size = options.get("batch_size", 32)
    judged = {
        part: trainer.evaluate(*getattr(split, part), batch_size=batch_size)
        for part in ("train", "validation", "test")
    }
    found: dict[str, Any] = {part: metrics.accuracy for part, metrics in judged.items()}
    return found | {"rates": judged["test"].rates, "seconds an epoch": seconds}


@dataclass
class Report(b2e.Callback):
    """Prints a line after every epoch."""

    name: str

    def on_epoch_end(self, trainer: Any, epoch: int, values: dict[str, Any]) -> None:
        """See :class:`Callback`."""
        print(f"  {self.name}, epoch {epoch}: train {values['accuracy']:.4f}", flush=True)


def line(name: str, found: dict[str, Any]) -> str:
    """A training in one line."""
    parts = "  ".join(f"{part} {100 * found[part]:.2f} %" for part in ("train", "validation"))
    rates = ", ".join(f"{rate:.1f} Hz" for rate in found["rates"].values())
    return (
        f"{name:34s}  test {100 * found['test']:.2f} %  {parts}  {rates}  "
        f"{found['seconds an epoch']:.1f} s of a core an epoch"
    )


def summary(name: str, results: list[dict[str, Any]]) -> str:
    """Mean and standard deviation of the test accuracies."""
    tests = [100 * found["test"] for found in results]
    spread = f"  deviation {np.std(tests, ddof=1):.2f}" if len(tests) > 1 else ""
    return f"{name:34s}  test {np.mean(tests):.2f} %{spread}  of {len(tests)}"
