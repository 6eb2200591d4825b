"""Prints how long a repeated ``run()`` prepares itself.

    python benchmarks/second_run.py [--synapses 4000000] [--repeats 7]

Each line is the median over several runs of one step, in milliseconds: of a network that has
not changed, and of one whose connections are the same but for which a constant has changed.
The step itself, which moves next to nothing, is in it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    prefs,
    set_device,
    start_scope,
)

import brian2eprop  # noqa: F401 (registers the device)


def cells(n: int) -> NeuronGroup:
    return NeuronGroup(n, "dv/dt = -v/tau : 1", threshold="v > 1", reset="v = 0", method="exact")


def connected(group: NeuronGroup, i: Any, j: Any) -> Synapses:
    synapses = Synapses(group, group, "w : 1", on_pre="v_post += w", delay=1 * ms)
    synapses.connect(i=i, j=j)
    return synapses


def large(n_synapses: int) -> Network:
    """One Synapses object with that many synapses."""
    rng = np.random.default_rng(1)
    group = cells(10_000)
    i, j = rng.integers(0, len(group), (2, n_synapses))
    return Network(group, connected(group, i, j))


def many() -> Network:
    """Ten Synapses objects, and monitors."""
    rng = np.random.default_rng(1)
    group = cells(100)
    synapses = [connected(group, *rng.integers(0, 100, (2, 1000))) for _ in range(10)]
    monitors = [StateMonitor(group, "v", record=[0]), SpikeMonitor(group)]
    return Network(group, *synapses, *monitors)


def small() -> Network:
    """One group."""
    return Network(cells(100))


def median(network: Network, repeats: int, changing: bool) -> float:
    """Milliseconds of a run of one step."""
    times = []
    for repeat in range(repeats + 1):
        names = {"tau": (10 + repeat * changing) * ms}
        began = time.perf_counter()
        network.run(defaultclock.dt, namespace=names)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times[1:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--synapses", type=int, default=4_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    prefs.codegen.target = "numpy"
    set_device("eprop_cuda", backend="cpu")
    networks: dict[str, Callable[[], Network]] = {
        f"{arguments.synapses} synapses": lambda: large(arguments.synapses),
        "ten Synapses objects": many,
        "one group": small,
    }
    print(f"{'':24}{'nothing changed':>18}{'a constant changed':>20}   [ms]")
    for name, build in networks.items():
        start_scope()
        network = build()
        found = [median(network, arguments.repeats, changing) for changing in (False, True)]
        print(f"{name:24}{found[0]:18.1f}{found[1]:20.1f}", flush=True)


if __name__ == "__main__":
    main()
