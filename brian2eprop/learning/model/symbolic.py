"""Abstract code as mathematics: values after a body in terms of values before."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import sympy
from sympy.printing.precedence import PRECEDENCE, precedence
from sympy.printing.str import StrPrinter

from brian2eprop.device.program.assignments import assignments

Expression = Any  # sympy.Expr; sympy has no annotations


class int_(sympy.Function):  # type: ignore[misc]
    """``int`` of a condition: one where it holds."""

    @classmethod
    def eval(cls, condition: Expression) -> Any:
        """The number, where the condition is decided."""
        return sympy.Integer(int(bool(condition))) if condition in (True, False) else None


class absolute(sympy.Function):  # type: ignore[misc]
    """``abs``; sympy's own looks for simpler forms without end where a condition is a factor."""

    @classmethod
    def eval(cls, value: Expression) -> Any:
        """The number, where it is one; without a sign in front."""
        if value.is_number:
            return sympy.Abs(value)
        return cls(-value) if value.as_coeff_Mul()[0].is_negative else None


class clip(sympy.Function):  # type: ignore[misc]
    """``clip(x, low, high)``."""


class exprel(sympy.Function):  # type: ignore[misc]
    """``(exp(x) - 1)/x``, one at zero."""


class expm1(sympy.Function):  # type: ignore[misc]
    """``exp(x) - 1``."""


class log1p(sympy.Function):  # type: ignore[misc]
    """``log(1 + x)``."""


class log10(sympy.Function):  # type: ignore[misc]
    """Logarithm to the base of ten."""


class timestep(sympy.Function):  # type: ignore[misc]
    """``timestep(t, dt)``: the number of a step."""


FUNCTIONS: Mapping[str, Callable[..., Expression]] = {
    "abs": absolute,
    "arccos": sympy.acos,
    "arcsin": sympy.asin,
    "arctan": sympy.atan,
    "ceil": sympy.ceiling,
    "clip": clip,
    "cos": sympy.cos,
    "cosh": sympy.cosh,
    "exp": sympy.exp,
    "expm1": expm1,
    "exprel": exprel,
    "floor": sympy.floor,
    "int": int_,
    "log": sympy.log,
    "log10": log10,
    "log1p": log1p,
    "sign": sympy.sign,
    "sin": sympy.sin,
    "sinh": sympy.sinh,
    "sqrt": sympy.sqrt,
    "tan": sympy.tan,
    "tanh": sympy.tanh,
    "timestep": timestep,
}

_BINARY: Mapping[str, Callable[[Expression, Expression], Expression]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mult": lambda a, b: a * b,
    "Div": lambda a, b: a / b,
    "FloorDiv": lambda a, b: sympy.floor(a / b),
    "Mod": sympy.Mod,
    "Pow": sympy.Pow,
}
_COMPARED: Mapping[str, Callable[[Expression, Expression], Expression]] = {
    "Lt": sympy.Lt,
    "LtE": sympy.Le,
    "Gt": sympy.Gt,
    "GtE": sympy.Ge,
    "Eq": sympy.Eq,
    "NotEq": sympy.Ne,
}
_UNARY: Mapping[str, Callable[[Expression], Expression]] = {
    "UAdd": lambda a: a,
    "USub": lambda a: -a,
    "Not": sympy.Not,
}


def symbol(name: str) -> Expression:
    """The symbol of a name; a step's length and time are the only ones known to be positive."""
    return sympy.Symbol(name, real=True, positive=True if name in ("t", "dt") else None)


def parse(expression: str | ast.expr) -> Expression:
    """An expression in Brian2's language as mathematics.

    Every name is a symbol, whatever sympy or Brian2 know under it: what ``pi`` or ``beta``
    stands for is said by the body.
    """
    node = ast.parse(expression, mode="eval").body if isinstance(expression, str) else expression
    match node:
        case ast.Name(id=name):
            return symbol(name)
        case ast.Constant(value=value):
            return sympy.sympify(value)
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op).__name__](parse(operand))
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op).__name__](parse(left), parse(right))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _COMPARED[type(op).__name__](parse(left), parse(right))
        case ast.BoolOp(op=op, values=values):
            join = sympy.And if isinstance(op, ast.And) else sympy.Or
            return join(*map(parse, values))
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in FUNCTIONS:
            return FUNCTIONS[name](*map(parse, arguments))
    raise ValueError(f"'{ast.unparse(node)}' is no expression of Brian2's language")


class _Printer(StrPrinter):  # type: ignore[misc]
    """Prints mathematics in Brian2's language, numbers in full."""

    _NAMES: Mapping[Any, str] = {form: name for name, form in FUNCTIONS.items()}

    def _print_Function(self, expression: Expression) -> str:
        name = self._NAMES.get(expression.func)
        if name is None:
            raise ValueError(f"'{expression}' has no form in Brian2's language")
        return f"{name}({self.stringify(expression.args, ', ')})"

    def _print_Mod(self, expression: Expression) -> str:
        left, right = (self.parenthesize(side, PRECEDENCE["Pow"]) for side in expression.args)
        return f"({left} % {right})"

    def _print_And(self, expression: Expression) -> str:
        return " and ".join(f"({self.doprint(term)})" for term in _ordered(expression))

    def _print_Or(self, expression: Expression) -> str:
        return " or ".join(f"({self.doprint(term)})" for term in _ordered(expression))

    def _print_Not(self, expression: Expression) -> str:
        return f"not ({self.doprint(expression.args[0])})"

    def _print_Relational(self, expression: Expression) -> str:
        own = precedence(expression)
        left, right = (self.parenthesize(side, own) for side in (expression.lhs, expression.rhs))
        return f"{left} {expression.rel_op} {right}"

    def _print_Float(self, expression: Expression) -> str:
        return repr(float(expression))

    def _print_NumberSymbol(self, expression: Expression) -> str:
        return repr(float(expression))

    _print_Pi = _print_Exp1 = _print_NumberSymbol


def _ordered(expression: Expression) -> list[Expression]:
    return sorted(expression.args, key=sympy.default_sort_key)


def text_of(expression: Expression) -> str:
    """Mathematics in Brian2's language."""
    return str(_Printer().doprint(expression))


def render(expression: Expression) -> str:
    """The same in parentheses, as a part of another text."""
    return f"({text_of(expression)})"


def names(expression: Expression) -> set[str]:
    """Names that an expression depends on."""
    return {free.name for free in expression.free_symbols}


# Above this number of terms an expression is left as it is: a derivative through the stages of rk4
# has a few hundred operations, and millions when its products are multiplied out.
_MOST_TERMS = 500


def multiplied_out(expression: Expression) -> Expression:
    """An expression as a sum, in which terms cancel, unless that would be a very long one."""
    terms: dict[Expression, int] = {}
    for part in sympy.postorder_traversal(expression):
        found = [terms[argument] for argument in part.args]
        if part.is_Add:
            terms[part] = sum(found)
        else:
            terms[part] = prod(found) if part.is_Mul else 1
        if terms[part] > _MOST_TERMS:
            return expression
    return sympy.expand_mul(expression)


def substitute(expression: Expression, replacements: Mapping[str, Expression]) -> Expression:
    """Put expressions in the place of names, all at once."""
    return expression.xreplace({symbol(name): value for name, value in replacements.items()})


def values_after(
    code: str, opaque: frozenset[str] = frozenset(), guards: Mapping[str, str] | None = None
) -> dict[str, Expression]:
    """Every assigned name's value after the code, in terms of values before it.

    Names in ``opaque`` stay symbols (that mean the value after the code): booleans, times
    and indices, which are constant as far as a derivative goes. A guarded name keeps its value
    where the guard does not hold.
    """
    values: dict[str, Expression] = {}
    for line in assignments(code):
        if line.target in opaque:
            continue
        before: Expression = values.get(line.target, symbol(line.target))
        value = substitute(parse(line.expression), values)
        if line.operator:
            value = _BINARY[line.operator](before, value)
        if guards and line.target in guards:
            holds = int_(symbol(guards[line.target]))
            # Where it counts, the guard holds: a term such as 1/int(guard) is finite there.
            value = holds * value.xreplace({holds: sympy.Integer(1)}) + (1 - holds) * before
        values[line.target] = value
    return values
