"""What of a captured Program the learning rules follow; the rest they refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from brian2eprop.device.program import (
    Array,
    ForEachSynapse,
    Index,
    Loop,
    Phase,
    Program,
    Propagate,
    Side,
)
from brian2eprop.errors import LearningError


def check_followed(program: Program, state: Mapping[str, Array]) -> None:
    """Refuse what would be followed wrongly, or not at all.

    Parameters
    ----------
    program : Program
        The captured Program without recordings.
    state : mapping of str to Array
        Arrays that a gradient flows through.

    Raises
    ------
    LearningError
        If synapses have equations, sums or code at the spikes of their targets, or neurons
        read the state of others.
    """
    phases = tuple(program.phases())
    synaptic = _synaptic(phases)
    for phase in phases:
        if isinstance(phase, Loop):
            fault = _fault(phase, synaptic, state)
            if fault:
                raise LearningError(f"{phase.label} {fault}")


def _synaptic(phases: Iterable[Phase]) -> frozenset[str]:
    """Arrays that pathways know as variables of the synapse."""
    return frozenset(
        ref.array
        for phase in phases
        if isinstance(phase, Propagate)
        for ref in phase.body.refs.values()
        if ref.index is Index.SYNAPSE
    )


def _fault(phase: Loop, synaptic: frozenset[str], state: Mapping[str, Array]) -> str | None:
    """What is wrong with a phase, as the end of a message."""
    if isinstance(phase, Propagate):
        if phase.side is Side.TARGET:
            return (
                "runs at the spikes of the targets, and the learning rules do not follow on_post "
                "code. Leave it out; the trainer changes the weights."
            )
        return None
    if isinstance(phase, ForEachSynapse) or phase.body.arrays(phase.body.refs) & synaptic:
        return (
            "goes through all synapses in every step, and the learning rules do not follow "
            "equations and sums of synapses. Move them to the neurons."
        )
    for name, ref in phase.body.refs.items():
        if ref.via is not None or (ref.index is Index.SCALAR and ref.array in state):
            return (
                f"reads '{name}' of other neurons through a link, which the learning rules do not "
                "follow. Connect the groups by Synapses."
            )
    return None
