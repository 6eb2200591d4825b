"""The Python blocks of docs/training.md run as they stand."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_blocks_run(tmp_path):
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    learned, frozen, same, matrix, accuracies = done.stdout.splitlines()
    assert learned == same == "True"
    assert "synapses_w" in frozen and frozen.count("synapses_1_w") == 1
    assert matrix == "50"
    assert len(ast.literal_eval(accuracies.replace("nan", "0"))) == 4
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 2
