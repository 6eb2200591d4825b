"""JAX beside brian2eprop: in an interpreter of its own, both held to the same two cores.

Import it before all that loads OpenMP, which reads its number of threads once.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

from workload import Workload

CORES = sorted(os.sched_getaffinity(0))[:2]
os.sched_setaffinity(0, CORES)
os.environ["OMP_NUM_THREADS"] = str(len(CORES))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # who waits does not look busy

HERE = Path(__file__).resolve().parent
JAX_PYTHON = HERE.parent / ".venv-jax" / "bin" / "python"


def run_jax(
    python: Path, work: Workload, repeats: int, script: str = "jax_training_step.py"
) -> dict[str, float]:
    """One measurement of a workload, by default of its training step, in the other interpreter."""
    command = [python, HERE / script, "--repeats", str(repeats)]
    command += ["--work", json.dumps(asdict(work))]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result
