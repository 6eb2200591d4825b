"""What of a captured Program the learning rules follow; the rest they refuse."""

from __future__ import annotations

from collections.abc import Iterable

from brian2eprop.device.program import (
    ForEachEvent,
    ForEachSynapse,
    Index,
    Loop,
    Phase,
    Program,
    Propagate,
    Side,
    TreeSolve,
)
from brian2eprop.errors import LearningError


def check_followed(program: Program) -> None:
    """Refuse what would be followed wrongly, or not at all.

    Parameters
    ----------
    program : Program
        The captured Program without recordings.

    Raises
    ------
    LearningError
        If a phase is done in some steps only, or later than the spikes it waits for, if synapses
        have equations, sums or code at the spikes of their targets, or neurons read the state of
        others.
    """
    phases = tuple(program.phases())
    for phase in phases:
        _check_kind(phase)
        _check_when(phase)
    synaptic = _synaptic(phases)
    written = frozenset().union(*(phase.writes() for phase in phases))
    for phase in phases:
        if isinstance(phase, Loop):
            fault = _fault(phase, synaptic, written)
            if fault:
                raise LearningError(f"{phase.label} {fault}")


def _check_kind(phase: Phase) -> None:
    if isinstance(phase, TreeSolve):
        raise LearningError(
            f"'{phase.label}' solves for the potentials of compartments, which the learning rules "
            "do not follow; take a NeuronGroup in place of the SpatialNeuron."
        )


def _check_when(phase: Phase) -> None:
    if phase.clock is not None:
        raise LearningError(
            f"'{phase.label}' runs on a clock of its own, and a training knows one time step; "
            "leave out its dt and clock, and set defaultclock.dt."
        )
    if isinstance(phase, ForEachEvent) and phase.delay:
        raise LearningError(
            f"'{phase.label}' is scheduled before the spikes it waits for are found, and a "
            "training follows what is done in the same step; schedule it after the threshold."
        )


def _synaptic(phases: Iterable[Phase]) -> frozenset[str]:
    """Arrays that pathways know as variables of the synapse."""
    return frozenset(
        ref.array
        for phase in phases
        if isinstance(phase, Propagate)
        for ref in phase.body.refs.values()
        if ref.index is Index.SYNAPSE
    )


def _fault(phase: Loop, synaptic: frozenset[str], written: frozenset[str]) -> str | None:
    """What is wrong with a phase, as the end of a message."""
    if isinstance(phase, Propagate):
        if phase.side is Side.TARGET:
            return (
                "runs at the spikes of the targets, and the learning rules do not follow on_post "
                "code. Leave it out; the trainer changes the weights."
            )
    elif isinstance(phase, ForEachSynapse) or phase.body.arrays(phase.body.refs) & synaptic:
        return (
            "goes through all synapses, and the learning rules do not follow equations, sums and "
            "regular code of synapses. Move them to the neurons."
        )
    for name, ref in phase.body.refs.items():
        if ref.via is not None:
            return (
                f"reads '{name}' of other neurons through a link, which the learning rules do not "
                "follow. Connect the groups by Synapses."
            )
        if ref.index is Index.SCALAR and ref.array in written:
            return (
                f"reads '{name}', which all elements share and which changes in a run; the "
                "learning rules do not follow that. Leave out the flag '(shared)', and connect "
                "groups by Synapses."
            )
    return None
