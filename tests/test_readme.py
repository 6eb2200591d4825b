import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def run_example(tmp_path):
    """Runs a Python example of the README in an empty directory; gives what it prints."""
    examples = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)

    def run(number, **replaced):
        code = examples[number]
        for old, new in replaced.values():
            assert old in code
            code = code.replace(old, new)
        (tmp_path / "example.py").write_text(code)
        command = [sys.executable, "example.py"]
        environment = {**os.environ, "PYTHONPATH": str(README.parent)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\n")

    return run


def test_the_quickstart_gives_a_row_for_each_instance(run_example):
    assert "(64, 100)" in run_example(0)


def test_the_training_example_learns_and_saves(run_example, tmp_path):
    printed = run_example(1, shorter=("epochs=20", "epochs=4"))
    # One in ten is right by chance.
    assert float(printed[0]) > 0.5
    assert (tmp_path / "trained.npz").stat().st_size > 0
