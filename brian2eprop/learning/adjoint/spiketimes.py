"""The adjoint's way across a spike by its time: exact gradients, at the spikes alone.

A neuron's spike comes later by what moves its state at the threshold; what that changes, in the
neuron and where the spike arrives, is said by :mod:`brian2eprop.learning.model.flow`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from brian2eprop.device.program import (
    Access,
    Array,
    Detect,
    DType,
    ForEach,
    ForEachEvent,
    Index,
    Phase,
    Propagate,
    Ref,
)
from brian2eprop.learning.adjoint.coefficients import CoefficientScope, at_target
from brian2eprop.learning.adjoint.tape import Origin
from brian2eprop.learning.adjoint.writer import AdjointWriter, Crossing, adjoint_of
from brian2eprop.learning.model.flow import ADDED, Flows
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.surrogates import Surrogate
from brian2eprop.learning.model.symbolic import Expression, names, render, substitute, symbol
from brian2eprop.learning.objective.rates import loss_terms, rate_terms, weighted
from brian2eprop.learning.objective.spike_losses import SpikeTimeLoss


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
        terms = []
        for arrival in self._flows.arrivals(origin.number, phase):
            target = Origin(origin.number, arrival.body, origin.size)
            known = {name: scope.value(target, name) for name in names(arrival.change) - {ADDED}}
            known[ADDED] = scope.local(ADDED)
            scope.line(known[ADDED], "=", [scope.coefficient(origin, arrival.increment)])
            adjoint = scope.bind("adjoint", Ref(adjoint_of(arrival.array), Index.TARGET))
            change = substitute(arrival.change, {name: symbol(own) for name, own in known.items()})
            terms.append(f"-{render(change)}*{adjoint}")
        if not terms:
            return
        # That a spike was sent later and that its synapse has a longer delay is the same there.
        later = scope.local("_arrives_later")
        scope.line(later, "=", terms)
        if phase.events in writer.model.conditions:
            signal = writer.signal(phase.events, Index.SOURCE, phase.delay)
            scope.line(scope.bind("adjoint_spike", signal), "+=", [later])
        delay = writer.task.trained_delay(phase)
        if delay is not None:
            scope.line(writer.synaptic_gradient(scope, delay), "+=", [later])
        yield Propagate(
            f"adjoint of spikes through {phase.label}",
            phase.events,
            phase.connectivity,
            scope.body(),
            phase.delay,
            phase.side,
            phase.formed,
        )

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
        judged = [loss.by_time(scope, *where) for loss in self._of_times(writer, phase)]
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

    def _of_times(self, writer: AdjointWriter, phase: Detect) -> list[SpikeTimeLoss]:
        found = writer.task.spike_losses(phase.events)
        return [loss for loss in found if isinstance(loss, SpikeTimeLoss)]

    def _phantoms(self, writer: AdjointWriter, origin: Origin, phase: Detect) -> Iterable[Phase]:
        """What the losses say about spikes that they wanted and that did not come."""
        losses = self._of_times(writer, phase)
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
        judged = writer.task.spike_losses(phase.events)
        losses = [loss for loss in judged if not isinstance(loss, SpikeTimeLoss)]
        terms = [*loss_terms(scope, losses, *where), *rate_terms(scope, writer.task, *where)]
        if not terms:
            return
        condition = writer.model.conditions[phase.events]
        pseudo = scope.coefficient(origin, self._surrogate(condition))
        sent = scope.local("_signal")
        scope.line(sent, "=", [f"{pseudo}*({' + '.join(terms)})"])
        writer.pass_on(scope, origin, condition, sent)
        yield ForEach(f"counted spikes of {phase.label}", phase.size, scope.body())


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
