"""The package's own errors."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A file that is no checkpoint, or not one of this network, rule, loss and optimiser."""
