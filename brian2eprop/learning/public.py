"""The public names of learning; ``brian2eprop`` gives them when they are asked for."""

from __future__ import annotations

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

__all__ = [
    "SGD",
    "ActivitySimilarity",
    "Adam",
    "AdamW",
    "Agent",
    "ArcTan",
    "CSVLogger",
    "Callback",
    "ClassAccuracy",
    "Clip",
    "ConfusionMatrix",
    "Constraint",
    "ContrastivePrediction",
    "CosineDecay",
    "CrossEntropy",
    "Dale",
    "EProp",
    "EarlyStopping",
    "EventProp",
    "ExponentialDecay",
    "FastSigmoid",
    "FiringRate",
    "FirstSpikeTime",
    "Gaussian",
    "History",
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
    "Rule",
    "SpikeCount",
    "SuperSpike",
    "Surrogate",
    "SurrogateBPTT",
    "TensorBoard",
    "TopKAccuracy",
    "Trainer",
    "TrialCrossEntropy",
    "Triangular",
    "Value",
]
