"""What the device runs; everything else is refused by one sentence."""

from __future__ import annotations

from typing import Any

from brian2.core.network import Network

from brian2eprop.device.capture.objects import KINDS
from brian2eprop.errors import Unsupported


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
    """
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
