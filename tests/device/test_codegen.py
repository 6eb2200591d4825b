"""Bodies evaluated by the CPU kernel against plain Python, line by line."""

from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brian2eprop.device.backends import registry
from brian2eprop.device.backends.base import Call
from brian2eprop.device.cache import content_key
from brian2eprop.device.codegen.dialect import CPU
from brian2eprop.device.codegen.source import generate
from brian2eprop.device.codegen.statements import render_expression
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Detect,
    Direction,
    DType,
    Events,
    ForEach,
    ForEachEvent,
    Index,
    Precision,
    Program,
    Ref,
    Slots,
    Sweep,
)

DT = 1e-3
LINES = 20  # of a body: one compilation tries as many expressions
REALS, INTEGERS, BOOLEANS = ("x", "y"), ("i", "j"), ("a", "b")
CONSTANTS = {"c": 0.75, "k": -3}
VALUES = {
    "x": np.array([-2.5, -0.3, 0.0, 0.4, 1.0, 3.25, -7.0, 12.5]),
    "y": np.array([1.5, -0.7, 2.0, -4.0, 0.25, -1.0, 3.0, 0.5]),
    "i": np.array([-7, -3, -1, 0, 1, 2, 5, 9]),
    "j": np.array([2, -2, 3, -5, 4, -1, 7, -3]),
    "a": np.array([False, True] * 4),
    "b": np.array([False, False, True, True] * 2),
}
N = 8


def sign(x: float) -> int:
    return (x > 0) - (x < 0)


FUNCTIONS: dict[str, Any] = {
    **{name: getattr(math, name) for name in ("exp", "sin", "cos", "tanh", "floor", "ceil")},
    **{name: getattr(math, name) for name in ("expm1", "log1p", "log", "log10", "sqrt", "cosh")},
    **{"arctan": math.atan, "arcsin": math.asin, "arccos": math.acos, "sinh": math.sinh},
    **{"tan": math.tan, "abs": abs, "int": int, "sign": sign},
    "clip": lambda x, low, high: min(max(x, low), high),
    "exprel": lambda x: math.expm1(x) / x if x else 1.0,
    "timestep": lambda t, dt: int((t + 1e-3 * dt) / dt),
}


def integers() -> st.SearchStrategy[str]:
    leaves = st.sampled_from([*INTEGERS, "k", "2", "-5"])
    return st.recursive(leaves, integer_operations, max_leaves=4)


def integer_operations(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    divisor = st.sampled_from(["j", "k", "3", "-4"])
    return st.one_of(
        st.builds("({} {} {})".format, parts, st.sampled_from("+-"), parts),
        st.builds("({} {} {})".format, parts, st.sampled_from(["//", "%"]), divisor),
        st.builds("({}*{})".format, st.sampled_from(["i", "j", "2"]), st.sampled_from(["j", "k"])),
        st.builds("abs({})".format, parts),
        st.builds("sign({})".format, parts),
    )


def reals() -> st.SearchStrategy[str]:
    leaves = st.one_of(st.sampled_from([*REALS, "c", "dt", "0.5", "-1.25"]), integers())
    return st.recursive(leaves, real_operations, max_leaves=6)


def real_operations(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bounded = st.sampled_from(["exp", "sin", "cos", "expm1", "sinh", "cosh", "exprel", "tanh"])
    return st.one_of(
        st.builds("({} {} {})".format, parts, st.sampled_from("+-*"), parts),
        st.builds("({}/{})".format, parts, st.sampled_from(["y", "j", "c", "3"])),
        st.builds("({} + c*int({}))".format, parts, booleans()),
        st.builds("{}(clip({}, -2, 2))".format, bounded, parts),
        st.builds("{}(clip({}, -0.9, 0.9))".format, st.sampled_from(["arcsin", "arccos"]), parts),
        st.builds("{}(1 + abs({}))".format, st.sampled_from(["sqrt", "log", "log10"]), parts),
        st.builds("{}(abs({}))".format, st.sampled_from(["log1p", "arctan"]), parts),
        st.builds("clip({}, -3, 3)**{}".format, parts, st.sampled_from("234")),
    )


def booleans() -> st.SearchStrategy[str]:
    compare = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    leaves = st.one_of(
        st.sampled_from(BOOLEANS),
        st.builds("({} {} {})".format, st.sampled_from("ijk"), compare, st.sampled_from("ijk")),
        # Halves: no rounding decides.
        st.builds("({} {} {})".format, st.just("x"), st.sampled_from("<>"), st.just("y")),
    )
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.builds("({} {} {})".format, parts, st.sampled_from(["and", "or"]), parts),
            st.builds("(not {})".format, parts),
        ),
        max_leaves=4,
    )


def refs(*names: str) -> dict[str, Ref]:
    return {name: Ref(name, Index.ELEMENT) for name in names}


def program(lines: list[str], dtype: DType) -> Program:
    """Each expression into an array of its own."""
    types = dict.fromkeys(REALS, DType.REAL) | dict.fromkeys(INTEGERS, DType.INT)
    types |= dict.fromkeys(BOOLEANS, DType.BOOL) | {f"out{n}": dtype for n in range(len(lines))}
    code = "\n".join(f"out{n} = {line}" for n, line in enumerate(lines))
    body = Body(code, refs(*types), CONSTANTS)
    arrays = tuple(Array(n, t, N, Access.PER_INSTANCE) for n, t in types.items())
    return Program("p", DT, arrays, (Sweep(Direction.ONCE, (ForEach("all", N, body),)),))


def run(
    found: Program, precision: Precision, on: str = "cpu", *, step: int = 0, **values: Any
) -> Any:
    backend = registry.create(on, precision)
    memory = backend.memory(1)
    memory.reserve(found, 1)
    for name, value in values.items():
        memory.write(name, value)
    backend.compile(found).run(memory, Call(step, 1))
    return memory


def by_python(line: str) -> npt.NDArray[Any]:
    names = [
        {name: values[n].item() for name, values in VALUES.items()} | CONSTANTS | {"dt": DT}
        for n in range(N)
    ]
    return np.array([eval(line, {"__builtins__": {}}, FUNCTIONS | each) for each in names])


def check(lines: list[str], dtype: DType, precision: Precision, tolerance: float) -> None:
    memory = run(program(lines, dtype), precision, **VALUES)
    for n, line in enumerate(lines):
        expected = by_python(line).astype(float)
        found = memory.read(f"out{n}")[0].astype(float)
        atol = tolerance * largest(line) if tolerance else 0
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol, err_msg=line)


def largest(line: str) -> float:
    """The largest value of any part of an expression, at least 1: what rounding is relative to."""
    parts = (node for node in ast.walk(ast.parse(line, mode="eval").body))
    texts = {ast.unparse(part) for part in parts if isinstance(part, ast.BinOp | ast.Call)}
    return max([1.0, *(float(np.abs(by_python(text)).max()) for text in texts)])


SLOW = settings(
    max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
MANY = {"min_size": LINES, "max_size": LINES}


@SLOW
@given(st.lists(integers(), **MANY))
def test_integers_are_pythons(lines: list[str]) -> None:
    check(lines, DType.INT, Precision.FLOAT32, 0)


@SLOW
@given(st.lists(booleans(), **MANY))
def test_booleans_are_pythons(lines: list[str]) -> None:
    check(lines, DType.BOOL, Precision.FLOAT32, 0)


@SLOW
@given(st.lists(reals(), **MANY), st.sampled_from(Precision))
def test_reals_are_pythons(lines: list[str], precision: Precision) -> None:
    # A few thousand roundings, for the functions enlarge those of their arguments.
    check(lines, DType.REAL, precision, 4500 * float(np.finfo(precision.dtype).eps))


def test_an_expression_that_sympy_goes_in_circles_over() -> None:
    code = "out = abs(-1.25 + c*int(not (x < y)) - clip(0.5, -3, 3)**3)"
    body = Body(code, refs("out", "x", "y"), {"c": 2.5})
    arrays = tuple(Array(name, DType.REAL, 2, Access.PER_INSTANCE) for name in ("out", "x", "y"))
    program = Program("p", DT, arrays, (Sweep(Direction.ONCE, (ForEach("all", 2, body),)),))
    memory = run(program, Precision.FLOAT64, x=[0.0, 2.0], y=[1.0, 1.0])
    np.testing.assert_allclose(memory.read("out")[0], [1.375, abs(-1.25 + 2.5 - 0.125)])


@pytest.mark.parametrize("name", ["cpu", "emulated", "reference"])
def test_a_sum_in_an_integer_is_cut_once(name: str) -> None:
    body = Body("k += x", refs("k", "x"))
    arrays = (
        Array("k", DType.INT, 3, Access.PER_INSTANCE),
        Array("x", DType.REAL, 3, Access.PER_INSTANCE),
    )
    program = Program("p", DT, arrays, (Sweep(Direction.ONCE, (ForEach("all", 3, body),)),))
    memory = run(program, Precision.FLOAT64, name, k=[7, -7, 1], x=[-0.7, 0.7, 0.5])
    # As NumPy does it: int(7 - 0.7), int(-7 + 0.7).
    assert memory.read("k")[0].tolist() == [6, -6, 1]


@pytest.mark.parametrize("name", ["cpu", "emulated", "reference"])
def test_integers_beyond_32_bits(name: str) -> None:
    """Constants and literals have the width that they need."""
    names = ("a", "b", "c", "d", "e", "f")
    code = (
        "a = (i + K)*0.5\nb = K//7\nc = K % 10\nd = i*K + x*K\n"
        "wide = i + 10000000000\ne = wide - K\nf = int(K > 2**20) + int(i + M > 0)"
    )
    constants = {"K": 10**10, "M": -(2**62) - 1}
    body = Body(code, refs(*names, "i", "x"), constants)
    arrays = (
        *(Array(n, DType.REAL, 2, Access.PER_INSTANCE) for n in (*names, "x")),
        Array("i", DType.INT, 2, Access.PER_INSTANCE),
    )
    program = Program("p", DT, arrays, (Sweep(Direction.ONCE, (ForEach("all", 2, body),)),))
    memory = run(program, Precision.FLOAT64, name, i=[0, 3], x=[0.5, -1.5])
    for k, (i, x) in enumerate([(0, 0.5), (3, -1.5)]):
        wanted = [(i + 10**10) * 0.5, 10**10 // 7, 0, i * 10**10 + x * 10**10, i, 1]
        assert [memory.read(n)[0, k] for n in names] == wanted


@pytest.mark.parametrize("precision", Precision)
def test_slow_decays_keep_their_digits(precision: Precision) -> None:
    """What a loop does not change is computed in double precision and rounded once."""
    body = Body("out = 1 - exp(-dt/tau)", refs("out"), {"tau": 1e4})
    arrays = (Array("out", DType.REAL, 1, Access.PER_INSTANCE),)
    phase = ForEach("all", 1, body)
    memory = run(Program("p", DT, arrays, (Sweep(Direction.ONCE, (phase,)),)), precision)
    expected = -math.expm1(-DT / 1e4)
    # In double, cancellation leaves 1e-16 of 1e-7.
    assert memory.read("out")[0, 0] == pytest.approx(expected, rel=1e-7)


def test_times_are_right_after_a_long_time() -> None:
    """In single precision t = 1000 s is known to 6e-5 s only: less than a step must not show."""
    dt = 1e-4
    steps = np.arange(0, 50)
    body = Body("out = timestep(t - last, dt)", refs("out", "last"))
    n = len(steps)
    arrays = (
        Array("out", DType.INT, n, Access.PER_INSTANCE),
        Array("last", DType.DOUBLE, n, Access.PER_INSTANCE),
    )
    found = Program("p", dt, arrays, (Sweep(Direction.FORWARD, (ForEach("all", n, body),)),))
    now = 10_000_000
    memory = run(found, Precision.FLOAT32, step=now, last=(now - steps) * dt)
    np.testing.assert_array_equal(memory.read("out")[0], steps)


@pytest.mark.parametrize("name", ["timestep_of", "timesteps", "_sinces"])
def test_only_times_are_counted_in_double(name: str) -> None:
    """A function of another name gets its arguments in the precision, like all others."""
    assert render_expression(f"{name}(x/dt)") == f"{name}(real(1)*x/dt)"
    assert render_expression("timestep(x, dt)") == "_timestep(x, dt_double)"


# Names and constants


def spiking(name: str, constant: float = 0.5, array: str = "v", label: str = "x") -> Program:
    """A Program whose body has a ref, a constant or a local of the given name."""
    v = {"v": Ref(array, Index.ELEMENT)}
    other = {**v, name: Ref("other", Index.ELEMENT)}
    phases = (
        ForEach(label, 3, Body(f"v = v + {name}*2", v, {name: constant})),
        Detect("detect", 3, "s", Body(f"{name} = v + 1\n_cond = {name} > 1", v)),
        ForEachEvent("event", "s", Body(f"v = v + {name}*2", v, {name: constant})),
        ForEach("ref", 3, Body(f"v = v + {name}*2", other)),
    )
    arrays = tuple(Array(n, DType.REAL, 3, Access.PER_INSTANCE) for n in (array, "other"))
    events = (Events("s", 3, Access.PER_INSTANCE, Slots()),)
    return Program("p", DT, arrays, (Sweep(Direction.FORWARD, phases),), events)


@pytest.mark.parametrize(
    "name", ["e", "new", "real", "event", "indices", "flags", "a2", "p_v", "vp", "v_p", "INFINITY"]
)
def test_a_variable_may_have_any_name(name: str) -> None:
    memory = run(spiking(name), Precision.FLOAT64, other=0.25)
    np.testing.assert_array_equal(memory.read("v"), 0.5 * 2 + 0.5 * 2 + 0.25 * 2)


def key(found: Program) -> str:
    return content_key(generate(found, Precision.FLOAT32, CPU).text)


def test_constants_and_names_of_arrays_and_phases_are_no_reason_to_compile() -> None:
    first = spiking("c")
    assert key(spiking("c", constant=0.7)) == key(first)
    assert key(spiking("c", array="hidden_v")) == key(first)
    assert key(spiking("c", label="hidden state")) == key(first)
    assert key(spiking("d")) != key(first)
