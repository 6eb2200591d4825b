"""Encoders: real-valued data become spikes."""

from __future__ import annotations

from brian2eprop.encoding.crossings import level_crossing, pixel_sequence
from brian2eprop.encoding.inner_ear import inner_ear
from brian2eprop.encoding.latencies import latency, linear_latency, row_scan
from brian2eprop.encoding.rates import poisson

__all__ = [
    "inner_ear",
    "latency",
    "level_crossing",
    "linear_latency",
    "pixel_sequence",
    "poisson",
    "row_scan",
]
