"""What it takes of Brian2's Synapses that they are kept as a rule, and few or none are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import ref

import numpy as np
from brian2.utils.logger import get_logger

from brian2eprop.device import brian
from brian2eprop.device.connecting.expressions import Known
from brian2eprop.device.expansion.recipe import Recipe, keep, recipe_of
from brian2eprop.device.memory.limits import in_words, require_memory
from brian2eprop.device.memory.values import ValuesDevice

logger = get_logger(__name__)
_LARGE = 2**28


def known_of(device: ValuesDevice, synapses: Any) -> Known:
    """What of synapses an expression may read that is evaluated later."""
    recipe = recipe_of(synapses)
    latest = {
        variable: None if recipe is None else recipe.latest.get(variable)
        for variable in synapses._registered_variables - set(brian.ends(synapses))
        if device.postponed.holds(variable)
    }

    def values(variable: Any) -> Any:
        if variable in device.instances.arrays:
            return None
        with device.only_looking():
            return variable.get_value()

    return Known(synapses, values, latest)


def keep_as(device: ValuesDevice, synapses: Any, recipe: Recipe) -> None:
    """Keep synapses as a rule; what somebody reads of them is made then.

    Parameters
    ----------
    device : ValuesDevice
        Whose they are.
    synapses : Synapses
        The synapses, not connected yet.
    recipe : Recipe
        The rule.
    """
    synapses._connect_called = True
    size = recipe.rows.n_synapses
    synapses.variables["N"].set_value(size)
    groups = (getattr(synapses, side) for side in brian.COUNTED.values())
    lasts = [brian.chosen_neurons(group)[1] for group in groups]
    counted = [synapses.variables[name] for name in brian.COUNTED]
    for variable, last in zip(counted, lasts, strict=True):
        variable.resize(last)
    keep(synapses, recipe)
    there, postponed = ref(synapses), device.postponed

    def rows() -> Any:
        return _recipe(there).rows

    ends = brian.ends(synapses)
    postponed.add(ends, lambda: _told(there, "i and j", 8, lambda: rows().pairs()))
    postponed.add(
        counted, lambda: [n[:last] for n, last in zip(rows().numbers(), lasts, strict=True)]
    )
    for variable in synapses._registered_variables:
        variable.size = size
        if variable not in ends:
            _postpone(postponed, there, variable)
    for end in ends:
        postponed.when_changed(end, lambda: end_rule(device, there()))


def _postpone(postponed: Any, there: Callable[[], Any], variable: Any) -> None:
    seen = ref(variable)
    name, width = brian.plain_name(variable), np.dtype(variable.dtype).itemsize

    def make() -> Any:
        return (_told(there, name, width, lambda: _recipe(there).read(seen())),)

    def fill(backend: Any, memory: Any, array: Any) -> None:
        _recipe(there).fill(seen(), backend, memory, array.name, array.dtype)

    postponed.add([variable], make, fill)


def _recipe(there: Callable[[], Any]) -> Recipe:
    found = recipe_of(there())
    if found is None:
        raise ReferenceError("The synapses that this is a value of are gone; keep them.")
    return found


def _told(there: Callable[[], Any], what: str, width: int, make: Callable[[], Any]) -> Any:
    """What is made, its size being told before where it is large."""
    synapses = there()
    size = len(synapses) * width
    if size >= _LARGE:
        logger.info(
            f"'{what}' of the {len(synapses)} synapses of '{synapses.name}', which are kept as a "
            f"rule, are copied to the host: {in_words(size)}.",
            name_suffix="copied",
        )
        require_memory(
            size,
            f"A copy of '{what}' of the {len(synapses)} synapses of '{synapses.name}'",
            "ask len() how many there are, or record a few of them",
        )
    return make()


def end_rule(device: ValuesDevice, synapses: Any) -> None:
    """Let synapses be a rule no more, since something may change where they are.

    Parameters
    ----------
    device : ValuesDevice
        Whose they are.
    synapses : Synapses
        The synapses; None where they are gone.
    """
    if recipe_of(synapses) is None:
        return
    for variable in (*synapses._registered_variables, *map(synapses.variables.get, brian.COUNTED)):
        device.postponed.settle(variable)
    keep(synapses, None)


def end_rules(device: ValuesDevice, found: Iterable[Any]) -> None:
    """Let several synapses be rules no more."""
    for synapses in found:
        end_rule(device, synapses)
