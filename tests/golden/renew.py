"""Writes the golden sources anew: ``python -m tests.golden.renew``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from brian2eprop.device.codegen.dialect import CPU, CUDA
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import Precision, Program
from tests.golden.programs import LAYOUTS, PROGRAMS
from tests.golden.trainings import RULES, training

FOLDER = Path(__file__).parent
COMMAND = "python -m tests.golden.renew"
DIALECTS = {"cpu": CPU, "cuda": CUDA}
NAMES = [f"{layout}_{dialect}" for layout in PROGRAMS for dialect in DIALECTS]


def path(name: str) -> Path:
    """Where a golden source lies."""
    return FOLDER / f"{name}.txt"


def generated(name: str) -> str:
    """The source that a template, or a rule's training Program, gives now."""
    if name in RULES:
        return _source(training(name), "cpu", Layout.PER_INSTANCE)
    layout, _, dialect = name.rpartition("_")
    return _source(PROGRAMS[layout], dialect, LAYOUTS[layout])


def _source(program: Program, dialect: str, spread: Layout) -> str:
    """Without the headers, which are written by hand."""
    without_headers = replace(DIALECTS[dialect], headers=(), team_headers=())
    return generate(program, Precision.FLOAT32, without_headers, spread).text


def main() -> None:
    """Write all of them."""
    for name in (*NAMES, *RULES):
        path(name).write_text(generated(name), encoding="utf-8")


if __name__ == "__main__":
    main()
