"""One training step of a recurrent LIF network: brian2eprop beside plain JAX, in turns.

``make benchmark`` runs it; JAX lives in an environment of its own, ``.venv-jax``. Both are held
to two cores and get the same weights, spikes and labels.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from pathlib import Path

from beside_jax import CORES, JAX_PYTHON, run_jax  # before all that loads OpenMP
from limit import byte_limit
from network import Step, make_trainer, milliseconds
from workload import Workload


@dataclass(frozen=True)
class Result:
    """Times in ms of each round, by what was timed, and what the first trial gave."""

    times: dict[str, list[float]]
    ours: dict[str, float]
    jax: dict[str, float]


def measure(work: Workload, step: Step, python: Path, rounds: int, repeats: int) -> Result:
    """Rounds of brian2eprop, its parts and JAX, one after the other."""
    first = step.first()
    parts = {"whole": step.whole, **step.parts()}
    times: dict[str, list[float]] = {name: [] for name in (*parts, "jax")}
    for _ in range(rounds):
        for name, part in parts.items():
            times[name].append(milliseconds(part, repeats))
        jax = run_jax(python, work, repeats)
        times["jax"].append(jax["ms"])
    return Result(times, first, jax)


def rows(of: dict[str, float]) -> dict[str, float]:
    """Where the time goes, from the times of the parts."""
    return {
        "brian2eprop, training step": of["whole"],
        "  forward and loss": of["trial"],
        "  backward and gradients": of["gradient"] - of["trial"],
        "  Adam": of["update"],
        "  host": of["whole"] - of["gradient"] - of["update"],
        "JAX, training step": of["jax"],
        "brian2eprop / JAX": of["whole"] / of["jax"],
    }


def table(result: Result, limit: float) -> str:
    """The result as text: the median of the rounds, and the fastest."""
    median = rows({name: statistics.median(times) for name, times in result.times.items()})
    fastest = rows({name: min(times) for name, times in result.times.items()})
    lines = [f"{'':34s}{'median':>10s}{'fastest':>10s}  (ms)"]
    for name, value in median.items():  # differences of two minima would mean nothing
        least = "" if name.startswith(" ") else f"{fastest[name]:10.3f}"
        lines.append(f"{name:34s}{value:10.3f}{least}")
    lines.append(f"{'bytes through the caches allow':34s}{limit:10.3f}")
    for name, value in result.ours.items():
        title = f"{name} before the first update"
        lines.append(f"{title:34s}{value:10.4f} (JAX {result.jax[name]:.4f})")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jax", type=Path, default=JAX_PYTHON, help="interpreter that has JAX")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=20, help="steps in a round")
    options = parser.parse_args()
    if not options.jax.exists():
        parser.error(f"there is no interpreter {options.jax}; make one with 'make benchmark'.")
    work = Workload()
    step = Step.of(work, make_trainer(work))
    result = measure(work, step, options.jax, options.rounds, options.repeats)
    print(table(result, byte_limit(work, result.ours["rate"], len(CORES))))


if __name__ == "__main__":
    main()
