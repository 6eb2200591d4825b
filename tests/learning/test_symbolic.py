"""Derivatives of abstract code, against central differences of the code run by Python."""

from __future__ import annotations

import math

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brian2eprop.learning.model.derivative import DerivativeError, derivative
from brian2eprop.learning.model.numbers import function_of
from brian2eprop.learning.model.symbolic import (
    multiplied_out,
    names,
    parse,
    render,
    values_after,
)

FUNCTIONS = {
    "exp": math.exp,
    "tanh": math.tanh,
    "sin": math.sin,
    "cos": math.cos,
    "sign": lambda x: (x > 0) - (x < 0),
    "abs": abs,
    "int": int,
    "clip": lambda x, low, high: min(max(x, low), high),
    "sqrt": math.sqrt,
    "log": math.log,
    "log10": math.log10,
    "log1p": math.log1p,
    "expm1": math.expm1,
    "exprel": lambda x: math.expm1(x) / x if x else 1.0,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "tan": math.tan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "floor": math.floor,
    "ceil": math.ceil,
}
EXPRESSIONS = (
    "v*exp(-dt/tau)",
    "b + (v - b)*exp(-dt/tau)",
    "tanh(v)*v**2 + a",
    "clip(1 - abs(v - a), 0, 1)/tau",
    "sin(v)*int(a > 0.5)",
    "v/(1 + a*v)",
    "clip(v, a, 3)*2",
    "sqrt(v)*a + v**0.5 + b",
    "v**a + a**v + tau**1.5",
    "exprel(v) + expm1(a) + log1p(v*a) + log10(tau)",
    "arcsin(v) + arccos(a) + arctan(b) + tan(v) + sinh(a) + cosh(b)",
    "log(v) + floor(3*v) + ceil(a) - v//tau",
)
AT = {"v": 0.7, "a": 0.3, "b": -0.2, "tau": 1.7, "dt": 0.1}


def evaluate(expression: str, values: dict[str, float]) -> float:
    return float(eval(expression, {**FUNCTIONS, **values}))


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("name", sorted(AT))
def test_derivative_is_the_slope(expression: str, name: str) -> None:
    step = 1e-6
    up, down = ({**AT, name: AT[name] + sign * step} for sign in (1, -1))
    slope = (evaluate(expression, up) - evaluate(expression, down)) / (2 * step)
    found = evaluate(render(derivative(parse(expression), name)), AT)
    # Central differences: rounding 1e-16/1e-6 and curvature 1e-12.
    assert found == pytest.approx(slope, rel=1e-7, abs=1e-8)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["v += a", "v *= 2", "x = v + 1", "v = x*a", "a -= 0.5*v"])))
def test_values_after_are_those_of_python(lines: list[str]) -> None:
    before = {"v": 0.7, "a": 0.3, "x": -1.1}
    run = dict(before)
    exec("\n".join(lines), {}, run)
    for name, value in values_after("\n".join(lines)).items():
        assert evaluate(render(value), before) == pytest.approx(run[name], rel=1e-12)


def test_guarded_names_keep_their_value_for_later_lines() -> None:
    values = values_after("v += 1\nx = v", frozenset(), {"v": "free"})
    for free, expected in ((True, 1.5), (False, 0.5)):
        assert evaluate(render(values["x"]), {"v": 0.5, "free": free}) == expected


def test_opaque_names_stay() -> None:
    values = values_after("free = t > 1\nv = v*int(free)", frozenset({"free"}))
    assert names(values["v"]) == {"v", "free"}


def test_expression_without_derivative_is_named() -> None:
    text = (
        r"'\(v % 2\)' cannot be differentiated by 'v'\. Write the equation with "
        r"functions that can, such as exp, tanh, clip or a power\."
    )
    with pytest.raises(DerivativeError, match=f"^{text}$"):
        derivative(parse("v % 2"), "v")


@pytest.mark.parametrize(
    ("expression", "by", "at", "expected"),
    [
        ("v**a", "v", {"v": 0.0, "a": 2.0}, 0.0),
        ("v**a", "v", {"v": 0.0, "a": 1.0}, 1.0),
        ("v**a", "v", {"v": 0.0, "a": 0.5}, 0.0),
        ("v**a", "v", {"v": -2.0, "a": 3.0}, 12.0),
        ("v**a", "a", {"v": 0.0, "a": 2.0}, 0.0),
        ("v**0.5", "v", {"v": 0.0}, 0.0),
        ("v**0.5", "v", {"v": 4.0}, 0.25),
        ("v**-1", "v", {"v": 2.0}, -0.25),
        ("sqrt(v)", "v", {"v": 0.0}, 0.0),
        ("sqrt(v)", "v", {"v": 4.0}, 0.25),
        ("sqrt(v**2 + a**2)", "v", {"v": 0.0, "a": 0.0}, 0.0),
        ("abs(v)", "v", {"v": 0.0}, 0.0),
        ("arcsin(v)", "v", {"v": 1.0}, 0.0),
        ("arccos(v)", "v", {"v": -1.0}, 0.0),
        ("exprel(v)", "v", {"v": 0.0}, 0.5),
        ("clip(v, a, b)", "v", {"v": 1.0, "a": 1.0, "b": 2.0}, 0.0),
        ("clip(v, a, b)", "a", {"v": 1.0, "a": 1.0, "b": 2.0}, 1.0),
        ("clip(v, a, b)", "b", {"v": 1.0, "a": 1.0, "b": 2.0}, 0.0),
        ("clip(v, a, b)", "v", {"v": 2.0, "a": 1.0, "b": 2.0}, 0.0),
        ("clip(v, a, b)", "a", {"v": 2.0, "a": 1.0, "b": 2.0}, 0.0),
        ("clip(v, a, b)", "b", {"v": 2.0, "a": 1.0, "b": 2.0}, 1.0),
        ("clip(v, a, b)", "v", {"v": 1.5, "a": 1.0, "b": 2.0}, 1.0),
    ],
)
def test_derivative_where_it_is_special(
    expression: str, by: str, at: dict[str, float], expected: float
) -> None:
    """What mathematics says; zero where the derivative is infinite or does not exist."""
    assert evaluate(render(derivative(parse(expression), by)), at) == pytest.approx(expected)


@pytest.mark.parametrize("x", [-0.3, -0.0201, -0.0199, -1e-9, 1e-5, 0.0199, 0.0201, 3.0])
def test_derivative_of_exprel_keeps_its_digits(x: float) -> None:
    with mpmath.workdps(60):
        exact = float(mpmath.diff(lambda y: mpmath.expm1(y) / y, x))
    # Rounding of 2e-16 over 0.02, where the closed form begins, and the series' next term.
    assert evaluate(render(derivative(parse("exprel(v)"), "v")), {"v": x}) == pytest.approx(
        exact, rel=5e-14
    )


@pytest.mark.parametrize("name", ["pi", "e", "inf", "I", "S", "beta", "gamma", "E", "oo", "Abs"])
def test_a_name_is_a_name_whatever_mathematics_calls_so(name: str) -> None:
    found = derivative(parse(f"{name}*v**2 + exp({name})"), "v")
    assert names(found) == {name, "v"}
    assert evaluate(render(found), {name: 1.5, "v": 0.7}) == pytest.approx(2.1)
    assert evaluate(render(derivative(parse(f"{name}**2"), name)), {name: 1.5}) == 3.0


def test_numbers_are_printed_in_full() -> None:
    assert evaluate(render(parse("exp(1)*0.1")), {}) == math.exp(1) * 0.1
    assert evaluate(render(parse("arccos(0)*v")), {"v": 1.0}) == math.pi / 2
    assert evaluate(render(parse("0.12345678901234567*v")), {"v": 1.0}) == 0.12345678901234567


@pytest.mark.parametrize(("factors", "is_sum"), [(3, True), (30, False)])
def test_products_are_multiplied_out_unless_that_takes_too_long(factors: int, is_sum: bool) -> None:
    """The second would be a sum of a thousand million terms."""
    expression = parse("*".join(f"(a + {n}*b)" for n in range(1, factors + 1)))
    found = multiplied_out(expression)
    assert found.is_Add == is_sum
    numbers = {"a": 0.7, "b": -0.1}
    assert function_of(found)(numbers) == pytest.approx(function_of(expression)(numbers))
