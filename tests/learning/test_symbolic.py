"""Derivatives of abstract code, against central differences of the code run by Python."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brian2eprop.learning.model.symbolic import (
    DerivativeError,
    derivative,
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
    "sign": lambda x: math.copysign(1, x),
    "abs": abs,
    "int": int,
    "clip": lambda x, low, high: min(max(x, low), high),
}
EXPRESSIONS = (
    "v*exp(-dt/tau)",
    "b + (v - b)*exp(-dt/tau)",
    "tanh(v)*v**2 + a",
    "clip(1 - abs(v - a), 0, 1)/tau",
    "sin(v)*int(a > 0.5)",
    "v/(1 + a*v)",
    "clip(v, a, 3)*2",
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
    with pytest.raises(DerivativeError, match="cannot be differentiated by 'v'"):
        derivative(parse("v % 2"), "v")
