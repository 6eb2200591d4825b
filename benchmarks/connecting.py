"""Prints what it costs to connect a large network, in time and in memory.

    python benchmarks/connecting.py [--synapses 10000000 30000000] [--devices ours cython numpy]

Neurons are connected with probability 0.1, each synapse has a normal weight, and the network runs
for one step, so that everything is where a run needs it. Every line is of a process of its own,
which has built a small network of the same kind before, and the large one once, so nothing is
compiled: seconds for connect(), for the weights and for the run, nanoseconds a synapse for all of
it, and bytes a synapse by which the process has grown at most and at the end. The limit is what it
takes one thread to write the targets and weights that our device keeps.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brian2
import numpy as np

import brian2eprop as b2e

CHANCE = 0.1
DEVICES = ("ours", "cython", "numpy")


def resident() -> int:
    """Bytes of memory that this process has now."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def build(n: int, sparse: bool) -> tuple[Any, dict[str, float]]:
    """A network of so many neurons, and the seconds of each of its parts."""
    times = {}

    def timed(name: str, do: Callable[[], Any]) -> None:
        began = time.perf_counter()
        do()
        times[name] = time.perf_counter() - began

    cells = brian2.NeuronGroup(
        n, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact"
    )
    synapses = brian2.Synapses(cells, cells, "w : 1", on_pre="v_post += w", delay=1 * brian2.ms)
    if sparse:
        b2e.set_connectivity(synapses, "sparse")
    timed("connect", lambda: synapses.connect(p=CHANCE))
    timed("weights", lambda: setattr(synapses, "w", "0.1 + 0.01*randn()"))
    network = brian2.Network(cells, synapses)
    timed("run", lambda: network.run(0.1 * brian2.ms))
    return (network, len(synapses)), times


def measure(device: str, n_synapses: int) -> dict[str, float]:
    """What building costs on one device."""
    if device == "ours":
        brian2.set_device("eprop_cuda", backend="cpu")
    else:
        brian2.prefs.codegen.target = device
    brian2.seed(1)
    ours = device == "ours"
    build(200, ours)
    n = round((n_synapses / CHANCE) ** 0.5)
    first, _ = build(n, ours)
    del first
    gc.collect()
    before = resident()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    kept, times = build(n, ours)
    made = kept[1]
    # What has been given back before is used again: the peak of both is that of one.
    peak = max(peak, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return {
        **times,
        "ns": 1e9 * sum(times.values()) / made,
        "peak": (peak - before) / made,
        "end": (resident() - before) / made,
    }


def limit(n_synapses: int) -> float:
    """Nanoseconds a synapse to write a target and a weight to new memory."""
    began = time.perf_counter()
    for dtype in (np.int32, np.float32):
        np.empty(n_synapses, dtype)[:] = 1
    return 1e9 * (time.perf_counter() - began) / n_synapses


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--synapses", type=int, nargs="+", default=[10_000_000])
    parser.add_argument("--devices", nargs="+", default=DEVICES, choices=DEVICES)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.synapses[0])))
        return
    print("synapses   device   connect  weights    run s   ns/synapse  bytes/synapse: peak  end")
    for n_synapses in arguments.synapses:
        for device in arguments.devices:
            command = [sys.executable, __file__, "--only", device, "--synapses", str(n_synapses)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{n_synapses:<10} {device:8} {found['connect']:7.2f}  {found['weights']:7.2f}  "
                f"{found['run']:7.2f}   {found['ns']:10.1f}  {found['peak']:19.1f}  "
                f"{found['end']:4.1f}"
            )
        print(f"{n_synapses:<10} limit    {'':28}{limit(n_synapses):10.1f}  {8:19.1f}  {8:4.1f}")


if __name__ == "__main__":
    main()
