"""The C++ of a body's random numbers."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from brian2eprop.device.codegen.names import LOOP_VARIABLE
from brian2eprop.device.codegen.statements import C_TYPES
from brian2eprop.device.program import Body, Distribution, Draw, Index

# Enough for many vectors, few enough for the first cache; a multiple of 128 (draws_in_groups.h).
AT_ONCE = 256


@dataclass(frozen=True)
class Draws:
    """Where a body's random numbers come from.

    Attributes
    ----------
    keys : str
        C++ name of the pointer to the keys.
    numbers : mapping of Draw to int
        The number of each draw of the Program.
    run : Index
        The index by which they are counted.
    step : str
        C++ of the Program's step.
    in_groups : bool
        Whether those of ``AT_ONCE`` elements are drawn together, before the elements' turn.
    rough : bool
        Whether half of their bits are drawn, and the others where a comparison goes by them.
    """

    keys: str
    numbers: Mapping[Draw, int]
    run: Index
    step: str
    in_groups: bool
    rough: bool

    def before(self, name: str, draw: Draw) -> str:
        """What is done once for all runs of the body."""
        arguments = f"{self.keys}, {self.numbers[draw]}, {self.step}, instance"
        return f"const b2e::Draws {name}draws = b2e::draws_of({arguments});"

    def some(self, name: str, draw: Draw) -> list[str]:
        """The numbers of the runs from ``first`` on."""
        function = f"b2e::{draw.distribution.value}s"
        unknown = ", unknown" if self.rough else ""
        return [
            f"alignas(64) {C_TYPES[draw.dtype]} {name}drawn[{AT_ONCE}];",
            f"{function}({name}draws, first, n, {name}drawn{unknown});",
        ]

    def each(self, name: str, draw: Draw) -> str:
        """The number of one run."""
        kind = C_TYPES[draw.dtype]
        if self.rough:
            return f"const b2e::Rough {name}({name}drawn[number], unknown, doubt);"
        if self.in_groups:
            return f"const {kind} {name} = {name}drawn[number];"
        function = f"b2e::{draw.distribution.value}<{kind}>"
        return f"const {kind} {name} = {function}({name}draws, {LOOP_VARIABLE[self.run]});"


_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def only_compared(body: Body) -> bool:
    """Whether all that a body asks of its draws is whether they are below other numbers.

    Parameters
    ----------
    body : Body
        The body.
    """
    uniform = all(draw.distribution is Distribution.UNIFORM for draw in body.draws.values())
    tree = ast.parse(body.code)
    uses = sum(map(len, (_drawn(each, body) for each in tree.body)))
    compared = sum(_compares(node, body) for node in ast.walk(tree))
    return uniform and uses == compared


def _drawn(node: ast.AST, body: Body) -> list[str]:
    names = (each.id for each in ast.walk(node) if isinstance(each, ast.Name))
    return [name for name in names if name in body.draws]


def _compares(node: ast.AST, body: Body) -> bool:
    """Whether a draw is compared with a number that has nothing to do with draws."""
    match node:
        case ast.Compare(left, [order], [right]) if isinstance(order, _ORDERS):
            names = _drawn(node, body)
            return len(names) == 1 and any(
                isinstance(side, ast.Name) and side.id == names[0] for side in (left, right)
            )
    return False
