"""One of Brian2's example scripts, run on a device; what its monitors hold is written to a file.

``python -m tests.conformance.example SCRIPT DEVICE SEED SHARE RESULT``, where the device may be
``runtime:cython``. What a user's two lines replace is replaced here: a script's own
``set_device``. With another seed than 0, the seeds that a script sets itself are others too. Each
of its runs is for a share of the time that it asks for, 1 for all of it.
"""

from __future__ import annotations

import os
import runpy
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import brian2
import matplotlib as mpl
import numpy as np

import brian2eprop

# What a script ends with, for whoever called it; the reason is the last line that is printed.
REFUSED, CRASHED = 3, 4


class Watch:
    """Remembers the objects that a script runs; a magic network forgets its own after the run.

    Runs are for a share of the time asked for, and report nothing.
    """

    def __init__(self, share: float = 1) -> None:
        self.objects: dict[str, Any] = {}
        before_run, run = brian2.Network.before_run, brian2.Network.run

        def remember(network: Any, *arguments: Any, **options: Any) -> Any:
            done = before_run(network, *arguments, **options)
            self.objects |= {item.name: item for item in network.sorted_objects}
            return done

        def run_silently(network: Any, duration: Any, *arguments: Any, **options: Any) -> Any:
            options |= {"report": None, "level": options.get("level", 0) + 1}
            return run(network, share * duration, *arguments[1:], **options)

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


def kept(variables: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays among a script's own variables, for one whose runs were in other processes."""
    found = {}
    for name, value in variables.items():
        # What Brian2 lends by name are units, which have no axis.
        if isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim):
            with suppress(ValueError):  # lists of several lengths
                array = np.array(value)
                if array.dtype.kind in "fib":
                    found[f"script.{name}"] = array
    return found


def choose(device: str) -> Callable[..., None]:
    """The ``set_device`` that chooses this device, whatever a script asks for."""
    set_device = brian2.set_device
    own = {} if device == "runtime" else {"backend": device, "precision": "float64"}
    name = "runtime" if device == "runtime" else "eprop_cuda"

    def choose_ours(_: Any, build_on_run: bool = True, **options: Any) -> None:
        import brian2eprop  # noqa: F401 (the other one of the two lines, for other processes)

        set_device(name, build_on_run=build_on_run, **options, **own)

    return choose_ours


def shift_seeds(module: Any, by: int) -> None:
    """Let the seeds that a script sets be others."""
    seed = module.seed
    module.seed = lambda given=None: seed(given if given is None else given + by)


def prepare(device: str, seed: int) -> None:
    """What a user's two lines, and a seed, are in a script."""
    device, _, target = device.partition(":")
    brian2.prefs.codegen.target = target or "numpy"
    brian2.set_device = choose(device)
    brian2.set_device(device)
    brian2.seed(seed)
    np.random.seed(seed)
    shift_seeds(brian2, seed)
    shift_seeds(np.random, seed)


def reason(error: BaseException) -> str:
    """What an error began with, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def main(script: str, device: str, seed: int, share: float, result: str) -> int:
    """Run the script; the exit status says how it ended."""
    mpl.use("Agg")
    warnings.simplefilter("ignore")
    brian2.BrianLogger.suppress_hierarchy("brian2")
    sys.excepthook = sys.__excepthook__  # Brian2's writes to a log
    os.chdir(Path(script).parent)
    sys.path.insert(0, str(Path(script).parent))
    sys.argv = [script]
    watch, variables = Watch(share), {}
    prepare(device, seed)
    try:
        variables = runpy.run_path(script, run_name="__main__")
    except brian2eprop.Unsupported as refusal:
        print(f"\n{refusal}")
        return REFUSED
    except SystemExit:
        pass
    except Exception as error:
        traceback.print_exc()
        print(f"\n{reason(error)}")
        return CRASHED
    finally:
        np.savez(result, **(watch.found() or kept(variables)))
    return 0


if __name__ == "__main__":
    where, on, seeded, part, to = sys.argv[1:]
    sys.exit(main(where, on, int(seeded), float(part), to))
