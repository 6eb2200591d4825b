"""Brian2 statements become lines of C++ (the same lines for the CPU and for CUDA)."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator
from brian2.codegen.statements import Statement
from brian2.parsing.rendering import CPPNodeRenderer
from brian2.utils.stringtools import word_substitute

from brian2eprop.device import brian
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
IN_DOUBLE: Mapping[str, str] = {"dt": f"dt{DOUBLE_SUFFIX}"}


def c_function_names() -> dict[str, str]:
    """Brian2's functions that its C++ generator calls by another name."""
    plain = PLAIN_FUNCTIONS
    found = {n: brian.DEFAULT_FUNCTIONS[n].implementations[CPPCodeGenerator].name for n in plain}
    return {name: c_name for name, c_name in found.items() if c_name}


_FUNCTION_NAMES = c_function_names()


class Renderer(CPPNodeRenderer):  # type: ignore[misc]
    """Renders an expression; floating point literals and divisions keep the precision ``scalar``.

    Brian2's renderer writes literals as doubles and divisions as ``1.0f*a/b``, which is
    slower than float arithmetic in one precision and less exact than double in the other. Where it
    is double, ``doubles`` says which names have a copy in double precision.
    """

    def __init__(self, scalar: str, doubles: Mapping[str, str] = IN_DOUBLE) -> None:
        super().__init__()
        self.scalar = scalar
        self.doubles = doubles

    def render_Constant(self, node: ast.Constant) -> str:
        """Literals: floating point ones in the precision."""
        if isinstance(node.value, float):
            return f"{self.scalar}({node.value!r})"
        return str(super().render_Constant(node))

    def render_Name(self, node: ast.Name) -> str:
        """Names; Brian2 works out ``0/0`` and calls it so."""
        if node.id == "nan":
            return "NAN"
        if self.scalar == "double" and node.id in self.doubles:
            return self.doubles[node.id]
        return str(super().render_Name(node))

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
        double = Renderer("double", self.doubles)
        arguments = [double.render_node(time) for time in times]
        return f"{name}({', '.join(arguments)})"


def since_name(step: str) -> str:
    """C++ name of the function that says whether a time has reached a step."""
    return f"{SINCE}{step}"


def render_expression(
    expression: str, scalar: str = "real", doubles: Mapping[str, str] = IN_DOUBLE
) -> str:
    """The C++ of an expression in Brian2's language; see :class:`Renderer`."""
    rendered: str = Renderer(scalar, doubles).render_expr(expression).strip()
    return str(word_substitute(rendered, _FUNCTION_NAMES))


def c_type(dtype: Any, wide: bool, exact: bool = False) -> str:
    """C++ type of a value of a NumPy type.

    Parameters
    ----------
    dtype : type
        The type.
    wide : bool
        Whether integers of locals are wide.
    exact : bool
        Whether it is a local that is as wide as what it is set to (see ``Lowered.exact``).
    """
    found = np.dtype(dtype)
    if found.kind in "iu":
        return "long long" if exact or (wide and found.itemsize > 4) else "int"
    if found.kind == "b":
        return "bool"
    return "double" if exact else "real"


class StatementWriter:
    """Writes the lines of the statements of one body.

    Parameters
    ----------
    wide : bool
        Whether integers of locals are wide.
    exact : collection of str
        The names that are as wide as what they are set to.
    constants : iterable of str
        The names besides ``dt`` that have a copy in double precision.
    """

    def __init__(self, wide: bool, exact: Collection[str], constants: Iterable[str]) -> None:
        self.wide = wide
        self.exact = exact
        self.doubles = {name: name + DOUBLE_SUFFIX for name in [*constants, *IN_DOUBLE]}

    def hoisted(self, statements: Iterable[Statement]) -> list[str]:
        """The lines of loop invariants, computed in double precision and rounded once.

        In single precision ``1 - exp(-dt/tau)`` would lose three digits for a slow variable.
        """
        return [line for statement in statements for line in self._hoisted(statement)]

    def _hoisted(self, statement: Statement) -> list[str]:
        name, kind = statement.var, self._kind(statement)
        value = render_expression(statement.expr, "double", self.doubles)
        if kind != "real":
            value = f"int_({value})" if kind == "int" else value
            return [f"const {kind} {name} = {value};"]
        self.doubles[name] = double = name + DOUBLE_SUFFIX
        return [f"const double {double} = {value};", f"const real {name} = real({double});"]

    def lines(self, statement: Statement) -> list[str]:
        """The lines of one statement of a loop's body."""
        target, value = self._declaration(statement), self._value(statement)
        operator = statement.op.replace(":=", "=")
        kind = self._kind(statement)
        if kind == "int":
            return [f"{target} = int_({_unfolded(statement, value)});"]
        if operator == "%=" or kind == "long long":
            return [f"{target} = {_unfolded(statement, value)};"]
        return [f"{target} {operator} {value};"]

    def _kind(self, statement: Statement) -> str:
        """C++ type of what a statement assigns to; a power of integers may be a fraction."""
        exact = statement.var in self.exact
        kind = c_type(statement.dtype, self.wide, exact)
        fraction = statement.op == ":=" and "**" in statement.expr
        if kind in ("int", "long long") and fraction:
            return "double" if exact else "real"
        return kind

    def _declaration(self, statement: Statement) -> str:
        if statement.op != ":=":
            return str(statement.var)
        constant = "const " if statement.constant else ""
        return f"{constant}{self._kind(statement)} {statement.var}"

    def _value(self, statement: Statement) -> str:
        """The value; where booleans decide over its form, the choice of Brian2's simpler forms.

        A chain of ``?:`` instead of ``if`` keeps the loop free of branches.
        """
        scalar = "double" if self._kind(statement) == "double" else "real"

        def rendered(expression: str) -> str:
            return render_expression(expression, scalar, self.doubles)

        simplified = statement.boolean_simplified_expressions
        if not statement.used_boolean_variables or not simplified:
            return rendered(statement.expr)
        *cases, (_, last) = simplified.items()
        value = f"({rendered(last)})"
        for assignments, expression in reversed(cases):
            test = " && ".join(name if holds else f"!{name}" for name, holds in assignments)
            value = f"(({test}) ? ({rendered(expression)}) : {value})"
        return value


def _unfolded(statement: Statement, value: str) -> str:
    """The new value in full: C++'s own operators end the program or round where NumPy does not."""
    operator = statement.op.rstrip("=").rstrip(":")
    if not operator:
        return value
    expression = render_expression(f"{statement.var} {operator} _value")
    return str(word_substitute(expression, {"_value": f"({value})"}))
