"""Conversion of trained networks of artificial neurons into spiking ones."""

from typing import Any

from brian2eprop.ml.convert import convert, from_keras, load
from brian2eprop.ml.converted import ConvertedNetwork
from brian2eprop.ml.cost import Cost
from brian2eprop.ml.diagnosis import Diagnosis
from brian2eprop.ml.early import EarlyAnswers
from brian2eprop.ml.graph import (
    Add,
    AveragePooling,
    Concatenate,
    Convolution,
    Dense,
    Identity,
    Input,
    MaxPooling,
    Normalisation,
    ReLU,
    Reshape,
    ZeroPadding,
)
from brian2eprop.ml.interchange.from_nir import from_nir
from brian2eprop.ml.interchange.to_nir import to_nir
from brian2eprop.ml.rate import Rate
from brian2eprop.ml.signed_rate import SignedRate

__all__ = [
    "Add",
    "AveragePooling",
    "Concatenate",
    "ConvertedNetwork",
    "Convolution",
    "Cost",
    "Dense",
    "Diagnosis",
    "EarlyAnswers",
    "Identity",
    "Input",
    "MaxPooling",
    "Normalisation",
    "Rate",
    "ReLU",
    "Reshape",
    "SignedRate",
    "ZeroPadding",
    "convert",
    "from_keras",
    "from_nir",
    "load",
    "to_nir",
]


def __getattr__(name: str) -> Any:
    """``QCFS`` is a layer of Keras, which is imported when somebody asks for it."""
    if name != "QCFS":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from brian2eprop.ml.qcfs_layer import QCFS

    return QCFS
