"""What Brian2's ``store`` does not know of: instances, and spikes in transit."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.core.network import Network
from brian2.core.variables import ArrayVariable, DynamicArrayVariable

from brian2eprop.device.brian import is_synapses, owner_of, stored_state
from brian2eprop.device.memory.formed import Formed, Growth
from brian2eprop.device.memory.instances import Instances
from brian2eprop.device.memory.transit import Transit
from brian2eprop.errors import Unsupported

# Brian2 keeps what the device says of its random numbers under this key of a stored state,
# and this module keeps its own under another one within.
RANDOM_STATE, OWN = "_random_generator_state", "eprop_cuda"

Stored = Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """The device's own part of a stored network.

    Parameters
    ----------
    batch_size : int or None
        Number of instances.
    values : mapping
        Values of shape (instances, elements), by names of group and variable.
    transit : Transit
        The spikes in transit.
    growth : mapping of str to Growth
        When the synapses of each Synapses object were formed.
    """

    batch_size: int | None
    values: Mapping[tuple[str, str], npt.NDArray[Any]]
    transit: Transit
    growth: Mapping[str, Growth]


def take_snapshot(
    network: Network, instances: Instances, transit: Transit, formed: Formed
) -> Snapshot:
    """Store the device's own part of a network."""
    values = {
        (owner, variable.name): instances.arrays[variable].copy()
        for owner, variable in _own_variables(network)
        if variable in instances.arrays
    }
    growth = {found.name: formed.stored(found) for found in _all_synapses(network)}
    # The groups of the network that is restored may be others of these names.
    anybody = replace(transit, emitters={})
    return Snapshot(instances.size, values, anybody, {n: g for n, g in growth.items() if g})


def put_snapshot(
    snapshot: Snapshot, network: Network, instances: Instances, formed: Formed
) -> Transit:
    """Restore the device's own part of a network, after Brian2 has restored its own.

    Returns
    -------
    Transit
        The spikes in transit.
    """
    for owner, variable in _own_variables(network):
        values = snapshot.values.get((owner, variable.name))
        if values is not None:
            instances.promote(variable)[:] = values
    for found in _all_synapses(network):
        if found.name in snapshot.growth:
            formed.restore(found, snapshot.growth[found.name])
    return snapshot.transit


def overwritten(stored: Stored, network: Network) -> list[Any]:
    """The variables whose values a restore sets, in every instance."""
    return [v for owner, v in _own_variables(network) if v.name in stored.get(owner, ())]


def check_instances(snapshot: Snapshot | None, network: Network, batch_size: int | None) -> None:
    """Refuse to restore a state of another number of instances.

    Parameters
    ----------
    snapshot : Snapshot or None
        The device's own part of it; None if another device stored it.
    network : Network
        The network.
    batch_size : int or None
        Number of instances now.

    Raises
    ------
    Unsupported
        If it has another number of instances.
    """
    stored = None if snapshot is None else snapshot.batch_size
    if stored != batch_size:
        raise Unsupported(
            f"The stored state of '{network.name}' is one with batch_size={stored}, which cannot "
            f"be restored with batch_size={batch_size}; call set_device with batch_size={stored} "
            "first."
        )


def check_sizes(stored: Stored, network: Network) -> None:
    """Refuse to restore a state of other groups, before anything of it is restored.

    Parameters
    ----------
    stored : mapping
        What Brian2 has stored.
    network : Network
        The network.

    Raises
    ------
    ValueError
        If a group has another number of elements, or other variables, than it had.
    """
    now = {(owner, variable.name): variable for owner, variable in _own_variables(network)}
    owners = {owner for owner, _ in now} & stored.keys()
    then = {(owner, name): kept for owner in owners for name, kept in stored[owner].items()}
    for owner, name in sorted(then.keys() | now.keys()):
        variable = now.get((owner, name))
        # Dynamic arrays get the size that they had; other names are Brian2's own.
        dynamic = isinstance(variable, DynamicArrayVariable)
        if owner not in owners or dynamic or name.startswith("_"):
            continue
        had = np.size(then[owner, name][0]) if (owner, name) in then else 0
        has = 0 if variable is None else int(np.prod(variable.size))
        if had != has:
            raise ValueError(
                f"The stored state of '{network.name}' has {had} values of '{owner}.{name}', and "
                f"the network has {has}; restore it into groups of the same sizes and variables, "
                "or store it anew."
            )


def find_stored(network: Network, name: str, filename: str | None) -> Stored:
    """A state that Brian2 has stored.

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
    mapping
        What Brian2 keeps of each object, by its name.

    Raises
    ------
    KeyError
        If there is no state of that name.
    ValueError
        If the file is no whole one that ``store`` has written.
    """
    found: Stored = stored_state(network, name) if filename is None else _read(filename, name)
    return found


def find_snapshot(stored: Stored, network: Network, name: str) -> Snapshot | None:
    """The device's own part of a state that Brian2 has stored.

    Parameters
    ----------
    stored : mapping
        What Brian2 has stored.
    network : Network
        The network.
    name : str
        Name of the stored state.

    Returns
    -------
    Snapshot or None
        None for a state that another device stored.

    Raises
    ------
    ValueError
        If another version of this package has stored it.
    """
    found = stored[RANDOM_STATE].get(OWN)
    if not isinstance(found, Snapshot):
        return None
    if not all(isinstance(getattr(found, part, ()), kind) for part, kind in _PARTS.items()):
        raise ValueError(
            f"The stored state '{name}' of '{network.name}' is not whole, or was stored by another "
            "version of brian2eprop; store it anew."
        )
    return found


_PARTS: dict[str, Any] = {
    "batch_size": int | None,
    "values": Mapping,
    "transit": Transit,
    "growth": Mapping,
}


def _read(filename: str, name: str) -> Any:
    """A state from Brian2's file."""
    try:
        with open(filename, "rb") as file:
            states = pickle.load(file)
        known = ", ".join(repr(known) for known in dict(states))
        if name in states and RANDOM_STATE in states[name]:
            return states[name]
    except _DAMAGED as error:
        raise ValueError(
            f"'{filename}' is no file that store() has written, or it is damaged ({error}); give "
            "one that is whole."
        ) from error
    raise KeyError(f"'{filename}' has no stored state '{name}'; it has {known or 'none'}.")


# What pickle raises where it meets anything, and what has no keys.
_DAMAGED = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)


def _own_variables(network: Network) -> Iterable[tuple[str, Any]]:
    for found in network.sorted_objects:
        for variable in getattr(found, "variables", {}).values():
            owner = owner_of(variable)
            own = owner is not None and owner.name == found.name
            if own and isinstance(variable, ArrayVariable):
                yield found.name, variable


def _all_synapses(network: Network) -> Iterable[Any]:
    return (found for found in network.sorted_objects if is_synapses(found))
