"""Sparse training: a step by density, beside JAX's dense one, and what rewiring takes of the time.

The network of ``training_step.py``, its input and recurrent synapses of some density, at several
sizes. Prints milliseconds a step: medians of rounds in which densities and JAX take turns. Then,
at the least density, what one rewiring takes and its share of the training, if it comes after
every so many updates; for RigL with what its batch takes more than others.

JAX lives in an environment of its own (``make benchmark``); if there is none it is left out.
``--hidden 256 1024`` and so on change what is measured.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from beside_jax import CORES, JAX_PYTHON, run_jax  # before all that loads OpenMP
from network import Step, make_trainer, milliseconds
from workload import Workload

import brian2eprop as b2e

# Each with the number of updates between two rewirings that its paper has; SET's are an epoch.
RULES: dict[str, tuple[Any, int]] = {
    "DEEP R": (b2e.DeepR(l1=1e-9), 1),
    "SET": (b2e.SET(0.3, every=1), 100),
    "RigL": (b2e.RigL(0.3, every=1), 100),
}


def by_density(
    work: Workload, densities: list[float], python: Path, rounds: int, repeats: int
) -> tuple[dict[float, float], float | None]:
    """Milliseconds a step by density, and those of JAX."""
    steps = {d: Step.of(work, make_trainer(work, density=d)) for d in densities}
    ours: dict[float, list[float]] = {density: [] for density in densities}
    jax = []
    for _ in range(rounds):
        for density, step in steps.items():
            ours[density].append(milliseconds(step.whole, repeats))
        if python.exists():
            jax.append(run_jax(python, work, repeats)["ms"])
    found = {density: statistics.median(times) for density, times in ours.items()}
    return found, statistics.median(jax) if jax else None


def rewirings(work: Workload, density: float, rounds: int, repeats: int) -> dict[str, float]:
    """Milliseconds that a rewiring takes by each rule."""
    found: dict[str, list[float]] = {name: [] for name in RULES}
    steps = {
        name: Step.of(work, make_trainer(work, density=density, rewiring=rule))
        for name, (rule, _) in RULES.items()
    }
    for step in steps.values():
        step.engine.rewirings.begin(step.engine.store)
        step.whole()
    for _ in range(rounds):
        for name, step in steps.items():
            taken = milliseconds(step.rewire, repeats)
            if step.engine.seeking:
                parts = step.parts()
                more = milliseconds(parts["gradients of places"], repeats)
                taken += more - milliseconds(parts["gradient"], repeats)
            found[name].append(taken)
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--densities", type=float, nargs="+", default=[1, 0.3, 0.1, 0.03, 0.01])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5, help="steps in a round")
    parser.add_argument("--jax", type=Path, default=JAX_PYTHON, help="interpreter that has JAX")
    given = parser.parse_args()
    densities = sorted(given.densities, reverse=True)
    print(f"{len(CORES)} cores, batch {given.batch}, {given.steps} steps")
    tables = [["hidden | density | ms a step | JAX dense ms | JAX by ours | densest by ours"],
              ["hidden | density | rule | every | ms a rewiring | % of the training"]]  # fmt: skip
    for hidden in given.hidden:
        work = Workload(hidden=hidden, steps=given.steps, batch=given.batch)
        ours, jax = by_density(work, densities, given.jax, given.rounds, given.repeats)
        for density, ms in ours.items():
            beside = f"{jax:.2f} | {jax / ms:.2f}" if jax else "- | -"
            more = f"{ours[densities[0]] / ms:.2f}"
            tables[0].append(f"{hidden} | {100 * density:g} % | {ms:.2f} | {beside} | {more}")
        least = densities[-1]
        taken = rewirings(work, least, given.rounds, given.repeats) if least < 1 else {}
        for name, ms in taken.items():
            every = RULES[name][1]
            share = 100 * ms / (ms + every * ours[least])
            tables[1].append(
                f"{hidden} | {100 * least:g} % | {name} | {every} | {ms:.3f} | {share:.2f}"
            )
    print("\n\n".join("\n".join(table) for table in tables))


if __name__ == "__main__":
    main()
