"""The adjoint's way across a spike by a pseudo-derivative.

A spike is taken for a number that depends on the state by the surrogate's slope, in every step,
whether there is one or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from brian2eprop.device.program import (
    Array,
    Connectivity,
    Detect,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Phase,
    Propagate,
    Ref,
)
from brian2eprop.learning.adjoint.coefficients import (
    CoefficientScope,
    adjoint_name,
    swapped,
    unmoved,
)
from brian2eprop.learning.adjoint.jumps import JumpScope
from brian2eprop.learning.adjoint.tape import Origin
from brian2eprop.learning.adjoint.writer import AdjointWriter, Crossing
from brian2eprop.learning.feedback.delay_line import DelayLine
from brian2eprop.learning.feedback.pathways import Feedback
from brian2eprop.learning.model.linearise import Effect, common_delay
from brian2eprop.learning.model.surrogates import Surrogate
from brian2eprop.learning.objective.rates import loss_terms, rate_terms

Cross = Callable[[Propagate, Effect], Feedback | None]


class SurrogateCrossing(Crossing):
    """Crosses spikes by a surrogate, and pathways where the rule says so.

    Parameters
    ----------
    surrogate : Surrogate
        What takes the place of a spike's derivative.
    cross : callable
        By which feedback, if any, the adjoint crosses a pathway from a target's state to the
        source's spikes.

    Attributes
    ----------
    signalled : set of str
        The events that a learning signal reaches.
    """

    def __init__(self, surrogate: Surrogate, cross: Cross) -> None:
        self.surrogate = surrogate
        self.cross = cross
        self._found: dict[str, Feedback | None] = {}
        self.signalled: set[str] = set()

    @property
    def feedbacks(self) -> Sequence[Feedback]:
        """See :attr:`Crossing.feedbacks`."""
        return [feedback for feedback in self._found.values() if feedback is not None]

    @property
    def arrays(self) -> tuple[Array, ...]:
        """See :attr:`Crossing.arrays`."""
        shared = tuple(array for feedback in self.feedbacks for array in feedback.arrays)
        return (*shared, *(array for due in self._due for array in due.arrays))

    @property
    def _due(self) -> list[DelayLine]:
        return [feedback.due for feedback in self.feedbacks if feedback.due is not None]

    @property
    def cleared(self) -> tuple[str, ...]:
        """See :attr:`Crossing.cleared`."""
        return tuple(due.array for due in self._due)

    @property
    def connectivities(self) -> tuple[Connectivity, ...]:
        """See :attr:`Crossing.connectivities`."""
        return tuple(feedback.connectivity for feedback in self.feedbacks if feedback.turned)

    def pathway(self, writer: AdjointWriter, origin: Origin, phase: Propagate) -> Iterable[Phase]:
        """See :meth:`Crossing.pathway`."""
        effect = writer.model.effects[origin.number]
        feedback = self._feedback(phase, effect)
        if feedback is None:
            return
        self.signalled.add(phase.events)
        due = feedback.due
        place = swapped if feedback.turned else unmoved
        scope = CoefficientScope(writer.tape, place if due is None else due.place)
        weight = scope.bind("feedback", Ref(feedback.weight, Index.SYNAPSE))
        known = {writer.model.weight(phase): weight}
        terms = [
            f"{scope.coefficient(origin, increment, known)}*{adjoint_name(scope, origin, x)}"
            for x, increment in effect.increments.items()
        ]
        if due is None:
            signal = writer.signal(phase.events, feedback.sender, common_delay(phase))
        else:
            signal = Ref(due.array, Index.TARGET)
        scope.line(scope.bind("adjoint_spike", signal), "+=", terms)
        yield ForEachSynapse(
            f"learning signal through {phase.label}", feedback.connectivity.name, scope.body()
        )
        if due is not None:
            yield from due.phases(writer.signal(phase.events, Index.ELEMENT, due.shortest))

    def asks_all(self, writer: AdjointWriter, phase: Propagate) -> bool:
        """See :meth:`Crossing.asks_all`."""
        number = writer.model.phases.index(phase)
        return self._feedback(phase, writer.model.effects[number]) is not None

    def arrival(self, writer: AdjointWriter, scope: JumpScope) -> None:
        """See :meth:`Crossing.arrival`.

        Where a pathway is followed back to spikes, it is so to the state of the source.
        """
        jump = scope.jump
        effect, phase = jump.effect, jump.phase
        feedback = self._feedback(phase, effect)
        if feedback is None:
            return
        self.signalled.add(phase.events)
        weight = scope.bind("feedback", Ref(feedback.weight, Index.SYNAPSE))
        known = {writer.model.weight(phase): weight}
        signal = writer.signal(phase.events, Index.SOURCE, common_delay(phase))
        terms = [
            f"{scope.of(increment, known)}*{adjoint_name(scope, jump.origin, x)}"
            for x, increment in effect.increments.items()
        ]
        scope.line(scope.bind("adjoint_spike", signal), "+=", terms)
        for name in effect.of_source:
            terms = [f"{scope.spike}{term}" for term in scope.back(name, known) if term]
            scope.line(adjoint_name(scope, jump.origin, name), "+=", terms)

    def _feedback(self, phase: Propagate, effect: Effect) -> Feedback | None:
        """The feedback of a pathway, made once."""
        if phase.label not in self._found:
            self._found[phase.label] = self.cross(phase, effect)
        return self._found[phase.label]

    def reset(self, writer: AdjointWriter, origin: Origin, phase: ForEachEvent) -> Iterable[Phase]:
        """See :meth:`Crossing.reset`."""
        reset = writer.model.maps[origin.number]
        scope = CoefficientScope(writer.tape)
        terms = [
            scope.product(origin, reset.jump(x), adjoint_name(scope, origin, x))
            for x in reset.values
            if phase.body.refs[x].array not in writer.model.detached
        ]
        signal = scope.bind("adjoint_spike", writer.signal(phase.events, Index.ELEMENT))
        scope.line(signal, "+=", terms)
        if not scope.empty:
            yield ForEach(f"adjoint of spikes by {phase.label}", origin.size, scope.body())

    def spike(self, writer: AdjointWriter, origin: Origin, phase: Detect) -> Iterable[Phase]:
        """See :meth:`Crossing.spike`."""
        model = writer.model
        condition = model.conditions[phase.events]
        scope = CoefficientScope(writer.tape)
        signal = scope.bind("adjoint_spike", writer.signal(phase.events, Index.ELEMENT))
        pseudo = scope.coefficient(origin, self.surrogate(condition))
        where = model.dt, phase.events, Index.ELEMENT
        judged = loss_terms(scope, writer.task.spike_losses(phase.events), *where)
        rates = rate_terms(scope, writer.task, *where)
        sent = scope.local("_signal")
        scope.line(sent, "=", [f"{pseudo}*({' + '.join([signal, *judged, *rates])})"])
        writer.pass_on(scope, origin, condition, sent)
        scope.line(signal, "=", ["0.0"])
        yield ForEach(f"adjoint of {phase.label}", phase.size, scope.body())
