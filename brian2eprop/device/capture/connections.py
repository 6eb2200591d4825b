"""Which synapses there are, and what code that runs for each of them reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from brian2eprop.device import brian
from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.expansion.recipe import Recipe, recipe_of
from brian2eprop.device.program import Index, Ref
from brian2eprop.device.program.connectivity import Found, find_connectivity
from brian2eprop.device.program.connectivity.base import Integers
from brian2eprop.errors import Unsupported

SYNAPTIC = {
    brian.ELEMENT: Index.SYNAPSE,
    brian.PRE: Index.SOURCE,
    brian.POST: Index.TARGET,
    brian.SHARED: Index.SCALAR,
    brian.KERNEL: Index.SYNAPSE,
}


def connectivity(builder: Builder, synapses: Any) -> Found:
    """The connectivity of synapses, found once; of parts of groups it is that of the wholes.

    Parameters
    ----------
    builder : Builder
        The parts of the Program that are known.
    synapses : brian2 Synapses
        The synapses.
    """
    shared = brian.convolution_of(synapses)
    if shared is not None:
        return builder.found.setdefault(synapses.name, Found(shared, None))
    recipe = kept_as(builder, synapses)
    if recipe is not None:
        found = recipe.rows.connectivity
        for table in found.tables(()):
            builder.made[table.name] = recipe.rows.memory
        return builder.found.setdefault(synapses.name, Found(found, None))
    if synapses.name not in builder.found:
        groups = brian.whole(synapses.source), brian.whole(synapses.target)
        orders = [order_of(builder, group) for group in groups]
        pre, post = (
            side.get_value() if order is None else np.argsort(order)[side.get_value()]
            for side, order in zip(brian.ends(synapses), orders, strict=True)
        )
        n_source, n_target = map(len, groups)
        room = builder.rooms.get(synapses.name)

        def find() -> Found:
            return find_connectivity(synapses.name, pre, post, n_source, n_target, room)

        # How much room there is to be follows from more than the ends.
        known = builder.memo.of(_all_ends(synapses), find) if room is None else find()
        builder.found[synapses.name] = known
    return builder.found[synapses.name]


def kept_as(builder: Builder, synapses: Any) -> Recipe | None:
    """The rule by which synapses are made where the Program runs; None where the host has them."""
    if builder.before.to_be_made is None or synapses.name in builder.rooms:
        return None
    return recipe_of(synapses)


def _all_ends(synapses: Any) -> Iterable[Any]:
    """The ends of synapses, and of those that they end at: the order of these is theirs."""
    yield from brian.ends(synapses)
    for group in (synapses.source, synapses.target):
        if brian.is_synapses(group):
            yield from _all_ends(group)


def order_of(builder: Builder, group: Any) -> Integers | None:
    """The order in which the elements of a group lie, where it is not Brian2's."""
    return connectivity(builder, group).order if brian.is_synapses(group) else None


def synaptic(builder: Builder, owner: Any, synapses: Any) -> Callable[[Any, str], Ref]:
    """What gives the Ref of a variable that code of each synapse reaches.

    Parameters
    ----------
    builder : Builder
        The parts of the Program that are known.
    owner : BrianObject
        Whose code it is.
    synapses : brian2 Synapses
        The synapses that it runs for.
    """
    found = connectivity(builder, synapses)
    orders = {
        Index.SYNAPSE: found.order,
        Index.SOURCE: order_of(builder, brian.whole(synapses.source)),
        Index.TARGET: order_of(builder, brian.whole(synapses.target)),
    }

    def locate(variable: Any, index: str) -> Ref:
        which = Index.SCALAR if variable.scalar else SYNAPTIC.get(index)
        foreign = which is Index.SYNAPSE and variable.owner.name != synapses.name
        if index == brian.ELEMENT and found.connectivity.shares and not variable.scalar:
            ends = dict(zip(brian.ends(synapses), "ij", strict=True))
            name = ends.get(variable, brian.plain_name(variable))
            raise Unsupported(
                f"'{owner.name}' reads '{name}' of each synapse of '{synapses.name}', of which "
                "nothing is stored but the kernel that they share; use variables of the two groups."
            )
        if which is None or foreign:
            raise Unsupported(
                f"'{owner.name}' reads '{variable.name}' of '{variable.owner.name}' through the "
                f"index '{index}', which eprop_cuda does not; use variables of the synapses and "
                "of the two groups."
            )
        name = builder.array_of(variable)
        order = orders.get(which)
        if order is not None:
            builder.orders[name] = order
        return Ref(name, which)

    return locate
