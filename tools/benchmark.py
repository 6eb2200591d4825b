"""Runs the benchmarks and prints their results as one Markdown table.

A benchmark is a script in ``benchmarks/``, named below, that prints a line for each result: its
name in the first 34 columns, then its values.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("training_step.py", "forms.py")
NAME_WIDTH = 34


def main() -> int:
    """Run all benchmarks; the exit status says whether every one ended well."""
    failed = []
    print("| benchmark | result | values |", "|---|---|---|", sep="\n")
    print(row("machine", devices()))
    for name in SCRIPTS:
        done = subprocess.run(
            [sys.executable, BENCHMARKS / name], stdout=subprocess.PIPE, text=True, check=False
        )
        for line in done.stdout.splitlines():
            print(row(name, line[:NAME_WIDTH], line[NAME_WIDTH:]), flush=True)
        if done.returncode:
            failed.append(name)
            print(row(name, "failed"))
    return bool(failed)


def row(*cells: str) -> str:
    """One row of the table."""
    return "| " + " | ".join(" ".join(cell.split()) for cell in (*cells, "")[:3]) + " |"


def devices() -> str:
    """The GPU, if NVIDIA's tool names one, and the processor."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        gpu = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        gpu = "no GPU"
    return f"{gpu.strip()}, {processor()}"


def processor() -> str:
    """Name of the processor, where Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
