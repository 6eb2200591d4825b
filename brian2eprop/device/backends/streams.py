"""Checks the input spikes given to a call."""

from __future__ import annotations

from collections.abc import Mapping

from brian2eprop.device.program import Program
from brian2eprop.spikes import SpikeStream


def check_streams(program: Program, instances: int, given: Mapping[str, SpikeStream]) -> None:
    """Check that every input stream of the Program is given, for every instance.

    Parameters
    ----------
    program : Program
        The Program to run.
    instances : int
        Number of instances to run it for.
    given : mapping of str to SpikeStream
        The streams given to the call.

    Raises
    ------
    ValueError
        If one is missing, or has another number of instances.
    """
    for stream in program.streams:
        if stream.name not in given:
            raise ValueError(
                f"The input stream '{stream.name}' of program '{program.name}' has no spikes; "
                f"give them in streams['{stream.name}']."
            )
        found = len(given[stream.name].start)
        if found != instances:
            raise ValueError(
                f"The spikes of input stream '{stream.name}' are for {found} instances, the "
                f"memory is for {instances}; give one row of start for each instance."
            )
