"""What the device runs; everything else is refused by one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from brian2.core.network import Network
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions, get_unit

from brian2eprop.device.capture.objects import KINDS
from brian2eprop.errors import Unsupported


def refuse_arrays(names: Mapping[str, Any], asked: Iterable[str]) -> None:
    """Refuse arrays as external constants, of which a batch might be expected to take one each.

    Parameters
    ----------
    names : mapping of str to object
        A run's namespace.
    asked : iterable of str
        The names that were looked up.

    Raises
    ------
    Unsupported
        If one of them is an array.
    """
    for name in sorted(asked):
        found = names.get(name)
        if isinstance(found, np.ndarray) and found.ndim:
            unit = get_dimensions(found)
            what = "1" if unit is DIMENSIONLESS else repr(get_unit(unit))
            raise Unsupported(
                f"'{name}' is a name of the equations and an array of shape {found.shape}; for a "
                f"value in each instance make it a parameter, '{name} : {what} (shared, constant)' "
                f"in the equations, and set group.{name} = {name}."
            )


def check_network(network: Network) -> list[Any]:
    """The objects that a run of the network runs, in order.

    Parameters
    ----------
    network : Network
        The network.

    Returns
    -------
    list of BrianObject
        The active objects by schedule.

    Raises
    ------
    Unsupported
        If the device does not run one of them.
    ValueError
        If one depends on an object that is not in the network.
    """
    network.check_dependencies()  # a magic network makes such objects inactive
    objects = [found for found in network.sorted_objects if found.active]
    for found in objects:
        kind = KINDS.get(type(found))
        if kind is None:
            raise _refusal(found)
        kind.check(found)
    return objects


def _refusal(found: Any) -> Unsupported:
    return Unsupported(
        f"'{found.name}' is a {type(found).__name__}, which eprop_cuda does not run; run the "
        "script on Brian2's own device, set_device('runtime'), or set its attribute 'active' to "
        "False."
    )
