"""What Brian2's ``store`` does not know of: instances, and spikes in flight."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from brian2.core.network import Network
from brian2.core.variables import ArrayVariable

from brian2eprop.device.capture.captured import Pathway
from brian2eprop.device.memory.instances import Instances
from brian2eprop.device.memory.pending import Flight
from brian2eprop.device.memory.state import State

# Brian2 keeps what the device says of its random numbers under this key of a stored state,
# and this module keeps its own under another one within.
RANDOM_STATE, OWN = "_random_generator_state", "eprop_cuda"


@dataclass(frozen=True)
class Snapshot:
    """The device's own part of a stored network.

    Parameters
    ----------
    values : dict
        Values of shape (instances, elements), by names of group and variable.
    flights, pathways, next_step
        As :class:`~brian2eprop.device.memory.state.State` has them.
    """

    values: dict[tuple[str, str], npt.NDArray[Any]]
    flights: dict[str, Flight]
    pathways: dict[str, Pathway]
    next_step: int


def take_snapshot(network: Network, instances: Instances | None, state: State | None) -> Snapshot:
    """Store the device's own part of a network."""
    values = {}
    for variable in _own_variables(network, instances):
        values[variable.owner.name, variable.name] = instances.arrays[variable].copy()  # type: ignore[union-attr]
    if state is None:
        return Snapshot(values, {}, {}, 0)
    return Snapshot(values, state.take_flights(), dict(state.pathways), state.next_step)


def put_snapshot(
    snapshot: Snapshot, network: Network, instances: Instances | None, state: State
) -> None:
    """Restore the device's own part of a network, after Brian2 has restored its own."""
    for variable in _own_variables(network, instances):
        values = snapshot.values.get((variable.owner.name, variable.name))
        if values is not None and instances is not None:
            instances.fill(variable, values)
    state.restore(dict(snapshot.flights), snapshot.pathways, snapshot.next_step)


def find_snapshot(network: Network, name: str, filename: str | None) -> Snapshot | None:
    """The device's own part of a state that Brian2 has stored.

    Parameters
    ----------
    network : Network
        The network.
    name : str
        Name of the stored state.
    filename : str, optional
        Brian2's file (a pickle, as Brian2 itself reads it).

    Returns
    -------
    Snapshot or None
        None for a state that another device stored.
    """
    if filename is None:
        stored = network._stored_state[name]
    else:
        with open(filename, "rb") as file:
            stored = pickle.load(file)[name]
    found = stored[RANDOM_STATE].get(OWN)
    return found if isinstance(found, Snapshot) else None


def _own_variables(network: Network, instances: Instances | None) -> Iterable[Any]:
    if instances is None:
        return
    for found in network.sorted_objects:
        for variable in getattr(found, "variables", {}).values():
            if not isinstance(variable, ArrayVariable) or variable not in instances.arrays:
                continue
            if getattr(variable.owner, "name", None) == found.name:
                yield variable
