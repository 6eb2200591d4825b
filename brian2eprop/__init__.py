"""brian2eprop: Brian2 networks, many instances at once, and trained."""

from __future__ import annotations

from brian2.devices.device import all_devices as _all_devices

from brian2eprop.device.device import EpropDevice as _EpropDevice
from brian2eprop.device.source import SpikeSource
from brian2eprop.spikes import Spikes

__all__ = ["SpikeSource", "Spikes"]

_all_devices["eprop_cuda"] = _EpropDevice()
