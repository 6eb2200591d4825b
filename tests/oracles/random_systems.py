"""python -m tests.oracles.random_systems: the surrogate rules on networks from the grammar.

Prints for how many of them the gradients equal the oracle's, and the largest error by rule,
relative to the largest derivative.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import brian2
import numpy as np

import brian2eprop as b2e
from tests.oracles import duals, in_brian2
from tests.oracles.forward_mode import GAMMA
from tests.oracles.grammar import each, systems
from tests.oracles.systems import READOUT, Floats, System

# A few thousand operations of rounding 1e-16 each, some of terms that nearly cancel, relative to
# the largest derivative.
TOLERANCE = 1e-9
CHUNK = 7
LARGEST = 1e4  # loss of a network that has not left all bounds


@dataclass(frozen=True)
class Way:
    """A rule, with what the oracle calls the same."""

    rule: Callable[[b2e.Surrogate], Any]
    crosses: bool = False
    attached: bool = False


WAYS = {
    "EProp, adjoint": Way(lambda surrogate: b2e.EProp(surrogate=surrogate)),
    "EProp, forward": Way(lambda surrogate: b2e.EProp(surrogate=surrogate, form="forward")),
    "EProp, chunked": Way(
        lambda surrogate: b2e.EProp(surrogate=surrogate, form="chunked", chunk=CHUNK)
    ),
    "SurrogateBPTT": Way(lambda surrogate: b2e.SurrogateBPTT(surrogate), crosses=True),
    "SurrogateBPTT, nothing detached": Way(
        lambda surrogate: b2e.SurrogateBPTT(surrogate, detach=()), crosses=True, attached=True
    ),
}


def defined(system: System) -> list[str]:
    """The rules that follow the system, by what docs/rules.md says of them.

    E-prop needs synapses onto the output from all that spike; its forms with traces one delay for
    all, and readouts that filter alike.
    """
    found = ["SurrogateBPTT", "SurrogateBPTT, nothing detached"]
    heard = {s.source for s in system.synapses.values() if s.target == READOUT}
    if heard >= set(system.spiking()):
        found.append("EProp, adjoint")
        alike = "tau_out" not in system.populations[READOUT].own
        if alike and all(s.together for s in system.synapses.values()):
            found += ["EProp, forward", "EProp, chunked"]
    return found


def expected(system: System, way: str) -> Mapping[str, Floats]:
    """The oracle's gradients."""
    return duals.gradients(system, WAYS[way].crosses, WAYS[way].attached)


def found(system: System, way: str, backend: str) -> Mapping[str, Floats]:
    """The package's gradients."""
    surrogate = getattr(b2e, system.surrogate)(GAMMA, system.width)
    return in_brian2.gradients(system, WAYS[way].rule(surrogate), backend)


def error(found: Mapping[str, Floats], expected: Mapping[str, Floats]) -> float:
    """The largest difference, relative to the largest derivative."""
    scale = max(np.abs(values).max() for values in expected.values())
    return float(max(np.abs(found[key] - expected[key]).max() for key in expected) / scale)


def errors(system: System, ways: Iterable[str], backend: str) -> dict[str, float]:
    """The errors of some rules."""
    brian2.start_scope()
    return {way: error(found(system, way, backend), expected(system, way)) for way in ways}


def some_ways(system: System, number: int) -> list[str]:
    """One form of each rule that is defined, in turn."""
    kinds = [[w for w in defined(system) if w.startswith(kind)] for kind in ("EProp", "Surr")]
    return [kind[number % len(kind)] for kind in kinds if kind]


def each_system(count: int, start: int, do: Callable[[System], None]) -> None:
    """Do something with so many systems of the grammar."""
    each(systems(), lambda system: duals.loss(system) < LARGEST, count, start, do)


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="reference")
    given = parser.parse_args()
    all_errors: dict[str, list[float]] = {way: [] for way in WAYS}
    seen: list[System] = []

    def do(system: System) -> None:
        seen.append(system)
        for way, value in errors(system, some_ways(system, len(seen)), given.backend).items():
            all_errors[way].append(value)
            print(len(seen), way, f"{value:.1e}", sep=" | ", flush=True)
            if not value < TOLERANCE:
                print(f"{way} is off by {value:.1e} on {system}", flush=True)

    each_system(given.systems, given.seed, do)
    print(f"{len(seen)} systems on '{given.backend}'", "systems", "largest error", sep=" | ")
    for way, values in all_errors.items():
        print(way, len(values), f"{max(values, default=0):.1e}", sep=" | ")
    if not all(value < TOLERANCE for values in all_errors.values() for value in values):
        raise SystemExit(f"An error is not below {TOLERANCE}.")


if __name__ == "__main__":
    main()
