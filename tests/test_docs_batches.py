"""The Python blocks of docs/batches.md run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_blocks_run(tmp_path):
    text = (ROOT / "docs" / "batches.md").read_text(encoding="utf-8")
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
    counts, *rest = done.stdout.splitlines()
    counts = [float(count) for count in counts.strip("[]").split()]
    assert counts[:2] == [0, 0] and 0 < counts[2] < counts[3] < counts[4]
    assert rest == ["True False", "True", "True", "[[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]"]
