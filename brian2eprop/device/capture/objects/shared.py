"""Code that also writes what all elements of a group share: once, before it runs for each."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from brian2.codegen.translation import is_scalar_expression
from brian2.core.variables import AuxiliaryVariable

from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.captured import Piece
from brian2eprop.device.capture.translate import Locate, assigned, parse
from brian2eprop.device.program import Access, Array, Body, DType, ForEach, Index, Phase, Ref


@dataclass(frozen=True)
class _Parts:
    """A piece in two.

    Attributes
    ----------
    once, each : tuple of ast.stmt
        What is done once, and then for each element.
    carried : tuple of str
        Locals of the first that the second reads, and could not compute again.
    """

    once: tuple[ast.stmt, ...]
    each: tuple[ast.stmt, ...]
    carried: tuple[str, ...]


def add_update(builder: Builder, owner: Any, locate: Locate, each: Callable[[Body], Phase]) -> None:
    """Add the phases of code that sets variables of every element, and what they share.

    As in Brian2, all that is shared is computed before anything of an element.

    Parameters
    ----------
    builder : Builder
        Where to add them.
    owner : CodeRunner
        Whose code it is.
    locate : callable
        Gives the Ref of a variable of an element.
    each : callable
        Makes the phase that runs a body for each element.
    """
    parts = _parts(builder.pieces[owner.name])
    if parts.once:
        _add_once(builder, owner, parts)
    carried = {name: Ref(_array_of(owner, name), Index.SCALAR) for name in parts.carried}
    body = builder.body(owner, locate, carried, ("part", _text(parts.each)))
    if body.code:
        builder.phases.append(each(body))


def _add_once(builder: Builder, owner: Any, parts: _Parts) -> None:
    def locate(variable: Any, index: str) -> Ref:
        return Ref(builder.array_of(variable), Index.ELEMENT)

    kept = {}
    for name in parts.carried:
        array = _array_of(owner, name)
        builder.arrays[array] = Array(array, DType.DOUBLE, 1, Access.SHARED)
        kept[f"{name}_carried"] = Ref(array, Index.ELEMENT)
    lines = [_text(parts.once), *(f"{name}_carried = {name}" for name in parts.carried)]
    body = builder.body(owner, locate, kept, ("shared", "\n".join(lines)))
    builder.phases.append(ForEach(f"{owner.name}:shared", 1, body))


def _array_of(owner: Any, name: str) -> str:
    return f"{owner.name}:{name}"


def _parts(piece: Piece) -> _Parts:
    lines = tuple(parse(piece.code).body)
    known: dict[str, Any] = dict(piece.variables)
    once: list[ast.stmt] = []
    each: list[ast.stmt] = []
    for line in lines:
        target = next(iter(assigned(ast.Module([line], []))), "")
        value = getattr(line, "value", None)
        if target not in known and value is not None:
            scalar = is_scalar_expression(ast.unparse(value), known)
            known[target] = AuxiliaryVariable(target, scalar=scalar)
        (once if getattr(known.get(target), "scalar", False) else each).append(line)
    written = {name for name in _targets(once) if name in piece.variables}
    if not written:
        return _Parts((), lines, ())
    carried = _needed(each, once, piece.variables)
    return _Parts(tuple(once), tuple(each), carried)


def _needed(
    each: Iterable[ast.stmt], once: Iterable[ast.stmt], variables: Mapping[str, Any]
) -> tuple[str, ...]:
    """The locals of what is done once that the other lines read."""
    read = {node.id for line in each for node in ast.walk(line) if isinstance(node, ast.Name)}
    return tuple(name for name in _targets(once) if name in read and name not in variables)


def _targets(lines: Iterable[ast.stmt]) -> list[str]:
    return assigned(ast.Module(list(lines), []))


def _text(lines: Iterable[ast.stmt]) -> str:
    return "\n".join(map(ast.unparse, lines))
