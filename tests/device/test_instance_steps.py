"""Sweeps through as many steps as each instance has."""

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
    Direction,
    DType,
    ForEach,
    Index,
    Precision,
    Program,
    Ref,
    Sweep,
)
from brian2eprop.device.program.verify import ProgramError, Stage, verify

N, FIRST, STEPS = 3, 2, 6
LENGTHS = [0, 1, 2, 3, 6, 8, 9, -3]


def program(direction: Direction) -> Program:
    """``x <- 2*x + step`` tells which steps there were, and in which order."""
    body = Body("x = 2*x + step", {"x": Ref("x", Index.ELEMENT)})
    arrays = (
        Array("x", DType.REAL, N, Access.PER_INSTANCE),
        Array("steps", DType.INT, 1, Access.PER_INSTANCE),
    )
    return Program(
        "net", 1e-3, arrays, (Sweep(direction, (ForEach("p", N, body),), steps="steps"),)
    )


@pytest.mark.parametrize("direction", [Direction.FORWARD, Direction.BACKWARD])
def test_an_instance_goes_through_its_own_steps(backend: str, direction: Direction) -> None:
    made = registry.create(backend, Precision.FLOAT64)
    memory = made.memory(len(LENGTHS))
    network = program(direction)
    memory.reserve(network, STEPS)
    memory.write("steps", np.array(LENGTHS)[:, None])
    made.compile(network).run(memory, Call(FIRST, STEPS))
    for length, found in zip(LENGTHS, memory.read("x"), strict=True):
        steps = list(range(FIRST, min(length, FIRST + STEPS)))
        x = 0.0
        for step in steps if direction is Direction.FORWARD else reversed(steps):
            x = 2 * x + step
        assert found.tolist() == [x] * N


@pytest.mark.parametrize(
    "wrong",
    [{"dtype": DType.REAL}, {"access": Access.SHARED}, {"size": 2}, {"name": "others"}],
)
def test_what_cannot_hold_a_number_of_steps(wrong: dict[str, object]) -> None:
    network = program(Direction.FORWARD)
    x, steps = network.arrays
    faulty = replace(network, arrays=(x, replace(steps, **wrong)))  # type: ignore[arg-type]
    with pytest.raises(ProgramError, match="array 'steps' cannot hold the number of steps of an"):
        verify(faulty, Stage.GENERATION)


def test_the_number_of_steps_is_not_written() -> None:
    network = program(Direction.FORWARD)
    body = Body("s = 1", {"s": Ref("steps", Index.ELEMENT)})
    (sweep,) = network.sweeps
    faulty = replace(network, sweeps=(replace(sweep, phases=(ForEach("p", 1, body),)),))
    with pytest.raises(ProgramError, match="'steps', the number of steps of an instance, is writ"):
        verify(faulty, Stage.GENERATION)
