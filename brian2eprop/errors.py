"""What the package refuses."""

from __future__ import annotations


class Unsupported(NotImplementedError):
    """Something that the device does not run."""


class LearningError(Unsupported, ValueError):
    """A model, or what is asked of it, cannot be trained; the sentence says why."""
