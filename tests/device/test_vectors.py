"""Loops over neurons become vector code."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from brian2eprop.device.backends.compile import compiler, compiler_version
from brian2eprop.device.backends.cpu import FLAGS
from brian2eprop.device.codegen.dialect import CPU
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Detect,
    Direction,
    Distribution,
    Draw,
    DType,
    Events,
    ForEach,
    Index,
    Precision,
    Program,
    Ref,
    Slots,
    Sweep,
)

N = 1000
KINDS = {"last": DType.DOUBLE, "free": DType.BOOL}
FREE = "free = timestep(t - last, dt) >= timestep(rest, dt)\n"
BODIES = {
    "refractory": f"{FREE}_v = v*exp(-dt/tau) + w\nv = _v",
    "functions": "v = exprel(v) + tanh(w) + log(v)*sin(v) + v**w + arctan(w)",
    "comparisons": "v = clip(v, 0, w) + int(v > w)*abs(v)",
}


def elements(*names: str) -> dict[str, Ref]:
    return {name: Ref(name, Index.ELEMENT) for name in names}


def made_of(phase: ForEach | Detect) -> Program:
    arrays = tuple(
        Array(ref.array, KINDS.get(ref.array, DType.REAL), N, Access.PER_INSTANCE)
        for ref in phase.body.refs.values()
    )
    events = (Events("spikes", N, Access.PER_INSTANCE, Slots(0)),)
    used = events if isinstance(phase, Detect) else ()
    return Program("p", 1e-4, arrays, (Sweep(Direction.FORWARD, (phase,)),), events=used)


def updates(kind: str) -> ForEach:
    code = BODIES[kind]
    names = [name for name in ("v", "w", "last", "free") if name in code]
    guards = {"v": "free"} if "free" in code else {}
    constants = {name: 5e-3 for name in ("tau", "rest") if name in code}
    return ForEach("update", N, Body(code, elements(*names), constants, guards))


def draws(distribution: Distribution) -> ForEach:
    found = {"noise": Draw(distribution, "cells", 0)}
    return ForEach("update", N, Body("v += noise", elements("v"), draws=found))


def threshold() -> Detect:
    body = Body("_cond = v > w and free", elements("v", "w", "free", "last"))
    return Detect("threshold", N, "spikes", body, ("free", "last"))


@pytest.fixture(autouse=True)
def vectorising_compiler() -> None:
    if platform.machine() != "x86_64" or "g++" not in compiler_version():
        pytest.skip("what becomes vector code is known of g++ on x86_64")


def heads(lines: list[str], index: str) -> list[int]:
    """The numbers of the lines in which loops of an index begin."""
    starts = f"for (int {index} = 0; "
    return [n for n, line in enumerate(lines, 1) if line.strip().startswith(starts)]


def is_vector_code(text: str, loops: list[int], folder: Path) -> list[bool]:
    """Whether g++ makes vector code of the loops that begin in some lines."""
    source, lines = folder / "source.cpp", text.splitlines()
    source.write_text(text)
    command = [
        *compiler(),
        *FLAGS,
        "-fopt-info-vec-optimized",
        "-c",
        "-o",
        "/dev/null",
        str(source),
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    found = [int(line.split(":")[1]) for line in said if "loop vectorized" in line]
    ends = [next(n for n in range(at, len(lines)) if lines[n].strip() == "}") for at in loops]
    return [any(at <= n <= end + 1 for n in found) for at, end in zip(loops, ends, strict=True)]


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("phase", [*map(updates, BODIES), threshold()], ids=[*BODIES, "threshold"])
def test_a_loop_over_neurons(phase: ForEach | Detect, precision: Precision, tmp_path: Path) -> None:
    text = generate(made_of(phase), precision, CPU).text
    assert is_vector_code(text, heads(text.splitlines(), "element"), tmp_path) == [True]


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("distribution", Distribution)
def test_random_numbers(distribution: Distribution, precision: Precision, tmp_path: Path) -> None:
    text = generate(made_of(draws(distribution)), precision, CPU).text
    lines = text.splitlines()
    (drawing,) = heads(lines, "lane")  # of the one distribution that the Program draws from
    assert is_vector_code(text, [drawing, *heads(lines, "number")], tmp_path) == [True, True]
