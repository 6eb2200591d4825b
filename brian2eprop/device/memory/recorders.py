"""Monitors get as many instances as there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from brian2.memory.dynamicarray import DynamicArray, DynamicArray1D
from brian2.monitors.ratemonitor import PopulationRateMonitor
from brian2.monitors.spikemonitor import EventMonitor
from brian2.monitors.statemonitor import StateMonitor

from brian2eprop.device.memory.instances import Instances
from brian2eprop.device.monitors import with_instances
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
    if not isinstance(found, StateMonitor | EventMonitor | PopulationRateMonitor):
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
    match found:
        case StateMonitor():
            _fit_columns(found.recorded_variables.values(), found.n_indices, arrays, instances)
        case PopulationRateMonitor():
            _fit_rates(found.variables["rate"], arrays, instances)
        case _:
            _fit_event_monitor(found, instances)
    found.__class__ = with_instances(type(found), instances.size is not None)


def _has_data(monitor: Any, instances: Instances) -> bool:
    if monitor.variables["N"].get_value() > 0:
        return True
    if not isinstance(monitor, EventMonitor):
        return False
    count = monitor.variables["count"]
    return bool(np.any(instances.arrays.get(count, instances.raw(count))))


def _fit_columns(columns: Iterable[Any], n: int, arrays: Any, instances: Instances) -> None:
    for variable in columns:
        shape = (0, instances.number * n)
        arrays[variable] = DynamicArray(shape, dtype=variable.dtype)
        variable.size = shape


def _fit_rates(rate: Any, arrays: Any, instances: Instances) -> None:
    if instances.size is None:
        arrays[rate] = DynamicArray1D(0, dtype=rate.dtype)
        rate.size = 0
    else:
        _fit_columns([rate], 1, arrays, instances)


def _fit_event_monitor(monitor: Any, instances: Instances) -> None:
    instances.forget(monitor.variables["count"])
    if monitor.record_variables and "instance" not in monitor.variables:
        monitor.variables.add_dynamic_array("instance", size=0, dtype=np.int32, read_only=True)
