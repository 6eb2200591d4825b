"""Sparse connectivity: compressed rows by source."""

from __future__ import annotations

import numpy as np

from brian2eprop.device.program.connectivity.found import Found, Pairs
from brian2eprop.device.program.program import Connectivity, ConnectivityKind


def as_sparse(pairs: Pairs) -> Found:
    """The synapses as compressed rows, by source and then target.

    Parameters
    ----------
    pairs : Pairs
        The synapses; a pair may be there several times.

    Returns
    -------
    Found
        The connectivity with its arrays of row starts and targets.
    """
    source, target = np.divmod(pairs.keys, pairs.n_target)
    connectivity = Connectivity(
        pairs.name,
        ConnectivityKind.SPARSE,
        pairs.n_source,
        pairs.n_target,
        pairs.n_synapses,
        unique=bool((pairs.keys[1:] != pairs.keys[:-1]).all()),
    )
    row = np.zeros(pairs.n_source + 1, np.int32)
    np.cumsum(np.bincount(source, minlength=pairs.n_source), out=row[1:])
    tables = {connectivity.row: row, connectivity.target: target.astype(np.int32)}
    return Found(connectivity, pairs.order, tables)
