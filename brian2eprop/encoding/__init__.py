"""Encoders: real-valued data become spikes."""

from __future__ import annotations

from brian2eprop.encoding.crossings import level_crossing, pixel_sequence
from brian2eprop.encoding.hearing import inner_ear, inner_ear_times
from brian2eprop.encoding.latencies import latency, linear_latency, row_scan
from brian2eprop.encoding.rates import poisson

__all__ = [
    "inner_ear",
    "inner_ear_times",
    "latency",
    "level_crossing",
    "linear_latency",
    "pixel_sequence",
    "poisson",
    "row_scan",
]
