"""python -m tests.oracles.beside_jax PYTHON: SurrogateBPTT beside JAX's gradient of the same map.

PYTHON is an interpreter that has JAX. Prints the largest differences, relative to the largest
derivative, of the package and of forward differentiation, in double precision.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
from pathlib import Path

from tests.oracles.random_systems import WAYS, each_system, error, expected, found
from tests.oracles.systems import Floats, System

TOLERANCE = 1e-10
BPTT = {way: given for way, given in WAYS.items() if given.crosses}


def by_jax(python: str | Path, systems: list[System]) -> list[dict[str, dict[str, Floats]]]:
    """JAX's gradients of every system, by the rule that should find the same."""
    asked = [(system, True, given.attached) for system in systems for given in BPTT.values()]
    done = subprocess.run(
        [python, "-m", "tests.oracles.jax_map"],
        input=pickle.dumps(asked),
        stdout=subprocess.PIPE,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    answers = iter(pickle.loads(done.stdout))
    return [{way: next(answers) for way in BPTT} for _ in systems]


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python")
    parser.add_argument("--systems", type=int, default=20)
    given = parser.parse_args()
    systems: list[System] = []
    each_system(given.systems, 0, systems.append)
    theirs = by_jax(given.python, systems)
    print(f"difference from JAX on {given.systems} systems", *BPTT, sep=" | ")
    for name, ours in (
        ("brian2eprop", lambda system, way: found(system, way, "reference")),
        ("forward differentiation", expected),
    ):
        pairs = list(zip(systems, theirs, strict=True))
        worst = [max(error(ours(s, way), answers[way]) for s, answers in pairs) for way in BPTT]
        print(name, *(f"{value:.1e}" for value in worst), sep=" | ")
        if not max(worst) < TOLERANCE:
            raise SystemExit(f"A difference is not below {TOLERANCE}.")


if __name__ == "__main__":
    main()
