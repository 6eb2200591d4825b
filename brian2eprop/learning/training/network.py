"""What a network computes, in a form that can be kept and compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program import Loop, Phase, Program, Propagate
from brian2eprop.learning.settings import KIND, settings


def description(program: Program, tables: Mapping[str, npt.NDArray[np.int32]]) -> dict[str, Any]:
    """The time step, and the code, constants and delays of each phase, in JSON form.

    Parameters
    ----------
    program : Program
        The captured Program.
    tables : mapping of str to int32 array
        Contents of its tables: the delays of synapses that have their own among them.
    """
    phases = {phase.label: _phase(phase, tables) for phase in program.phases()}
    return {KIND: "network", "dt": program.dt, **phases}


def _phase(phase: Phase, tables: Mapping[str, npt.NDArray[np.int32]]) -> dict[str, Any]:
    found: dict[str, Any] = {KIND: type(phase).__name__}
    if isinstance(phase, Loop):
        found |= {"code": "; ".join(phase.body.code.splitlines()), **settings(phase.body.constants)}
    if isinstance(phase, Propagate):
        own = isinstance(phase.delay, str)
        found["delay"] = settings(tables[str(phase.delay)]) if own else phase.delay
    return found
