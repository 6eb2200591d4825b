"""Brian2 statements become lines of C++ (the same lines for the CPU and for CUDA)."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

import numpy as np
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator
from brian2.codegen.statements import Statement
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.parsing.rendering import CPPNodeRenderer
from brian2.utils.stringtools import word_substitute

from brian2eprop.device.codegen.lowering import SINCE
from brian2eprop.device.program import DType
from brian2eprop.device.program.functions import PLAIN_FUNCTIONS

C_TYPES: dict[DType, str] = {
    DType.REAL: "real",
    DType.DOUBLE: "double",
    DType.INT: "int",
    DType.BOOL: "bool",
}

# As elements of arrays: g++ makes no vectors of loops that read a bool.
STORED_TYPES: dict[DType, str] = {**C_TYPES, DType.BOOL: "unsigned char"}

# Names with this suffix hold the same value in double precision.
DOUBLE_SUFFIX = "_double"


def c_function_names() -> dict[str, str]:
    """Brian2's functions that its C++ generator calls by another name."""
    plain = PLAIN_FUNCTIONS
    found = {n: DEFAULT_FUNCTIONS[n].implementations[CPPCodeGenerator].name for n in plain}
    return {name: c_name for name, c_name in found.items() if c_name}


_FUNCTION_NAMES = c_function_names()


class Renderer(CPPNodeRenderer):  # type: ignore[misc]
    """Renders an expression; floating point literals and divisions keep the precision ``scalar``.

    Brian2's renderer writes literals as doubles and divisions as ``1.0f*a/b``, which is
    slower than float arithmetic in one precision and less exact than double in the other.
    """

    def __init__(self, scalar: str) -> None:
        super().__init__()
        self.scalar = scalar

    def render_Constant(self, node: ast.Constant) -> str:
        """Literals: floating point ones in the precision."""
        if isinstance(node.value, float):
            return f"{self.scalar}({node.value!r})"
        return str(super().render_Constant(node))

    def render_Name(self, node: ast.Name) -> str:
        """Names; Brian2 works out ``0/0`` and calls it so."""
        return "NAN" if node.id == "nan" else str(super().render_Name(node))

    def render_BinOp(self, node: ast.BinOp) -> str:
        """True division of integers as well, in the precision."""
        if isinstance(node.op, ast.Div):
            left = self.render_element_parentheses(node.left)
            right = self.render_element_parentheses(node.right)
            return f"{self.scalar}(1)*{left}/{right}"
        return str(super().render_BinOp(node))

    def render_Call(self, node: ast.Call) -> str:
        """Times are counted in steps in double precision, whatever the precision."""
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called not in ("timestep", SINCE):
            return str(super().render_Call(node))
        name, times = "_timestep", node.args
        if called == SINCE:
            *times, step = node.args
            name = since_name(ast.unparse(step))
        arguments = [Renderer("double").render_node(_in_double(time)) for time in times]
        return f"{name}({', '.join(arguments)})"


class _InDouble(ast.NodeTransformer):
    """``dt`` has a copy in the precision and one in double."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        name = "dt" + DOUBLE_SUFFIX if node.id == "dt" else node.id
        return ast.copy_location(ast.Name(name, node.ctx), node)


def since_name(step: str) -> str:
    """C++ name of the function that says whether a time has reached a step."""
    return f"{SINCE}{step}"


def _in_double(node: ast.AST) -> ast.AST:
    return _InDouble().visit(node)  # type: ignore[no-any-return]


def render_expression(expression: str, scalar: str = "real") -> str:
    """The C++ of an expression in Brian2's language."""
    rendered: str = Renderer(scalar).render_expr(expression).strip()
    return str(word_substitute(rendered, _FUNCTION_NAMES))


def c_type(dtype: Any, integer: str) -> str:
    """C++ type of a value of that NumPy type, where integers of locals have type ``integer``."""
    found = np.dtype(dtype)
    if found.kind in "iu":
        return "int" if found.itemsize <= 4 else integer
    return "bool" if found.kind == "b" else "real"


def render_statement(statement: Statement, integer: str = "int") -> list[str]:
    """The C++ lines of one statement of a loop's body."""
    target, value = _declaration(statement, integer), _value(statement)
    operator = statement.op.replace(":=", "=")
    kind = _kind(statement, integer)
    if kind == "int":
        return [f"{target} = int_({_unfolded(statement, value)});"]
    if operator == "%=" or kind == "long long":
        return [f"{target} = {_unfolded(statement, value)};"]
    return [f"{target} {operator} {value};"]


def _unfolded(statement: Statement, value: str) -> str:
    """The new value in full: C++'s own operators end the program or round where NumPy does not."""
    operator = statement.op.rstrip("=").rstrip(":")
    if not operator:
        return value
    expression = render_expression(f"{statement.var} {operator} _value")
    return str(word_substitute(expression, {"_value": f"({value})"}))


def _kind(statement: Statement, integer: str) -> str:
    """C++ type of what a statement assigns to; a power of integers may be a fraction."""
    kind = c_type(statement.dtype, integer)
    fraction = statement.op == ":=" and "**" in statement.expr
    return "real" if kind in ("int", "long long") and fraction else kind


def _declaration(statement: Statement, integer: str) -> str:
    if statement.op != ":=":
        return str(statement.var)
    constant = "const " if statement.constant else ""
    return f"{constant}{_kind(statement, integer)} {statement.var}"


def _value(statement: Statement) -> str:
    """The value; where booleans decide over its form, the choice of Brian2's simpler forms.

    A chain of ``?:`` instead of ``if`` keeps the loop free of branches.
    """
    simplified = statement.boolean_simplified_expressions
    if not statement.used_boolean_variables or not simplified:
        return render_expression(statement.expr)
    *cases, (_, last) = simplified.items()
    value = f"({render_expression(last)})"
    for assignments, expression in reversed(cases):
        test = " && ".join(name if holds else f"!{name}" for name, holds in assignments)
        value = f"(({test}) ? ({render_expression(expression)}) : {value})"
    return value


def render_hoisted(
    statements: Iterable[Statement], constants: Iterable[str], integer: str = "int"
) -> list[str]:
    """Loop invariants, computed in double precision and rounded once.

    In single precision ``1 - exp(-dt/tau)`` would lose three digits for a slow variable.
    """
    statements = list(statements)
    doubles = {name: name + DOUBLE_SUFFIX for name in [*constants, "dt"]}
    lines = []
    for statement in statements:
        expression = word_substitute(statement.expr, doubles)
        kind = _kind(statement, integer)
        if kind != "real":
            value = render_expression(expression, "double")
            value = f"int_({value})" if kind == "int" else value
            lines.append(f"const {kind} {statement.var} = {value};")
            continue
        double = statement.var + DOUBLE_SUFFIX
        lines.append(f"const double {double} = {render_expression(expression, 'double')};")
        lines.append(f"const real {statement.var} = real({double});")
        doubles[statement.var] = double
    return lines
