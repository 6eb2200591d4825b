"""Expressions over synapses that are kept as a rule: what of Brian2's can be evaluated later."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2.core.variables import ArrayVariable, Subexpression
from brian2.parsing.expressions import is_boolean_expression, parse_expression_dimensions
from brian2.units.fundamentalunits import have_same_dimensions
from brian2.utils.stringtools import get_identifiers, word_substitute

from brian2eprop.device import brian
from brian2eprop.device.capture.captured import Piece
from brian2eprop.device.capture.clocks import grid_of
from brian2eprop.device.capture.translate import Translator, Watch, clock_name
from brian2eprop.device.expansion.definition import Definition, Seed, as_stored, value
from brian2eprop.device.program import Body, Index, Ref
from brian2eprop.errors import Unsupported

_INDICES = {
    brian.PRE: Index.SOURCE,
    brian.POST: Index.TARGET,
    brian.SHARED: Index.SCALAR,
}


class NotKept(Exception):
    """An expression that cannot be evaluated later; Brian2 does it now."""


@dataclass(frozen=True)
class Known:
    """What of synapses an expression may read.

    Parameters
    ----------
    synapses : Synapses
        The synapses.
    values : callable
        Gives the values of an array variable now; None where instances have some of their own.
    latest : mapping of brian2 Variable to int or None
        The variables of each synapse that are to be worked out, with the definition that is the
        value; None for zero.
    """

    synapses: Any
    values: Callable[[Any], Any]
    latest: Mapping[Any, int | None]


def plain_owner(synapses: Any) -> str:
    """Who draws for synapses: their name without the numbers that Brian2 puts into names."""
    return re.sub(r"_\d+", "", synapses.name)


def define(
    known: Known,
    text: str,
    into: str,
    number: int,
    seed: Seed,
    namespace: Mapping[str, Any],
    dim: Any = None,
) -> Definition:
    """The definition that an expression is.

    Parameters
    ----------
    known : Known
        What it may read.
    text : str
        The expression.
    into : str
        The local that gets its value.
    number : int
        The number of the definition among those of the synapses.
    seed : Seed
        Where its random numbers are.
    namespace : mapping of str to object
        Where external names are looked up.
    dim : Dimension, optional
        The dimensions of its value; by default it is a condition.

    Raises
    ------
    NotKept
        If it cannot be evaluated later, or is no such expression.
    """
    try:
        text = _whole(known.synapses, text)
        variables = _variables(known.synapses, text, namespace)
        _check(text, variables, dim)
    except NotKept:
        raise
    except Exception as error:  # what is wrong with it is Brian2's to say
        raise NotKept from error
    text, after = _with_values(known, text, variables)
    locator = _Locator(known, number)
    piece = Piece(f"{into} = {text}", variables, known.synapses.variables.indices)
    clock = known.synapses.clock
    watch = Watch(grid_of([clock]), clock)
    drawer = f"{plain_owner(known.synapses)}:{number}"
    translator = Translator(known.synapses, piece, locator, watch, drawer)
    try:
        body = translator.body()
    except Unsupported as error:
        raise NotKept from error
    if translator.timed or translator.foreign or body.times or body.guards:
        raise NotKept
    return Definition(_renamed(body, number), locator.contents, seed, after)


def _whole(synapses: Any, text: str) -> str:
    """An expression with what subexpressions stand for in their stead."""
    found = {name: synapses.variables.get(name) for name in get_identifiers(text) - {"i", "j"}}
    parts = {n: f"({f.expr})" for n, f in found.items() if isinstance(f, Subexpression)}
    return _whole(synapses, word_substitute(text, parts)) if parts else text


def _variables(synapses: Any, text: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
    names = get_identifiers(text) - {"True", "False", "and", "or", "not"}
    found: dict[str, Any] = synapses.resolve_all(names, namespace)
    if any(clock_name(variable) is not None for variable in found.values()):
        raise NotKept
    return found | {n: end for n, end in zip("ij", brian.ends(synapses), strict=True) if n in found}


def _check(text: str, variables: Mapping[str, Any], dim: Any) -> None:
    found = parse_expression_dimensions(text, variables)
    if dim is None:
        fits = is_boolean_expression(text, variables)
    else:
        fits = have_same_dimensions(found, dim)
    if not fits:
        raise NotKept


def _with_values(known: Known, text: str, variables: dict[str, Any]) -> tuple[str, frozenset[int]]:
    """An expression with the locals of earlier definitions, and the numbers of these."""
    names: dict[str, str] = {}
    after = set()
    for name, variable in list(variables.items()):
        if name in ("i", "j") or not _is_synaptic(known.synapses, variable):
            continue
        if variable not in known.latest:
            raise NotKept
        number = known.latest[variable]
        names[name] = "0.0" if number is None else value(number)
        after |= set() if number is None else {number}
        del variables[name]
    return word_substitute(text, names), frozenset(after)


def _is_synaptic(synapses: Any, variable: Any) -> bool:
    return isinstance(variable, ArrayVariable) and variable in synapses._registered_variables


class _Locator:
    """Gives the refs of an expression, and keeps the values that they have now."""

    def __init__(self, known: Known, number: int) -> None:
        self.known, self.number = known, number
        self.contents: dict[str, Any] = {}

    def __call__(self, variable: Any, index: str) -> Ref:
        synapses = self.known.synapses
        for end, name, group, side in zip(
            brian.ends(synapses),
            "ij",
            (synapses.source, synapses.target),
            (Index.SOURCE, Index.TARGET),
            strict=True,
        ):
            if variable is end:
                first, _ = brian.chosen_neurons(group)
                return self._ref(name, np.arange(len(brian.whole(group))) - first, side)
        which = Index.SCALAR if variable.scalar else _INDICES.get(index)
        values = None if which is None else self.known.values(variable)
        stored = None if values is None else as_stored(values)
        if which is None or stored is None or stored.size != self._size(which):
            raise NotKept
        return self._ref(f"{variable.owner.name}.{variable.name}", stored, which)

    def _size(self, index: Index) -> int:
        sides = {Index.SOURCE: self.known.synapses.source, Index.TARGET: self.known.synapses.target}
        return len(brian.whole(sides[index])) if index in sides else 1

    def _ref(self, name: str, values: Any, index: Index) -> Ref:
        array = f"{self.known.synapses.name}:{self.number}:{name}"
        self.contents[array] = np.atleast_1d(values)
        return Ref(array, index)


def _renamed(body: Body, number: int) -> Body:
    """The body with names that no other definition has."""
    own = {n: f"_{number}_{n}" for n in (*body.refs, *body.constants, *body.draws)}
    return Body(
        ast.unparse(_Renamer(own).visit(ast.parse(body.code))),
        {own[name]: ref for name, ref in body.refs.items()},
        {own[name]: constant for name, constant in body.constants.items()},
        draws={own[name]: draw for name, draw in body.draws.items()},
    )


class _Renamer(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(self.names.get(node.id, node.id), node.ctx), node)
