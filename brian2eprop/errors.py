"""The errors of this package, for whoever wants to catch them by name."""

from __future__ import annotations


class Unsupported(NotImplementedError):
    """Something that the device does not run, or cannot carry over from one run to another."""


class CompileError(RuntimeError):
    """A source could not be compiled, or what was compiled not be stored or loaded."""


class CheckpointError(ValueError):
    """A file that is no checkpoint, or not one of this network; or no converted network."""


class LearningError(Unsupported, ValueError):
    """A model, or what is asked of it, cannot be trained; the sentence says why."""


class DatasetError(ValueError):
    """A file of a data set that is not what it should be, or cannot be had."""
