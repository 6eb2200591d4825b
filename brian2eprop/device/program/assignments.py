"""The assignments that a body's abstract code is made of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

# The names that stand for a value in every body.
ALWAYS_THERE = frozenset({"t", "dt", "step"})

_NODES = (
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
    *(ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
    *(ast.Call, ast.Name, ast.Load, ast.Constant),
)

_OPERATORS = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%",
              "Pow": "**"}  # fmt: skip


def fits(value: object, bits: int) -> bool:
    """Whether a number is no integer, or one that fits into a signed integer of that width."""
    if not isinstance(value, int) or isinstance(value, bool):
        return True
    return bool(-(2 ** (bits - 1)) <= value < 2 ** (bits - 1))


@dataclass(frozen=True)
class Assignment:
    """One line of a body: ``target = expression`` or ``target <operator>= expression``.

    Parameters
    ----------
    target : str
        The name assigned to.
    operator : str
        Name of the ``ast`` class of an augmented assignment's operator, ``""`` for none.
    expression : ast.expr
        The right hand side.
    """

    target: str
    operator: str
    expression: ast.expr

    @property
    def text(self) -> str:
        """The line."""
        operator = "=" if not self.operator else f"{_OPERATORS[self.operator]}="
        return f"{self.target} {operator} {ast.unparse(self.expression)}"

    @cached_property
    def wide(self) -> bool:
        """Whether it has integers that do not fit into 32 bits."""
        return any(not fits(node.value, 32) for node in self._walk(ast.Constant))

    @cached_property
    def names(self) -> frozenset[str]:
        """The names whose values the right hand side takes."""
        called = {id(call.func) for call in self._walk(ast.Call)}
        return frozenset(name.id for name in self._walk(ast.Name) if id(name) not in called)

    @cached_property
    def calls(self) -> tuple[tuple[str, int, str], ...]:
        """Of each call the function's name, the number of arguments, and the text."""
        calls = self._walk(ast.Call)
        return tuple((ast.unparse(c.func), len(c.args), ast.unparse(c)) for c in calls)

    def _walk[T: ast.AST](self, kind: type[T]) -> Iterator[T]:
        return (node for node in ast.walk(self.expression) if isinstance(node, kind))


# Texts come again and again: every batch of a training runs the same bodies. Whoever changes a
# tree changes a copy of it.
@lru_cache(maxsize=4096)
def assignments(code: str) -> tuple[Assignment, ...]:
    """Parse abstract code.

    Parameters
    ----------
    code : str
        Abstract code, one assignment a line.

    Returns
    -------
    tuple of Assignment
        The assignments in order.

    Raises
    ------
    ValueError
        If a line is no assignment, or uses what bodies do not have.
    """
    try:
        lines = ast.parse(code).body
    except SyntaxError as error:
        raise ValueError(
            f"line {error.lineno} is no abstract code ({error.msg}); write one assignment a line"
        ) from error
    return tuple(_assignment(line) for line in lines)


def _assignment(line: ast.stmt) -> Assignment:
    match line:
        case ast.Assign(targets=[ast.Name(id=target)], value=value):
            operator = ""
        case ast.AugAssign(target=ast.Name(id=target), op=op, value=value):
            operator = type(op).__name__
        case _:
            text = ast.unparse(line)
            raise ValueError(f"'{text}' is no assignment to a name; write 'name = ...'")
    for node in ast.walk(value):
        _check(node)
    return Assignment(target, operator, value)


def _check(node: ast.AST) -> None:
    if not isinstance(node, _NODES):
        raise ValueError(f"bodies have no {type(node).__name__}; use arithmetic and functions")
    if isinstance(node, ast.Compare) and len(node.ops) > 1:
        raise ValueError(f"'{ast.unparse(node)}' compares twice; join two comparisons by 'and'")
    if isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float):
        raise ValueError(f"{node.value!r} is no number; use numbers and names only")
    if isinstance(node, ast.Constant) and not fits(node.value, 64):
        raise ValueError(f"{node.value!r} does not fit into 64 bits; write it as a real number")
    if isinstance(node, ast.Call):
        _check_call(node)


def _check_call(call: ast.Call) -> None:
    if call.keywords or not isinstance(call.func, ast.Name):
        raise ValueError(f"'{ast.unparse(call)}' calls no function by its name; write 'f(x)'")
