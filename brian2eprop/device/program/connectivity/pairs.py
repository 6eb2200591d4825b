"""Synapses as pairs of neurons, and what a kind of connectivity makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program.connectivity.base import Connectivity, Integers


@dataclass(frozen=True)
class Pairs:
    """Synapses in Brian2's order.

    Parameters
    ----------
    name : str
        Name of the synapses.
    sources, targets : int64 arrays, shape (n_synapses,)
        Presynaptic and postsynaptic neuron of each synapse.
    n_source, n_target : int
        Sizes of the two populations.
    """

    name: str
    sources: Integers
    targets: Integers
    n_source: int
    n_target: int

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return int(self.sources.size)

    @cached_property
    def _sorted(self) -> tuple[Integers | None, Integers]:
        keys = self.sources * self.n_target + self.targets
        if (keys[1:] >= keys[:-1]).all():
            return None, keys
        order = np.argsort(keys, kind="stable")
        return order, keys[order]

    @property
    def order(self) -> Integers | None:
        """Brian2's number of each synapse when sorted by source, then target.

        None where Brian2's order is that order; synapses of equal pairs keep theirs.
        """
        return self._sorted[0]

    @property
    def keys(self) -> Integers:
        """``source * n_target + target`` of each synapse, ascending."""
        return self._sorted[1]


@dataclass(frozen=True)
class Found:
    """A connectivity with what it takes to fill it.

    Parameters
    ----------
    connectivity : Connectivity
        What the Program is told.
    order : int array, shape (n_synapses,), optional
        Brian2's number of each synapse in the connectivity's order; None if the same.
    tables : mapping of str to int32 array
        Contents of the connectivity's tables.
    """

    connectivity: Connectivity
    order: Integers | None
    tables: Mapping[str, npt.NDArray[np.int32]] = field(default_factory=dict)


def in_their_order(values: npt.NDArray[Any], order: Integers | None) -> npt.NDArray[Any]:
    """Values of synapses in Brian2's order, put into the order of the connectivity.

    Parameters
    ----------
    values : array, shape (..., n_synapses)
        The values.
    order : int array, shape (n_synapses,), optional
        Brian2's number of each synapse; None where the orders are one.
    """
    return values if order is None else values[..., order]


def in_brian_order(values: npt.NDArray[Any], order: Integers | None) -> npt.NDArray[Any]:
    """Values of synapses in the order of the connectivity, put into Brian2's order.

    Parameters
    ----------
    values, order
        As for :func:`in_their_order`.
    """
    if order is None:
        return values
    found = np.empty_like(values)
    found[..., order] = values
    return found
