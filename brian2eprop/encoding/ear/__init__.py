"""The parts of the inner-ear model, each with its parameters."""

from __future__ import annotations

from brian2eprop.encoding.ear.bushy_cell import BushyCell
from brian2eprop.encoding.ear.hair_cell import HairCell
from brian2eprop.encoding.ear.membrane import BasilarMembrane

__all__ = ["BasilarMembrane", "BushyCell", "HairCell"]
