"""Runs a body on NumPy arrays, statement by statement."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from brian2eprop.device.assignments import Assignment, assignments
from brian2eprop.device.functions import FUNCTIONS

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Place:
    """Where a name's elements lie: ``array[index]``, one element for each run of the body."""

    array: Values
    index: npt.NDArray[np.int64]

    def read(self) -> Values:
        """A copy of the elements."""
        return np.asarray(self.array[self.index])

    def write(self, value: Any, where: Values | None) -> None:
        """Set the elements, or those ``where`` holds."""
        if where is not None:
            value = np.where(where, value, self.read())
        self.array[self.index] = value


def execute(
    code: str,
    places: Mapping[str, Place],
    guards: Mapping[str, str],
    numbers: Mapping[str, Any],
) -> dict[str, Any]:
    """Run abstract code on all elements of its places at once.

    Parameters
    ----------
    code : str
        Abstract code.
    places : mapping of str to Place
        The names that stand for array elements, all of one length or of length one.
    guards : mapping of str to str
        Names written only where another name holds.
    numbers : mapping of str to number
        The names that stand for numbers.

    Returns
    -------
    dict of str to number or array
        The last values of all names.
    """
    values = dict(numbers)
    with np.errstate(all="ignore"):
        for statement in _statements(code):
            values |= {name: places[name].read() for name in statement.names & places.keys()}
            value = eval(statement.code, _ENVIRONMENT, values)
            if statement.target not in places:
                values[statement.target] = value
                continue
            guard = guards.get(statement.target)
            where = None if guard is None else places[guard].read()
            places[statement.target].write(value, where)
    return values


@dataclass(frozen=True)
class _Statement:
    target: str
    names: frozenset[str]
    code: CodeType


@lru_cache(maxsize=4096)
def _statements(code: str) -> tuple[_Statement, ...]:
    return tuple(_compiled(assignment) for assignment in assignments(code))


def _compiled(assignment: Assignment) -> _Statement:
    expression, names = assignment.expression, assignment.names
    if assignment.operator:
        target = ast.Name(assignment.target, ast.Load())
        expression = ast.BinOp(target, getattr(ast, assignment.operator)(), expression)
        names |= {assignment.target}
    tree = ast.fix_missing_locations(ast.Expression(_Elementwise().visit(expression)))
    return _Statement(assignment.target, names, compile(tree, "<body>", "eval"))


class _Elementwise(ast.NodeTransformer):
    """Operators that mean something else on NumPy arrays become calls of functions."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        name = "_and" if isinstance(node.op, ast.And) else "_or"
        return self._call(name, ast.List(node.values, ast.Load()))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return self._call("_not", node.operand) if isinstance(node.op, ast.Not) else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        is_power = isinstance(node.op, ast.Pow)
        return self._call("_power", node.left, node.right) if is_power else node

    @staticmethod
    def _call(name: str, *arguments: ast.expr) -> ast.Call:
        return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


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
    # NumPy refuses integers to negative powers.
    if np.asarray(base).dtype.kind in "iub" and np.asarray(exponent).dtype.kind in "iub":
        base = np.asarray(base, np.float64)
    return base**exponent


def _integer(value: Any) -> Any:
    return np.asarray(value).astype(np.int32)


def _timestep(time: Any, dt: Any) -> Any:
    # In double precision whatever the arguments; the shift is Brian2's.
    time, dt = np.asarray(time, np.float64), np.asarray(dt, np.float64)
    return ((time + 1e-3 * dt) / dt).astype(np.int64)


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    # What NumPy returns for Python's numbers would lift single precision arrays to double.
    def called(*arguments: Any) -> Any:
        plain = all(type(argument) in (bool, int, float) for argument in arguments)
        return function(*arguments).item() if plain else function(*arguments)

    return called


_FUNCTIONS: dict[str, Any] = {
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
    "_power": _power,
    **{name: _of_numbers(_FUNCTIONS.get(name) or getattr(np, name)) for name in FUNCTIONS},
}
