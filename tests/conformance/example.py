"""One of Brian2's example scripts, run on a device; what its monitors hold is written to a file.

``python -m tests.conformance.example SCRIPT DEVICE SEED RESULT``, where the device may be
``runtime:cython``.
"""

from __future__ import annotations

import os
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

import brian2
import matplotlib as mpl
import numpy as np

import brian2eprop

# What a script ends with, for whoever called it.
REFUSED = 3


class Watch:
    """Remembers the objects that a script runs; a magic network forgets its own after the run."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        before_run, run = brian2.Network.before_run, brian2.Network.run

        def remember(network: Any, *arguments: Any, **options: Any) -> Any:
            done = before_run(network, *arguments, **options)
            self.objects |= {item.name: item for item in network.sorted_objects}
            return done

        def run_silently(network: Any, duration: Any, *arguments: Any, **options: Any) -> Any:
            options |= {"report": None, "level": options.get("level", 0) + 1}
            return run(network, duration, *arguments[1:], **options)

        brian2.Network.before_run, brian2.Network.run = remember, run_silently

    def found(self) -> dict[str, np.ndarray]:
        """What monitors recorded, and the state of neurons and synapses."""
        return {
            f"{item.name}.{name}": value
            for item in self.objects.values()
            for name, value in _values(item)
        }


def _values(item: Any) -> list[tuple[str, np.ndarray]]:
    if isinstance(item, brian2.EventMonitor | brian2.SpikeMonitor):
        names = ("i", "t")
    elif isinstance(item, brian2.StateMonitor):
        names = tuple(item.record_variables)
    elif isinstance(item, brian2.PopulationRateMonitor):
        names = ("rate",)
    elif isinstance(item, brian2.NeuronGroup | brian2.Synapses):
        names = tuple(
            name
            for name, variable in item.variables.items()
            if isinstance(variable, brian2.core.variables.ArrayVariable)
            and not name.startswith("_")
            and variable.owner is not None
            and variable.owner.name == item.name
            and np.dtype(variable.dtype).kind in "fib"
        )
    else:
        names = ()
    return [(name, np.array(getattr(item, name + "_"))) for name in names]


def main(script: str, device: str, seed: int, result: str) -> int:
    """Run the script; the exit status says how it ended."""
    mpl.use("Agg")
    warnings.simplefilter("ignore")
    device, _, target = device.partition(":")
    brian2.prefs.codegen.target = target or "numpy"
    brian2.BrianLogger.suppress_hierarchy("brian2")
    sys.excepthook = sys.__excepthook__  # Brian2's writes to a log
    os.chdir(Path(script).parent)
    sys.path.insert(0, str(Path(script).parent))
    sys.argv = [script]
    watch = Watch()
    if device != "runtime":
        brian2.set_device("eprop_cuda", backend=device, precision="float64")
    brian2.seed(seed)
    np.random.seed(seed)
    try:
        runpy.run_path(script, run_name="__main__")
    except brian2eprop.Unsupported as refusal:
        print(refusal)
        return REFUSED
    except SystemExit:
        pass
    found = watch.found()
    np.savez(result, **found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
