"""Finds out which kind of connectivity a list of synapses is; one file a kind."""

from __future__ import annotations

import numpy as np

from brian2eprop.device.program.connectivity.base import Connectivity, Integers
from brian2eprop.device.program.connectivity.convolution import Convolution
from brian2eprop.device.program.connectivity.dense import Dense, match_dense
from brian2eprop.device.program.connectivity.pairs import Found, Pairs
from brian2eprop.device.program.connectivity.sparse import Sparse, as_sparse

__all__ = ["Connectivity", "Convolution", "Dense", "Found", "Pairs", "Sparse", "find_connectivity"]


def find_connectivity(
    name: str,
    sources: Integers,
    targets: Integers,
    n_source: int,
    n_target: int,
    room: int | None = None,
) -> Found:
    """The connectivity that holds the given synapses.

    Parameters
    ----------
    name : str
        Name of the synapses.
    sources, targets : integer arrays, shape (n_synapses,)
        Presynaptic and postsynaptic neuron of each synapse, in any order.
    n_source, n_target : int
        Sizes of the two populations.
    room : int, optional
        How many synapses there is to be room for, where they will be rewired.

    Returns
    -------
    Found
        Dense where every pair, or every pair but the diagonal, is there once and will stay; else
        Sparse.
    """
    pairs = Pairs(
        name, np.asarray(sources, np.int64), np.asarray(targets, np.int64), n_source, n_target
    )
    if room is not None:
        return as_sparse(pairs, room)
    return match_dense(pairs) or as_sparse(pairs)
