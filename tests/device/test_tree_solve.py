"""The solve on a tree against dense algebra, and what is legal in it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brian2eprop.device.backends import registry
from brian2eprop.device.backends.base import Call
from brian2eprop.device.program import (
    Access,
    Array,
    Direction,
    DType,
    Over,
    Precision,
    Program,
    Slots,
    Sweep,
    TreeSolve,
)
from brian2eprop.device.program.verify import ProgramError, Stage, verify


def program_of(parent: np.ndarray, access: Access = Access.PER_INSTANCE) -> Program:
    size = len(parent)
    return Program(
        "tree",
        1e-3,
        (
            Array("parent", DType.INT, size, Access.SHARED),
            Array("leak", DType.REAL, size, access),
            Array("coupling", DType.REAL, size, Access.SHARED),
            Array("source", DType.REAL, size, access),
        ),
        (Sweep(Direction.FORWARD, (TreeSolve("solve", "parent", "leak", "coupling", "source"),)),),
    )


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 12), st.integers(0, 2**16), st.sampled_from(["reference", "cpu"]))
def test_any_tree_is_solved(size: int, seed: int, on: str) -> None:
    """Any parents before their children, and coefficients over ten decades."""
    rng = np.random.default_rng(seed)
    parent = np.array([0, *(int(rng.integers(0, node)) for node in range(1, size))])
    leak = 10.0 ** rng.uniform(-5, 0, (2, size)) * (rng.random((2, size)) < 0.7)
    leak[:, 0] += 0.1
    coupling = 10.0 ** rng.uniform(-5, 5, size)
    source = rng.normal(0, 1, (2, size))
    program = program_of(parent)
    backend = registry.create(on, Precision.FLOAT64)
    memory = backend.memory(2)
    memory.reserve(program, 1)
    for name, values in (("parent", parent), ("leak", leak), ("coupling", coupling)):
        memory.write(name, np.broadcast_to(values, memory.arrays[name].shape))
    memory.write("source", source)
    backend.compile(program).run(memory, Call(0, 1))
    for instance in range(2):
        matrix = np.diag(leak[instance])
        for node in range(1, size):
            above = parent[node]
            matrix[[node, above], [node, above]] += coupling[node]
            matrix[[node, above], [above, node]] -= coupling[node]
        found = memory.read("source")[instance]
        # The residual is what rounding of the largest term leaves.
        left = matrix @ found - source[instance]
        assert np.abs(left).max() <= 1e-13 * (np.abs(matrix) @ np.abs(found)).max()


PARENTS = "array 'parent' cannot hold the nodes' parents; make it INT and shared"
EACH = "array '{}' cannot hold a number for each node; make it REAL, of size {} and without slots"
OWN = "array '{}' is shared; give each instance its own"


@pytest.mark.parametrize(
    ("which", "changed", "sentence"),
    [
        ("parent", {"dtype": DType.REAL}, PARENTS),
        ("parent", {"access": Access.PER_INSTANCE}, PARENTS),
        ("parent", {"size": 3}, EACH.format("leak", 3)),
        ("coupling", {"size": 5}, EACH.format("coupling", 4)),
        ("leak", {"dtype": DType.INT}, EACH.format("leak", 4)),
        ("source", {"slots": Slots(2)}, EACH.format("source", 4)),
        ("leak", {"access": Access.SHARED}, OWN.format("leak")),
        ("source", {"access": Access.SHARED}, OWN.format("source")),
    ],
)
def test_illegal_solves_are_refused(which: str, changed: dict[str, Any], sentence: str) -> None:
    program = program_of(np.zeros(4, int))
    arrays = tuple(
        replace(array, **changed) if array.name == which else array for array in program.arrays
    )
    with pytest.raises(ProgramError, match=re.escape(sentence)):
        verify(replace(program, arrays=arrays), Stage.GENERATION)


def test_what_a_solve_uses() -> None:
    """The potentials stand where the source stood, and the leak is used up."""
    (solve,) = program_of(np.zeros(4, int)).phases()
    assert solve.reads() == {"parent", "leak", "coupling", "source"}
    assert solve.writes() == {"leak", "source"}


def test_a_solve_over_what_is_shared_is_legal() -> None:
    program = program_of(np.zeros(4, int), Access.SHARED)
    (sweep,) = program.sweeps
    once = replace(sweep, direction=Direction.ONCE, over=Over.SHARED)
    verify(replace(program, sweeps=(once,)), Stage.GENERATION)
