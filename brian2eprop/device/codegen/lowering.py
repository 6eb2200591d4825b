"""A Body's abstract code becomes Brian2 statements, invariants taken out of the loop."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2.codegen.statements import Statement
from brian2.codegen.translation import make_statements
from brian2.core.functions import Function
from brian2.core.variables import AuxiliaryVariable, Constant, Variable
from brian2.parsing.bast import brian_ast
from brian2.utils.stringtools import get_identifiers

from brian2eprop.device import brian
from brian2eprop.device.program import Array, Body, DType, Index, fits
from brian2eprop.device.program.dependence import aliases
from brian2eprop.device.program.functions import FUNCTIONS, PLAIN_FUNCTIONS

_VARIABLE_DTYPE: dict[DType, type] = {
    DType.REAL: np.float64,
    DType.DOUBLE: np.float64,
    DType.INT: np.int32,
    DType.BOOL: np.bool_,
}


def _function(n_arguments: int, returns: str) -> Function:
    """What a function is to Brian2: only its kind matters, for it is not called here."""
    return Function(
        lambda *arguments: 0,
        arg_units=[1] * n_arguments,
        arg_types=["any"] * n_arguments,
        return_unit=bool if returns == "boolean" else 1,
        return_type=returns,
        stateless=True,
    )


_OWN_FUNCTIONS = {
    name: _function(FUNCTIONS[name], "float" if name == "_hashed" else "integer")
    for name in FUNCTIONS.keys() - set(PLAIN_FUNCTIONS)
}


@dataclass(frozen=True)
class Lowered:
    """Statements of a body, and how it uses its refs.

    Attributes
    ----------
    hoisted : tuple of Statement
        Run once before the loop.
    statements : tuple of Statement
        Run for each element.
    read, written, added : frozenset of str
        Refs whose value is needed; refs that are assigned; refs that are only ever added to
        (and neither read nor assigned).
    aliases : mapping of str to frozenset of str
        Refs whose elements other refs may stand for as well; not where all are only added to.
    since : frozenset of str
        The steps of which the statements ask whether a time has reached them.
    exact : frozenset of str
        Locals that are as wide as what they are set to: reals in double precision, which hold a
        time or what lies in double, and integers in 64 bits, which count steps.
    """

    hoisted: tuple[Statement, ...]
    statements: tuple[Statement, ...]
    read: frozenset[str]
    written: frozenset[str]
    added: frozenset[str]
    aliases: Mapping[str, frozenset[str]]
    since: frozenset[str]
    exact: frozenset[str]


def lower(body: Body, arrays: Mapping[str, Array]) -> Lowered:
    """Lower a body with Brian2's own statement inference and loop-invariant optimisation."""
    variables = _variables(body, arrays)
    try:
        hoisted, statements = make_statements(body.code, variables, np.float64, optimise=True)
    except RecursionError:
        # sympy goes in circles over some functions of sums; it does not over functions of names.
        code = _with_named_arguments(body)
        hoisted, statements = make_statements(code, variables, np.float64, optimise=True)
    read, written, added = _usage(body, variables, hoisted, statements)
    shared = {
        name: others for name, others in aliases(body).items() if not others | {name} <= added
    }
    since = _Since(s.var for s in hoisted if np.dtype(s.dtype).kind in "iu" and not body.wide)
    return Lowered(
        tuple(hoisted),
        tuple(map(since.statement, statements)),
        read | shared.keys(),
        written,
        added - shared.keys(),
        shared,
        frozenset(since.found),
        _exact(body, arrays, [*hoisted, *statements]),
    )


def needed_by_all(condition: str, lowered: Lowered, body: Body) -> tuple[str, ...]:
    """What the condition of every element asks for, and is the same for all of them.

    Parameters
    ----------
    condition : str
        Name of the local that holds the condition.
    lowered : Lowered
        The statements.
    body : Body
        What they were made of.

    Returns
    -------
    tuple of str
        Names that are known before the loop. Where one of them does not hold, no element needs to
        be looked at; there is none if the statements change anything.
    """
    if lowered.written:
        return ()
    given = [s for s in lowered.statements if s.var == condition]
    known = {s.var for s in lowered.hoisted}
    known |= {name for name, ref in body.refs.items() if ref.index is Index.SCALAR}
    match [ast.parse(s.expr, mode="eval").body for s in given]:
        case [ast.BoolOp(ast.And(), parts)]:
            pass
        case parts:
            parts = parts[:1] if len(parts) == 1 else []
    return tuple(part.id for part in parts if isinstance(part, ast.Name) and part.id in known)


# Functions whose value is as large, and as exact, as their arguments.
_AS_LARGE = frozenset({"abs", "ceil", "clip", "floor", "int"})


def _exact(
    body: Body, arrays: Mapping[str, Array], statements: Iterable[Statement]
) -> frozenset[str]:
    """The locals that a time, a number of steps, or what lies in double is kept in.

    What a function such as ``sin`` makes of it need not be as exact: its value is no large number
    of which small differences matter.
    """
    doubles = (name for name, ref in body.refs.items() if arrays[ref.array].dtype is DType.DOUBLE)
    exact = {"t", "step", *body.times, *doubles}
    locals_ = [
        (statement.var, ast.parse(statement.expr, mode="eval").body)
        for statement in statements
        if statement.var not in body.refs and np.dtype(statement.dtype).kind in "iuf"
    ]
    found: set[str] = set()
    while more := {var for var, value in locals_ if _has(value, exact)} - found:
        found |= more
        exact |= more
    return frozenset(found)


def _has(node: ast.expr, exact: Collection[str]) -> bool:
    """Whether an expression has one of some names, or a number of steps, in it as it is."""
    match node:
        case ast.Name(name):
            return name in exact
        case ast.BinOp(left, _, right):
            return _has(left, exact) or _has(right, exact)
        case ast.UnaryOp(_, operand):
            return _has(operand, exact)
        case ast.Call(ast.Name(function), arguments):
            as_large = function in _AS_LARGE and any(_has(each, exact) for each in arguments)
            return function == "timestep" or as_large
    return False


SINCE = "_since"  # of a time and a step: whether the time has reached it


class _Since(ast.NodeTransformer):
    """Asks of a time whether it has reached a step, rather than which step it is in.

    ``timestep(t - lastspike, dt) >= n`` holds from one time on: a loop that knows this time need
    not divide. Names of integers that are the same for all elements are the argument.
    """

    def __init__(self, invariant: Iterable[str]) -> None:
        self.invariant = frozenset(invariant)
        self.found: set[str] = set()

    def statement(self, statement: Statement) -> Statement:
        """The statement with such comparisons replaced."""
        if "timestep" not in get_identifiers(statement.expr):
            return statement
        changed = copy(statement)
        changed.expr = self._expression(statement.expr)
        simplified = statement.boolean_simplified_expressions or {}
        changed.boolean_simplified_expressions = {
            case: self._expression(expression) for case, expression in simplified.items()
        }
        return changed

    def _expression(self, expression: str) -> str:
        return ast.unparse(self.visit(ast.parse(expression, mode="eval")))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Replace the comparison of a time's step with a step that is the same for all."""
        self.generic_visit(node)
        match node:
            case ast.Compare(
                ast.Call(ast.Name("timestep"), [time, ast.Name("dt")]),
                [ast.GtE()],
                [ast.Name(step) | ast.Constant(int(step))],
            ) if step in self.invariant or (isinstance(step, int) and fits(step, 32)):
                self.found.add(str(step))
                return ast.Call(ast.Name(SINCE, ast.Load()), [time, node.comparators[0]], [])
        return node


class _ArgumentNamer(ast.NodeTransformer):
    """Gives the arguments of calls names, innermost first."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.n_names = 0

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Replace what is no name or number."""
        self.generic_visit(node)
        node.args = [self._named(argument) for argument in node.args]
        return node

    def _named(self, argument: ast.expr) -> ast.expr:
        if isinstance(argument, ast.Name | ast.Constant):
            return argument
        name = f"_argument_{self.n_names}"
        self.n_names += 1
        self.lines.append(f"{name} = {ast.unparse(argument)}")
        return ast.Name(name, ast.Load())


def _with_named_arguments(body: Body) -> str:
    """The code of a body with every argument of a call computed in a line of its own."""
    namer = _ArgumentNamer()
    for statement in ast.parse(body.code).body:
        line = ast.unparse(namer.visit(statement))
        namer.lines.append(line)
    return "\n".join(namer.lines)


def _variables(body: Body, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """The variables of a body as Brian2's objects, without owner or storage."""
    variables: dict[str, Any] = {
        "t": Variable("t", dtype=np.float64, scalar=True),
        "dt": Variable("dt", dtype=np.float64, scalar=True, constant=True),
        "step": Variable("step", dtype=np.int64, scalar=True),
    }
    for name, ref in body.refs.items():
        dtype = _VARIABLE_DTYPE[arrays[ref.array].dtype]
        variables[name] = Variable(name, dtype=dtype, scalar=ref.index is Index.SCALAR)
    for name in body.draws:
        variables[name] = Variable(name, dtype=np.float64)
    for name in body.times:
        variables[name] = Variable(name, dtype=np.float64, scalar=True)
    for name, value in body.constants.items():
        variables[name] = Constant(name, value)
    for name, timed in body.timed.items():
        variables[name] = _function(timed.n_arguments, "float")
    for name, foreign in body.foreign.items():
        variables[name] = _function(foreign.n_arguments, foreign.returns)
    for name in get_identifiers(body.code):
        if name in _OWN_FUNCTIONS:
            variables[name] = _OWN_FUNCTIONS[name]
        elif name in brian.DEFAULT_FUNCTIONS:
            variables.setdefault(name, brian.DEFAULT_FUNCTIONS[name])
    return variables


def _is_cut(statement: Statement, variables: Mapping[str, Any]) -> bool:
    """Whether an integer takes a value that is none."""
    known = {**variables, statement.var: AuxiliaryVariable(statement.var, dtype=statement.dtype)}
    names = get_identifiers(statement.expr) - known.keys()
    known |= {name: AuxiliaryVariable(name, dtype=np.float64) for name in names}
    kind = brian_ast(statement.expr, known).dtype
    return np.dtype(statement.dtype).kind in "iu" and kind == "float"


def _usage(
    body: Body, variables: Mapping[str, Any], hoisted: list[Statement], statements: list[Statement]
) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Which refs are read, written, and only added to."""
    needed: set[str] = set()
    assigned: set[str] = set()
    added: set[str] = set()
    for statement in [*hoisted, *statements]:
        needed |= get_identifiers(statement.expr)
        (added if statement.op == "+=" else assigned).add(statement.var)
        if statement.op not in ("=", ":=", "+="):
            needed.add(statement.var)
    refs = set(body.refs)
    # A sum is cut to an integer once, not each of its parts.
    needed |= {s.var for s in statements if s.op == "+=" and _is_cut(s, variables)}
    written = (assigned | added) & refs
    needed |= {guard for name, guard in body.guards.items() if name in written}
    # Where the guard does not hold, they keep their value.
    needed |= assigned & body.guards.keys()
    only_added = (added - assigned - needed) & refs
    read = (needed & refs) | ((added & refs) - only_added)
    return frozenset(read), frozenset(written), frozenset(only_added)
