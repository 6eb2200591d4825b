"""Loops over neurons become vector code."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from brian2eprop.device.backends.compile import _run, compiler, compiler_version
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


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize(
    "phase",
    [*map(updates, BODIES), *map(draws, Distribution), threshold()],
    ids=[*BODIES, *(distribution.value for distribution in Distribution), "threshold"],
)
def test_a_loop_over_neurons_becomes_vector_code(
    phase: ForEach | Detect, precision: Precision, tmp_path: Path
) -> None:
    source = tmp_path / "source.cpp"
    source.write_text(generate(made_of(phase), precision, CPU).text)
    lines = source.read_text().splitlines()
    (loop,) = [
        number
        for number, line in enumerate(lines, 1)
        if line.strip() == f"for (int element = 0; element < {N}; ++element) {{"
    ]
    end = next(n for n, line in enumerate(lines[loop:], loop) if line.strip() == "}")
    done = _run([*compiler(), *FLAGS, "-fopt-info-vec-optimized", "-c", "-o", "/dev/null",
                 str(source)], tmp_path)  # fmt: skip
    found = [int(line.split(":")[1]) for line in done.stderr.splitlines() if "loop vec" in line]
    # A loop may be named after a function that it calls; of events there are other loops.
    begins = loop if isinstance(phase, Detect) else 0
    assert any(begins <= number <= end + 1 for number in found), done.stderr
