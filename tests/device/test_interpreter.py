import math

import numpy as np
import pytest

from brian2eprop.device.backends.interpreter import Place, execute
from brian2eprop.device.program.functions import FUNCTIONS

POINTS = [-2.5, -0.75, -1e-9, 0.25, 0.5, 1.0, 3.0]

ORACLES = {
    "abs": abs,
    "arccos": math.acos,
    "arcsin": math.asin,
    "arctan": math.atan,
    "ceil": math.ceil,
    "cos": math.cos,
    "cosh": math.cosh,
    "exp": math.exp,
    "expm1": math.expm1,
    "exprel": lambda x: math.expm1(x) / x,
    "floor": math.floor,
    "int": int,
    "log": math.log,
    "log10": math.log10,
    "log1p": math.log1p,
    "sign": lambda x: math.copysign(1, x),
    "sin": math.sin,
    "sinh": math.sinh,
    "sqrt": math.sqrt,
    "tan": math.tan,
    "tanh": math.tanh,
}


def value(expression, **numbers):
    return execute(f"x = {expression}", {}, {}, numbers)["x"]


def test_every_function_of_one_argument_has_an_oracle():
    assert ORACLES.keys() == {name for name, count in FUNCTIONS.items() if count == 1}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("x", POINTS)
def test_functions_agree_with_the_mathematical_ones(name, x):
    try:
        expected = ORACLES[name](x)
    except ValueError:
        expected = math.nan
    found = value(f"{name}(x)", x=np.array([x]))
    assert found == pytest.approx(expected, rel=1e-14, abs=0, nan_ok=True)


def test_exprel_at_zero_is_its_limit():
    assert value("exprel(x)", x=np.array([0.0])) == 1.0


def test_the_sign_of_zero_is_zero():
    assert value("sign(x)", x=np.array([0.0])) == 0.0


def test_clip():
    x = np.array([-3.0, 0.5, 3.0])
    np.testing.assert_array_equal(value("clip(x, -1, 2)", x=x), [-1.0, 0.5, 2.0])


@pytest.mark.parametrize("step", [0, 1, 3, 7, 29, 1000003])
@pytest.mark.parametrize("dt", [1e-4, 1e-3, 0.3])
def test_timestep_counts_multiples_in_spite_of_rounding(step, dt):
    assert value("timestep(t, dt)", t=np.float64(step * dt), dt=dt) == step
    assert value("timestep(t, dt)", t=np.float64((step + 0.9) * dt), dt=dt) == step


def test_timestep_holds_long_times():
    assert value("timestep(t, dt)", t=np.float64(1e4), dt=1e-6) == 10_000_000_000


def test_timestep_is_in_double_precision():
    # A float32 of this size is a multiple of 8192.
    t = np.array([1e7 + 1])
    found = value("timestep(t - u, dt)", t=t, u=np.zeros(1, np.float32), dt=1e-4)
    assert found == 100_000_010_000


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("7 / 2", 3.5),
        ("-7 % 3", 2),
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("n / m", 3.5),
        ("n % -m", -1),
        ("n ** -1", 1 / 7),
        ("m ** n", 128),
        ("-m ** 2", -4),
        ("int(True)", 1),
        ("int(n > 3)", 1),
        ("int(-2.7)", -2),
    ],
)
def test_arithmetic_is_brian2s(expression, expected):
    n, m = np.array([7], np.int32), np.array([2], np.int32)
    assert value(expression, n=n, m=m) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("a", [False, True])
@pytest.mark.parametrize("b", [False, True])
@pytest.mark.parametrize("c", [False, True])
@pytest.mark.parametrize(
    "expression",
    ["a and b and c", "a or b or c", "not a", "a and not (b or c)", "not a or b and c"],
)
def test_logic_is_pythons_element_by_element(expression, a, b, c):
    arrays = {name: np.array([held, held]) for name, held in {"a": a, "b": b, "c": c}.items()}
    expected = eval(expression, {"a": a, "b": b, "c": c})
    np.testing.assert_array_equal(value(expression, **arrays), [expected, expected])


def test_single_precision_stays_single_beside_numbers():
    x = np.array([0.1], np.float32)
    assert value("exp(-dt/tau)*x + 2*x", x=x, dt=1e-3, tau=0.02).dtype == np.float32


def test_statements_run_in_order_on_what_was_written():
    v, index = np.array([1.0, 2.0, 3.0]), np.array([2, 0])
    values = execute("u = 2*v\nv = u + 1\nu = v", {"v": Place(v, index)}, {}, {})
    np.testing.assert_array_equal(v, [3.0, 2.0, 7.0])
    np.testing.assert_array_equal(values["u"], [7.0, 3.0])


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("+=", 10.0), ("-=", 4.0), ("*=", 21.0), ("/=", 7 / 3), ("//=", 2.0), ("%=", 1.0)],
)
def test_augmented_assignments(operator, expected):
    v = np.array([7.0])
    execute(f"v {operator} 3", {"v": Place(v, np.array([0]))}, {}, {})
    assert v[0] == expected


def test_augmented_assignments_of_locals():
    assert execute("u = 3\nu *= 5", {}, {}, {})["u"] == 15


def test_guarded_names_are_written_where_the_guard_holds():
    index = np.arange(3)
    v, u, free = np.zeros(3), np.zeros(3), np.array([True, False, True])
    places = {"v": Place(v, index), "u": Place(u, index), "free": Place(free, index)}
    execute("v = 1\nu = 1\nv += 1", places, {"v": "free"}, {})
    np.testing.assert_array_equal(v, [2.0, 0.0, 2.0])
    np.testing.assert_array_equal(u, [1.0, 1.0, 1.0])


def test_sums_of_many_terms_do_not_overflow_the_stack():
    """Derivatives of equations with many stages are such sums."""
    assert value(" + ".join(["x/2"] * 800), x=np.array([2.0])) == 800
