"""What the device runs; everything else is refused by one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from brian2.core.clocks import Clock
from brian2.core.network import Network
from brian2.core.operations import NetworkOperation
from brian2.groups.group import CodeRunner
from brian2.groups.neurongroup import (
    NeuronGroup,
    Resetter,
    StateUpdater,
    SubexpressionUpdater,
    Thresholder,
)
from brian2.groups.subgroup import Subgroup
from brian2.input.poissongroup import PoissonGroup
from brian2.input.poissoninput import PoissonInput
from brian2.input.spikegeneratorgroup import SpikeGeneratorGroup
from brian2.monitors.ratemonitor import PopulationRateMonitor
from brian2.monitors.spikemonitor import SpikeMonitor
from brian2.monitors.statemonitor import StateMonitor
from brian2.synapses.synapses import StateUpdater as SynapticStateUpdater
from brian2.synapses.synapses import SummedVariableUpdater, Synapses, SynapticPathway

from brian2eprop.device import brian
from brian2eprop.device.monitors import BatchedSpikeMonitor, BatchedStateMonitor
from brian2eprop.device.source import SpikeSource
from brian2eprop.errors import Unsupported

_SPIKE_DATA = "give its spikes as data, with brian2eprop.SpikeSource"
_WAYS_OUT: dict[type, str] = {
    PoissonGroup: _SPIKE_DATA,
    SpikeGeneratorGroup: _SPIKE_DATA,
    PoissonInput: _SPIKE_DATA + " and Synapses",
    PopulationRateMonitor: "record with a SpikeMonitor and count its spikes",
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
        check = CHECKS.get(type(found))
        if check is None:
            raise _refusal(found)
        check(found)
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


def _check_group(group: NeuronGroup) -> None:
    if group.equations.is_stochastic:
        raise Unsupported(
            f"The equations of '{group.name}' are stochastic (xi), which eprop_cuda does not "
            "run; remove the noise term, or give noise as input spikes."
        )
    if brian.linked_variables(group):
        raise Unsupported(
            f"'{group.name}' has linked variables ({', '.join(brian.linked_variables(group))}), "
            "which eprop_cuda does not run; connect the groups by Synapses, or copy the values."
        )
    custom = sorted(set(group.events) - {"spike"})
    if custom:
        raise Unsupported(
            f"'{group.name}' has events other than spikes ({', '.join(custom)}), which eprop_cuda "
            "does not run; use the threshold, in a group of its own if need be."
        )
    _check_method(group)


def _check_method(group: NeuronGroup) -> None:
    if isinstance(group.method_choice, str) and group.method_choice.startswith("gsl"):
        raise Unsupported(
            f"'{group.name}' is integrated by {group.method_choice!r}, which eprop_cuda does not "
            "run; use method='exact', 'euler' or 'exponential_euler'."
        )


def _check_synapses(synapses: Synapses) -> None:
    if synapses.event_driven is not None or synapses.state_updater is not None:
        raise Unsupported(
            f"'{synapses.name}' has differential equations, which eprop_cuda does not run for "
            "synapses; move the variable to the postsynaptic group."
        )
    for population in (synapses.source, synapses.target):
        kind = population.__class__  # of a proxy, the class of what it stands for
        if kind not in (NeuronGroup, SpikeSource):
            raise Unsupported(
                f"'{synapses.name}' connects '{population.name}', a {kind.__name__}, "
                "which eprop_cuda does not run; connect whole NeuronGroups and SpikeSources."
            )


def _check_pathway(pathway: SynapticPathway) -> None:
    if pathway.prepost != "pre":
        raise Unsupported(
            f"'{pathway.synapses.name}' has on_post code ('{pathway.name}'), which eprop_cuda "
            "does not run; use on_pre only, or set the pathway's attribute 'active' to False."
        )


def _check_summed(updater: SummedVariableUpdater) -> None:
    raise Unsupported(
        f"'{updater.group.name}' sums "
        f"its variable into '{updater.target_varname}' (summed), which eprop_cuda does not run; "
        "add to the target in on_pre."
    )


def _check_spike_monitor(monitor: SpikeMonitor) -> None:
    _check_monitored(monitor)
    extra = sorted(monitor.record_variables - {"i", "t"})
    if extra:
        raise Unsupported(
            f"SpikeMonitor '{monitor.name}' records {', '.join(extra)} at spikes, which "
            "eprop_cuda does not; record them with a StateMonitor."
        )


def _check_monitored(monitor: Any) -> None:
    if isinstance(monitor.source, Subgroup):
        raise Unsupported(
            f"'{monitor.name}' records the subgroup '{monitor.source.name}', which eprop_cuda "
            "does not; record the whole group, with 'record' for chosen neurons."
        )


def _fine(found: Any) -> None:
    """Nothing to refuse."""


CHECKS: dict[type, Callable[[Any], None]] = {
    NeuronGroup: _check_group,
    StateUpdater: _fine,
    Thresholder: _fine,
    Resetter: _fine,
    Synapses: _check_synapses,
    SynapticPathway: _check_pathway,
    SynapticStateUpdater: _fine,
    SummedVariableUpdater: _check_summed,
    SpikeSource: _fine,
    StateMonitor: _check_monitored,
    SpikeMonitor: _check_spike_monitor,
    BatchedStateMonitor: _check_monitored,
    BatchedSpikeMonitor: _check_spike_monitor,
}
