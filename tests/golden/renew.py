"""Writes the golden sources anew: ``python -m tests.golden.renew``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from brian2eprop.device.codegen.dialect import CPU, CUDA
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import Precision
from tests.golden.programs import LAYOUTS, PROGRAMS

FOLDER = Path(__file__).parent
COMMAND = "python -m tests.golden.renew"
DIALECTS = {"cpu": CPU, "cuda": CUDA}
NAMES = [f"{layout}_{dialect}" for layout in PROGRAMS for dialect in DIALECTS]


def path(name: str) -> Path:
    """Where the golden source of a template lies."""
    return FOLDER / f"{name}.txt"


def generated(name: str) -> str:
    """The source that a template gives now, without the headers, which are written by hand."""
    layout, _, dialect = name.rpartition("_")
    without_headers = replace(DIALECTS[dialect], headers=(), team_headers=())
    program, spread = PROGRAMS[layout], LAYOUTS[layout]
    return generate(program, Precision.FLOAT32, without_headers, spread).text


def main() -> None:
    """Write all of them."""
    for name in NAMES:
        path(name).write_text(generated(name), encoding="utf-8")


if __name__ == "__main__":
    main()
