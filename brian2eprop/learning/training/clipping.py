"""Clipping: gradients made smaller before an update, in its sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from brian2eprop.device.program import (
    Array,
    Body,
    ForEach,
    Index,
    Phase,
    Reduce,
    Reduction,
    Ref,
)

# The array of size 1 with the largest norm, or value.
LIMIT = "clip:limit"

Clipped = tuple[tuple[Array, ...], tuple[Phase, ...]]

# Parts of the largest element, so that no norm overflows, or is lost, in single precision. They
# are clipped, which changes nothing, so that no compiler multiplies their factors first.
_PART = "_part = clip(g/(peak + int(peak == 0)), -1, 1)"
_LARGEST = "_a = abs(g)\n_value = _a*int(_a > before) + before*int(not (_a > before))"
_SQUARE = f"{_PART}\n_value = _part*_part"
# What the largest element becomes, and whether the norm is above the limit.
_NUMBERS = "most = limit/sqrt({total} + int(peak == 0))\nover = int(peak > most)"
# No bit of a gradient within the limit changes.
_SCALE = f"{_PART}\ng = g*(1 - over) + _part*most*over"


def by_value(gradients: Sequence[Array]) -> Clipped:
    """Every element of every gradient put between minus and plus the limit.

    Parameters
    ----------
    gradients : sequence of Array
        The gradients.

    Returns
    -------
    arrays : tuple of Array
        What the phases need beside the gradients.
    phases : tuple of Phase
        What is done.
    """
    limit = _limit(gradients[0])
    return (limit,), tuple(
        ForEach(f"clip {g.name}", g.size, Body("g = clip(g, -limit, limit)", _refs(g, limit=limit)))
        for g in gradients
    )


def by_norm(gradients: Sequence[Array], owner: str) -> Clipped:
    r"""Gradients scaled down until their common norm is at most the limit.

    .. math:: g \leftarrow g \frac{c}{\max(\lVert g \rVert_2, c)}

    Parameters
    ----------
    gradients : sequence of Array
        The gradients, whose elements are those of one vector.
    owner : str
        What these are called together.

    Returns
    -------
    arrays, phases
        See :func:`by_value`.
    """
    limit = _limit(gradients[0])
    sums, peaks = ([_number(f"{role}:{g.name}", g) for g in gradients] for role in ("sum", "peak"))
    made = {role: _number(f"{role}:{owner}", limit) for role in ("most", "over")}
    largest, squares = [], []
    for k, g in enumerate(gradients):
        before = {"before": peaks[k - 1]} if k else {}
        body = Body(_LARGEST, _refs(g, **before), {} if k else {"before": 0.0})
        largest.append(Reduce(f"peak of {g.name}", g.size, Reduction.MAX, body, peaks[k].name))
        body = Body(_SQUARE, _refs(g, peak=peaks[-1]))
        squares.append(Reduce(f"square of {g.name}", g.size, Reduction.SUM, body, sums[k].name))
    totals = {f"total_{k}": array for k, array in enumerate(sums)}
    code = _NUMBERS.format(total=" + ".join(totals))
    refs = _scalars(peak=peaks[-1], limit=limit, **totals)
    refs |= {name: Ref(array.name, Index.ELEMENT) for name, array in made.items()}
    numbers = ForEach(f"norm of {owner}", 1, Body(code, refs))
    scaled = (
        ForEach(f"clip {g.name}", g.size, Body(_SCALE, _refs(g, peak=peaks[-1], **made)))
        for g in gradients
    )
    return (limit, *sums, *peaks, *made.values()), (*largest, *squares, numbers, *scaled)


def _limit(gradient: Array) -> Array:
    return replace(gradient, name=LIMIT, size=1)


def _number(role: str, gradient: Array) -> Array:
    return replace(gradient, name=f"clip:{role}", size=1)


def _refs(gradient: Array, **scalars: Array) -> dict[str, Ref]:
    return {"g": Ref(gradient.name, Index.ELEMENT), **_scalars(**scalars)}


def _scalars(**arrays: Array) -> dict[str, Ref]:
    return {name: Ref(array.name, Index.SCALAR) for name, array in arrays.items()}
