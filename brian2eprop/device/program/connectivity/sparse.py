"""Sparse connectivity: compressed rows by source."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from brian2eprop.device.program.arrays import Access, Array, DType
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
class Sparse(Connectivity):
    """Any pairs of neurons, a pair perhaps several times.

    Synapses ``row[i] .. row[i + 1]`` of source ``i`` have the targets ``target[row[i]] ..``,
    ascending. Loops by target go through ``column``, ``source`` and ``synapse``, which follow
    from these two: entries ``column[j] .. column[j + 1]`` of target ``j`` have the sources
    ``source[...]``, ascending, and are the synapses ``synapse[...]``.

    Where rows end before ``size`` there is room for more synapses.
    """

    size: int
    repeats: bool = False

    @property
    def n_synapses(self) -> int:
        """See :class:`Connectivity`."""
        return self.size

    @property
    def unique(self) -> bool:
        """See :class:`Connectivity`."""
        return not self.repeats

    def table(self, name: str) -> str:
        """Name of the array of a table: row, target, column, source or synapse."""
        return f"{self.name}:{name}"

    def tables(self, sides: Collection[Side]) -> tuple[Array, ...]:
        """See :meth:`Connectivity.tables`."""
        sizes = {"row": self.n_source + 1, "target": self.size}
        if Side.TARGET in sides:
            sizes |= {"column": self.n_target + 1, "source": self.size, "synapse": self.size}
        return tuple(
            Array(self.table(name), DType.INT, size, Access.SHARED) for name, size in sizes.items()
        )

    def derived(self, contents: Contents, sides: Collection[Side]) -> dict[str, Integers]:
        """See :meth:`Connectivity.derived`."""
        if Side.TARGET not in sides:
            return {}
        source, target = self.pairs(contents)
        order = np.argsort(target, kind="stable")
        column = _starts(target, self.n_target)
        beyond = (0, self.size - order.size)
        values = {
            "column": column,
            "source": np.pad(source[order], beyond),
            "synapse": np.pad(order, beyond),
        }
        return {self.table(name): value.astype(np.int32) for name, value in values.items()}

    def faults(self) -> Iterable[str]:
        """See :meth:`Connectivity.faults`."""
        if self.size > np.iinfo(np.int32).max:
            yield (
                f"connectivity '{self.name}' has {self.size} synapses, more than 32-bit indices "
                f"can count; divide it into several"
            )

    def row(self, contents: Contents, neuron: int, side: Side) -> Row:
        """See :meth:`Connectivity.row`."""
        starts = contents[self.table("row" if side is Side.SOURCE else "column")]
        entries = np.arange(int(starts[neuron]), int(starts[neuron + 1]))
        if side is Side.SOURCE:
            return Row(contents[self.table("target")][entries].astype(np.int64), entries)
        return Row(
            contents[self.table("source")][entries].astype(np.int64),
            contents[self.table("synapse")][entries].astype(np.int64),
        )

    def pairs(self, contents: Contents) -> tuple[Integers, Integers]:
        """See :meth:`Connectivity.pairs`."""
        starts = contents[self.table("row")]
        source = np.repeat(np.arange(self.n_source), np.diff(starts))
        return source, contents[self.table("target")][: starts[-1]].astype(np.int64)

    def transposed(self, name: str, contents: Contents) -> Transposed:
        """See :meth:`Connectivity.transposed`."""
        source, target = self.pairs(contents)
        order = np.argsort(target, kind="stable")
        turned = Sparse(name, self.n_target, self.n_source, self.size, self.repeats)
        tables = {"row": _starts(target, self.n_target), "target": source[order]}
        return Transposed(
            turned, order, {turned.table(n): table.astype(np.int32) for n, table in tables.items()}
        )


def _starts(neurons: Integers, n: int) -> Integers:
    """Where the entries of each neuron begin once they are sorted by neuron."""
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(neurons, minlength=n), out=starts[1:])
    return starts


def as_sparse(pairs: Pairs, room: int | None = None) -> Found:
    """The synapses as compressed rows, by source and then target.

    Parameters
    ----------
    pairs : Pairs
        The synapses; a pair may be there several times.
    room : int, optional
        How many synapses there is to be room for; by default for those.

    Returns
    -------
    Found
        The connectivity with its tables.
    """
    source, target = np.divmod(pairs.keys, pairs.n_target)
    repeats = bool((pairs.keys[1:] == pairs.keys[:-1]).any())
    size = pairs.n_synapses if room is None else room
    sparse = Sparse(pairs.name, pairs.n_source, pairs.n_target, size, repeats)
    tables = {
        sparse.table("row"): _starts(source, pairs.n_source).astype(np.int32),
        sparse.table("target"): np.pad(target, (0, size - target.size)).astype(np.int32),
    }
    return Found(sparse, pairs.order, tables)
