"""One training step of a recurrent LIF network: brian2eprop beside plain JAX, in turns.

``make benchmark`` runs it; JAX lives in an environment of its own, ``.venv-jax``. Both are held
to two cores and get the same weights, spikes and labels.
"""

from __future__ import annotations

import os

CORES = sorted(os.sched_getaffinity(0))[:2]
os.sched_setaffinity(0, CORES)
os.environ["OMP_NUM_THREADS"] = str(len(CORES))  # read once, when OpenMP is loaded

# ruff: noqa: E402
import argparse
import json
import statistics
import subprocess
from pathlib import Path

from limit import byte_limit
from network import Step, make_trainer, milliseconds
from workload import Workload

HERE = Path(__file__).resolve().parent
JAX_PYTHON = HERE.parent / ".venv-jax" / "bin" / "python"


def run_jax(python: Path, repeats: int) -> dict[str, float]:
    """One measurement in the other interpreter."""
    command = [str(python), str(HERE / "jax_training_step.py"), "--repeats", str(repeats)]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def measure(step: Step, python: Path, rounds: int, repeats: int) -> dict[str, float]:
    """Medians over rounds of brian2eprop, its parts and JAX, one after the other."""
    start = step.first()
    parts = step.parts()
    found: dict[str, list[float]] = {name: [] for name in ("whole", *parts, "jax")}
    for _ in range(rounds):
        found["whole"].append(milliseconds(step.whole, repeats))
        for name, part in parts.items():
            found[name].append(milliseconds(part, repeats))
        other = run_jax(python, repeats)
        found["jax"].append(other["ms"])
    medians = {name: statistics.median(times) for name, times in found.items()}
    theirs = {f"jax_{name}": other[name] for name in ("loss", "rate")}
    return medians | start | theirs


def table(found: dict[str, float], limit: float) -> str:
    """The result as text."""
    ours, jax = found["whole"], found["jax"]
    rows = [
        ("brian2eprop, training step", ours),
        ("  forward and loss", found["trial"]),
        ("  backward and gradients", found["gradient"] - found["trial"]),
        ("  Adam", found["update"]),
        ("  host", ours - found["gradient"] - found["update"]),
        ("bytes through the caches allow", limit),
        ("JAX, training step", jax),
    ]
    lines = [f"{name:34s}{value:9.2f} ms" for name, value in rows]
    lines += [
        f"{'brian2eprop / JAX':34s}{ours / jax:9.3f}",
        f"{'brian2eprop / byte limit':34s}{ours / limit:9.2f}",
    ]
    for name in ("loss", "rate"):
        other = found["jax_" + name]
        lines.append(f"{name + ' before the first update':34s}{found[name]:9.4f} (JAX {other:.4f})")
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
    found = measure(step, options.jax, options.rounds, options.repeats)
    print(table(found, byte_limit(work, found["rate"], len(CORES))))


if __name__ == "__main__":
    main()
