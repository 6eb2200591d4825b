"""The adjoint: a step's phases in reverse order, each turned into its transpose.

With ``lam`` the loss's derivative by the state, a step is, from its end to its beginning,

    reset           G += (R(h) - h)^T lam (paths that are not detached); lam <- dR/dh^T lam where z
    input spike     dW += de/dw^T lam at every spike; G of the source, as the rule decides
    spike           lam += psi dg/dh G, then G = 0
    dynamics        dp += dF/dp^T lam; lam <- dF/dh^T lam

which for a leaky neuron with adaptation is the backward recursion of e-prop's sums over time.
Nothing in it is stored by synapse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Clear,
    Connectivity,
    Detect,
    DType,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Phase,
    Propagate,
    Ref,
    Slots,
)
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.backward import BackwardBody, adjoint_of, gradient_of, swapped
from brian2eprop.learning.adjoint.tape import Tape
from brian2eprop.learning.model.feedback import Feedback
from brian2eprop.learning.model.linearise import Effect, Map
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.surrogates import Triangular
from brian2eprop.learning.model.symbolic import substitute, symbol
from brian2eprop.learning.objective.losses import OUTPUT_GRADIENT
from brian2eprop.learning.objective.rates import rate_terms
from brian2eprop.learning.objective.task import Task

Cross = Callable[[Propagate, Effect], Feedback | None]


@dataclass(frozen=True)
class Adjoint:
    """The backward parts of a training Program.

    Attributes
    ----------
    forward : tuple of Phase
        The model's phases, writing what the way back reads.
    arrays, connectivities : tuple
        What is needed besides the trial's.
    begin, step, end : tuple of Phase
        Before the backward sweep, in each of its steps, after it.
    """

    forward: tuple[Phase, ...]
    arrays: tuple[Array, ...]
    connectivities: tuple[Connectivity, ...]
    begin: tuple[Phase, ...]
    step: tuple[Phase, ...]
    end: tuple[Phase, ...]


class AdjointWriter:
    """Turns a model's phases into the adjoint's.

    Parameters
    ----------
    model : Model
        The model's phases with their derivatives.
    task : Task
        Output, parameters and regularisers.
    surrogate : Triangular
        What takes the place of a spike's derivative.
    cross : callable
        The rule: by which feedback, if any, the adjoint crosses a pathway from a target's
        state to the source's spikes.
    """

    def __init__(self, model: Model, task: Task, surrogate: Triangular, cross: Cross) -> None:
        self.model = model
        self.task = task
        self.surrogate = surrogate
        self.cross = cross
        self.tape = Tape(model.phases, model.arrays)
        self.feedbacks: list[Feedback] = []
        self.signalled: set[str] = set()
        self._touched: set[str] = set()
        self._partial: dict[str, Array] = {}
        self._history: dict[str, int] = {}

    def write(self) -> Adjoint:
        """Write the adjoint of all phases.

        Raises
        ------
        LearningError
            If a phase cannot be followed, or a parameter has no influence that can be.
        """
        step: list[Phase] = [self._inject()]
        for number, phase in reversed(list(enumerate(self.model.phases))):
            step += self._transpose(number, phase)
        self._check_touched()
        partial = list(self._partial.values())
        cleared = [a.name for a in (*self._adjoint_arrays(), *partial)]
        return Adjoint(
            forward=self.tape.forward(),
            arrays=(
                *self.tape.arrays(),
                *self._adjoint_arrays(),
                *partial,
                *(gradient_array(self.model, p) for p in self.task.parameters),
                *(array for f in self.feedbacks for array in f.arrays),
            ),
            connectivities=tuple(f.connectivity for f in self.feedbacks),
            begin=(Clear("no adjoint yet", tuple(cleared)),),
            step=tuple(step),
            end=tuple(self._add_partial(parameter) for parameter in self._partial),
        )

    def _transpose(self, number: int, phase: Phase) -> Iterable[Phase]:
        match phase:
            case ForEach():
                return self._dynamics(number, phase)
            case Detect():
                return self._spike(number, phase)
            case Propagate():
                return self._input_spike(number, phase)
            case ForEachEvent():
                return self._reset(number, phase)
            case Feed():
                return ()
        raise LearningError(f"{phase.label} cannot be trained through. Remove it.")

    def _inject(self) -> Phase:
        output = self.task.output
        refs = {
            "adjoint": Ref(adjoint_of(output), Index.ELEMENT),
            "gradient": Ref(OUTPUT_GRADIENT, Index.ELEMENT),
            "weight": Ref("weight", Index.SCALAR),
        }
        body = Body("adjoint += weight*gradient", refs)
        return ForEach("adjoint of the loss", self.model.arrays[output].size, body)

    def _dynamics(self, number: int, phase: ForEach) -> Iterable[Phase]:
        body = BackwardBody(self.tape, number, phase.body, phase.size)
        self._apply_transpose(body, self.model.maps[number])
        if not body.empty:
            yield ForEach(f"adjoint of {phase.label}", phase.size, body.body())

    def _reset(self, number: int, phase: ForEachEvent) -> Iterable[Phase]:
        reset = self.model.maps[number]
        size = self.model.events[phase.events].size
        if phase.events in self.model.conditions:
            signal = BackwardBody(self.tape, number, phase.body, size)
            name = signal.bind("adjoint_spike", self._signal(phase.events, Index.ELEMENT))
            followed = [
                x for x in reset.values if phase.body.refs[x].array not in self.model.detached
            ]
            terms = [signal.product(reset.jump(x), signal.adjoint(x)) for x in followed]
            signal.line(name, "+=", terms)
            if not signal.empty:
                yield ForEach(f"adjoint of spikes by {phase.label}", size, signal.body())
        body = BackwardBody(self.tape, number, phase.body, size)
        self._apply_transpose(body, reset)
        if not body.empty:
            yield ForEachEvent(f"adjoint of {phase.label}", phase.events, body.body())

    def _apply_transpose(self, body: BackwardBody, found: Map) -> None:
        """``adjoint <- slope^T adjoint`` and the gradient of parameters."""
        written = list(found.values)
        updates = []
        for by in found.state:
            slopes = {of: found.slope(of, by) for of in {**found.values, by: None}}
            if all(slope == int(of == by) for of, slope in slopes.items()):
                continue
            terms = [body.product(slope, body.adjoint(of)) for of, slope in slopes.items()]
            body.line(f"_adjoint_{by}", "=", terms)
            updates.append(by)
        for name, parameter in self._parameters(found.body, Index.ELEMENT):
            terms = [body.product(found.slope(of, name), body.adjoint(of)) for of in written]
            self._add_gradient(body, parameter, terms)
        for by in updates:
            body.line(body.adjoint(by), "=", [f"_adjoint_{by}"])

    def _spike(self, number: int, phase: Detect) -> Iterable[Phase]:
        condition = self.model.conditions[phase.events]
        body = BackwardBody(self.tape, number, phase.body, phase.size)
        signal = body.bind("adjoint_spike", self._signal(phase.events, Index.ELEMENT))
        pseudo = body.coefficient(self.surrogate(condition))
        rates = rate_terms(body, self.task, self.model.dt, phase.events, Index.ELEMENT)
        body.line("_signal", "=", [f"{pseudo}*({' + '.join([signal, *rates])})"])
        for name in condition.state:
            body.line(body.adjoint(name), "+=", [body.product(condition.slope(name), "_signal")])
        for name, parameter in self._parameters(condition.body, Index.ELEMENT):
            self._add_gradient(body, parameter, [body.product(condition.slope(name), "_signal")])
        body.line(signal, "=", ["0.0"])
        yield ForEach(f"adjoint of {phase.label}", phase.size, body.body())

    def _input_spike(self, number: int, phase: Propagate) -> Iterable[Phase]:
        effect = self.model.effects[number]
        connectivity = self.model.connectivities[phase.connectivity]
        for name, parameter in self._parameters(phase.body, Index.SYNAPSE):
            body = BackwardBody(self.tape, number, phase.body, connectivity.n_target)
            slopes = {x: effect.slope(x, name) for x in effect.increments}
            self._touched.add(parameter)
            gradient = body.bind("gradient", Ref(gradient_of(parameter), Index.SYNAPSE))
            terms = [body.product(slope, body.adjoint(x)) for x, slope in slopes.items()]
            body.line(gradient, "+=", terms)
            yield Propagate(
                f"gradient of {parameter}",
                phase.events,
                phase.connectivity,
                body.body(),
                phase.offset,
            )
        feedback = self.cross(phase, effect) if phase.events in self.model.conditions else None
        if feedback is not None:
            self.feedbacks.append(feedback)
            self.signalled.add(phase.events)
            self._history[phase.events] = max(self._history.get(phase.events, 0), -phase.offset)
            yield self._cross_back(number, phase, effect, feedback)

    def _cross_back(
        self, number: int, phase: Propagate, effect: Effect, feedback: Feedback
    ) -> Phase:
        body = BackwardBody(self.tape, number, phase.body, feedback.connectivity.n_source)
        weight = self.model.weight(phase)
        sizes = {
            x: substitute(e, {weight: symbol("feedback")}) for x, e in effect.increments.items()
        }
        terms = [body.product(size, body.adjoint(x)) for x, size in sizes.items()]
        made = body.body()
        refs = {name: swapped(ref) for name, ref in made.refs.items()}
        refs["feedback"] = Ref(feedback.weight, Index.SYNAPSE)
        refs["adjoint_spike"] = replace(
            self._signal(phase.events, Index.TARGET), offset=phase.offset
        )
        code = f"adjoint_spike += {' + '.join(term for term in terms if term)}"
        return ForEachSynapse(
            f"learning signal through {phase.label}",
            feedback.connectivity.name,
            Body(code, refs, made.constants),
        )

    def _signal(self, events: str, index: Index) -> Ref:
        return Ref(adjoint_of(events), index)

    def _adjoint_arrays(self) -> list[Array]:
        state = [
            Array(adjoint_of(a.name), DType.REAL, a.size, Access.SCRATCH)
            for a in self.model.state.values()
        ]
        signals = [
            Array(
                adjoint_of(e), DType.REAL, self.model.events[e].size, Access.SCRATCH, self._slots(e)
            )
            for e in self.model.conditions
        ]
        return state + signals

    def _slots(self, events: str) -> Slots | None:
        history = self._history.get(events, 0)
        return Slots(history) if history else None

    def _parameters(self, body: Body, index: Index) -> list[tuple[str, str]]:
        """Names in a body that are trained, with their arrays.

        Raises
        ------
        LearningError
            If one is used otherwise than as one value an element of the loop.
        """
        found = []
        for name, ref in sorted(body.refs.items()):
            if ref.array in self.task.parameters:
                if ref.index is not index:
                    raise LearningError(
                        f"'{ref.array}' cannot be trained where '{body.code}' uses it: a "
                        "parameter is one value a neuron in the neuron's equations, or one value "
                        "a synapse in on_pre."
                    )
                found.append((name, ref.array))
        return found

    def _add_gradient(self, body: BackwardBody, parameter: str, terms: list[str]) -> None:
        """A neuron's parameter is added up within the instance first: one value a neuron."""
        if any(terms):
            self._touched.add(parameter)
            name = f"partial_{gradient_of(parameter)}"
            size = self.model.arrays[parameter].size
            self._partial[parameter] = Array(name, DType.REAL, size, Access.SCRATCH)
            body.line(body.bind(name, Ref(name, Index.ELEMENT)), "+=", terms)

    def _add_partial(self, parameter: str) -> Phase:
        names = {"total": gradient_of(parameter), "own": self._partial[parameter].name}
        refs = {name: Ref(array, Index.ELEMENT) for name, array in names.items()}
        size = self.model.arrays[parameter].size
        return ForEach(f"gradient of {parameter}", size, Body("total += own", refs))

    def _check_touched(self) -> None:
        for parameter in self.task.parameters:
            if parameter not in self._touched:
                raise LearningError(
                    f"'{parameter}' has no influence on the output that can be followed: it "
                    "stands in no equation, threshold, reset or on_pre of the network. Take it "
                    "out of the parameters."
                )


def gradient_array(model: Model, parameter: str) -> Array:
    """The array that a parameter's gradient is added up in."""
    size = model.arrays[parameter].size
    return Array(gradient_of(parameter), DType.REAL, size, Access.ACCUMULATED)
