"""The gradient by the weights of synapses that are not there, beside that of those that are.

What adds to the gradient of a synapse's weight goes along the rows of spikes, and sees of the
synapse nothing but what belongs to the gradient. So the same loops through a dense connectivity
add up what a synapse at each of its places would meet, if its weight were zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn, TypeGuard

from brian2eprop.device.program import (
    Body,
    Chunks,
    Clear,
    Dense,
    ForEachSynapse,
    Index,
    Phase,
    Program,
    Propagate,
    Sweep,
)
from brian2eprop.device.program.assignments import Assignment
from brian2eprop.device.program.verify import Stage, verify
from brian2eprop.errors import LearningError
from brian2eprop.learning.naming import gradient_of

# Loops along rows.
Along = Propagate | ForEachSynapse


@dataclass(frozen=True)
class Sought:
    """Synapses whose places are to have a gradient each.

    Parameters
    ----------
    synapses : str
        Their connectivity.
    weight : str
        The array of their weight, which is trained.
    everywhere : Dense
        All of their places.
    gradient : str
        The array of the gradients (REAL, SHARED).
    """

    synapses: str
    weight: str
    everywhere: Dense
    gradient: str


def with_places(program: Program, sought: Iterable[Sought]) -> Program:
    """A training Program that adds up the gradients of places as well.

    Parameters
    ----------
    program : Program
        The Program that trains; what it computes stays as it is.
    sought : iterable of Sought
        Whose places.

    Raises
    ------
    LearningError
        If what a synapse meets depends on what only a synapse has.
    """
    for each in sought:
        program = _Places(program, each).added()
        verify(program, Stage.ADJOINT, {each.weight: each.gradient})
    return program


class _Places:
    """Adds the loops over the places of some synapses."""

    def __init__(self, program: Program, sought: Sought) -> None:
        self.program, self.sought = program, sought
        self.twins = {gradient_of(sought.weight): sought.gradient}
        known = 0
        while known < len(self.twins):
            known = len(self.twins)
            for phase in filter(self._adds, program.phases()):
                names = (phase.body.refs[name] for name in sorted(phase.body.written))
                own = (ref.array for ref in names if ref.index is Index.SYNAPSE)
                self.twins |= {name: self._twin(name) for name in own}

    def added(self) -> Program:
        """The Program with them."""
        found = self.program.all_arrays()
        places = self.sought.everywhere.n_synapses
        arrays = (replace(found[a], name=b, size=places) for a, b in self.twins.items())
        return replace(
            self.program,
            arrays=(*self.program.arrays, *arrays),
            sweeps=tuple(
                replace(each, sweeps=tuple(map(self._swept, each.sweeps)))
                if isinstance(each, Chunks)
                else self._swept(each)
                for each in self.program.sweeps
            ),
            connectivities=(*self.program.connectivities, self.sought.everywhere),
        )

    def _twin(self, name: str) -> str:
        return self.twins.get(name, f"{name}:everywhere")

    def _adds(self, phase: Phase) -> TypeGuard[Along]:
        """Whether a phase adds to what belongs to the gradient."""
        along = isinstance(phase, Along) and phase.connectivity == self.sought.synapses
        return along and not phase.writes().isdisjoint(self.twins)

    def _swept(self, sweep: Sweep) -> Sweep:
        return replace(sweep, phases=tuple(self._phases(sweep.phases)))

    def _phases(self, phases: Iterable[Phase]) -> Iterable[Phase]:
        for phase in phases:
            if isinstance(phase, Clear):
                twins = (self.twins[name] for name in phase.arrays if name in self.twins)
                yield replace(phase, arrays=(*phase.arrays, *twins))
                continue
            yield phase
            if self._adds(phase):
                yield self._everywhere(phase)

    def _everywhere(self, phase: Along) -> Phase:
        """The same loop through all places."""
        if isinstance(phase, Propagate) and phase.per_synapse:
            self._refuse("each of them has a delay of its own; give all the same delay")
        return replace(
            phase,
            label=f"{phase.label} everywhere",
            connectivity=self.sought.everywhere.name,
            body=self._body(phase.body),
        )

    def _body(self, body: Body) -> Body:
        """What of a body belongs to the gradient, for a synapse of weight zero."""
        kept = _leading_to(body, self.twins)
        met = {name for line in kept for name in (line.target, *line.names)} & body.refs.keys()
        changed = body.arrays(body.written) - self.twins.keys()
        if not changed.isdisjoint(body.arrays(met)):
            self._refuse(
                "what a spike adds depends on what others of the same step have added, so that "
                "their order counts; let on_pre add to a current or conductance that its equation "
                "multiplies by the potential"
            )
        refs, constants = {}, dict(body.constants)
        for name in sorted(met):
            ref = body.refs[name]
            if ref.index is not Index.SYNAPSE:
                refs[name] = ref
            elif ref.array in self.twins:
                refs[name] = replace(ref, array=self.twins[ref.array])
            elif ref.array == self.sought.weight:
                constants[name] = 0.0
            else:
                self._refuse(
                    f"what a spike adds depends on '{ref.array}', which only a synapse has; "
                    "let on_pre use the weight and variables of neurons"
                )
        code = "\n".join(line.text for line in kept)
        guards = {name: guard for name, guard in body.guards.items() if name in refs}
        return replace(body, code=code, refs=refs, constants=constants, guards=guards)

    def _refuse(self, fault: str) -> NoReturn:
        raise LearningError(
            f"RigL asks for the gradient of places of '{self.sought.synapses}' without a synapse, "
            f"and {fault}, or rewire them by DeepR or SET."
        )


def _leading_to(body: Body, arrays: Mapping[str, str]) -> list[Assignment]:
    """The lines that arrays are set by, and those of the locals in them."""
    needed = {name for name in body.written if body.refs[name].array in arrays}
    kept = []
    for line in reversed(body.lines):
        if line.target in needed:
            kept.append(line)
            needed |= line.names - body.refs.keys()
    return kept[::-1]
