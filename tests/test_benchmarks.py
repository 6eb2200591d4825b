"""Every benchmark runs: at a size at which its figures mean nothing, so none is looked at."""

from __future__ import annotations

import importlib
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import brian2 as b
import numpy as np
import pytest
from scipy.io import wavfile

from tests.samples import sampled

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
JAX = ROOT / ".venv-jax" / "bin" / "python"
SMALL = {
    "conversion": ["random", "-n", "3", "--batch", "2", "--digits", "6", "--steps", "20"],
    "forms": ["--steps", "20", "--batch", "1"],
    "rules": ["--rounds", "1", "--hidden", "8", "--steps", "20"],
    "recording": ["--sizes", "50", "--monitors", "spikes", "--rounds", "1", "--seconds", "0.01"],
    "sparse": [
        "--hidden",
        "16",
        "--densities",
        "1",
        "0.3",
        "--steps",
        "20",
        "--batch",
        "2",
        "--rounds",
        "1",
        "--repeats",
        "1",
        "--jax",
        "none",
    ],
    "connecting": ["--synapses", "1000", "--devices", "ours", "numpy"],
    "second_run": ["--synapses", "100", "--repeats", "1"],
}
# These have tests of their own, or are run by other benchmarks.
OTHERS = {
    "applications", "braintrace_step", "brian2_examples", "heard_digits", "inner_ear", "jax_lstm",
    "jax_training_step", "latency_mnist", "mnist", "run_all", "sequential_mnist", "shd_shaped",
    "simulation", "sparse_accuracy", "spoken_digits", "teams", "training_step",
}  # fmt: skip


def run(name: str, *options: str | Path) -> str:
    """What a benchmark prints."""
    command = [sys.executable, BENCHMARKS / f"{name}.py", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a benchmark's file, as the benchmarks import each other.

    A test's file may be imported under the same name, and is again afterwards.
    """
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = {path.stem for path in BENCHMARKS.glob("*.py")}
    others = {name: sys.modules.pop(name) for name in names & set(sys.modules)}
    yield importlib.import_module
    for name in names & set(sys.modules):
        del sys.modules[name]
    sys.modules.update(others)


def test_no_benchmark_is_left_out() -> None:
    scripts = {path.stem for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text()}
    assert scripts == set(SMALL) | OTHERS


@pytest.mark.parametrize("name", SMALL)
def test_it_runs(name: str) -> None:
    assert run(name, *SMALL[name]).strip()


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """An interpreter that says what a measurement in JAX would."""
    path = tmp_path / "python"
    path.write_text("""#!/bin/sh\necho '{"ms": 1.0, "core_ms": 4.0, "loss": 2.0, "rate": 0.5}'\n""")
    path.chmod(0o755)
    return path


def test_a_training_step_beside_jax(stub: Path) -> None:
    printed = run("training_step", "--rounds", "1", "--repeats", "1", "--jax", stub)
    assert "brian2eprop / JAX" in printed


def test_the_shape_of_the_heidelberg_digits(stub: Path) -> None:
    sizes = ["--hidden", "8", "--widths", "5", "--duration", "20", "--batch", "2"]
    rounds = ["--lengths", "200", "--rounds", "1", "--repeats", "1"]
    printed = run("shd_shaped", *sizes, *rounds, "--jax", stub)
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("8 | 5 ms")]
    assert [row[6] for row in rows[:2]] == ["0.500 (0.500)", "2.000 (2.000)"]  # of two examples


@pytest.mark.skipif(not JAX.exists(), reason="no JAX: make benchmark installs it")
@pytest.mark.parametrize("name", ["jax_training_step", "jax_lstm"])
def test_jax(name: str) -> None:
    command = [JAX, BENCHMARKS / f"{name}.py", "--repeats", "1"]
    assert json.loads(subprocess.check_output(command, text=True))["ms"] > 0


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with a few images in the form of MNIST."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 12), ("t10k", 4)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        header = struct.pack(">IIII", 0x803, n, 28, 28)
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = rng.integers(0, 10, n, dtype=np.uint8)
        header = struct.pack(">II", 0x801, n)
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    return tmp_path


def test_mnist(images: Path) -> None:
    small = ["--hidden", "4", "--epochs", "1", "--seeds", "1", "--validation", "4"]
    assert "test" in run("mnist", "--data", images, *small)


def test_a_cut_training_goes_on(images: Path) -> None:
    """What was trained is not trained again, and gives the same result."""
    kept = images / "kept"
    small = ["--data", images, "--hidden", "4", "--epochs", "2", "--seeds", "0", "--kept", kept]
    assert "epoch 2" in run("latency_mnist", *small, "--validation", "4")
    file = kept / "latency-mnist-0.json"
    before = json.loads(file.read_text())["result"]
    file.unlink()
    assert "epoch" not in run("latency_mnist", *small, "--validation", "4").partition("MNIST")[0]
    after = json.loads(file.read_text())["result"]
    assert after | {"seconds an epoch": 0} == before | {"seconds an epoch": 0}


def test_sequential_mnist(images: Path) -> None:
    small = ["--hidden", "4", "--epochs", "1", "--images", "2", "--tested", "2"]
    assert run("sequential_mnist", "--data", images, *small).count("test") == 4


def test_results_are_kept_for_their_settings(load: Any, tmp_path: Path) -> None:
    kept = load("kept").Kept(tmp_path)
    assert kept.result("one", {"n": (1, 2)}, lambda: {"found": 1}) == {"found": 1}
    assert kept.result("one", {"n": (1, 2)}, lambda: {"found": 2}) == {"found": 1}
    assert kept.result("one", {"n": (1, 3)}, lambda: {"found": 2}) == {"found": 2}
    assert load("kept").Kept(None).result("one", {"n": (1, 3)}, lambda: {"found": 3})["found"] == 3


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with two short recordings of each speaker."""
    speakers = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    rng, n, length = np.random.default_rng(0), 2 * len(speakers), 200
    np.savez(
        tmp_path / "fsdd_8khz_int16.npz",
        pcm=rng.normal(0, 3000, n * length).astype(np.int16),
        offsets=np.arange(n + 1) * length,
        label=np.arange(n) % 2,
        speaker=np.arange(n) // 2,
        speakers=np.array(speakers),
        rate=8000,
    )
    return tmp_path


def test_spoken_digits(recordings: Path) -> None:
    heard = recordings / "heard"
    small = ["--hidden", "4", "--epochs", "1", "--processes", "1"]
    folders = ["--data", recordings, "--heard", heard, "--kept", recordings / "kept"]
    assert run("spoken_digits", *folders, *small, "--speakers", "theo").count("1 speakers") == 3
    assert len(list(heard.glob("*.npz"))) == 12
    found = run("sparse_accuracy", "digits", *folders, *small, "--seeds", "0", "1")
    assert all(f"\n{kind} | " in found for kind in ("fixed random", "DEEP R", "RigL", "dense"))


def test_the_inner_ear(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 3000, 2000).astype(np.int16)
    wavfile.write(tmp_path / "sound.wav", 20_000, sound)
    spikes = np.array([rng.uniform(0, 0.1, 300), rng.integers(0, 70, 300)])
    np.savez(tmp_path / "spikes.npz", spikes)
    files = ["--sound", tmp_path / "sound.wav", "--spikes", tmp_path / "spikes.npz"]
    assert "700 channels" in run("inner_ear", *files, "--seeds", "2")


@pytest.mark.parametrize("name", ["adex", "brunel_hakim", "cobahh", "cuba", "stdp", "swept_cuba"])
def test_every_model_runs(load: Any, name: str) -> None:
    models = load("models")
    assert set(models.MODELS) == {
        "adex", "brunel_hakim", "cobahh", "cuba", "stdp", "swept_cuba"
    }  # fmt: skip
    b.set_device("eprop_cuda", backend="reference", precision="float64")
    network, _ = models.make(name, 1000 if name == "brunel_hakim" else 100)
    network.run(0.5 * b.ms)
    assert all(np.isfinite(each.get_states()["v"]).all() for each in groups(network))


def groups(network: b.Network) -> list[Any]:
    """The groups of neurons that have a membrane."""
    return [each for each in network.objects if isinstance(each, b.NeuronGroup)]


CONTESTANTS = sampled(["eprop_cuda", "cpp_standalone", "cython"], "cython".__ne__)


@pytest.mark.parametrize("device", CONTESTANTS)
def test_a_contestant_runs_again(load: Any, device: str, tmp_path: Path) -> None:
    contestants = load("contestants")
    standalone = device == "cpp_standalone"
    clock = "processor" if standalone else "wall"
    setup = contestants.Setup(device, "adex", 10, 1e-3, 1e-3, threads=not standalone, clock=clock)
    contestant = contestants.Contestant(setup, tmp_path)
    try:
        stamps = contestant.started
        points = ["imported", "built", *(["stepping"] if device == "eprop_cuda" else []), "result"]
        assert sorted(stamps, key=stamps.__getitem__) == points
        found = [contestant.again() for _ in range(2)]
        assert all(each["run"] >= each.get("kernel", 0.0) >= 0 for each in found)
    finally:
        contestant.end()


class Paper:
    """A contestant that takes the time that it is said to."""

    SECONDS: ClassVar = {"eprop_cuda": 2.0, "cython": 6.0, "cpp_standalone": 8.0}

    def __init__(self, setup: Any, folder: Path) -> None:
        seconds = self.SECONDS[setup.device]
        self.run = seconds * (0.5 if setup.precision == "float32" else 1.0)
        self.started = {"imported": 0.5, "built": 0.75, "stepping": 1.0, "result": seconds}

    def again(self) -> dict[str, float]:
        return {"run": self.run, "kernel": self.run / 2}

    def end(self) -> None:
        pass


@pytest.fixture
def table(load: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Prints a benchmark's table, of contestants on paper."""

    def rows(name: str, *options: str) -> list[str]:
        examples: ModuleType = load("brian2_examples")
        monkeypatch.setattr(examples, "Contestant", Paper)
        monkeypatch.setattr(sys, "argv", [name, *options])
        load(name).main()
        return [line for line in capsys.readouterr().out.splitlines() if " | " in line][1:]

    return rows


def test_the_processors_time_is_that_of_one_core(table: Any) -> None:
    rows = table("brian2_examples", "--networks", "stdp", "--rounds", "1", "--clock", "processor")
    measures = [row.split(" | ")[2] for row in rows]
    run = ["run", "kernel", "run in float32", "kernel in float32"]
    swept = [f"an instance of 64, {precision}, 1 thread" for precision in ("float64", "float32")]
    assert measures == [*(f"{name}, 1 core" for name in run), *swept]


def test_the_table_of_examples(table: Any) -> None:
    rows = table("brian2_examples", "--networks", "cuba:10", "--rounds", "1", "--seconds", "1")
    start = "cuba 10 | 1 s | start to result"
    assert rows[:4] == [
        f"{start}, cold | 2 | cython | 6 | 3.00 | ",
        f"{start}, cold | 2 | cpp_standalone | 8 | 4.00 | 3",
        f"{start}, warm | 2 | cython | 6 | 3.00 | ",
        f"{start}, warm | 2 | cpp_standalone | 8 | 4.00 | 3",
    ]
    assert (
        rows[6] == "cuba 10 | 1 s | warm: run() before the first step | 0.25 |  |  |  | below 0.5 s"
    )
    assert rows[7:11] == [
        "cuba 10 | 1 s | run, 1 core | 2 | standalone | 8 | 4.00 | 2",
        "cuba 10 | 1 s | kernel, 1 core | 1 | standalone | 8 | 8.00 | 3",
        "cuba 10 | 1 s | run in float32, 1 core | 1 | float64 | 2 | 2.00 | 1.4",
        "cuba 10 | 1 s | kernel in float32, 1 core | 0.5 | float64 | 1 | 2.00 | 1.4",
    ]
    sweep = "swept_cuba 4000 | 1 s | an instance of 64, float64, 1 thread | 0.0312"
    assert rows[15] == f"{sweep} | standalone | 8 | 256.00 | 5"


def test_the_table_of_teams(table: Any) -> None:
    rows = table("teams", "--sizes", "10", "--rounds", "1")
    assert rows == ["10 | float64 | 1 | 1 | 1 | 1.00", "10 | float32 | 0.5 | 0.5 | 0.5 | 1.00"]
