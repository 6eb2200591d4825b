"""python -m tests.conformance.exact_cable: who is nearer to the exact solution of Fig3CF.py.

The published example ``frompapers/Brette_2012/Fig3CF.py``, a cable with a Soma, on Brian2's NumPy
and Cython code and on the device, each beside the same implicit Euler steps in extended precision:
the tridiagonal system of all compartments in one piece, solved in double precision and refined by
its residual in extended precision until nothing changes. The coupling between two compartments is
that of their two halves in series; no current leaves the ends.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2 import defaultclock
from scipy.linalg import solve_banded

from tests.conformance.brian2_examples import Examples
from tests.conformance.comparison import distance

SCRIPT = Path("frompapers", "Brette_2012", "Fig3CF.py")
DEVICES = ("runtime", "cpu", "runtime:cython")
REFINEMENTS = 4
Long = npt.NDArray[np.longdouble]


@dataclass(frozen=True)
class Chain:
    """Compartments in a row: what their implicit Euler steps are made of, in SI units.

    Attributes
    ----------
    area, capacitance : longdouble arrays, shape (compartments,)
        The capacitance is that of a square metre.
    coupling : longdouble array, shape (compartments - 1,)
        The axial conductance between a compartment and the next one.
    dt : longdouble
    """

    area: Long
    capacitance: Long
    coupling: Long
    dt: np.longdouble

    def step(self, v: Long, conductance: Long, source: Long) -> Long:
        """The potentials after a step, of conductances and sources of a square metre."""
        own = self.area * (self.capacitance / self.dt + conductance)
        right = self.area * (self.capacitance / self.dt * v + source)
        diagonal = own.copy()
        diagonal[:-1] += self.coupling
        diagonal[1:] += self.coupling
        banded = np.zeros((3, len(v)))
        banded[0, 1:] = banded[2, :-1] = -self.coupling
        banded[1] = diagonal
        found = v
        for _ in range(REFINEMENTS):
            across = self.coupling * np.diff(found)
            residual = right - own * found
            residual[:-1] += across
            residual[1:] -= across
            found = found + solve_banded((1, 1), banded, residual.astype(float))
        return found

    def run(self, v: Long, conductance: np.longdouble, source: Long, steps: int) -> Long:
        """The potentials at the start of each step, shape (compartments, steps)."""
        recorded = np.empty((len(v), steps), np.longdouble)
        for step in range(steps):
            recorded[:, step] = v
            v = self.step(v, conductance, source)
        return recorded


def chain_of(neuron: Any) -> Chain:
    """The compartments of a SpatialNeuron whose sections follow one another in a row."""
    names = ("area", "Cm", "r_length_1", "r_length_2", "Ri")
    return chain(
        {name: long(getattr(neuron, name + "_")) for name in names}, long(defaultclock.dt_)
    )


def chain(own: Mapping[str, Long], dt: np.longdouble) -> Chain:
    """The same of a neuron's variables."""
    halves = 1 / own["r_length_2"][:-1] + 1 / own["r_length_1"][1:]
    return Chain(own["area"], own["Cm"], 1 / (own["Ri"] * halves), dt)


def exact(found: Mapping[str, np.ndarray], given: Mapping[str, float]) -> Long:
    """The potentials that the script's monitor would record, shape (compartments, steps).

    ``found`` has the neuron's constants and how many steps there are, ``given`` what the script
    takes from its file of parameters.
    """
    own = {name.partition(".")[2]: long(v) for name, v in found.items() if "neuron" in name}
    p = {name: np.longdouble(value) for name, value in given.items()}
    cable = chain(own, p["dt"])
    current = own["Iin"] / own["area"]
    decay = np.exp(-p["dt"] / p["taum"])
    v = np.full(len(own["area"]), p["EL"])
    m, m2 = np.zeros_like(v), np.zeros_like(v)
    recorded = np.empty(found["statemonitor.v"].shape, np.longdouble)
    for step in range(recorded.shape[1]):
        recorded[:, step] = v
        inf = 1 / (1 + np.exp((p["va"] - v) / p["ka"]))
        inf2 = 1 / (1 + np.exp((p["va"] + np.longdouble(0.015) - v) / p["ka"]))
        m, m2 = inf + (m - inf) * decay, inf2 + (m2 - inf2) * decay
        sodium = own["gNa"] * m + own["gNa2"] * m2
        source = p["gL"] * p["EL"] + sodium * p["ENa"] + (current if step >= p["on"] else 0)
        v = cable.step(v, p["gL"] + sodium, source)
    return recorded


def long(values: npt.ArrayLike) -> Any:
    """Numbers, or a number, in extended precision."""
    return np.asarray(values, np.longdouble)[()]


def main() -> int:
    """Run the script on all three and print how far its potentials are from the exact ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".brian2-examples"))
    parser.add_argument("--limit", type=float, default=600.0, help="seconds a run may take")
    asked = parser.parse_args()
    asked.folder.mkdir(exist_ok=True)
    runner = Examples(asked.folder, asked.limit, "cpu")
    script = runner.root / SCRIPT
    given = runpy.run_path(str(script.with_name("params.py")))
    names = ("EL", "ENa", "ka", "va", "taum", "gL")
    constants = {name: float(given[name]) for name in names} | {"dt": 1e-5, "on": 2000.0}
    expected = exact(runner.run(script, "runtime").found, constants)
    counts = (100, 1000, 3000, expected.shape[1])
    print("| after steps | " + " | ".join(map(str, counts)) + " |")
    print("|---" * (1 + len(counts)) + "|")
    for device in DEVICES:
        found = runner.run(script, device).found["statemonitor.v"]
        row = [f"{distance(found[:, :n], expected[:, :n].astype(float)):.1g}" for n in counts]
        print(f"| {device} | " + " | ".join(row) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
