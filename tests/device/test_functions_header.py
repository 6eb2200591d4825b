"""The functions a body may call, as the emulation compiles them, against NumPy."""

import numpy as np
import pytest
from brian2.core.functions import timestep

from tests.device.kernels import C_TYPES, run

RNG = np.random.default_rng(0)
DTYPES = [np.float32, np.float64]


def call(expression, result_type, **arguments):
    """The expression for each element of the arguments."""
    n = len(next(iter(arguments.values())))
    result = np.zeros(n, result_type)
    names = {f"all_{name}": np.array(values) for name, values in arguments.items()}
    reads = "".join(f"const {C_TYPES[str(a.dtype)]} {k[4:]} = {k}[i]; " for k, a in names.items())
    run(f"B2E_FOR(i, n) {{ {reads} result[i] = {expression}; }}", n, result=result, **names)
    return result


def floats(dtype, n=500):
    return (RNG.normal(0, 1, n) * 10.0 ** RNG.integers(-3, 4, n)).astype(dtype)


def integers(dtype, n=500):
    values = RNG.integers(-20, 21, n)
    return np.where(values == 0, 7, values).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_remainder_of_floats_is_pythons(dtype):
    x, y = floats(dtype), floats(dtype)
    np.testing.assert_array_equal(call("_brian_mod(x, y)", dtype, x=x, y=y), np.mod(x, y))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integer_division_is_pythons(dtype):
    x, y = integers(dtype), integers(dtype)
    np.testing.assert_array_equal(call("_brian_mod(x, y)", dtype, x=x, y=y), x % y)
    np.testing.assert_array_equal(call("_brian_floordiv(x, y)", dtype, x=x, y=y), x // y)


def extreme(dtype):
    """Every pair of integers at which something special happens."""
    least, largest = np.iinfo(dtype).min, np.iinfo(dtype).max
    values = np.array([least, least + 1, -2, -1, 0, 1, 2, largest], dtype)
    pairs = np.meshgrid(values, values)
    return pairs[0].ravel(), pairs[1].ravel()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers_are_divided_as_in_numpy(dtype):
    x, y = extreme(dtype)
    with np.errstate(all="ignore"):
        remainder, quotient = x % y, x // y
    np.testing.assert_array_equal(call("_brian_mod(x, y)", dtype, x=x, y=y), remainder)
    np.testing.assert_array_equal(call("_brian_floordiv(x, y)", dtype, x=x, y=y), quotient)
    np.testing.assert_array_equal(call("_brian_abs(x)", dtype, x=x), np.abs(x))


def test_integers_of_two_sizes_are_divided_as_in_numpy():
    x, y = extreme(np.int32)
    with np.errstate(all="ignore"):
        remainder, quotient = x.astype(np.int64) % y, x.astype(np.int64) // y
    for left, right in (("(long long)x", "y"), ("x", "(long long)y")):
        for function, expected in (("_brian_mod", remainder), ("_brian_floordiv", quotient)):
            result = call(f"{function}({left}, {right})", np.int64, x=x, y=y)
            np.testing.assert_array_equal(result, expected)


def test_booleans_are_divided_as_integers():
    x, y = np.array([0, 0, 1, 1], np.int32), np.array([0, 1, 0, 1], np.int32)
    np.testing.assert_array_equal(call("_brian_mod(x > 0, y > 0)", np.int32, x=x, y=y), 0)
    quotient = call("_brian_floordiv(x > 0, y > 0)", np.int32, x=x, y=y)
    np.testing.assert_array_equal(quotient, [0, 0, 0, 1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_float_divided_by_an_integer_zero_is_as_in_numpy(dtype):
    x, y = np.array([-1.5, 0, 1.5, np.nan], dtype), np.zeros(4, np.int32)
    with np.errstate(all="ignore"):
        remainder, quotient = x % dtype(0), x // dtype(0)
    np.testing.assert_array_equal(call("_brian_mod(x, y)", dtype, x=x, y=y), remainder)
    np.testing.assert_array_equal(call("_brian_floordiv(x, y)", dtype, x=x, y=y), quotient)


@pytest.mark.parametrize("dtype", DTYPES)
def test_floor_division_of_floats(dtype):
    x, y = floats(dtype), floats(dtype)
    result = call("_brian_floordiv(x, y)", dtype, x=x, y=y)
    np.testing.assert_array_equal(result, np.floor(x / y))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_float_and_an_integer_make_a_float(dtype):
    x, y = floats(dtype), integers(np.int32)
    size = "sizeof(_brian_mod(x, y)) * 100 + sizeof(_brian_pow(x, y)) * 10 + sizeof(_clip(x, y, 1))"
    width = np.dtype(dtype).itemsize
    np.testing.assert_array_equal(call(size, np.int32, x=x, y=y), 111 * width)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", ["2", "3", "4", "5", "-2", "2.5f", "-0.5f"])
def test_powers(dtype, exponent):
    x = np.abs(floats(dtype)) + dtype(0.01)
    result = call(f"_brian_pow(x, {exponent})", dtype, x=x)
    expected = x.astype(np.longdouble) ** np.longdouble(exponent.rstrip("f"))
    # Three products at most, or the library's pow.
    np.testing.assert_allclose(result, expected, rtol=3 * np.finfo(dtype).eps)


def test_integers_are_raised_to_powers_as_doubles():
    x = integers(np.int32)
    np.testing.assert_array_equal(call("_brian_pow(x, 2)", np.float64, x=x), x.astype(float) ** 2)
    np.testing.assert_array_equal(call("_brian_pow(x, -1)", np.float64, x=x), 1 / x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exprel(dtype):
    x = np.concatenate([floats(dtype), [1e-17, -1e-17, 1e-9, 50]]).astype(dtype)
    x = np.minimum(x, 80)
    wide = x.astype(np.longdouble)
    result = call("_exprel(x)", dtype, x=x)
    np.testing.assert_allclose(result, np.expm1(wide) / wide, rtol=4 * np.finfo(dtype).eps)
    extremes = np.array([0, 1000, np.inf, -np.inf], dtype)
    np.testing.assert_array_equal(call("_exprel(x)", dtype, x=extremes), [1, np.inf, np.inf, 0])


@pytest.mark.parametrize("dtype", [*DTYPES, np.int32])
def test_sign_and_magnitude(dtype):
    x = np.append(integers(dtype), 0).astype(dtype)
    np.testing.assert_array_equal(call("_sign(x)", np.int32, x=x), np.sign(x))
    np.testing.assert_array_equal(call("_brian_abs(x)", dtype, x=x), np.abs(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_clip(dtype):
    x = np.append(floats(dtype), np.nan).astype(dtype)
    np.testing.assert_array_equal(call("_clip(x, -1, 0.5f)", dtype, x=x), np.clip(x, -1, 0.5))


def test_int_truncates():
    x = floats(np.float64)
    np.testing.assert_array_equal(call("int_(x)", np.int32, x=x), x.astype(np.int32))


BEYOND = [np.nan, np.inf, -np.inf, 1e10, -1e10, 2.0**31, -(2.0**31), 2.0**31 - 1, 2e19, -2e19]


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_fits_into_no_integer_is_the_least_one(dtype):
    x = np.array(BEYOND, dtype)
    expected = [int(v) if -(2**31) <= v < 2**31 else -(2**31) for v in x.astype(float)]
    np.testing.assert_array_equal(call("int_(x)", np.int32, x=x), expected)
    # The compiler works such numbers out itself, by other rules than the processor's.
    for value, wanted in (("3e9f", -(2**31)), ("-INFINITY", -(2**31)), ("-7.9f", -7)):
        np.testing.assert_array_equal(call(f"int_({value})", np.int32, x=x), wanted)


def test_a_time_that_is_in_no_step():
    t = np.array(BEYOND)
    expected = [int(v) if abs(v) < 2**63 else -(2**63) for v in t + 1e-3]
    np.testing.assert_array_equal(call("_timestep(t, 1.0)", np.int64, t=t), expected)


@pytest.mark.parametrize("dt", [1e-4, 1e-3, 3e-5])
def test_timestep_is_brians(dt):
    t = np.concatenate([np.arange(1000) * dt, RNG.uniform(0, 1, 500)])
    result = call(f"_timestep(t, {dt!r})", np.int64, t=t)
    np.testing.assert_array_equal(result, timestep(t, dt))
