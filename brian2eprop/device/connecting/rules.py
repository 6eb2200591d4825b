"""Which calls of ``connect`` are kept as a rule: the one place where that is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any
from weakref import WeakKeyDictionary

from brian2.units.fundamentalunits import DIMENSIONLESS

from brian2eprop.device import brian
from brian2eprop.device.connecting.expressions import Known, NotKept, define, plain_owner
from brian2eprop.device.expansion.definition import EVERYWHERE, Definition, Seed
from brian2eprop.device.expansion.recipe import Recipe
from brian2eprop.device.expansion.rows import Machines, Rows
from brian2eprop.device.program.rules import OneToOne, Places, Range, Rule

# Fewer places are gone through by Brian2 before a kernel is compiled.
WORTH_A_RULE = 2**24
# Random numbers of places are told apart by words of 32 bits, of which a block has four.
_MOST_DRAWN = 2**34

SPARSE = "sparse"
ASKED: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


@dataclass(frozen=True)
class Connect:
    """The arguments of a call of ``Synapses.connect``."""

    condition: Any = None
    i: Any = None
    j: Any = None
    p: Any = 1.0
    n: Any = 1
    skip_if_invalid: bool = False


def may_be_kept(synapses: Any) -> bool:
    """Whether synapses may be a rule: the first ones, between neurons, without an own count."""
    groups = (synapses.source, synapses.target)
    return (
        not brian.was_connected(synapses)
        and brian.convolution_of(synapses) is None
        and synapses.multisynaptic_index is None
        and not any(map(brian.is_synapses, groups))
        and all(map(len, groups))
    )


def ranges_of(synapses: Any) -> tuple[Range, Range]:
    """The sources and the targets among those of the whole groups."""
    source, target = (
        Range(first, stop - first)
        for first, stop in map(brian.chosen_neurons, (synapses.source, synapses.target))
    )
    return source, target


def rows_of(machines: Machines, synapses: Any, rule: Rule, seed: Seed, **others: Any) -> Rows:
    """The rows of synapses that are to be kept as a rule."""
    before, behind = (len(brian.whole(group)) for group in (synapses.source, synapses.target))
    owner = plain_owner(synapses)
    given = {"taken": EVERYWHERE, **others}
    return Rows(machines, synapses.name, owner, rule, before, behind, seed, **given)


def recipe_for(
    machines: Machines, known: Known, call: Connect, seed: Seed, namespace: Mapping[str, Any]
) -> Recipe | None:
    """What a call of ``connect`` is kept as; None where Brian2 is to make its synapses.

    Parameters
    ----------
    machines : Machines
        Where rules are expanded.
    known : Known
        The synapses, and what they may read.
    call : Connect
        The call.
    seed : Seed
        Where its random numbers are.
    namespace : mapping of str to object
        Where external names are looked up.
    """
    synapses = known.synapses
    if not may_be_kept(synapses) or not _is_plain(call):
        return None
    ranges = ranges_of(synapses)
    places = ranges[0].size * ranges[1].size
    if ASKED.get(synapses) != SPARSE and places < WORTH_A_RULE:
        return None
    if isinstance(call.j, str):
        return _one_to_one(machines, synapses, call, seed)
    try:
        taken = _taken(known, call, seed, namespace)
    except NotKept:
        return None
    if taken.body.draws and places > _MOST_DRAWN:
        return None
    chance = 1.0 if isinstance(call.p, str) else float(call.p)
    return Recipe(rows_of(machines, synapses, Places(*ranges, chance), seed, taken=taken))


def _is_plain(call: Connect) -> bool:
    """Whether a call is none of those that only Brian2 knows."""
    number = isinstance(call.p, Real) and 0 < float(call.p) <= 1
    alone = call.i is None and not call.skip_if_invalid
    one = isinstance(call.n, Integral) and int(call.n) == 1
    pairs = call.j is None or isinstance(call.j, str)
    words = call.condition is None or call.condition is True or isinstance(call.condition, str)
    return alone and one and pairs and words and (number or isinstance(call.p, str))


def _one_to_one(machines: Machines, synapses: Any, call: Connect, seed: Seed) -> Recipe | None:
    ranges = ranges_of(synapses)
    plain = call.condition is None and call.p == 1 and call.j.strip() == "i"
    if not plain or ranges[0].size > ranges[1].size:  # Brian2 says which synapse there is not
        return None
    return Recipe(rows_of(machines, synapses, OneToOne(*ranges), seed))


def _taken(known: Known, call: Connect, seed: Seed, namespace: Mapping[str, Any]) -> Definition:
    """Which candidates are synapses."""
    words = [] if call.condition in (None, True) else [f"({call.condition})"]
    if isinstance(call.p, str):
        _ = define(known, call.p, "_chance", 0, seed, namespace, DIMENSIONLESS)
        words.append(f"(rand() < ({call.p}))")
    if not words:
        return EVERYWHERE
    return define(known, " and ".join(words), "_taken", 0, seed, namespace)
