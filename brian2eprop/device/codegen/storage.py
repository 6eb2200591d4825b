"""How a machine stores what a Program leaves open."""

from __future__ import annotations

from collections.abc import Mapping

from brian2eprop.device.program import Access, Array, DType, Events, Program
from brian2eprop.device.program.draws import WORDS

KEYS = "draws:keys"


def count_of(events: Events) -> Array:
    """For each slot of an event buffer the number of its events."""
    return Array(f"{events.name}:count", DType.INT, 1, events.access, events.slots)


def index_of(events: Events) -> Array:
    """For each slot of an event buffer the neurons, as many as there may be."""
    return Array(f"{events.name}:index", DType.INT, events.size, events.access, events.slots)


def keys_of(program: Program) -> tuple[Array, ...]:
    """What holds the keys of a Program's draws, where there are some."""
    n = len(program.draws)
    return (Array(KEYS, DType.INT, WORDS * n, Access.SHARED),) if n else ()


def stored_arrays(program: Program) -> Mapping[str, Array]:
    """Every array that a machine keeps for a Program, by name.

    Parameters
    ----------
    program : Program
        The Program.

    Returns
    -------
    mapping of str to Array
        Its arrays, what its event buffers are stored in, its connectivities' tables and the keys
        of its draws.
    """
    buffers = [part(events) for events in program.events for part in (count_of, index_of)]
    arrays = (*program.arrays, *buffers, *program.tables(), *keys_of(program))
    return {array.name: array for array in arrays}
