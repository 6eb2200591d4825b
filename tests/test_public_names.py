"""The public names are a contract: they change on purpose only, and each says what it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

import brian2eprop
from brian2eprop.learning import public

NAMES = {
    "connect_fixed_indegree",
    "connect_fixed_outdegree",
    "connect_fixed_total",
    "connect_kernel",
    "set_connectivity",
    "Adam",
    "AdamW",
    "Agent",
    "Callback",
    "CheckpointError",
    "ActivitySimilarity",
    "CompileError",
    "ContrastivePrediction",
    "CrossEntropy",
    "DatasetError",
    "EProp",
    "EarlyStopping",
    "FiringRate",
    "FirstSpikeTime",
    "History",
    "LearningError",
    "LearningRateSchedule",
    "Loss",
    "MeanSquaredError",
    "Metric",
    "Metrics",
    "ModelCheckpoint",
    "Optimiser",
    "Rule",
    "SGD",
    "SpikeCount",
    "SpikeSource",
    "Spikes",
    "Trainer",
    "DeepR",
    "Rewire",
    "RigL",
    "SET",
    "TrialCrossEntropy",
    "Surrogate",
    "SurrogateBPTT",
    "EventProp",
    "SuperSpike",
    "FastSigmoid",
    "ArcTan",
    "Gaussian",
    "Triangular",
    "Unsupported",
    "Value",
    "Clip",
    "Constraint",
    "Dale",
    "NonNegative",
    "CSVLogger",
    "ClassAccuracy",
    "ConfusionMatrix",
    "TensorBoard",
    "TopKAccuracy",
    "CosineDecay",
    "ExponentialDecay",
    "PiecewiseConstantDecay",
    "Policy",
    "augmentation",
    "datasets",
    "encoding",
    "is_per_instance",
    "ml",
    "rewire",
    "set_per_instance",
}


def test_public_names() -> None:
    assert set(brian2eprop.__all__) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_public_name_is_documented(name: str) -> None:
    documentation = getattr(brian2eprop, name).__doc__
    assert documentation
    assert documentation.strip().splitlines()[0].endswith(".")


def test_names_of_learning_are_among_them() -> None:
    assert set(public.__all__) < NAMES
    assert set(dir(brian2eprop)) >= NAMES


def test_a_simulation_imports_nothing_of_learning() -> None:
    script = "import sys, brian2eprop; print([m for m in sys.modules if '.learning.' in m])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Trainr'"):
        brian2eprop.Trainr  # noqa: B018
