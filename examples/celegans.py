"""The nervous system of C. elegans: graded neurons, chemical synapses and gap junctions.

``python examples/celegans.py FOLDER`` reads ``herm_chem_edges.csv`` and ``herm_elec_edges.csv``
(columns pre, post, weight: numbers of contacts) and, for the names of neurons,
``herm_chem_nodes.csv`` (Cook et al. 2019, Nature 571:63, as published at wormwiring.org), leaves
muscles and other cells out, and simulates a touch: a current into the posterior touch receptors
PLML and PLMR, once the network has come to rest.

Neurons have no spikes; a synapse's conductance follows the presynaptic potential (Kunert,
Shlizerman & Kutz 2014, Physical Review E 89:052805). Gap junctions sum a current over all
neighbours in every step. It prints how long it took and the ten neurons that move most, and
draws ``celegans.png``.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    mV,
    nS,
    pA,
    pF,
    set_device,
)

import brian2eprop  # noqa: F401 (registers the device)

Edges = list[tuple[str, str, float]]

# GABAergic neurons, whose synapses are inhibitory: classes of White et al. 1986.
INHIBITORY = ("DD", "VD", "RME", "AVL", "DVB", "RIS")

NEURON = """
dv/dt = (g_leak*(E_leak - v) + I_syn + I_gap + I_stim)/C : volt
ds/dt = a_rise*(1 - s)/(1 + exp(-(v - v_half)/width)) - a_decay*s : 1
I_syn : amp
I_gap : amp
I_stim : amp
"""
CONSTANTS = {
    "g_leak": 0.01 * nS,
    "E_leak": -35 * mV,
    "C": 1 * pF,
    "a_rise": 1 / ms / 1000,
    "a_decay": 5 / ms / 1000,
    "v_half": -30 * mV,
    "width": 8 * mV,
    "g_contact": 0.1 * nS,
}


@dataclass(frozen=True)
class Connectome:
    """The neurons' names, and contacts by the numbers of neurons: arrays pre, post, weight."""

    names: list[str]
    chemical: tuple[Any, Any, Any]
    electrical: tuple[Any, Any, Any]

    @classmethod
    def of(cls, chemical: Edges, electrical: Edges) -> Connectome:
        """From tables of names; a gap junction, listed once or twice, leads both ways."""
        names = sorted({name for pre, post, _ in (*chemical, *electrical) for name in (pre, post)})
        both = {(pre, post): w for pre, post, w in electrical}
        both |= {(post, pre): w for pre, post, w in electrical if (post, pre) not in both}
        return cls(
            names,
            _numbered(chemical, names),
            _numbered([(pre, post, w) for (pre, post), w in both.items()], names),
        )

    @classmethod
    def read(cls, folder: Path) -> Connectome:
        """From a folder with the tables of the hermaphrodite."""
        neurons = {row["node_id"] for row in _rows(folder / "herm_chem_nodes.csv")}
        return cls.of(*(_edges(folder, kind, neurons) for kind in ("chem", "elec")))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _edges(folder: Path, kind: str, neurons: set[str]) -> Edges:
    return [
        (row["pre"], row["post"], float(row["weight"]))
        for row in _rows(folder / f"herm_{kind}_edges.csv")
        if {row["pre"], row["post"]} <= neurons
    ]


def _numbered(edges: Edges, names: list[str]) -> tuple[Any, Any, Any]:
    number = {name: n for n, name in enumerate(names)}
    pre, post, weight = zip(*((number[p], number[q], w) for p, q, w in edges), strict=True)
    return np.array(pre), np.array(post), np.array(weight)


def simulate(worm: Connectome, touched: tuple[str, ...], rest: Any, duration: Any) -> StateMonitor:
    """The potentials of all neurons, at rest and while some are touched."""
    defaultclock.dt = 0.01 * ms  # a cell with hundreds of contacts follows its neighbours at once
    neurons = NeuronGroup(
        len(worm.names), NEURON, method="exponential_euler", namespace=CONSTANTS, name="neurons"
    )
    neurons.v = CONSTANTS["E_leak"]
    chemical = Synapses(
        neurons,
        neurons,
        """w : 1
           E : volt
           I_syn_post = w*g_contact*s_pre*(E - v_post) : amp (summed)""",
        namespace=CONSTANTS,
        name="chemical",
    )
    pre, post, weight = worm.chemical
    chemical.connect(i=pre, j=post)
    chemical.w = weight
    inhibits = np.array([name.startswith(INHIBITORY) for name in worm.names])
    chemical.E = np.where(inhibits[pre], -45, 0) * mV
    gaps = Synapses(
        neurons,
        neurons,
        """w : 1
           I_gap_post = w*g_contact*(v_pre - v_post) : amp (summed)""",
        namespace=CONSTANTS,
        name="gaps",
    )
    pre, post, weight = worm.electrical
    gaps.connect(i=pre, j=post)
    gaps.w = weight
    seen = StateMonitor(neurons, "v", record=True, dt=1 * ms, name="seen")
    network = Network(neurons, chemical, gaps, seen)
    network.run(rest)
    for name in touched:
        neurons.I_stim[worm.names.index(name)] = 20 * pA
    network.run(duration)
    return seen


def main(folder: Path) -> None:
    """Simulate a touch and draw it."""
    from matplotlib import pyplot as plt

    set_device("eprop_cuda", precision="float64")
    worm = Connectome.read(folder)
    begin = time.perf_counter()
    seen = simulate(worm, ("PLML", "PLMR"), 400 * ms, 200 * ms)
    counts = [len(edges[0]) for edges in (worm.chemical, worm.electrical)]
    print(f"{len(worm.names)} neurons, {counts[0]} chemical, {counts[1]} electrical connections")
    print(f"600 ms in {time.perf_counter() - begin:.2f} s")
    potentials = np.asarray(seen.v / mV)
    moved = np.abs(potentials[:, -1] - potentials[:, 399])
    most = np.argsort(moved)[::-1][:10]
    print("move most:", ", ".join(f"{worm.names[n]} {moved[n]:.1f} mV" for n in most))
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for n in most:
        axes.plot(seen.t / ms, seen.v[n] / mV, label=worm.names[n])
    axes.set(xlabel="time (ms)", ylabel="potential (mV)", title="Touch at the tail")
    axes.legend(frameon=False, fontsize=7, ncols=2)
    figure.savefig("celegans.png", dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the connectome's tables")
    main(parser.parse_args().folder)
