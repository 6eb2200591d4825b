"""python -m brian2eprop.demo: train, test, draw."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import set_device, start_scope

import brian2eprop as b2e
from brian2eprop.demo.data import N_STEPS, Digits, load
from brian2eprop.demo.figure import draw
from brian2eprop.demo.model import build, fit


class Report(b2e.Callback):
    """One line an epoch."""

    def on_train_begin(self, trainer: object) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, trainer: object, epoch: int, values: Mapping[str, Any]) -> None:
        """Print the epoch's accuracies."""
        print(
            f"epoch {epoch:3d}   training {100 * values['accuracy']:5.1f} %   "
            f"validation {100 * values['val_accuracy']:5.1f} %   "
            f"{time.perf_counter() - self.start:5.1f} s",
            flush=True,
        )


def run(digits: Digits, options: argparse.Namespace, seed: int) -> float:
    """Train and test with one seed; the accuracy on the test digits."""
    start_scope()
    set_device("eprop_cuda", backend=options.backend, precision=options.precision, seed=seed)
    n_inputs = digits.train.spikes.n_neurons
    classifier = build(n_inputs, options.hidden, N_STEPS, options.form, seed)
    history = fit(classifier, digits.train, digits.validation, options.epochs, Report())
    accuracy = classifier.trainer.evaluate(digits.test.spikes, digits.test.labels).accuracy
    assert accuracy is not None
    print(f"seed {seed}: test accuracy {100 * accuracy:.1f} %")
    if seed == options.seed and options.figure and history["accuracy"]:
        draw(options.figure, history, classifier, digits.test, accuracy)
        print(f"figure written to {options.figure}")
    return accuracy


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m brian2eprop.demo",
        description="Train a recurrent network of adaptive neurons on handwritten digits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--epochs", type=int, default=30, help="passes over the digits")
    parser.add_argument("--hidden", type=int, default=128, help="number of hidden neurons")
    parser.add_argument(
        "--form", choices=("adjoint", "forward"), default="adjoint", help="form of e-prop"
    )
    parser.add_argument("--backend", default="auto", help="where it runs, as for set_device")
    parser.add_argument(
        "--precision", choices=("float32", "float64"), default="float32", help="of real numbers"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and order of the digits")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument("--figure", type=Path, default=Path("demo.png"), help="file to draw")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demonstration."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    if not options.figure.parent.is_dir():
        raise SystemExit(f"There is no folder '{options.figure.parent}' for the figure; make it.")
    digits = load()
    seeds = range(options.seed, options.seed + options.seeds)
    accuracies = [run(digits, options, seed) for seed in seeds]
    if len(accuracies) > 1:
        mean, deviation = 100 * np.mean(accuracies), 100 * np.std(accuracies, ddof=1)
        print(f"mean of {len(accuracies)} seeds: {mean:.1f} % (standard deviation {deviation:.1f})")


if __name__ == "__main__":
    main()
