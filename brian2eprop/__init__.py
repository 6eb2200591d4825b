"""brian2eprop: Brian2 networks, many instances at once, and trained."""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import Any as _Any

from brian2.devices.device import all_devices as _all_devices

from brian2eprop import augmentation
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
from brian2eprop.learning.model.surrogates import (
    ArcTan,
    FastSigmoid,
    Gaussian,
    SuperSpike,
    Surrogate,
    Triangular,
)
from brian2eprop.learning.objective.loss import Loss
from brian2eprop.learning.objective.losses import CrossEntropy, MeanSquaredError
from brian2eprop.learning.objective.regularisers import FiringRate
from brian2eprop.learning.objective.rewards import Policy, Value
from brian2eprop.learning.objective.spike_losses import FirstSpikeTime, SpikeCount
from brian2eprop.learning.objective.task import Rule
from brian2eprop.learning.objective.views import ActivitySimilarity, ContrastivePrediction
from brian2eprop.learning.objective.whole_trial import TrialCrossEntropy
from brian2eprop.learning.rules.bptt import SurrogateBPTT
from brian2eprop.learning.rules.eprop import EProp
from brian2eprop.learning.rules.eventprop import EventProp
from brian2eprop.learning.training.agent import Agent
from brian2eprop.learning.training.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateSchedule,
    ModelCheckpoint,
)
from brian2eprop.learning.training.constraints import Clip, Constraint, Dale, NonNegative
from brian2eprop.learning.training.history import History, Metrics
from brian2eprop.learning.training.loggers import CSVLogger, TensorBoard
from brian2eprop.learning.training.metrics import (
    ClassAccuracy,
    ConfusionMatrix,
    Metric,
    TopKAccuracy,
)
from brian2eprop.learning.training.optimiser import Optimiser
from brian2eprop.learning.training.optimisers import SGD, Adam, AdamW
from brian2eprop.learning.training.schedules import (
    CosineDecay,
    ExponentialDecay,
    PiecewiseConstantDecay,
)
from brian2eprop.learning.training.trainer import Trainer
from brian2eprop.spikes import Spikes

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
    "datasets",
    "encoding",
    "is_per_instance",
    "rewire",
    "set_per_instance",
]

__version__ = "0.1.0"

_all_devices["eprop_cuda"] = _eprop_device


def __getattr__(name: str) -> _Any:
    """What a simulation does without, and takes long, is imported when it is first asked for."""
    if name in ("datasets", "encoding"):
        return _import_module(f"brian2eprop.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
