"""A simulation in a process of its own, so that each starts afresh and several take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SIMULATION = Path(__file__).with_name("simulation.py")


@dataclass(frozen=True)
class Setup:
    """What is simulated, and by whom.

    ``device`` is ``"eprop_cuda"``, ``"cython"`` or ``"cpp_standalone"``. ``threads`` is the number
    of threads; 0 is standalone without OpenMP. ``first`` and ``again`` are simulated seconds: of
    the first run, and of each later one. Later runs are timed by a ``clock``, ``"wall"`` or
    ``"processor"``.
    """

    device: str
    network: str
    n: int
    first: float
    again: float = 0.0
    precision: str = "float64"
    layout: str = "per_instance"
    threads: int = 1
    instances: int = 1
    clock: str = "wall"


class Contestant:
    """A process that simulates; compiled code is kept in a folder, and found there.

    Parameters
    ----------
    setup : Setup
        What it simulates.
    folder : Path
        Where compiled code is kept.

    Attributes
    ----------
    started : dict of str to float
        Seconds since the process was started: ``imported``, ``built`` (the network is there),
        ``stepping`` (the first step begins; ours only) and ``result`` (the spikes of the first run
        have been read).
    """

    def __init__(self, setup: Setup, folder: Path) -> None:
        environment = os.environ | {
            "OMP_NUM_THREADS": str(max(1, setup.threads)),
            "BRIAN2EPROP_CACHE": str(folder / "eprop_cuda"),
        }
        began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, SIMULATION, json.dumps(asdict(setup)), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.started = {name: at - began for name, at in self._answer().items()}

    def again(self) -> dict[str, float]:
        """Seconds of another run (``run``), and of the kernels in it (``kernel``; ours only)."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        return self._answer()

    def end(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # standalone's make says things of its own
                found: dict[str, Any] = json.loads(line)
                return found
        raise RuntimeError(f"The simulation ended with {self._process.wait()} and no result.")
