"""python -m tests.conformance.brian2_examples: Brian2's published examples, on eprop_cuda.

Each script runs unmodified on Brian2's runtime and on the device, and what its monitors hold and
the final state are compared: equal to rounding, spikes exactly. Where two runs of the runtime with
different seeds differ, and the device's run is not equal, both are run with several seeds, and
Welch's t-test compares the size and the mean of everything. Where rounding decides, the runtime's
NumPy and compiled code differ from each other as well. The oracle is the runtime's NumPy code,
its Cython code where NumPy takes more than a tenth of the time that a run may take. Where that
takes many minutes, too, both simulate a share of the time that the script asks for. The scripts
come with Brian2's source, which pip gets; they are no part of this repository. It takes hours;
results are kept in a folder and used again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import brian2
import numpy as np

from tests.conformance.comparison import (
    LOOSE,
    TOLERANCE,
    Found,
    difference,
    distances,
    other_distribution,
)
from tests.conformance.example import CRASHED, REFUSED

SEEDS = range(5)
# The part of the time limit in which the runtime's NumPy code must have done the first run.
NUMPY_SHARE = 0.1
# How much further apart than Brian2's own two targets a third rounding may be where errors grow:
# the first of them, which the last is proportional to, may be a few units in the last place.
AS_FAR = 10.0
# The share of the time asked for that is simulated in each run of a script that takes long.
SHARES = {
    f"frompapers/{name}.py": share
    for name, share in {
        "Clopath_et_al_2010_no_homeostasis": 0.1,
        "Nicola_Clopath_2017": 0.02,
        "Stimberg_et_al_2018/example_2_gchi_astrocyte": 0.2,
        "Stimberg_et_al_2018/example_6_COBA_with_astro": 0.01,
        "Tetzlaff_2015": 0.005,
        "Tsodyks_Uziel_Markram_2000": 0.3,
        "Vogels_et_al_2011": 0.03,
        "Wang_2002": 0.02,
        # Of these no run has come to its end yet.
        "Brunel_2000": 0.02,
        "Brunel_Wang_2001": 0.02,
        "Destexhe_et_al_1998": 0.005,
        "Graupner_Brunel_2012": 0.02,
        "Kremer_et_al_2011_barrel_cortex": 0.01,
        "Maass_Natschlaeger_Markram_2002": 0.04,
        "Stimberg_et_al_2018/example_4_rsmean": 0.02,
    }.items()
}
OVER = "not run: over {:g} s"
NOT_TRIED = "not run: not tried yet"


@dataclass(frozen=True)
class Outcome:
    """How a script ended ('' is well) and what was found, if only until then."""

    how: str
    found: Found

    @property
    def is_over(self) -> bool:
        """Whether it was ended for taking too long."""
        return self.how.startswith(OVER.partition("{")[0])


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

    def __init__(self, folder: Path, limit: float, backend: str, kept: bool = False) -> None:
        self.limit, self.backend, self.kept = limit, backend, kept
        self.root = examples(folder)
        self.results = folder / "results"
        self.results.mkdir(exist_ok=True)

    def run(self, script: Path, device: str, seed: int = 0) -> Outcome:
        """Run a script, unless its result is kept or it is known to take longer."""
        name = "-".join(script.relative_to(self.root).with_suffix("").parts)
        share = "" if self.share(script) == 1 else f"-{self.share(script):g}"
        result = self.results / f"{name}-{device.replace(':', '-')}-{seed}{share}.npz"
        ended = result.with_suffix(".json")
        limit = self.limit * (NUMPY_SHARE if (device, seed) == ("runtime", 0) else 1)
        if self.kept:
            how = json.loads(ended.read_text()) if ended.exists() else NOT_TRIED
        elif not ended.exists() or _over(how := json.loads(ended.read_text())) < limit:
            how = self._execute(script, device, seed, result, limit)
            ended.write_text(json.dumps(how))
        if not result.exists():
            return Outcome(how, {})
        with np.load(result, allow_pickle=False) as found:
            return Outcome(how, dict(found))

    def share(self, script: Path) -> float:
        """The part of the time that a script asks for in each of its runs that is simulated."""
        return SHARES.get(script.relative_to(self.root).as_posix(), 1)

    def _execute(self, script: Path, device: str, seed: int, result: Path, limit: float) -> str:
        result.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.conformance.example", str(script), device]
        process = subprocess.Popen(
            [*command, str(seed), str(self.share(script)), str(result.resolve())],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that what it starts can be ended with it
        )
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return OVER.format(limit)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said = (out if process.returncode in (REFUSED, CRASHED) else err).strip().splitlines()
        last = said[-1] if said else str(process.returncode)
        if process.returncode == REFUSED:
            return f"refused: {last}"
        return f"crashed: {last}" if process.returncode else ""

    def verdict(self, script: Path) -> str:
        """What is to be said of a script."""
        if not re.search(r"\brun\(", script.read_text()):
            return "not run: nothing in it is simulated"
        target, theirs = "", self.run(script, "runtime")
        if theirs.is_over:
            target, theirs = ":cython", self.run(script, "runtime:cython")
            if theirs.how == NOT_TRIED:
                return "not run: too long for NumPy, not tried with Cython"
        ours = self.run(script, self.backend + target)
        if ours.how.startswith("refused"):
            return ours.how
        if theirs.is_over:
            return f"{theirs.how} with Cython code as well"
        if ours.how != theirs.how:
            return ours.how or f"not run: Brian2's runtime {theirs.how}"
        if not theirs.found:
            return theirs.how.replace("crashed", "not run") or "not run: keeps nothing"
        notes = [] if not target else ["beside Cython code"]
        if self.share(script) != 1:
            notes.append(f"for {self.share(script):g} of its simulated time")
        if theirs.how:
            notes.append(f"both then end with {theirs.how.partition(': ')[2]}")
        return "; ".join([self._compare(script, target, ours.found, theirs.found), *notes])

    def _compare(self, script: Path, target: str, ours: Found, theirs: Found) -> str:
        apart = distances(ours, theirs)
        furthest = max(apart.values())
        if furthest <= TOLERANCE:
            return "same"
        if furthest <= LOOSE:
            return f"same to {LOOSE:g}: {_listed(apart, ours, theirs)}"
        if any(distances(self.run(script, "runtime" + target, 1).found, theirs).values()):
            return self._by_distribution(script, target)
        other = self.run(script, "runtime" if target else "runtime:cython").found
        agree = distances(other, theirs)
        as_far = other and all(by <= max(TOLERANCE, AS_FAR * agree[n]) for n, by in apart.items())
        verdict = "same as far as Brian2's NumPy and Cython code agree" if as_far else "differs"
        return f"{verdict}: {_listed(apart, ours, theirs, other)}"

    def _by_distribution(self, script: Path, target: str) -> str:
        runs = []
        for device in ("runtime" + target, self.backend + target):
            outcomes = [self.run(script, device, seed) for seed in SEEDS]
            for seed, outcome in zip(SEEDS, outcomes, strict=True):
                if outcome.how != outcomes[0].how:
                    verdict = "not run" if device.startswith("runtime") else "differs"
                    return f"{verdict}: with seed {seed}, {device} ends with '{outcome.how}'"
            runs.append([outcome.found for outcome in outcomes])
        theirs, ours = runs
        other = other_distribution(ours, theirs)
        if other:
            return f"differs: the distribution of the {other}"
        return f"same in distribution ({len(SEEDS)} seeds, Welch's t-test)"


def _over(how: str) -> float:
    """The seconds that a run was known to take longer than; endless where it has ended."""
    found = re.fullmatch(OVER.replace("{:g}", r"([\d.]+)"), how)
    return float(found[1]) if found else np.inf


def _listed(apart: dict[str, float], ours: Found, theirs: Found, other: Found | None = None) -> str:
    """What is furthest apart and by how much, beside the runtime's other target."""
    named = [
        f"{name} {difference(ours.get(name), theirs[name])}"
        + (f" (NumPy and Cython {difference(other.get(name), theirs[name])})" if other else "")
        for name, by in apart.items()
        if by > TOLERANCE
    ]
    return ", ".join(named[:3] + ([f"{len(named) - 3} more"] if len(named) > 3 else []))


def main() -> int:
    """Run what is asked for; the exit status says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".brian2-examples"))
    parser.add_argument("--limit", type=float, default=600.0, help="seconds a run may take")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--only", default="", help="part of the names of the scripts to run")
    parser.add_argument("--kept", action="store_true", help="run nothing, go by what was kept")
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    runner = Examples(given.folder, given.limit, given.backend, given.kept)
    counted: Counter[str] = Counter()
    print("| script | result |\n|---|---|")
    for script in sorted(runner.root.rglob("*.py")):
        name = str(script.relative_to(runner.root))
        if given.only in name:
            verdict = runner.verdict(script)
            counted[re.match(r"\w+", verdict)[0]] += 1
            print(f"| `{name}` | {verdict} |", flush=True)
    kinds = ("same", "refused", "differs", "crashed", "not")
    print("\n" + ", ".join(f"{counted[k]} {k if k != 'not' else 'not run'}" for k in kinds))
    return int(counted["differs"] + counted["crashed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
