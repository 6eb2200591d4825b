"""The errors of all rooms."""

from __future__ import annotations


class Unsupported(NotImplementedError):
    """Something that the device does not run, or cannot carry over from one run to another."""
