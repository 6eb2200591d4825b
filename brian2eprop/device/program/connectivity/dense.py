"""Dense connectivity: every pair, or every pair but ``i == j``; no index is stored."""

from __future__ import annotations

import numpy as np

from brian2eprop.device.program.connectivity.found import Found, Pairs
from brian2eprop.device.program.program import Connectivity, ConnectivityKind


def match_dense(pairs: Pairs) -> Found | None:
    """The dense connectivity of these synapses, or None where a pair is missing or repeated.

    Parameters
    ----------
    pairs : Pairs
        The synapses.

    Returns
    -------
    Found or None
        A connectivity without arrays of its own.
    """
    n_pairs = pairs.n_source * pairs.n_target
    if pairs.n_synapses == n_pairs:
        complete = bool((pairs.keys == np.arange(n_pairs)).all())
        return _dense(pairs, diagonal=True) if complete else None
    square = pairs.n_source == pairs.n_target
    if square and pairs.n_synapses == n_pairs - pairs.n_source and pairs.n_synapses:
        return _dense(pairs, diagonal=False) if _all_but_diagonal(pairs) else None
    return None


def _all_but_diagonal(pairs: Pairs) -> bool:
    n = pairs.n_source
    number = np.arange(n * (n - 1))
    source, rest = np.divmod(number, n - 1)
    return bool((pairs.keys == source * n + rest + (rest >= source)).all())


def _dense(pairs: Pairs, diagonal: bool) -> Found:
    connectivity = Connectivity(
        pairs.name,
        ConnectivityKind.DENSE,
        pairs.n_source,
        pairs.n_target,
        pairs.n_synapses,
        diagonal,
    )
    return Found(connectivity, pairs.order)
