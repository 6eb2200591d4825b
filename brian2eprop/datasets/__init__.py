"""Data sets as spikes and labels: downloaded, checked, kept, and encoded."""

from __future__ import annotations

from brian2eprop.datasets.event_cameras import dvs_gesture, nmnist
from brian2eprop.datasets.heidelberg import shd, ssc
from brian2eprop.datasets.mnist_images import fashion_mnist, mnist
from brian2eprop.datasets.spoken_digits import Recordings, fsdd
from brian2eprop.datasets.yin_yang_disc import yin_yang, yin_yang_points

__all__ = [
    "Recordings",
    "dvs_gesture",
    "fashion_mnist",
    "fsdd",
    "mnist",
    "nmnist",
    "shd",
    "ssc",
    "yin_yang",
    "yin_yang_points",
]
