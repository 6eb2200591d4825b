"""Runs a body on NumPy arrays, statement by statement."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from brian2eprop.device.backends.draws import binomial, hashed, poisson
from brian2eprop.device.program.assignments import Assignment, assignments, fits
from brian2eprop.device.program.functions import FUNCTIONS

Values = npt.NDArray[Any]

NO_ALIASES: Mapping[str, Collection[str]] = {}


@dataclass(frozen=True)
class Place:
    """Where a name's elements lie: ``array[index]``, one element for each run of the body."""

    array: Values
    index: npt.NDArray[np.int64]

    def read(self) -> Values:
        """A copy of the elements."""
        return np.asarray(self.array[self.index])

    def write(self, values: Any) -> None:
        """Set the elements."""
        self.array[self.index] = values


def execute(
    code: str,
    places: Mapping[str, Place],
    guards: Mapping[str, str],
    numbers: Mapping[str, Any],
    aliases: Mapping[str, Collection[str]] = NO_ALIASES,
) -> dict[str, Any]:
    """Run abstract code on all elements of its places at once.

    Places are read before the first line and written after the last one, in the order of the
    first assignments to their names.

    Parameters
    ----------
    code : str
        Abstract code.
    places : mapping of str to Place
        The names that stand for array elements, all of one length or of length one.
    guards : mapping of str to str
        Names whose assignments count only where another name holds.
    numbers : mapping of str to number
        The names that stand for numbers.
    aliases : mapping of str to collection of str
        Names whose elements other names may stand for as well; these are written, and the
        others read again, at once.

    Returns
    -------
    dict of str to number or array
        The last values of all names.
    """
    values = {**numbers, **{name: place.read() for name, place in places.items()}}
    targets: dict[str, None] = {}
    with np.errstate(all="ignore"):
        for statement in _statements(code):
            target = statement.target
            value = eval(statement.code, _ENVIRONMENT, values)
            if target in guards:
                value = np.where(values[guards[target]], value, values[target])
            if target in places:
                value = _stored(value, places[target])
                targets[target] = None
            values[target] = value
            if target in aliases:
                places[target].write(value)
                values |= {other: places[other].read() for other in aliases[target]}
    for name in targets.keys() - aliases.keys():
        places[name].write(values[name])
    return values


def _stored(value: Any, place: Place) -> Values:
    # The lines that follow meet what the array can hold.
    return converted(np.broadcast_to(value, place.index.shape), place.array.dtype)


@dataclass(frozen=True)
class _Statement:
    target: str
    code: CodeType


@lru_cache(maxsize=4096)
def _statements(code: str) -> tuple[_Statement, ...]:
    return tuple(_compiled(assignment) for assignment in assignments(code))


def _compiled(assignment: Assignment) -> _Statement:
    expression = _elementwise(assignment.expression)
    if assignment.operator:
        target = ast.Name(assignment.target, ast.Load(), **_PLACE)
        operator = getattr(ast, assignment.operator)()
        expression = _on_arrays(ast.BinOp(target, operator, expression, **_PLACE))
    return _Statement(assignment.target, compile(ast.Expression(expression), "<body>", "eval"))


# Python raises an exception, or gives a complex number, where they have no finite result.
_OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Div: "_divide",
    ast.FloorDiv: "_floor_divide",
    ast.Mod: "_modulo",
    ast.Pow: "_power",
}


# What Python wants to know of every part of a program.
_PLACE = {"lineno": 1, "col_offset": 0}


def _elementwise(expression: ast.expr) -> ast.expr:
    """A copy in which operators that mean something else on NumPy arrays are calls of functions.

    Derivatives may be sums of so many terms that recursion would not come to their end.
    """
    made: dict[int, Any] = {}

    def copied(value: Any) -> Any:
        if isinstance(value, list):
            return [copied(item) for item in value]
        return made[id(value)] if isinstance(value, ast.AST) else value

    for node in reversed(list(ast.walk(expression))):
        fields = {name: copied(value) for name, value in ast.iter_fields(node)}
        place = _PLACE if isinstance(node, ast.expr) else {}
        made[id(node)] = _on_arrays(type(node)(**fields, **place))
    found: ast.expr = made[id(expression)]
    return found


def _on_arrays(node: ast.AST) -> Any:
    match node:
        case ast.BoolOp(op=op, values=values):
            name = "_and" if isinstance(op, ast.And) else "_or"
            return _call(name, ast.List(values, ast.Load(), **_PLACE))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _call("_not", operand)
        case ast.Constant(value=value) if not fits(value, 32):
            # Python's wide integers would not be added to an array of narrow ones.
            return _call("_wide", node)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _call(_OPERATORS[type(op)], left, right)
    return node


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load(), **_PLACE), list(arguments), [], **_PLACE)


def _all_of(operands: list[Any]) -> Any:
    result = operands[0]
    for operand in operands[1:]:
        result = np.logical_and(result, operand)
    return result


def _any_of(operands: list[Any]) -> Any:
    result = operands[0]
    for operand in operands[1:]:
        result = np.logical_or(result, operand)
    return result


def _power(base: Any, exponent: Any) -> Any:
    # NumPy refuses integers to negative powers, and Python 0 to them.
    integers = np.asarray(base).dtype.kind in "iub" and np.asarray(exponent).dtype.kind in "iub"
    if integers or np.ndim(base) == np.ndim(exponent) == 0:
        base = np.asarray(base, np.float64)
    return base**exponent


def converted(value: Any, dtype: npt.DTypeLike) -> Values:
    """An array of another type; what fits into no integer becomes the least one."""
    values, dtype = np.asarray(value), np.dtype(dtype)
    if dtype.kind != "i" or values.dtype.kind != "f":
        return values.astype(dtype)
    least = np.iinfo(dtype).min
    fits = (values >= least) & (values < -float(least))
    return np.where(fits, np.where(fits, values, 0).astype(dtype), dtype.type(least))


def _integer(value: Any) -> Any:
    return converted(value, np.int32)


def _timestep(time: Any, dt: Any) -> Any:
    # In double precision whatever the arguments; the shift is Brian2's.
    time, dt = np.asarray(time, np.float64), np.asarray(dt, np.float64)
    return converted((time + 1e-3 * dt) / dt, np.int64)


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    # What NumPy returns for Python's numbers would lift single precision arrays to double.
    def called(*arguments: Any) -> Any:
        plain = all(type(argument) in (bool, int, float) for argument in arguments)
        return function(*arguments).item() if plain else function(*arguments)

    return called


_FUNCTIONS: dict[str, Any] = {
    "_binomial": binomial,
    "_hashed": hashed,
    "_poisson": poisson,
    "ceil": lambda value: _integer(np.ceil(value)),
    "exprel": special.exprel,
    "floor": lambda value: _integer(np.floor(value)),
    "int": _integer,
    "sign": lambda value: np.sign(np.asarray(value) * 1),
    "timestep": _timestep,
}

_ENVIRONMENT: dict[str, Any] = {
    "__builtins__": {},
    "_and": _all_of,
    "_not": np.logical_not,
    "_or": _any_of,
    "_divide": _of_numbers(np.true_divide),
    "_floor_divide": _of_numbers(np.floor_divide),
    "_modulo": _of_numbers(np.remainder),
    "_power": _of_numbers(_power),
    "_wide": np.int64,
    **{name: _of_numbers(_FUNCTIONS.get(name) or getattr(np, name)) for name in FUNCTIONS},
}
