"""Dense connectivity: every pair, or every pair but ``i == j``; no index is stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from brian2eprop.device.program.connectivity.base import (
    Connectivity,
    Contents,
    Integers,
    Row,
    Transposed,
)
from brian2eprop.device.program.connectivity.pairs import Found, Pairs
from brian2eprop.device.program.phase import Side


@dataclass(frozen=True)
class Dense(Connectivity):
    """Every pair; or, with ``diagonal=False`` (square only), every pair but ``i == j``.

    Synapses are numbered ``i*n_target + j``, or without gaps ``i*(n - 1) + j - (j > i)``.
    """

    aligned: ClassVar[bool] = True

    diagonal: bool = True

    @property
    def n_synapses(self) -> int:
        """See :class:`Connectivity`."""
        return self.n_source * (self.n_target - (not self.diagonal))

    @property
    def unique(self) -> bool:
        """See :class:`Connectivity`."""
        return True

    def faults(self) -> Iterable[str]:
        """See :meth:`Connectivity.faults`."""
        if not self.diagonal and self.n_source != self.n_target:
            yield (
                f"connectivity '{self.name}' leaves out a diagonal and is not square; "
                f"give it as many sources as targets"
            )

    def row(self, contents: Contents, neuron: int, side: Side) -> Row:
        """See :meth:`Connectivity.row`."""
        n = self.n_target if side is Side.SOURCE else self.n_source
        others = np.arange(n)
        if not self.diagonal:
            others = others[others != neuron]
        source, target = (neuron, others) if side is Side.SOURCE else (others, neuron)
        return Row(others, self._number(source, target))

    def pairs(self, contents: Contents) -> tuple[Integers, Integers]:
        """See :meth:`Connectivity.pairs`."""
        source, target = np.divmod(np.arange(self.n_source * self.n_target), self.n_target)
        chosen = slice(None) if self.diagonal else source != target
        return source[chosen], target[chosen]

    def transposed(self, name: str, contents: Contents) -> Transposed:
        """See :meth:`Connectivity.transposed`."""
        turned = Dense(name, self.n_target, self.n_source, self.diagonal)
        target, source = turned.pairs({})
        return Transposed(turned, self._number(source, target), {})

    def _number(self, source: Integers | int, target: Integers | int) -> Integers:
        if self.diagonal:
            return np.asarray(source * self.n_target + target)
        return np.asarray(source * (self.n_target - 1) + target - np.greater(target, source))


def match_dense(pairs: Pairs) -> Found | None:
    """The dense connectivity of these synapses, or None where a pair is missing or repeated.

    Parameters
    ----------
    pairs : Pairs
        The synapses.

    Returns
    -------
    Found or None
        A connectivity without tables.
    """
    square = pairs.n_source == pairs.n_target
    for diagonal in (True, False) if square else (True,):
        dense = Dense(pairs.name, pairs.n_source, pairs.n_target, diagonal)
        if pairs.n_synapses == dense.n_synapses and pairs.n_synapses:
            source, target = dense.pairs({})
            complete = np.array_equal(pairs.keys, source * pairs.n_target + target)
            return Found(dense, pairs.order) if complete else None
    return None
