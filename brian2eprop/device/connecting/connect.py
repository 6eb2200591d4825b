"""What a user asks of large networks that Brian2 has no words for."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.synapses.synapses import Synapses

from brian2eprop.device import brian
from brian2eprop.device.connecting.expressions import plain_owner
from brian2eprop.device.connecting.hooks import KeepsRules, seed_of
from brian2eprop.device.connecting.keeping import keep_as
from brian2eprop.device.connecting.rules import (
    ASKED,
    SPARSE,
    may_be_kept,
    ranges_of,
    rows_of,
)
from brian2eprop.device.expansion.definition import Seed
from brian2eprop.device.expansion.recipe import Recipe
from brian2eprop.device.expansion.rows import Rows, share_out
from brian2eprop.device.program.rules import (
    Range,
    WithoutReplacement,
    WithReplacement,
)
from brian2eprop.errors import Unsupported

Integers = npt.NDArray[np.integer[Any]]
# From the rows' owner, their choices and where the numbers are: how many synapses each row has.
Numbers = Callable[[str, Integers, Seed], Integers]

# NumPy draws from so many places at most where none may be drawn twice.
_MOST_PLACES = 10**9


def connect_fixed_total(
    synapses: Synapses, n: int, *, multapses: bool = True, autapses: bool = True
) -> None:
    """Connect a given number of pairs of neurons, each drawn among all pairs.

    In place of ``synapses.connect(...)``: what NEST calls ``fixed_total_number``. Every synapse is
    drawn by itself, so a pair may be connected several times, unless ``multapses`` is False; then
    all sets of ``n`` pairs are equally likely.

    On ``eprop_cuda`` the synapses are kept as a rule: where they are is worked out where the
    network runs, from ``seed()``. On Brian2's runtime they are made with NumPy.

    Parameters
    ----------
    synapses : Synapses
        The synapses, between neurons.
    n : int
        How many.
    multapses : bool
        Whether a pair may be connected several times.
    autapses : bool
        Whether a neuron may be connected with itself.

    Raises
    ------
    TypeError
        If the first argument is no Synapses.
    ValueError
        If there are not as many pairs, or the number is none.
    Unsupported
        If the synapses end at synapses.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses, set_device
    >>> import brian2eprop as b2e
    >>> set_device('eprop_cuda', seed=1)
    >>> cells = NeuronGroup(1000, 'v : 1')
    >>> synapses = Synapses(cells, cells, 'w : 1')
    >>> b2e.connect_fixed_total(synapses, 20000, autapses=False)
    >>> len(synapses), bool((synapses.i[:] == synapses.j[:]).any())
    (20000, False)
    """
    _check("connect_fixed_total", synapses, n)
    sources, targets = ranges_of(synapses)
    choices = _choices(synapses, sources, targets, autapses)
    places = int(choices.sum())
    if n > places and not (multapses and places):
        raise ValueError(
            f"connect_fixed_total: '{synapses.name}' is to have {n} synapses, and has {places} "
            "pairs of neurons; give a smaller number, or let multapses be True."
        )
    if not multapses and places > _MOST_PLACES:
        raise Unsupported(
            f"'{synapses.name}' has {places} pairs of neurons, and without multapses a fixed "
            f"total is drawn among {_MOST_PLACES} at most; let multapses be True, or give each "
            "source a fixed number."
        )

    def numbers(owner: str, choices: Integers, seed: Seed) -> Integers:
        return share_out(int(n), choices, multapses, owner, seed)

    _connect(synapses, sources, targets, numbers, multapses, autapses)


def connect_fixed_outdegree(
    synapses: Synapses, n: int, *, multapses: bool = True, autapses: bool = True
) -> None:
    """Connect every source with a given number of targets, each drawn among all of them.

    In place of ``synapses.connect(...)``: what NEST calls ``fixed_outdegree``. See
    :func:`connect_fixed_total` for where the synapses are.

    Parameters
    ----------
    synapses : Synapses
        The synapses, between neurons.
    n : int
        How many synapses each source has.
    multapses, autapses : bool
        As for :func:`connect_fixed_total`.

    Raises
    ------
    TypeError, ValueError, Unsupported
        As for :func:`connect_fixed_total`.

    Examples
    --------
    >>> import numpy as np
    >>> from brian2 import NeuronGroup, Synapses, set_device
    >>> import brian2eprop as b2e
    >>> set_device('eprop_cuda', seed=1)
    >>> cells = NeuronGroup(1000, 'v : 1')
    >>> synapses = Synapses(cells, cells, 'w : 1')
    >>> b2e.connect_fixed_outdegree(synapses, 30, multapses=False)
    >>> len(synapses), set(synapses.N_outgoing_pre[:].tolist())
    (30000, {30})
    """
    _check("connect_fixed_outdegree", synapses, n)
    sources, targets = ranges_of(synapses)
    _check_row("connect_fixed_outdegree", synapses, n, sources, targets, multapses, autapses)
    _connect(synapses, sources, targets, _each(n), multapses, autapses)


def connect_fixed_indegree(
    synapses: Synapses, n: int, *, multapses: bool = True, autapses: bool = True
) -> None:
    """Connect every target with a given number of sources, each drawn among all of them.

    In place of ``synapses.connect(...)``: what NEST calls ``fixed_indegree``. See
    :func:`connect_fixed_total` for where the synapses are.

    Parameters
    ----------
    synapses : Synapses
        The synapses, between neurons.
    n : int
        How many synapses each target has.
    multapses, autapses : bool
        As for :func:`connect_fixed_total`.

    Raises
    ------
    TypeError, ValueError, Unsupported
        As for :func:`connect_fixed_total`.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses, set_device
    >>> import brian2eprop as b2e
    >>> set_device('eprop_cuda', seed=1)
    >>> cells = NeuronGroup(1000, 'v : 1')
    >>> synapses = Synapses(cells, cells, 'w : 1')
    >>> b2e.connect_fixed_indegree(synapses, 30, autapses=False)
    >>> len(synapses), set(synapses.N_incoming_post[:].tolist())
    (30000, {30})
    """
    _check("connect_fixed_indegree", synapses, n)
    sources, targets = ranges_of(synapses)
    _check_row("connect_fixed_indegree", synapses, n, targets, sources, multapses, autapses)
    _connect(synapses, targets, sources, _each(n), multapses, autapses, turned=True)


def set_connectivity(synapses: Synapses, kind: str | None) -> None:
    """Say how synapses are to be kept that are connected afterwards.

    Where it is not said, ``connect`` keeps large networks as a rule if it can, and small ones
    synapse by synapse, as Brian2 does.

    Parameters
    ----------
    synapses : Synapses
        The synapses, not connected yet.
    kind : str or None
        'sparse': as a rule of which a list of synapses is made where the network runs, whatever
        its size; None: as if nothing had been said.

    Raises
    ------
    TypeError
        If the first argument is no Synapses.
    ValueError
        If there is no such kind.
    Unsupported
        If they are connected already.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses, set_device
    >>> import brian2eprop as b2e
    >>> set_device('eprop_cuda')
    >>> cells = NeuronGroup(100, 'v : 1')
    >>> synapses = Synapses(cells, cells, 'w : 1')
    >>> b2e.set_connectivity(synapses, 'sparse')
    >>> synapses.connect(p=0.1)
    """
    _require_synapses("set_connectivity", synapses)
    if kind not in (SPARSE, None):
        raise ValueError(
            f"set_connectivity: '{synapses.name}' is to be kept as {kind!r}; give '{SPARSE}' or "
            "None."
        )
    if brian.was_connected(synapses):
        raise Unsupported(
            f"'{synapses.name}' is connected already; call set_connectivity before connect."
        )
    ASKED.pop(synapses, None)
    if kind is not None:
        ASKED[synapses] = kind


def _require_synapses(function: str, synapses: Any) -> None:
    if not isinstance(synapses, Synapses):
        raise TypeError(f"{function}: {synapses!r} is to be connected; give Synapses.")


def _check(function: str, synapses: Any, n: Any) -> None:
    _require_synapses(function, synapses)
    whole = isinstance(n, Integral) and not isinstance(n, bool)
    if not whole or int(n) < 0:
        raise ValueError(
            f"{function}: the number of synapses of '{synapses.name}' is {n!r}; give a whole "
            "number from 0 up."
        )
    for group in (synapses.source, synapses.target):
        if brian.is_synapses(group):
            raise Unsupported(
                f"'{synapses.name}' ends at the synapses '{group.name}', whose number may change; "
                "use connect()."
            )


def _check_row(
    function: str,
    synapses: Any,
    n: int,
    rows: Range,
    others: Range,
    multapses: bool,
    autapses: bool,
) -> None:
    choices = _choices(synapses, rows, others, autapses)
    fewest = int(choices.min(initial=n if multapses else max(n, 1)))
    if n and (fewest == 0 or (n > fewest and not multapses)):
        raise ValueError(
            f"{function}: '{synapses.name}' is to have {n} synapses for each neuron, which has "
            f"{fewest} others to choose from; give a smaller number"
            f"{'' if fewest == 0 else ', or let multapses be True'}."
        )


def _each(n: int) -> Numbers:
    return lambda owner, choices, seed: np.full(len(choices), n, np.int64)


def _own(synapses: Any, autapses: bool) -> bool:
    """Whether a neuron may be its own target, or cannot be anyway."""
    before, behind = map(brian.whole, (synapses.source, synapses.target))
    return autapses or before.id != behind.id  # one may be a proxy of the other


def _choices(synapses: Any, rows: Range, others: Range, autapses: bool) -> Integers:
    """Among how many neurons each row chooses."""
    rule = WithReplacement(rows, others, _own(synapses, autapses))
    if rule.own:
        return np.full(rows.size, others.size, np.int64)
    own = np.arange(rows.size) + rows.first - others.first
    return others.size - ((own >= 0) & (own < others.size)).astype(np.int64)


def _connect(
    synapses: Any,
    rows: Range,
    others: Range,
    numbers: Numbers,
    multapses: bool,
    autapses: bool,
    turned: bool = False,
) -> None:
    """Connect synapses by a rule, or by what NumPy makes of it."""
    device = synapses.variables["N"].device
    kind = WithReplacement if multapses else WithoutReplacement
    rule = kind(rows, others, _own(synapses, autapses))
    choices = _choices(synapses, rows, others, autapses)
    if not isinstance(device, KeepsRules):
        _connect_with_numpy(synapses, rule, numbers, choices, turned)
        return
    seed = seed_of(device.randomness.take(1))
    number = numbers(plain_owner(synapses), choices, seed)
    found = rows_of(device, synapses, rule, seed, number=number, turned=turned)
    if may_be_kept(synapses):
        keep_as(device, synapses, Recipe(found))
    else:
        _add(synapses, found)


def _add(synapses: Any, rows: Rows) -> None:
    """Add synapses to those that there are."""
    source, target = rows.pairs()
    sources, targets = ranges_of(synapses)
    synapses.connect(i=source - sources.first, j=target.astype(np.int64) - targets.first)


def _connect_with_numpy(
    synapses: Any, rule: Any, numbers: Numbers, choices: Integers, turned: bool
) -> None:
    seed = Seed(int(np.random.randint(2**31)), 0)
    number = numbers(synapses.name, choices, seed)
    row = np.repeat(np.arange(rule.sources.size), number)
    if rule.repeats:
        place = np.floor(np.random.rand(row.size) * choices[row]).astype(np.int64)
    else:
        chosen = (
            np.random.choice(most, n, replace=False)
            for most, n in zip(choices, number, strict=True)
        )
        place = np.concatenate([np.zeros(0, np.int64), *chosen]).astype(np.int64)
    if not rule.own:
        out = row + rule.sources.first - rule.targets.first
        place += (out >= 0) & (place >= out)
    source, target = (place, row) if turned else (row, place)
    synapses.connect(i=source, j=target)
