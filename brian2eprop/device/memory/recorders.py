"""Monitors get as many instances as there are."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2.memory.dynamicarray import DynamicArray
from brian2.monitors.spikemonitor import SpikeMonitor
from brian2.monitors.statemonitor import StateMonitor

from brian2eprop.device.memory.instances import Instances
from brian2eprop.device.monitors import BatchedSpikeMonitor, BatchedStateMonitor
from brian2eprop.errors import Unsupported


def fit_instances(found: Any, arrays: Any, instances: Instances) -> None:
    """Give a monitor that has recorded nothing the present instance axis; others are no matter.

    Parameters
    ----------
    found : BrianObject
        Any object of a network.
    arrays : mutable mapping of brian2 Variable to array
        The device's arrays.
    instances : Instances
        The instances.

    Raises
    ------
    Unsupported
        If it has data of another number of instances.
    """
    if not isinstance(found, StateMonitor | SpikeMonitor):
        return
    before = vars(found).get("_instances")
    if before == instances.size:
        return
    if _has_data(found, instances):
        raise Unsupported(
            f"'{found.name}' has data that was recorded with batch_size={before} and cannot go on "
            f"with batch_size={instances.size}; make a new monitor, or set it inactive."
        )
    object.__setattr__(found, "_instances", instances.size)
    if isinstance(found, StateMonitor):
        _fit_state_monitor(found, arrays, instances)
    else:
        _fit_spike_monitor(found, instances)


def _has_data(monitor: Any, instances: Instances) -> bool:
    if monitor.variables["N"].get_value() > 0:
        return True
    if isinstance(monitor, StateMonitor):
        return False
    count = monitor.variables["count"]
    return bool(np.any(instances.arrays.get(count, instances.raw(count))))


def _fit_state_monitor(monitor: Any, arrays: Any, instances: Instances) -> None:
    for variable in monitor.recorded_variables.values():
        shape = (0, instances.number * monitor.n_indices)
        arrays[variable] = DynamicArray(shape, dtype=variable.dtype)
        variable.size = shape
    monitor.__class__ = StateMonitor if instances.size is None else BatchedStateMonitor


def _fit_spike_monitor(monitor: Any, instances: Instances) -> None:
    instances.forget(monitor.variables["count"])
    if monitor.record and "instance" not in monitor.variables:
        monitor.variables.add_dynamic_array("instance", size=0, dtype=np.int32, read_only=True)
    monitor.__class__ = SpikeMonitor if instances.size is None else BatchedSpikeMonitor
