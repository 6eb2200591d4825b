"""The adjoint's way across a spike by its time: exact gradients, at the spikes alone.

A neuron's spike comes later by what moves its state at the threshold; what that changes, in the
neuron and where the spike arrives, is said by :mod:`brian2eprop.learning.model.flow`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NoReturn

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Detect,
    DType,
    ForEach,
    ForEachEvent,
    Index,
    Phase,
    Propagate,
    Ref,
)
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.coefficients import CoefficientScope, at_target
from brian2eprop.learning.adjoint.jumps import JumpScope
from brian2eprop.learning.adjoint.tape import Origin
from brian2eprop.learning.adjoint.writer import AdjointWriter, Crossing
from brian2eprop.learning.model.flow import Flows
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.surrogates import Surrogate
from brian2eprop.learning.model.symbolic import Expression, names, render, substitute, symbol
from brian2eprop.learning.naming import adjoint_of
from brian2eprop.learning.objective.loss import Judged, Loss
from brian2eprop.learning.objective.rates import loss_terms, rate_terms, weighted


class SpikeTimeCrossing(Crossing):
    """Crosses spikes by the derivative of their times.

    Parameters
    ----------
    model : Model
        The model.
    flows : Flows
        Its differential equations.
    slowest : mapping of str to Expression
        By events, the least rate at which a neuron is taken to come to its threshold, in the
        condition's names.
    surrogate : Surrogate
        What takes the place of a spike's derivative for what counts spikes: regularisers, and
        some losses.

    Attributes
    ----------
    clipped : dict of str to str
        By events, the array that counts the spikes whose rise was slower than that.

    Raises
    ------
    LearningError
        If what a spike adds depends on whole numbers, booleans or times.
    """

    def __init__(
        self,
        model: Model,
        flows: Flows,
        slowest: Mapping[str, Expression],
        surrogate: Surrogate,
    ) -> None:
        self._flows = flows
        self._slowest = slowest
        self._surrogate = surrogate
        self.clipped = {events: clipped_of(events) for events in model.conditions}
        self._sizes = {events: model.events[events].size for events in model.conditions}
        for number, effect in model.effects.items():
            if effect.others:
                _refuse_jump(model.phases[number].label, effect.others[0])

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The numbers of spikes at which the rise was taken for the slowest one."""
        return tuple(
            Array(name, DType.REAL, self._sizes[events], Access.PER_INSTANCE)
            for events, name in self.clipped.items()
        )

    @property
    def cleared(self) -> tuple[str, ...]:
        """See :attr:`Crossing.cleared`."""
        return tuple(self.clipped.values())

    def pathway(self, writer: AdjointWriter, origin: Origin, phase: Propagate) -> Iterable[Phase]:
        """See :meth:`Crossing.pathway`."""
        scope = CoefficientScope(writer.tape, at_target)
        added = {
            name: scope.coefficient(origin, increment)
            for name, increment in writer.model.effects[origin.number].increments.items()
        }
        terms = self._moved(writer, scope, origin, phase, added, {})
        if terms:
            _say_later(writer, scope, phase, terms)
            label = f"adjoint of spikes through {phase.label}"
            yield replace(phase, label=label, body=scope.body())

    def arrival(self, writer: AdjointWriter, scope: JumpScope) -> None:
        """See :meth:`Crossing.arrival`.

        Raises
        ------
        LearningError
            If what a spike adds depends on the state of its source, or on that of the synapse, or
            on the time.
        """
        jump = scope.jump
        other = (*jump.effect.of_source, *jump.effect.kept)
        if other:
            _refuse_jump(jump.phase.label, other[0])
        added = {name: scope.of(found) for name, found in jump.effect.increments.items()}
        terms = self._moved(writer, scope, jump.origin, jump.phase, added, scope.met)
        for name in jump.effect.state:
            flow = self._flows.by_array.get(jump.phase.body.refs[name].array)
            moved = scope.back(name)
            if flow is not None and any(moved):
                rate = _at_arrival(scope, jump.origin, flow.body, flow.value, scope.met)
                terms.append(f"({' + '.join(term for term in moved if term)})*{rate}")
        if terms:
            _say_later(writer, scope, jump.phase, terms)

    def _moved(
        self,
        writer: AdjointWriter,
        scope: CoefficientScope,
        origin: Origin,
        phase: Propagate,
        added: Mapping[str, str],
        met: Mapping[str, str],
    ) -> list[str]:
        """What a later arrival changes by what flows otherwise until then.

        ``added`` are the texts of what a spike adds, ``met`` the names of state that spikes of
        the same step have changed, by array.
        """
        increments = writer.model.effects[origin.number].increments
        if any("t" in names(found) for found in increments.values()):
            _refuse_jump(phase.label, "t")
        known: dict[str, str] = {}
        terms = []
        for arrival in self._flows.arrivals(origin.number, phase):
            for name, own in arrival.added.items():
                if own not in known:
                    known[own] = scope.local(own)
                    scope.line(known[own], "=", [added[name]])
            change = _at_arrival(scope, origin, arrival.body, arrival.change, met, known)
            adjoint = scope.bind("adjoint", Ref(adjoint_of(arrival.array), Index.TARGET))
            terms.append(f"-{change}*{adjoint}")
        return terms

    def reset(self, writer: AdjointWriter, origin: Origin, phase: ForEachEvent) -> Iterable[Phase]:
        """See :meth:`Crossing.reset`."""
        scope = CoefficientScope(writer.tape)
        at_threshold = _threshold(writer.model, phase.events)
        terms = [
            scope.product(
                at_threshold,
                shift,
                scope.bind("adjoint", Ref(adjoint_of(array), Index.ELEMENT)),
                phase.events,
            )
            for array, shift in self._flows.reset(phase.events).items()
        ]
        signal = scope.bind("adjoint_spike", writer.signal(phase.events, Index.ELEMENT))
        scope.line(signal, "+=", terms)
        if not scope.empty:
            yield ForEachEvent(f"adjoint of spikes by {phase.label}", phase.events, scope.body())

    def spike(self, writer: AdjointWriter, origin: Origin, phase: Detect) -> Iterable[Phase]:
        """See :meth:`Crossing.spike`."""
        condition = writer.model.conditions[phase.events]
        scope = CoefficientScope(writer.tape)
        signal = scope.bind("adjoint_spike", writer.signal(phase.events, Index.ELEMENT))
        rise = scope.local("_rise")
        scope.line(
            rise, "=", [scope.coefficient(origin, self._flows.rise(condition), None, phase.events)]
        )
        slowest = scope.local("_slowest")
        scope.line(slowest, "=", [scope.coefficient(origin, self._slowest[phase.events])])
        where = writer.model.dt, phase.events, Index.ELEMENT
        timed = self._judging(writer, phase, Judged.SPIKE_TIMES)
        judged = [loss.by_time(scope, *where) for loss in timed]
        scope.line(signal, "+=", weighted(scope, judged))
        clipped = scope.bind("clipped", Ref(self.clipped[phase.events], Index.ELEMENT))
        scope.line(clipped, "+=", [f"int({rise} < {slowest})"])
        later = scope.local("_later")
        scope.line(later, "=", [f"-{signal}/clip({rise}, {slowest}, abs({rise}) + {slowest})"])
        writer.pass_on(scope, origin, condition, later)
        scope.line(signal, "=", ["0.0"])
        yield ForEachEvent(f"adjoint of {phase.label}", phase.events, scope.body())
        yield from self._phantoms(writer, origin, phase)
        yield from self._counts(writer, origin, phase)

    def _judging(self, writer: AdjointWriter, phase: Detect, judged: Judged) -> list[Loss]:
        found = writer.task.spike_losses(phase.events)
        return [loss for loss in found if loss.judges is judged]

    def _phantoms(self, writer: AdjointWriter, origin: Origin, phase: Detect) -> Iterable[Phase]:
        """What the losses say about spikes that they wanted and that did not come."""
        losses = self._judging(writer, phase, Judged.SPIKE_TIMES)
        if not losses:
            return
        scope = CoefficientScope(writer.tape)
        where = writer.model.dt, phase.events, Index.ELEMENT
        wanted = weighted(scope, [loss.by_phantom(scope, *where) for loss in losses])
        slowest = scope.coefficient(origin, self._slowest[phase.events])
        later = scope.local("_later")
        scope.line(later, "=", [f"-({' + '.join(wanted)})/{slowest}"])
        writer.pass_on(scope, origin, writer.model.conditions[phase.events], later)
        yield ForEach(f"phantoms of {phase.label}", phase.size, scope.body())

    def _counts(self, writer: AdjointWriter, origin: Origin, phase: Detect) -> Iterable[Phase]:
        """What counts spikes, by a surrogate: regularisers of rates, and some losses."""
        scope = CoefficientScope(writer.tape)
        where = writer.model.dt, phase.events, Index.ELEMENT
        losses = self._judging(writer, phase, Judged.SPIKE_COUNTS)
        terms = [*loss_terms(scope, losses, *where), *rate_terms(scope, writer.task, *where)]
        if not terms:
            return
        condition = writer.model.conditions[phase.events]
        pseudo = scope.coefficient(origin, self._surrogate(condition))
        sent = scope.local("_signal")
        scope.line(sent, "=", [f"{pseudo}*({' + '.join(terms)})"])
        writer.pass_on(scope, origin, condition, sent)
        yield ForEach(f"counted spikes of {phase.label}", phase.size, scope.body())


def _at_arrival(
    scope: CoefficientScope,
    origin: Origin,
    body: Body,
    expression: Expression,
    met: Mapping[str, str],
    known: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The text of an expression of a target's dynamics, when a spike arrives."""
    own = dict(known)
    target = Origin(origin.number, body, origin.size)
    for name in sorted(names(expression) - own.keys()):
        array = body.refs[name].array if name in body.refs else ""
        own[name] = met[array] if array in met else scope.value(target, name)
    return render(substitute(expression, {name: symbol(found) for name, found in own.items()}))


def _say_later(
    writer: AdjointWriter, scope: CoefficientScope, phase: Propagate, terms: list[str]
) -> None:
    """What a later arrival changes; that a spike was sent later is the same as a longer delay."""
    later = scope.local("_arrives_later")
    scope.line(later, "=", terms)
    if phase.events in writer.model.conditions:
        signal = writer.signal(phase.events, Index.SOURCE, phase.delay)
        scope.line(scope.bind("adjoint_spike", signal), "+=", [later])
    delay = writer.task.trained_delay(phase)
    if delay is not None:
        scope.line(writer.synaptic_gradient(scope, delay), "+=", [later])


def _refuse_jump(label: str, name: str) -> NoReturn:
    raise LearningError(
        f"What {label} adds depends on '{name}', which changes with the time at which a spike is "
        "sent, and EventProp follows what depends on the floating-point state of the target only. "
        "Use SurrogateBPTT or EProp."
    )


def _threshold(model: Model, events: str) -> Origin:
    """The phase in which a population's spikes are found."""
    number, phase = next(
        (number, phase)
        for number, phase in enumerate(model.phases)
        if isinstance(phase, Detect) and phase.events == events
    )
    return Origin(number, model.conditions[events].body, phase.size)


def clipped_of(events: str) -> str:
    """Array that counts the spikes of a population whose rise was too slow."""
    return f"spikes:clipped:{events}"
