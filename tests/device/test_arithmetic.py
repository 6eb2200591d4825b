"""Arithmetic that has no ordinary result is what NumPy makes of it, on every backend."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from brian2.core.functions import timestep

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

LEAST, LARGEST = -(2**31), 2**31 - 1
SPECIAL = np.array([LEAST, LEAST + 1, -7, -1, 0, 1, 3, LARGEST], np.int32)
X, Y = (part.ravel() for part in np.meshgrid(SPECIAL, SPECIAL))
BEYOND_ALL_STEPS = [-1e20, 9.2233720368547e15, 9.3e15, 1e300, np.inf, -np.inf, np.nan]
REALS = np.array([-np.inf, -3e9, -2.5, -0.0, 0.0, 0.7, 3e9, np.inf, np.nan])


def run(
    backend: str,
    code: str,
    constants: dict[str, int | float] | None = None,
    **values: npt.ArrayLike,
) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays after a body has run once for each element; integers are INT arrays."""
    given = {name: np.asarray(value) for name, value in values.items()}
    size = max(array.size for array in given.values())
    kinds = {n: DType.INT if a.dtype.kind == "i" else DType.DOUBLE for n, a in given.items()}
    arrays = tuple(Array(n, kind, size, Access.PER_INSTANCE) for n, kind in kinds.items())
    refs = {name: Ref(name, Index.ELEMENT) for name in given}
    phase = ForEach("phase", size, Body(code, refs, constants or {}))
    program = Program("program", 1e-3, arrays, (Sweep(Direction.ONCE, (phase,)),))
    found = registry.create(backend, Precision.FLOAT64)
    memory = found.memory(1)
    memory.reserve(program, 1)
    for name, array in given.items():
        memory.write(name, array)
    found.compile(program).run(memory, Call(0, 1))
    return {name: memory.read(name)[0] for name in given}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("z = x % y", lambda x, y: x % y),
        ("z = x // y", lambda x, y: x // y),
        ("z = x\nz %= y", lambda x, y: x % y),
        ("z = abs(x)", lambda x, y: np.abs(x)),
        ("z = 7 % y", lambda x, y: np.int32(7) % y),
        ("z = x // 0", lambda x, y: x // np.int32(0)),
    ],
)
def test_integers(backend, code, expected):
    with np.errstate(all="ignore"):
        wanted = expected(X, Y)
    result = run(backend, code, x=X, y=Y, z=np.zeros_like(X))
    np.testing.assert_array_equal(result["z"], wanted)


def test_an_integer_is_divided_truly_and_cut(backend):
    y = np.where(Y == 0, 2, Y)
    result = run(backend, "z = x\nz /= y", x=X, y=y, z=np.zeros_like(X))
    exact = [int(a / b) for a, b in zip(X.tolist(), y.tolist(), strict=True)]
    np.testing.assert_array_equal(result["z"], [n if n <= LARGEST else LEAST for n in exact])


@pytest.mark.parametrize("code", ["z = x", "z = int(x)", "z = 0\nz += x", "w = int(x)\nz = w"])
def test_what_fits_into_no_integer_is_the_least_one(backend, code):
    expected = [int(x) if abs(x) < 2**31 else LEAST for x in REALS]
    result = run(backend, code, x=REALS, z=np.zeros(REALS.size, np.int32))
    np.testing.assert_array_equal(result["z"], expected)


@pytest.mark.filterwarnings("ignore:.*encountered in scalar divide")
@pytest.mark.parametrize("code", ["z = int(1/0)", "z = int(-1/0)", "z = int(0/0)", "z = 3e9"])
def test_the_compiler_knows_no_better(backend, code):
    result = run(backend, code, x=REALS, z=np.zeros(REALS.size, np.int32))
    np.testing.assert_array_equal(result["z"], LEAST)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("z = x % n", lambda x: x % 0.0),
        ("z = x // n", lambda x: x // 0.0),
        ("z = x / n", lambda x: x / 0.0),
        ("z = i / n + 0*x", lambda x: np.full_like(x, np.inf)),
        ("z = i ** -1 + n * x", lambda x: 0.2 + 0 * x),
        ("z = x + n ** -1", lambda x: x + np.inf),
        ("w = i ** -1\nz = w + 0*x", lambda x: 0.2 + 0 * x),
        ("z = x + 1e200 ** 2", lambda x: x + np.inf),
        ("z = x + i % n + i // n", lambda x: x),
    ],
)
def test_floating_point_numbers(backend, code, expected):
    # Numbers of Python among themselves would raise exceptions.
    x = np.array([-2.5, -1.0, 0.7, 3e9])
    with np.errstate(all="ignore"):
        wanted = expected(x)
    result = run(backend, code, {"i": 5, "n": 0}, x=x, z=np.zeros_like(x))
    np.testing.assert_array_equal(result["z"], wanted)


def test_a_spike_that_never_was(backend):
    code = "z = timestep(t - last, dt) >= 2"
    last = np.array([-np.inf, -1e4, 0, np.inf, np.nan])
    result = run(backend, code, last=last, z=np.zeros(5, np.int32))
    # As Brian2's timestep: an infinite time is in the least step of all.
    np.testing.assert_array_equal(result["z"], [0, 1, 0, 0, 0])


@pytest.mark.parametrize("step", [-3, 0, 1, 2, 50, 123456, LARGEST])
def test_the_time_at_which_a_step_begins(backend, step):
    dt = 1e-3  # the Program's
    near = (np.array([step - 1, step, step + 1]) - 1e-3) * dt
    ulps = np.arange(-12, 13) * np.spacing(near)[:, None]
    times = np.concatenate([(near[:, None] + ulps).ravel(), BEYOND_ALL_STEPS])
    code = f"z = timestep(time, dt) >= {step}\ny = timestep(time, dt) >= timestep(least, dt)"
    none = np.zeros(times.size, np.int32)
    result = run(backend, code, {"least": step * dt}, time=times, z=none, y=none)
    with np.errstate(invalid="ignore"):
        steps = timestep(times, dt)
    np.testing.assert_array_equal(result["z"], steps >= step)
    np.testing.assert_array_equal(result["y"], steps >= timestep(step * dt, dt))
