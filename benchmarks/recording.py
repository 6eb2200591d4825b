"""What recording costs: a network like CUBA with spikes, rates and states recorded, and without.

Each figure is the median of five runs of one simulated second after a first one; ``python -m
benchmarks.recording [neurons ...]``. The kernel's time is part of each.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import brian2 as b

import brian2eprop  # noqa: F401 (registers the device)

RUNS = 5
MONITORS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda cells: [],
    "spikes": lambda cells: b.SpikeMonitor(cells),
    "numbers of spikes": lambda cells: b.SpikeMonitor(cells, record=False),
    "spikes with v": lambda cells: b.SpikeMonitor(cells, variables="v"),
    "population rate": lambda cells: b.PopulationRateMonitor(cells),
    "v of 100 neurons": lambda cells: b.StateMonitor(cells, "v", record=range(100)),
}


def network(n: int, monitor: Callable[[Any], Any]) -> b.Network:
    """Neurons with excitatory and inhibitory synapses, and what records them."""
    b.start_scope()
    b.seed(1)
    ms, mV = b.ms, b.mV
    cells = b.NeuronGroup(
        n,
        """dv/dt = (ge + gi - (v + 49*mV))/(20*ms) : volt (unless refractory)
           dge/dt = -ge/(5*ms) : volt
           dgi/dt = -gi/(10*ms) : volt""",
        threshold="v > -50*mV", reset="v = -60*mV", refractory=5 * ms, method="exact",
    )  # fmt: skip
    cells.v = "-60*mV + rand()*10*mV"
    excite = b.Synapses(cells, cells, on_pre="ge += 1.62*mV")
    excite.connect("i < 0.8*N_pre", p=80 / n)
    inhibit = b.Synapses(cells, cells, on_pre="gi -= 9*mV")
    inhibit.connect("i >= 0.8*N_pre", p=80 / n)
    del ms, mV
    return b.Network(cells, excite, inhibit, monitor(cells))


def seconds(n: int, monitor: Callable[[Any], Any]) -> float:
    """Median time of a simulated second."""
    found, times = network(n, monitor), []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        found.run(1 * b.second)
        times.append(time.perf_counter() - began)
    return median(times[1:])


def main() -> None:
    """Print a line for each number of neurons and each thing that is recorded."""
    chosen = [int(argument) for argument in sys.argv[1:]] or [4000, 40000]
    for n in chosen:
        for name, monitor in MONITORS.items():
            b.set_device("eprop_cuda", backend="cpu", precision="float64")
            try:
                print(f"{n:6d} neurons, recording {name:18s} {seconds(n, monitor):7.3f} s")
            except Exception as error:  # an older version does not record everything
                print(f"{n:6d} neurons, recording {name:18s} refused: {type(error).__name__}")


if __name__ == "__main__":
    main()
