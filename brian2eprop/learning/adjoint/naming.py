"""What the adjoint's arrays are called."""

from __future__ import annotations


def adjoint_of(array: str) -> str:
    """Array that holds the loss's derivative by an array, or by a population's spikes."""
    return f"adjoint:{array}"


def gradient_of(parameter: str) -> str:
    """Array that holds the loss's derivative by a parameter."""
    return f"gradient:{parameter}"


def partial_of(parameter: str) -> str:
    """Array that holds an instance's part of it."""
    return f"gradient:part:{parameter}"
