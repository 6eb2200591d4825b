"""What the comparison of published examples calls the same, and what not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conformance import comparison
from tests.conformance.brian2_examples import SHARES, Examples, Outcome
from tests.conformance.comparison import Found, distance, distances, other_distribution

NAN = np.nan


@pytest.mark.parametrize(
    ("ours", "theirs", "apart"),
    [
        ([1, 2], [1, 2], 0),
        ([1, 2.5], [1, 2], 0.25),
        ([NAN, 2, -np.inf], [NAN, 2, -np.inf], 0),
        ([NAN, 2], [1, 2], np.inf),
        ([1, 2], [NAN, 2], np.inf),
        ([np.inf, 2], [-np.inf, 2], np.inf),
        ([1], [1, 2], np.inf),
        ([], [], 0),
        ([0, 0], [0, 0], 0),
        ([0, 1e-30], [0, 0], np.inf),
        ([True], [False], np.inf),
    ],
)
def test_distance(ours: list[float], theirs: list[float], apart: float) -> None:
    assert distance(np.array(ours), np.array(theirs)) == apart


def test_what_is_missing_is_furthest() -> None:
    expected = {"near": np.ones(2), "there": np.ones(2), "missing": np.ones(2)}
    found = {"near": np.ones(2), "there": np.array([1, 1.5])}
    assert distances(found, expected) == {"missing": np.inf, "there": 0.5, "near": 0}
    assert list(distances(found, expected)) == ["missing", "there", "near"]


def runs(seed: int, **changed: np.ndarray | None) -> list[Found]:
    """What is found with five seeds: spikes at random times, a constant, a trace with gaps."""
    random = np.random.default_rng(seed)
    found: list[Found] = []
    for _ in range(5):
        one = {"spikes.t": random.random(900 + random.integers(200)), "g.n": np.ones(3)}
        one["trace"] = np.where(np.arange(50) < 5, NAN, random.normal(size=50))
        given = {name: value for name, value in (one | changed).items() if value is not None}
        found.append({name.replace("_", "."): value for name, value in given.items()})
    return found


def test_other_seeds_are_the_same_distribution() -> None:
    assert other_distribution(runs(1), runs(2)) is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"spikes.t": np.linspace(0, 1, 500)}, "size of spikes.t: 500 for"),
        ({"g.n": np.full(3, 1 + 1e-6)}, "mean of g.n: 1 for 1, p = 0"),
        ({"g.n": np.full(3, NAN)}, "mean of g.n: 0 for 1, p = 0"),
        ({"trace": np.ones(50)}, "mean of trace: 1 for"),
        ({"trace": np.full(50, NAN)}, "values that are not finite in trace: 50 for 5, p = 0"),
        ({"g.n": None}, "mean of g.n, which is not there for every seed"),
    ],
)
def test_another_distribution(changed: dict[str, np.ndarray | None], sentence: str) -> None:
    assert str(other_distribution(runs(1, **changed), runs(2))).startswith(sentence)


def test_a_test_without_an_answer_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = SimpleNamespace(pvalue=NAN)
    monkeypatch.setattr(comparison, "ttest_ind", lambda *_, **__: answer)
    assert str(other_distribution(runs(1), runs(2))).endswith("p = nan")


def test_one_seed_that_lacks_something_is_enough() -> None:
    ours = runs(1)
    ours[3] = {}
    assert "not there for every seed" in str(other_distribution(ours, runs(2)))


class Told(Examples):
    """Examples whose runs end as they are told to, by device and seed, or by device."""

    def __init__(self, folder: Path, **outcomes: Outcome) -> None:
        self.backend, self.outcomes, self.root = "cpu", outcomes, folder
        self.script = folder / "script.py"
        self.script.write_text("run(duration)")

    def run(self, script: Path, device: str, seed: int = 0) -> Outcome:
        device = device.replace(":", "_")
        return self.outcomes.get(f"{device}_{seed}") or self.outcomes[device]


def well(**found: float) -> Outcome:
    return Outcome("", {name: np.array([value, 1]) for name, value in found.items()})


CRASHED, OVER = Outcome("crashed: Error: no", well(v=1).found), Outcome("not run: over 60 s", {})
RANDOM = {f"runtime_{seed}": well(v=seed) for seed in range(5)}
OURS = {f"cpu_{seed}": well(v=seed + 0.5) for seed in range(5)}


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ({"cpu": well(v=1), "runtime": well(v=1)}, "same"),
        ({"cpu": well(v=1 + 1e-5), "runtime": well(v=1)}, "same to 0.0001: v by 1e-05"),
        ({"cpu": Outcome("refused: no", {}), "runtime": well(v=1)}, "refused: no"),
        ({"cpu": CRASHED, "runtime": well(v=1)}, "crashed: Error: no"),
        ({"cpu": well(v=1), "runtime": CRASHED}, "not run: Brian2's runtime crashed: Error: no"),
        ({"cpu": CRASHED, "runtime": CRASHED}, "same; both then end with Error: no"),
        (
            {"cpu_cython": well(v=1), "runtime": OVER, "runtime_cython": well(v=1)},
            "same; beside Cython code",
        ),
        (
            {"cpu": well(v=2), "runtime": well(v=1), "runtime_cython": well(v=1)},
            "differs: v by 1 (NumPy and Cython by 0)",
        ),
        (
            {"cpu": well(v=2), "runtime": well(v=1), "runtime_cython": well(v=1.5)},
            "same as far as Brian2's NumPy and Cython code agree: v by 1 (NumPy and Cython by 0.5)",
        ),
        (RANDOM | OURS, "same in distribution (5 seeds, Welch's t-test)"),
        (
            RANDOM | OURS | {"cpu_3": CRASHED},
            "differs: with seed 3, cpu ends with 'crashed: Error: no'",
        ),
        (
            RANDOM | OURS | {"cpu_3": well(v=np.nan)},
            "differs: the distribution of the values that are not finite in v: 0.2 for 0, p = 0",
        ),
        ({"cpu": well(w=1), "runtime": well(v=1), "runtime_cython": OVER}, "differs: v missing"),
    ],
)
def test_verdicts(tmp_path: Path, outcomes: dict[str, Outcome], verdict: str) -> None:
    told = Told(tmp_path, **outcomes)
    assert told.verdict(told.script).startswith(verdict)


def test_a_script_without_a_run_is_not_counted(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.script.write_text("repeated_run(plot)")
    assert told.verdict(told.script) == "not run: nothing in it is simulated"


def test_a_row_says_what_share_of_its_time_was_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SHARES, "script.py", 0.1)
    told = Told(tmp_path, cpu=well(v=1), runtime=well(v=1))
    assert told.verdict(told.script) == "same; for 0.1 of its simulated time"


def test_a_share_of_the_time_asked_for_is_simulated(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from brian2 import *\n"
        "group = NeuronGroup(1, 'dx/dt = 1/ms : 1', method='euler')\n"
        "x = StateMonitor(group, 'x', record=True)\n"
        "network = Network(collect())\n"
        "network.run(2*ms, report='text')\n"
        "network.run(4*ms, 'text')\n"
    )
    command = [sys.executable, "-m", "tests.conformance.example", str(script), "runtime"]
    subprocess.run([*command, "0", "0.5", str(tmp_path / "found.npz")], check=True)
    with np.load(tmp_path / "found.npz") as found:
        assert found["statemonitor.x"].shape == (1, 30)
