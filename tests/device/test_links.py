"""Variables that are linked from other groups, as on Brian2's runtime."""

from __future__ import annotations

import numpy as np
from alike import Found, check_alike
from brian2 import Network, NeuronGroup, StateMonitor, linked_var, ms

N = 7
READER = "dv/dt = (x - v)/(2*ms) : 1\nx : 1 (linked)"


def reader(n: int, name: str) -> NeuronGroup:
    return NeuronGroup(
        n, READER, threshold="v > 0.5 + 0.1*x", reset="v -= 0.2*x", method="euler", name=name
    )


def test_variables_of_other_groups(backend: str) -> None:
    """One to one, through an array of indices, from a part, from one neuron, shared."""

    def script(drive: np.ndarray) -> Found:
        source = NeuronGroup(
            N,
            """dy/dt = (drive - y)/(4*ms) : 1
               drive : 1
               level : 1 (shared)
               twice = 2*y : 1""",
            method="exact",
            name="source",
        )
        source.drive, source.level = drive, 0.7
        single = NeuronGroup(1, "dy/dt = (1 - y)/(3*ms) : 1", method="exact", name="single")
        groups = {
            "same": (N, linked_var(source, "y")),
            "picked": (4, linked_var(source, "y", index=np.array([6, 0, 0, 3]))),
            "part": (3, linked_var(source[2:5], "y")),
            "one": (5, linked_var(single, "y")),
            "shared": (2, linked_var(source, "level")),
            "computed": (N, linked_var(source, "twice")),
        }
        network, found = Network(source, single), {}
        for name, (n, link) in groups.items():
            group = reader(n, name)
            group.x = link
            network.add(group, StateMonitor(group, ("v", "x"), record=True, name=f"{name}_trace"))
        network.run(3 * ms)
        source.level = 1.3
        network.run(3 * ms)
        for name in groups:
            found[f"{name}.v"] = np.array(network[name].v[:])
            found[f"{name}.trace"] = np.array(network[f"{name}_trace"].v)
            if name != "shared":  # in a batch it has no instances
                found[f"{name}.x"] = np.array(network[f"{name}_trace"].x)
        return found

    check_alike(script, backend, N, batch=False)


def test_variables_of_other_groups_in_a_batch(backend: str) -> None:
    def script(drive: np.ndarray) -> Found:
        source = NeuronGroup(
            N, "dy/dt = (drive - y)/(4*ms) : 1\ndrive : 1", method="exact", name="source"
        )
        source.drive = drive
        group = reader(3, "cells")
        group.x = linked_var(source, "y", index=np.array([5, 1, 1]))
        trace = StateMonitor(group, "x", record=[2, 0], name="trace")
        Network(source, group, trace).run(4 * ms)
        return {"v": np.array(group.v[:]), "x": np.array(trace.x)}

    check_alike(script, backend, N, batch=True)
