"""What the device runs; everything else is refused by one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from brian2.core.clocks import Clock
from brian2.core.network import Network
from brian2.core.operations import NetworkOperation
from brian2.groups.group import CodeRunner
from brian2.groups.neurongroup import SubexpressionUpdater
from brian2.groups.subgroup import Subgroup

from brian2eprop.device.capture.objects import KINDS
from brian2eprop.errors import Unsupported

_SPIKE_DATA = "give its spikes as data, with brian2eprop.SpikeSource"
_WAYS_OUT: dict[type, str] = {
    NetworkOperation: "run in pieces and do the operation between them",
    SubexpressionUpdater: "write the expression without 'constant over dt'",
    Subgroup: "use the whole group",
}


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
    _check_clocks(objects)
    return objects


def _refusal(found: Any) -> Unsupported:
    if type(found) is CodeRunner:
        what = "runs code of its own (run_regularly or run_at)"
        way = "put it into the equations, or run in pieces and do it between them"
    else:
        what = f"is a {type(found).__name__}"
        ways = (way for kind, way in _WAYS_OUT.items() if isinstance(found, kind))
        way = next(ways, "run the script on Brian2's own device, set_device('runtime')")
    return Unsupported(
        f"'{found.name}' {what}, which eprop_cuda does not run; {way}, or set its attribute "
        "'active' to False."
    )


def _check_clocks(objects: Iterable[Any]) -> None:
    objects = list(objects)
    for found in objects:
        if not isinstance(found.clock, Clock):
            raise Unsupported(
                f"'{found.name}' runs at listed times, which eprop_cuda does not; give it a dt."
            )
        if found.clock.dt_ != objects[0].clock.dt_:
            raise Unsupported(
                f"'{found.name}' runs on the clock '{found.clock.name}' but "
                f"'{objects[0].name}' on '{objects[0].clock.name}' with another dt, and eprop_cuda "
                "runs a network with one dt; leave out dt and clock, and set defaultclock.dt."
            )
