"""python -m tests.conformance.brian2_examples: Brian2's published examples, on eprop_cuda.

Each script runs unmodified on Brian2's runtime and on the device, and what its monitors hold and
the final state are compared: equal to rounding, spikes exactly. Where two runs of the runtime with
different seeds differ, and the device's run is not equal, both are run with several seeds, and
Welch's t-test compares the number of spikes and the mean of all else. Where rounding decides,
the runtime's NumPy and compiled code differ from each other as well. The scripts come with
Brian2's source, which pip gets; they are no part of this repository. It takes an hour or more;
results are kept in a folder and used again.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import brian2
import numpy as np
from scipy.stats import ttest_ind

from tests.conformance.example import REFUSED

# Differences of rounding grow along a run of many thousand steps; where a model is about to spike
# or to fall back, the runtime's own code generation targets differ by more.
TOLERANCE, LOOSE = 1e-6, 1e-4
SEEDS = range(5)
# Below this the difference of a mean is taken for one of the distributions.
SIGNIFICANCE = 1e-4

Found = dict[str, np.ndarray]


def examples(folder: Path) -> Path:
    """The folder of Brian2's examples, got by pip if it is not there yet."""
    there = folder / f"brian2-{brian2.__version__}" / "examples"
    if not there.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", "brian2", "--dest", str(folder), f"brian2=={brian2.__version__}"]
        subprocess.run(command, check=True)
        with tarfile.open(folder / f"brian2-{brian2.__version__}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return there


class Examples:
    """Runs scripts, each in a process of its own, with a limit of time."""

    def __init__(self, folder: Path, limit: float, backend: str) -> None:
        self.folder, self.limit, self.backend = folder, limit, backend
        self.root = examples(folder)
        self.results = folder / "results"
        self.results.mkdir(exist_ok=True)

    def run(self, script: Path, device: str, seed: int) -> tuple[str, Found]:
        """How the script ended, and what was found."""
        name = "-".join(script.relative_to(self.root).with_suffix("").parts)
        result = self.results / f"{name}-{device.replace(':', '-')}-{seed}.npz"
        ended = result.with_suffix(".json")
        if not ended.exists():
            ended.write_text(json.dumps(self._execute(script, device, seed, result)))
        how = json.loads(ended.read_text())
        if how:
            return how, {}
        with np.load(result, allow_pickle=False) as found:
            return "", dict(found)

    def _execute(self, script: Path, device: str, seed: int, result: Path) -> str:
        command = [sys.executable, "-m", "tests.conformance.example", str(script), device]
        process = subprocess.Popen(
            [*command, str(seed), str(result.resolve())],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that what it starts can be ended with it
        )
        try:
            out, err = process.communicate(timeout=self.limit)
        except subprocess.TimeoutExpired:
            return f"not run: over {self.limit:.0f} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode == REFUSED:
            return f"refused: {out.strip().splitlines()[-1]}"
        if process.returncode:
            lines = err.strip().splitlines()
            return f"crashed: {lines[-1] if lines else process.returncode}"
        return ""

    def verdict(self, script: Path) -> str:
        """What is to be said of a script."""
        text = script.read_text()
        if "set_device" in text:
            return "not run: chooses a device itself"
        how, expected = self.run(script, "runtime", 0)
        if how:
            return how.replace("crashed", "not run: Brian2's runtime")
        if not expected:
            return "not run: records and keeps nothing"
        how, found = self.run(script, self.backend, 0)
        if how:
            return how
        different = differing(found, expected)
        if not different:
            return "same"
        if not differing(found, expected, LOOSE):
            return f"same to {LOOSE:g}"
        how, compiled = self.run(script, "runtime:cython", 0)
        if not how and set(different) <= set(differing(compiled, expected)):
            return "same as far as Brian2's NumPy and Cython code agree, which differ in rounding"
        if not differing(self.run(script, "runtime", 1)[1], expected):
            return f"differs: {', '.join(different[:4])}"
        return self._by_distribution(script)

    def _by_distribution(self, script: Path) -> str:
        samples = {
            device: [self.run(script, device, seed)[1] for seed in SEEDS]
            for device in ("runtime", self.backend)
        }
        numbers = {
            device: [
                {name: number(name, v) for name, v in found.items()} for found in runs if found
            ]
            for device, runs in samples.items()
        }
        ours, theirs = numbers[self.backend], numbers["runtime"]
        for name in theirs[0]:
            one, other = ([each.get(name, np.nan) for each in them] for them in (ours, theirs))
            same = np.allclose(np.mean(one), np.mean(other), rtol=1e-9)
            if not same and ttest_ind(one, other, equal_var=False).pvalue < SIGNIFICANCE:
                return f"differs: the distribution of {name}"
        return f"same in distribution ({len(SEEDS)} seeds, Welch's t-test)"


def number(name: str, values: np.ndarray) -> float:
    """The number of events, the mean of all else."""
    if name.endswith(".t"):
        return float(len(values))
    return float(np.nanmean(values)) if values.size else 0.0


def differing(found: Found, expected: Found, tolerance: float = TOLERANCE) -> list[str]:
    """Names of what is not equal within a tolerance."""
    return [
        name
        for name, wanted in expected.items()
        if name not in found
        or found[name].shape != wanted.shape
        or not np.allclose(
            found[name],
            wanted,
            rtol=tolerance,
            atol=tolerance * np.abs(np.nan_to_num(wanted)).max(initial=0),
            equal_nan=True,
        )
    ]


def main() -> int:
    """Run what is asked for; the exit status says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".brian2-examples"))
    parser.add_argument("--limit", type=float, default=120.0, help="seconds a run may take")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--only", default="", help="part of the names of the scripts to run")
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    runner = Examples(given.folder, given.limit, given.backend)
    counted: Counter[str] = Counter()
    for script in sorted(runner.root.rglob("*.py")):
        name = str(script.relative_to(runner.root))
        if given.only in name:
            verdict = runner.verdict(script)
            counted[verdict.split(":")[0].split()[0]] += 1
            print(f"| `{name}` | {verdict} |", flush=True)
    kinds = ("same", "refused", "differs", "crashed", "not")
    print(", ".join(f"{counted[k]} {k if k != 'not' else 'not run'}" for k in kinds))
    return int(counted["differs"] + counted["crashed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
