"""Runs the benchmarks and prints their results as one table.

A benchmark is a script in ``benchmarks/``, named below, that prints each result as a row of a
Markdown table, ``| what | where | result |``; whatever else it prints goes to stderr.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("training_step.py", "forms.py")
HEADER = ("| what | where | result |", "|---|---|---|")


def main() -> int:
    """Run all benchmarks; the exit status says whether every one ended well."""
    rows: list[str] = []
    for name in SCRIPTS:
        print(f"Running {name}", file=sys.stderr)
        rows += run(BENCHMARKS / name)
    print(*HEADER, *rows, sep="\n")
    return any(row.endswith("failed |") for row in rows)


def run(script: Path) -> list[str]:
    """The rows that one benchmark prints, and one that says so where it failed."""
    process = subprocess.run(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, check=False
    )
    rows, others = split(process.stdout.splitlines())
    print(*others, sep="\n", file=sys.stderr)
    return [*rows, f"| {script.name} | - | failed |"] if process.returncode else rows


def split(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Separate the rows of the table from all other lines."""
    rows: list[str] = []
    others: list[str] = []
    for line in lines:
        (rows if line.startswith("| ") else others).append(line)
    return rows, others


if __name__ == "__main__":
    sys.exit(main())
