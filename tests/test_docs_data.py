"""The Python blocks of docs/data.md run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_blocks_run(tmp_path):
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
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
    printed = done.stdout.splitlines()
    assert printed[0].startswith("Spikes(100 samples, 40 steps, 64 neurons, 6400 spikes")
    assert printed[1].startswith("Spikes(100 samples, 40 steps, 65 neurons, 6500 spikes")
    assert float(printed[4]) < 0.1
    assert printed[5].startswith("Spikes(10 samples, 840 steps, 80 neurons")
    assert printed[6].startswith("Spikes(1 samples, 250 steps, 70 neurons")
    assert printed[7].startswith("Spikes(5000 samples, 60 steps, 5 neurons, 25000 spikes")
