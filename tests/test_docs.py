"""The Python blocks of the pages in docs run as they stand, one after the other."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def printed(page, folder):
    """What the blocks of a page print, line by line."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_batches(tmp_path):
    counts, *rest = printed("batches.md", tmp_path)
    counts = [float(count) for count in counts.strip("[]").split()]
    assert counts[:2] == [0, 0] and 0 < counts[2] < counts[3] < counts[4]
    courses = "[[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]"
    assert rest == ["True False", "True", "True", "[[2, 0], [1, 0], [0, 0]]", courses]


def test_data(tmp_path):
    lines = printed("data.md", tmp_path)
    assert lines[0].startswith("Spikes(100 samples, 40 steps, 64 neurons, 6400 spikes")
    assert lines[1].startswith("Spikes(100 samples, 40 steps, 65 neurons, 6500 spikes")
    assert float(lines[4]) < 0.1
    assert lines[5].startswith("Spikes(10 samples, 840 steps, 80 neurons")
    assert lines[6].startswith("Spikes(1 samples, 250 steps, 70 neurons")
    assert lines[7].startswith("Spikes(5000 samples, 60 steps, 5 neurons, 25000 spikes")


def test_convolution(tmp_path):
    shapes = ["(8, 8, 16)", "(4, 4, 16)"]
    assert printed("convolution.md", tmp_path) == [*shapes, "(3, 3, 2, 16) 16928 True", "True"]


def test_large_networks(tmp_path):
    first, second = printed("large_networks.md", tmp_path)
    number, *rest = first.split()
    assert abs(int(number) - 2_000_000) < 7000
    assert rest == ["500000", "True"]
    assert second == f"({number},) True"


def test_rules(tmp_path):
    assert "\n".join(printed("rules.md", tmp_path)).count("[") >= 3


def test_rewiring(tmp_path):
    lines = ["True False True", "True", "True", "True True", "True"]
    assert printed("rewiring.md", tmp_path) == lines


def test_training(tmp_path):
    lines = printed("training.md", tmp_path)
    learned, frozen, same, judged, matrix, accuracies, *rest = lines
    assert judged.endswith("(128, 4)")
    assert learned == same == "True"
    assert frozen.count("w_in_w") == 1 and frozen.count("w_out_w") == 1
    assert matrix == "50"
    assert len(ast.literal_eval(accuracies.replace("nan", "0"))) == 4
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 2
    assert rest == ["True", "(16, 30) (16, 4)", "True True True", "[(128, 4), (128, 40, 1)]"]


def test_from_snntorch(tmp_path):
    assert printed("from_snntorch.md", tmp_path) == ["True", "(8, 25, 20)", "True"]


def test_conversion(tmp_path):
    lines = printed("conversion.md", tmp_path)
    assert lines[:3] == ["(40, 3) (40, 64, 3)", "(64,)", "True"]
    assert {"True", "(40, 3) True"} <= set(lines[3:])
    assert sum("largest error of its own" in line for line in lines) == 1
    assert sum("estimated energy" in line for line in lines) == 1
    assert lines[-1].split() == ["sum", "905", "24,018", "840"]
