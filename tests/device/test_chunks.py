"""Chunks: sweeps through some steps at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brian2eprop.device.backends import registry
from brian2eprop.device.backends.base import Call
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Chunks,
    Direction,
    DType,
    ForEach,
    Index,
    Over,
    Precision,
    Program,
    Ref,
    Slots,
    Sweep,
)
from brian2eprop.device.program.verify import ProgramError, Stage, verify

N, FIRST, STEPS, LENGTH = 3, 2, 11, 4
LENGTHS = [0, 1, 3, 5, 6, 7, 10, 13, 22, -3]


def sweep(direction: Direction, code: str) -> Sweep:
    names = {"x": Ref("x", Index.ELEMENT), "kept": Ref("kept", Index.ELEMENT)}
    refs = {name: ref for name, ref in names.items() if name in code}
    return Sweep(direction, (ForEach(direction.value, N, Body(code, refs)),))


def program(length: int = LENGTH) -> Program:
    """What ``x`` is in the end tells which steps there were, and in which order.

    The way back reads what the way there left in as many slots as a chunk has steps.
    """
    sweeps = (
        sweep(Direction.ONCE, "x = 0.75*x + step"),
        sweep(Direction.FORWARD, "x = 0.5*x + step\nkept = x"),
        sweep(Direction.BACKWARD, "x = 0.25*x + kept - step"),
    )
    arrays = (
        Array("x", DType.REAL, N, Access.PER_INSTANCE),
        Array("kept", DType.REAL, N, Access.SCRATCH, Slots(history=length - 1)),
        Array("steps", DType.INT, 1, Access.PER_INSTANCE),
    )
    return Program("net", 1e-3, arrays, (Chunks(length, sweeps, "steps"),))


def expected(n_steps: int, length: int) -> float:
    x = 0.0
    steps = list(range(FIRST, min(n_steps, FIRST + STEPS)))
    for start in range(0, len(steps), length):
        chunk, kept = steps[start : start + length], {}
        x = 0.75 * x + chunk[0]
        for step in chunk:
            x = kept[step] = 0.5 * x + step
        for step in reversed(chunk):
            x = 0.25 * x + kept[step] - step
    return x


@pytest.mark.parametrize("length", [1, 2, LENGTH, STEPS, 100])
def test_all_sweeps_go_through_a_chunk_before_the_next(backend: str, length: int) -> None:
    made = registry.create(backend, Precision.FLOAT64)
    memory, network = made.memory(len(LENGTHS)), program(length)
    memory.reserve(network, STEPS)
    memory.write("steps", np.array(LENGTHS)[:, None])
    made.compile(network).run(memory, Call(FIRST, STEPS))
    for n_steps, found in zip(LENGTHS, memory.read("x"), strict=True):
        assert found.tolist() == [expected(n_steps, length)] * N


def test_chunks_through_all_steps_of_a_call(backend: str) -> None:
    made = registry.create(backend, Precision.FLOAT64)
    (chunks,) = program().sweeps
    network = replace(program(), sweeps=(replace(chunks, steps=None),))
    memory = made.memory(1)
    memory.reserve(network, STEPS)
    made.compile(network).run(memory, Call(FIRST, STEPS))
    assert memory.read("x").tolist() == [[expected(FIRST + STEPS, LENGTH)] * N]


@pytest.mark.parametrize(
    ("chunks", "fault"),
    [
        ({"length": 0}, "it has chunks of 0 steps; give a number from 1 up"),
        (
            {"sweeps": (Sweep(Direction.ONCE, (), Over.SHARED),)},
            "its chunks have a sweep over what is shared; make it one over instances",
        ),
        (
            {"sweeps": (Sweep(Direction.FORWARD, (), steps="steps"),)},
            "a sweep of its chunks has steps of its own; it goes through those of a chunk",
        ),
        (
            {"steps": "x"},
            "array 'x' cannot hold the number of steps of an instance; declare it INT, per "
            "instance, of size 1 and without slots",
        ),
    ],
)
def test_chunks_that_make_no_sense(chunks: dict[str, object], fault: str) -> None:
    (found,) = program().sweeps
    faulty = replace(program(), sweeps=(replace(found, **chunks),))  # type: ignore[arg-type]
    with pytest.raises(ProgramError) as caught:
        verify(faulty, Stage.GENERATION)
    assert str(caught.value) == f"Program 'net': {fault}."


def test_a_captured_program_has_no_chunks() -> None:
    chunks = Chunks(2, (sweep(Direction.FORWARD, "x = x + step"),))
    with pytest.raises(ProgramError, match="a captured program has no chunks; let its sweep go"):
        verify(replace(program(), sweeps=(chunks,)), Stage.CAPTURED)
