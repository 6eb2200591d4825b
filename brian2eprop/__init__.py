"""brian2eprop: Brian2 networks, many instances at once, and trained."""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from brian2.devices.device import all_devices as _all_devices

from brian2eprop import augmentation
from brian2eprop.device.connecting.connect import (
    connect_fixed_indegree,
    connect_fixed_outdegree,
    connect_fixed_total,
    set_connectivity,
)
from brian2eprop.device.convolution.connect import connect_kernel
from brian2eprop.device.device import eprop_device as _eprop_device
from brian2eprop.device.rewiring.rules import SET, DeepR, Rewire, RigL
from brian2eprop.device.rewiring.simulated import rewire
from brian2eprop.device.sharing import is_per_instance, set_per_instance
from brian2eprop.device.source import SpikeSource
from brian2eprop.errors import (
    CheckpointError,
    CompileError,
    DatasetError,
    LearningError,
    Unsupported,
)
from brian2eprop.spikes import Spikes

if _TYPE_CHECKING:
    from brian2eprop.learning.public import *

__all__ = [
    "SET",
    "SGD",
    "ActivitySimilarity",
    "Adam",
    "AdamW",
    "Agent",
    "ArcTan",
    "CSVLogger",
    "Callback",
    "CheckpointError",
    "ClassAccuracy",
    "Clip",
    "CompileError",
    "ConfusionMatrix",
    "Constraint",
    "ContrastivePrediction",
    "CosineDecay",
    "CrossEntropy",
    "Dale",
    "DatasetError",
    "DeepR",
    "EProp",
    "EarlyStopping",
    "EventProp",
    "ExponentialDecay",
    "FastSigmoid",
    "FiringRate",
    "FirstSpikeTime",
    "Gaussian",
    "History",
    "LearningError",
    "LearningRateSchedule",
    "Loss",
    "MeanSquaredError",
    "Metric",
    "Metrics",
    "ModelCheckpoint",
    "NonNegative",
    "Optimiser",
    "PiecewiseConstantDecay",
    "Policy",
    "Rewire",
    "RigL",
    "Rule",
    "SpikeCount",
    "SpikeSource",
    "Spikes",
    "SuperSpike",
    "Surrogate",
    "SurrogateBPTT",
    "TensorBoard",
    "TopKAccuracy",
    "Trainer",
    "TrialCrossEntropy",
    "Triangular",
    "Unsupported",
    "Value",
    "augmentation",
    "connect_fixed_indegree",
    "connect_fixed_outdegree",
    "connect_fixed_total",
    "connect_kernel",
    "datasets",
    "encoding",
    "is_per_instance",
    "ml",
    "rewire",
    "set_connectivity",
    "set_per_instance",
]

__version__ = "0.1.0"

_all_devices["eprop_cuda"] = _eprop_device


def __getattr__(name: str) -> _Any:
    """What a simulation does without, and takes long, is imported when it is first asked for."""
    if name in ("datasets", "encoding", "ml"):
        return _import_module(f"brian2eprop.{name}")
    if name in __all__:
        return getattr(_import_module("brian2eprop.learning.public"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
