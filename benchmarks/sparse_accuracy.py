"""Sparse networks that rewire themselves, beside fixed ones and dense ones, with the same seeds.

``digits`` are the spoken digits as an inner ear hears them (``heard_digits.py``): with seed ``k``
the test speaker is the ``k``-th of the six, the next one validates, the other four train.
``mnist`` is MNIST, an image as the times of single spikes; the last 5,000 training images
validate. Both networks are recurrent, of adaptive neurons, and trained by e-prop. Sparse ones have
the share ``--inputs`` of the synapses from the inputs and ``--recurrent`` of the recurrent ones;
the readout is dense in all.

Prints the accuracy of each kind and seed, and, against fixed random synapses, the mean of the
differences of equal seeds with its standard error, and which share of the gap to dense that is.
``--kept FOLDER`` keeps checkpoints and results: what is there is gone on from.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    Synapses,
    defaultclock,
    ms,
    set_device,
    start_scope,
)
from brian2 import seed as set_seed
from heard_digits import N_CHANNELS, hear
from kept import Kept
from latency_mnist import N_STEPS
from latency_mnist import load as load_mnist
from learning import Split, line, summary, trained
from machine import heading
from spoken_digits import SPEAKERS, split_of

import brian2eprop as b2e

FIXED, DENSE = "fixed random", "dense"


def falling(updates: int) -> tuple[Any, int]:
    """The share that goes, which falls to nothing, and after how many updates each time."""
    return b2e.CosineDecay(0.3, decay_steps=max(1, updates * 3 // 4)), max(1, updates // 100)


RULES: dict[str, Callable[[int], Any]] = {
    FIXED: lambda updates: None,
    "SET": lambda updates: b2e.SET(*falling(updates)),
    "RigL": lambda updates: b2e.RigL(*falling(updates)),
    "DEEP R": lambda updates: b2e.DeepR(l1=0.03),
    DENSE: lambda updates: None,
}


@dataclass(frozen=True)
class Task:
    """What is learnt: the numbers of inputs and classes, a step, the batch, the window."""

    inputs: int
    dt: float
    batch: int
    loss: Callable[[], Any]
    split: Callable[[int], Split]


def digits(options: argparse.Namespace) -> Task:
    """Spoken digits."""
    if options.heard is None:
        raise SystemExit("sparse_accuracy.py: give --heard, where what is heard is kept.")
    heard = hear(options.data, options.heard, options.recordings, options.processes)
    return Task(
        N_CHANNELS,
        4.0,
        32,
        lambda: b2e.TrialCrossEntropy(of="mean"),
        lambda seed: split_of(heard, SPEAKERS[seed % len(SPEAKERS)], 4),
    )


def mnist(options: argparse.Namespace) -> Task:
    """Latency-coded MNIST."""
    spikes, labels = load_mnist(options.data, "train")
    test, n = load_mnist(options.data, "test"), len(labels) - 5000
    split = Split((spikes[:n], labels[:n]), (spikes[n:], labels[n:]), test)
    return Task(
        784,
        1.0,
        128,
        lambda: b2e.CrossEntropy(window=(15 * ms, N_STEPS * ms)),
        lambda seed: split,
    )


TASKS = {"digits": digits, "mnist": mnist}


def connect(synapses: Synapses, share: float, gain: float, rng: np.random.Generator) -> None:
    """Some of the pairs, each weight as large as keeps what a neuron gets the same."""
    synapses.connect(p=share) if share < 1 else synapses.connect()
    inputs = max(1.0, len(synapses) / synapses.target.N)
    synapses.w = rng.normal(0, gain * inputs**-0.5, len(synapses))


def build(kind: str, task: Task, options: argparse.Namespace, seed: int, updates: int) -> Any:
    """A recurrent network of adaptive neurons with a leaky readout."""
    start_scope()
    set_device("eprop_cuda", seed=seed)
    set_seed(seed)
    defaultclock.dt = task.dt * ms
    inputs = b2e.SpikeSource(task.inputs, name="inputs")
    hidden = NeuronGroup(
        options.hidden,
        "dv/dt = -v/(20*ms) : 1\nda/dt = -a/(200*ms) : 1",
        threshold="v > 1 + 0.1*a",
        reset="v -= 1; a += 1",
        method="exact",
        name="hidden",
    )
    readout = NeuronGroup(10, "dy/dt = (b - y)/(20*ms) : 1\nb : 1", method="exact", name="readout")
    w_in = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w", name="w_in")
    w_rec = Synapses(
        hidden, hidden, "w : 1", on_pre="v_post += w", delay=task.dt * ms, name="w_rec"
    )
    w_out = Synapses(hidden, readout, "w : 1", on_pre="y_post += w", name="w_out")
    shares = (1.0, 1.0) if kind == DENSE else (options.inputs, options.recurrent)
    rng = np.random.default_rng(seed)
    connect(w_in, shares[0], 2.0, rng)
    connect(w_rec, shares[1], 0.5, rng)
    connect(w_out, 1.0, 1.0, rng)
    rule = RULES[kind](updates)
    return b2e.Trainer(
        Network(inputs, hidden, readout, w_in, w_rec, w_out),
        output=readout.y,
        loss=task.loss(),
        rule=b2e.EProp(),
        parameters=[w_in.w, w_rec.w, w_out.w, readout.b],
        optimiser=b2e.Adam(b2e.CosineDecay(options.learning_rate, decay_steps=updates)),
        regularisers=[b2e.FiringRate(10 * Hz, 10.0)],
        rewiring={} if rule is None else {w_in: rule, w_rec: rule},
        seed=seed,
    )


def run(
    kind: str, task: Task, options: argparse.Namespace, kept: Kept, seed: int
) -> dict[str, Any]:
    """Train and test with one kind of synapses and one seed."""
    split = task.split(seed)
    epochs = options.dense_epochs if kind == DENSE else options.epochs
    updates = epochs * -(-len(split.train[1]) // task.batch)
    names = ("hidden", "learning_rate", "inputs", "recurrent", "recordings")
    settings = {"epochs": epochs, **{name: getattr(options, name) for name in names}}
    name = f"sparse-{options.task}-{options.inputs:g}-{options.recurrent:g}-{kind}-{seed}"

    def find() -> dict[str, Any]:
        trainer = build(kind, task, options, seed, updates)
        return trained(trainer, kept, name, split, epochs, batch_size=task.batch)

    return kept.result(name, settings, find)


def against_fixed(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print how far each kind is from fixed random synapses, seed by seed."""
    tests = {kind: np.array([100 * each["test"] for each in some]) for kind, some in found.items()}
    if FIXED not in tests or len(tests[FIXED]) < 2:
        return
    gap = (tests[DENSE] - tests[FIXED]).mean() if DENSE in tests else np.nan
    print("\nkind | points above fixed random | standard error | share of the gap to dense")
    print("---|---|---|---")
    for kind, each in tests.items():
        difference = each - tests[FIXED]
        error = difference.std(ddof=1) / len(difference) ** 0.5
        mean = difference.mean()
        print(f"{kind} | {mean:+.2f} | {error:.2f} | {mean / gap if gap else np.nan:.2f}")


def main() -> None:
    """Run all kinds and seeds, one seed after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--data", type=Path, help="the folder of the recordings or the IDX files")
    parser.add_argument("--heard", type=Path, help="where what is heard is kept")
    parser.add_argument("--recordings", type=int, default=50, help="of every word and speaker")
    parser.add_argument("--processes", type=int, default=2, help="recordings heard at a time")
    parser.add_argument("--kinds", nargs="*", choices=RULES, default=list(RULES))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--inputs", type=float, default=0.1, help="share of the input synapses")
    parser.add_argument("--recurrent", type=float, default=0.01, help="share of the recurrent ones")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--dense-epochs", type=int, help="of dense networks, which overfit sooner")
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--kept", type=Path, help="folder in which checkpoints and results are")
    options = parser.parse_args()
    options.dense_epochs = options.dense_epochs or options.epochs
    task = TASKS[options.task](options)
    print(heading())
    kept = Kept(options.kept)
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in options.kinds}
    for seed in options.seeds:
        for kind in options.kinds:
            found[kind].append(run(kind, task, options, kept, seed))
            print(line(f"{kind}, seed {seed}", found[kind][-1]), flush=True)
    for kind, results in found.items():
        print(summary(kind, results))
    against_fixed(found)


if __name__ == "__main__":
    main()
