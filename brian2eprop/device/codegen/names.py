"""Names in a body become names that nothing else in the generated source has."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from brian2eprop.device.program import Body, Detect, Expand, Forming, Index, Loop, Reduce
from brian2eprop.device.program.assignments import ALWAYS_THERE
from brian2eprop.device.program.functions import FUNCTIONS

LOOP_VARIABLE = {
    Index.SCALAR: "0",
    Index.ELEMENT: "element",
    Index.SOURCE: "source",
    Index.TARGET: "target",
    Index.SYNAPSE: "synapse",
    Index.ENTRY: "entry",
}

_RESULTS = {Detect.CONDITION, Reduce.VALUE, Forming.TAKEN, Expand.TAKEN}
_KEPT = ALWAYS_THERE | FUNCTIONS.keys() | _RESULTS


def own(name: str) -> str:
    """The name that a ref, constant or local has in the generated source.

    No word of C++, of its libraries, of the templates or of Brian2's optimiser ends with an
    underscore: a model may have a variable ``new``, ``event`` or ``e``.

    Parameters
    ----------
    name : str
        The name in the body.

    Returns
    -------
    str
        Its own name, different for different names.
    """
    return name if name in _KEPT else f"{name}_"


def pointer(name: str) -> str:
    """C++ name of the pointer to the array of a ref with that own name."""
    return f"{name}p"


def via(name: str) -> str:
    """C++ name of the pointer to the indices that a ref with that own name goes via."""
    return f"{name}via"


def with_own_names[T: Loop](phase: T) -> T:
    """A phase that does the same with own names.

    Parameters
    ----------
    phase : Loop
        The phase.

    Returns
    -------
    Loop
        The phase with the names of its body replaced.
    """
    changes: dict[str, Any] = {"body": _renamed(phase.body)}
    if isinstance(phase, Detect):
        changes["on_event"] = tuple(own(name) for name in phase.on_event)
    return replace(phase, **changes)


def _renamed(body: Body) -> Body:
    return Body(
        ast.unparse(_Renamer().visit(ast.parse(body.code))),
        {own(name): ref for name, ref in body.refs.items()},
        {own(name): value for name, value in body.constants.items()},
        {own(name): own(guard) for name, guard in body.guards.items()},
        {own(name): draw for name, draw in body.draws.items()},
        {own(name): timed for name, timed in body.timed.items()},
        {own(name): foreign for name, foreign in body.foreign.items()},
        {own(name): clock for name, clock in body.times.items()},
    )


class _Renamer(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(own(node.id), node.ctx), node)
