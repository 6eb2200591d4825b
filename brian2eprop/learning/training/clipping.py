"""Clipping: gradients made smaller before an update, in its sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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
_LARGER = "peak = {other}*int({other} > peak) + peak*int(not ({other} > peak))"
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


def by_norm(groups: Mapping[str, Sequence[Array]]) -> Clipped:
    r"""Gradients scaled down until their norm, of each group together, is at most the limit.

    .. math:: g \leftarrow g \frac{c}{\max(\lVert g \rVert_2, c)}

    The phases of a kind stand together, and none of them needs another one of its kind: so a GPU
    is launched as often for many gradients as for one.

    Parameters
    ----------
    groups : mapping of str to sequence of Array
        The gradients whose elements are those of one vector, by what they are called together.

    Returns
    -------
    arrays, phases
        See :func:`by_value`.
    """
    made = [_Norm(owner, tuple(gradients)) for owner, gradients in groups.items()]
    limit = _limit(made[0].gradients[0])
    arrays = (limit, *(array for norm in made for array in norm.arrays()))
    kinds = (_Norm.peaks, _Norm.peak, _Norm.squares, _Norm.numbers, _Norm.scaled)
    return arrays, tuple(phase for kind in kinds for norm in made for phase in kind(norm))


@dataclass(frozen=True)
class _Norm:
    """The norm of some gradients as one vector, in phases."""

    owner: str
    gradients: tuple[Array, ...]

    def _number(self, role: str) -> Array:
        return replace(self.gradients[0], name=f"clip:{role}:{self.owner}", size=1)

    def _each(self, role: str) -> list[Array]:
        return [replace(g, name=f"clip:{role}:{g.name}", size=1) for g in self.gradients]

    def arrays(self) -> tuple[Array, ...]:
        """The numbers."""
        own = map(self._number, ("peak", "most", "over"))
        return (*self._each("largest"), *self._each("sum"), *own)

    def peaks(self) -> Iterable[Phase]:
        """The largest element of each gradient."""
        for g, largest in zip(self.gradients, self._each("largest"), strict=True):
            body = Body("_value = abs(g)", _refs(g))
            yield Reduce(f"peak of {g.name}", g.size, Reduction.MAX, body, largest.name)

    def peak(self) -> Iterable[Phase]:
        """The largest of these."""
        names = {f"largest_{k}": array for k, array in enumerate(self._each("largest"))}
        code = ["peak = 0.0", *(_LARGER.format(other=name) for name in names)]
        peak = {"peak": Ref(self._number("peak").name, Index.ELEMENT)}
        yield ForEach(f"peak of {self.owner}", 1, Body("\n".join(code), _scalars(**names) | peak))

    def squares(self) -> Iterable[Phase]:
        """The sum of the squares of each gradient, in parts of the largest element."""
        for g, total in zip(self.gradients, self._each("sum"), strict=True):
            body = Body(_SQUARE, _refs(g, peak=self._number("peak")))
            yield Reduce(f"square of {g.name}", g.size, Reduction.SUM, body, total.name)

    def numbers(self) -> Iterable[Phase]:
        """What follows from all of them."""
        totals = {f"total_{k}": array for k, array in enumerate(self._each("sum"))}
        refs = _scalars(peak=self._number("peak"), limit=_limit(self.gradients[0]), **totals)
        refs |= {n: Ref(self._number(n).name, Index.ELEMENT) for n in ("most", "over")}
        yield ForEach(
            f"norm of {self.owner}", 1, Body(_NUMBERS.format(total=" + ".join(totals)), refs)
        )

    def scaled(self) -> Iterable[Phase]:
        """Each gradient, scaled."""
        made = {name: self._number(name) for name in ("peak", "most", "over")}
        for g in self.gradients:
            yield ForEach(f"clip {g.name}", g.size, Body(_SCALE, _refs(g, **made)))


def _limit(gradient: Array) -> Array:
    return replace(gradient, name=LIMIT, size=1)


def _refs(gradient: Array, **scalars: Array) -> dict[str, Ref]:
    return {"g": Ref(gradient.name, Index.ELEMENT), **_scalars(**scalars)}


def _scalars(**arrays: Array) -> dict[str, Ref]:
    return {name: Ref(array.name, Index.SCALAR) for name, array in arrays.items()}
