"""The adjoint of spikes that add what depends on the state of their targets, or of synapses.

Several spikes of a step may reach one neuron, and each meets what those before it left: in the
order of the way there

    h <- h + e(h, w)        de/dh, de/dw at the h that this spike met

so the way back undoes them from the last to the first. What a neuron's first spike met is taped;
what the others met is found by going through the step's spikes once more. What synapses
themselves keep is changed by their own spikes alone: it is taped at these, and put back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    DType,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Phase,
    Propagate,
    Ref,
)
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.coefficients import (
    CoefficientScope,
    adjoint_name,
    at_target,
    transposed,
)
from brian2eprop.learning.adjoint.tape import Origin, Tape
from brian2eprop.learning.model.linearise import Effect
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.model.symbolic import Expression

if TYPE_CHECKING:
    from brian2eprop.learning.adjoint.writer import AdjointWriter


@dataclass(frozen=True)
class Jump:
    """A pathway whose spikes add what depends on the state.

    Attributes
    ----------
    origin : Origin
        The phase, with the size of the targets.
    phase : Propagate
        The same.
    effect : Effect
        What a spike adds.
    n_source, n_synapses : int
        The numbers of neurons that send spikes, and of synapses.
    everywhere : bool
        Whether the way back asks about every neuron that might have sent a spike, and not about
        those only that did.
    """

    origin: Origin
    phase: Propagate
    effect: Effect
    n_source: int
    n_synapses: int
    everywhere: bool

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of an instance."""
        found = []
        for name in self.effect.chained:
            found.append(Array(self.met(name), DType.REAL, self.n_synapses, Access.SCRATCH))
            found.append(Array(self.now(name), DType.REAL, self.origin.size, Access.SCRATCH))
        if self.everywhere:
            found.append(Array(self.sent, DType.BOOL, self.n_source, Access.SCRATCH))
        return tuple(found)

    def met(self, name: str) -> str:
        """Array of what the spike of each synapse met of one of the target's variables."""
        return f"met:{self.phase.label}:{name}"

    def now(self, name: str) -> str:
        """Array of one of the target's variables, while the step's spikes are gone through."""
        return f"now:{self.phase.label}:{name}"

    @property
    def sent(self) -> str:
        """Array that says which neurons' spikes arrive."""
        return f"sent:{self.phase.label}"

    def sent_phases(self) -> Iterable[Phase]:
        """What notes them."""
        refs = {"sent": Ref(self.sent, Index.ELEMENT)}
        label, events, delay = self.phase.label, self.phase.events, self.phase.delay
        assert isinstance(delay, int)
        yield ForEach(f"forget {self.sent}", self.n_source, Body("sent = False", refs))
        yield ForEachEvent(f"arriving in {label}", events, Body("sent = True", refs), delay)

    def loop(self, label: str, body: Body, reverse: bool = False) -> Phase:
        """A loop over the synapses that are asked about."""
        phase = self.phase
        if self.everywhere:
            return ForEachSynapse(label, phase.connectivity, body, phase.side, reverse)
        return replace(phase, label=label, body=body, reverse=reverse)


class JumpScope(CoefficientScope):
    """A body for the synapses of a pathway, at the state that each spike met.

    Attributes
    ----------
    jump : Jump
        The pathway.
    known : dict of str to str
        The names of this body for the state in the pathway's.
    met : dict of str to str
        The same for what the target's variables were, by their arrays.
    """

    def __init__(self, tape: Tape, jump: Jump) -> None:
        super().__init__(tape, at_target)
        self.jump = jump
        self.known: dict[str, str] = {}
        self.met: dict[str, str] = {}
        effect, refs = jump.effect, jump.effect.body.refs
        for name in dict.fromkeys((*effect.kept, *effect.state)):
            ref = refs[name]
            if name in effect.chained:
                ref = Ref(jump.met(name), Index.SYNAPSE)
            else:
                ref = tape.past(jump.origin.number, ref)
            self.known[name] = self.bind(name, ref)
            if refs[name].index is Index.TARGET:
                self.met[refs[name].array] = self.known[name]

    @property
    def spike(self) -> str:
        """One where there is a spike, as a factor of what it does."""
        if not self.jump.everywhere:
            return ""
        return f"int({self.bind('sent', Ref(self.jump.sent, Index.SOURCE))})*"

    def of(self, expression: Expression, weight: dict[str, str] | None = None) -> str:
        """The text of an expression in the pathway's names, some of which may stand for others."""
        return self.coefficient(self.jump.origin, expression, self.known | (weight or {}))

    def back(self, by: str, weight: dict[str, str] | None = None) -> list[str]:
        """Terms of what a variable changes, by way of what a spike adds."""
        slopes = {of: self.jump.effect.slope(of, by) for of in self.jump.effect.increments}
        return transposed(self, self.jump.origin, slopes, self.known | (weight or {}))


def jump_of(writer: AdjointWriter, origin: Origin, phase: Propagate) -> Jump:
    """What the way back has to know of a pathway.

    Raises
    ------
    LearningError
        If it would have to ask about neurons that did not spike, and cannot, or about each of
        synapses that share their weights.
    """
    effect = writer.model.effects[origin.number]
    found = writer.model.connectivities[phase.connectivity]
    if found.shares:
        raise LearningError(
            f"What {phase.label} adds depends on the state, which the way back keeps for each "
            "synapse, and its synapses share a kernel. Let it add the weight alone, as in "
            "'v_post += w', or connect them each for itself."
        )
    everywhere = phase.events in writer.model.conditions and writer.crossing.asks_all(writer, phase)
    if everywhere and isinstance(phase.delay, str):
        raise LearningError(
            f"What {phase.label} adds depends on the state, so the order of spikes counts, and "
            "its synapses have delays of their own, in whose order a surrogate cannot ask about "
            "spikes that did not come. Give all of them the same delay, or use EventProp."
        )
    others = [n for n in effect.kept if n not in effect.increments]
    if everywhere and others:
        raise LearningError(
            f"{phase.label} sets '{others[0]}' at a spike, as event-driven equations do: what a "
            "surrogate says about spikes that did not come needs what such variables are in "
            "every step. Write them as variables that on_pre changes and that stand still in "
            "between, or as equations of the source."
        )
    return Jump(origin, phase, effect, found.n_source, found.n_synapses, everywhere)


def jump_phases(writer: AdjointWriter, jump: Jump) -> Iterable[Phase]:
    """The adjoint of a pathway's spikes in a step.

    Parameters
    ----------
    writer : AdjointWriter
        Writes the adjoint that it is a part of.
    jump : Jump
        The pathway.
    """
    if jump.everywhere:
        yield from jump.sent_phases()
    if jump.effect.kept:
        yield _put_back(writer.tape, jump)
    if jump.effect.chained:
        yield from _met_again(writer.tape, jump)
    scope = JumpScope(writer.tape, jump)
    if jump.phase.events in writer.model.conditions or writer.task.trained_delay(jump.phase):
        writer.crossing.arrival(writer, scope)
    for name, parameter in writer.parameters(jump.phase.body, Index.SYNAPSE):
        gradient = writer.synaptic_gradient(scope, parameter)
        scope.line(gradient, "+=", _at_spikes(scope, scope.back(name)))
    updates = {}
    for name in sorted(set(jump.effect.state) - set(jump.effect.of_source)):
        updates[name] = scope.local(f"_more_{name}")
        scope.line(updates[name], "=", _at_spikes(scope, scope.back(name)))
    for name, update in updates.items():
        scope.line(adjoint_name(scope, jump.origin, name), "+=", [update])
    yield jump.loop(f"adjoint of {jump.phase.label}", scope.body(), reverse=True)


def _at_spikes(scope: JumpScope, terms: list[str]) -> list[str]:
    return [f"{scope.spike}({' + '.join(found)})"] if (found := [t for t in terms if t]) else []


def _put_back(tape: Tape, jump: Jump) -> Phase:
    """What synapses kept becomes what it was before this step's spikes."""
    scope = Scope()
    for name in jump.effect.kept:
        ref = jump.phase.body.refs[name]
        was = Ref(tape.kept(jump.origin.number, name), Index.SYNAPSE)
        scope.line(scope.bind(name, ref), "=", [scope.bind("was", was)])
    return replace(jump.phase, label=f"before {jump.phase.label}", body=scope.body())


def _met_again(tape: Tape, jump: Jump) -> Iterable[Phase]:
    """What the spike of each synapse met, by going through the step's spikes once more."""
    refs = jump.phase.body.refs
    scope = Scope()
    for name in jump.effect.chained:
        was = tape.past(jump.origin.number, Ref(refs[name].array, Index.ELEMENT))
        now = scope.bind("now", Ref(jump.now(name), Index.ELEMENT))
        scope.line(now, "=", [scope.bind("was", was)])
    yield ForEach(f"begin {jump.phase.label} again", jump.origin.size, scope.body())
    again = JumpScope(tape, jump)
    for name in jump.effect.chained:
        current = again.bind("now", Ref(jump.now(name), Index.TARGET))
        again.line(again.known[name], "=", [current])
    for name in jump.effect.chained:
        current = again.bind("now", Ref(jump.now(name), Index.TARGET))
        again.line(current, "+=", [f"{again.spike}{again.of(jump.effect.increments[name])}"])
    yield jump.loop(f"{jump.phase.label} again", again.body())
