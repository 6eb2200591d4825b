"""What recording costs: a network like CUBA with spikes, rates and states recorded, and without.

    python benchmarks/recording.py [--sizes 4000 40000] [--rounds 5] [--seconds 1]

Each figure is the median of several runs after a first one. The kernel's time is part of each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import brian2 as b
from models import cuba

import brian2eprop  # noqa: F401 (registers the device)

MONITORS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda cells: [],
    "spikes": lambda cells: b.SpikeMonitor(cells),
    "numbers of spikes": lambda cells: b.SpikeMonitor(cells, record=False),
    "spikes with v": lambda cells: b.SpikeMonitor(cells, variables="v"),
    "population rate": lambda cells: b.PopulationRateMonitor(cells),
    "v of 100 neurons": lambda cells: b.StateMonitor(
        cells, "v", record=range(min(100, len(cells)))
    ),
}


def seconds(n: int, monitor: Callable[[Any], Any], rounds: int, simulated: float) -> float:
    """Median time of a run."""
    b.start_scope()
    b.seed(1)
    objects, times = cuba(n), []
    network = b.Network(*objects, monitor(objects[0]))
    for _ in range(rounds + 1):
        began = time.perf_counter()
        network.run(simulated * b.second)
        times.append(time.perf_counter() - began)
    return median(times[1:])


def main() -> None:
    """Print a line for each number of neurons and each thing that is recorded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="*", type=int, default=[4000, 40000])
    parser.add_argument("--monitors", nargs="*", choices=MONITORS, default=list(MONITORS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="simulated seconds of a run")
    options = parser.parse_args()
    for n in options.sizes:
        for name in options.monitors:
            b.set_device("eprop_cuda", backend="cpu", precision="float64")
            taken = seconds(n, MONITORS[name], options.rounds, options.seconds)
            print(f"{n:6d} neurons, recording {name:18s} {taken:7.3f} s", flush=True)


if __name__ == "__main__":
    main()
