"""Runs the benchmarks and prints their results as one Markdown table.

A benchmark is a script, named below, that prints a line for each result: its name in the first 34
columns, then its values.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from machine import devices

BENCHMARKS = Path(__file__).parent
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


if __name__ == "__main__":
    sys.exit(main())
