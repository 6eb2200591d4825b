"""The adjoint: a step's phases in reverse order, each turned into its transpose.

With ``lam`` the loss's derivative by the state, a step is, from its end to its beginning,

    reset           G += (R(h) - h)^T lam (paths that are not detached); lam <- dR/dh^T lam where z
    input spike     dW += de/dw^T lam at every spike; G of the source, as the rule decides
    spike           lam += psi dg/dh G, then G = 0
    dynamics        dp += dF/dp^T lam; lam <- dF/dh^T lam

which for a leaky neuron with adaptation is the backward recursion of e-prop's sums over time.
Nothing in it is stored by synapse, save for pathways whose spikes add what depends on the state
(``jumps``): what each spike of a step met, and, of every step, what spikes change of synapses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from brian2eprop.device.program import (
    Access,
    Array,
    At,
    Body,
    Clear,
    Connectivity,
    Delay,
    Detect,
    DType,
    Feed,
    ForEach,
    ForEachEvent,
    Index,
    Phase,
    Propagate,
    Ref,
    Slots,
)
from brian2eprop.errors import LearningError
from brian2eprop.learning.adjoint.coefficients import (
    CoefficientScope,
    adjoint_name,
    parameter_names,
    transposed,
)
from brian2eprop.learning.adjoint.jumps import JumpScope, jump_of, jump_phases
from brian2eprop.learning.adjoint.tape import Origin, Tape
from brian2eprop.learning.feedback.pathways import Feedback
from brian2eprop.learning.model.linearise import Condition, Map
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.naming import adjoint_of, gradient_of, partial_of
from brian2eprop.learning.objective.task import WEIGHT, Output, Task


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


@dataclass(frozen=True)
class Back:
    """A step of the way back, and what it uses.

    Attributes
    ----------
    phases : tuple of Phase
        The step.
    adjoints : tuple of Array
        The adjoints of state and spikes.
    partial : mapping of str to Array
        For each parameter of neurons its gradient within the instance.
    jumped : tuple of Array
        What spikes have met that add what depends on the state.
    touched : frozenset of str
        The parameters that it has a gradient of.
    history : mapping of str to int
        For how many steps the derivative by a population's spikes is added up.
    """

    phases: tuple[Phase, ...]
    adjoints: tuple[Array, ...]
    partial: Mapping[str, Array]
    jumped: tuple[Array, ...]
    touched: frozenset[str]
    history: Mapping[str, int]


class Crossing(ABC):
    """How the adjoint crosses a spike: the part of the way back that is a learning rule's own."""

    @abstractmethod
    def pathway(self, writer: AdjointWriter, origin: Origin, phase: Propagate) -> Iterable[Phase]:
        """What the adjoint of the targets says about the spikes that a pathway carries.

        Input spikes are asked about only where the pathway's delay is trained.
        """

    def asks_all(self, writer: AdjointWriter, phase: Propagate) -> bool:
        """Whether it asks about spikes that did not come, through a pathway."""
        return False

    @abstractmethod
    def arrival(self, writer: AdjointWriter, scope: JumpScope) -> None:
        """As :meth:`pathway`, in a body, where what a spike adds depends on the state."""

    @abstractmethod
    def reset(self, writer: AdjointWriter, origin: Origin, phase: ForEachEvent) -> Iterable[Phase]:
        """What the adjoint of a neuron's state after its reset says about its spike."""

    @abstractmethod
    def spike(self, writer: AdjointWriter, origin: Origin, phase: Detect) -> Iterable[Phase]:
        """What has been said about a spike, as adjoint of the state that brought it about."""

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Arrays of its own."""
        return ()

    @property
    def connectivities(self) -> tuple[Connectivity, ...]:
        """Connectivities of its own."""
        return ()

    @property
    def feedbacks(self) -> Sequence[Feedback]:
        """The synapses by which it follows pathways back, where they are not the pathways' own."""
        return ()

    @property
    def cleared(self) -> tuple[str, ...]:
        """Those of its arrays that are zero when the way back begins."""
        return ()


class AdjointWriter:
    """Turns a model's phases into the adjoint's.

    Parameters
    ----------
    model : Model
        The model's phases with their derivatives.
    task : Task
        Outputs, parameters and regularisers.
    crossing : Crossing
        How the adjoint crosses a spike.
    tape : Tape, optional
        What is kept of the way there; by default one of its own, of all steps.
    """

    def __init__(
        self, model: Model, task: Task, crossing: Crossing, tape: Tape | None = None
    ) -> None:
        self.model = model
        self.task = task
        self.crossing = crossing
        self.tape = tape or Tape(model.run, model.arrays)
        self._touched: set[str] = set()
        self._partial: dict[str, Array] = {}
        self._history: dict[str, int] = {}
        self._jumped: dict[str, Array] = {}

    def write(self) -> Adjoint:
        """Write the adjoint of all phases.

        Raises
        ------
        LearningError
            If a phase cannot be followed, or a parameter has no influence that can be.
        """
        injected = [self._inject(output) for output in self.task.states]
        back = self.back(injected, enumerate(self.model.phases))
        _check_touched(self.task, back.touched)
        taped = self.tape.taped()
        own = (*back.adjoints, *back.partial.values(), *back.jumped)
        cleared = (*(array.name for array in own), *self.crossing.cleared)
        return Adjoint(
            forward=taped.forward,
            arrays=(
                *taped.arrays,
                *own,
                *(gradient_array(self.model, p) for p in self.task.parameters),
                *self.crossing.arrays,
            ),
            connectivities=self.crossing.connectivities,
            begin=(Clear("no adjoint yet", cleared),),
            step=back.phases,
            end=tuple(
                total_phase(parameter, array.size, array.name)
                for parameter, array in back.partial.items()
            ),
        )

    def back(self, injected: Iterable[Phase], phases: Iterable[tuple[int, Phase]]) -> Back:
        """A step of the way back.

        Parameters
        ----------
        injected : iterable of Phase
            What is added to adjoints at the end of a step.
        phases : iterable of (int, Phase)
            What is transposed: the model's phases, or some of them, with their numbers.

        Raises
        ------
        LearningError
            If a phase cannot be followed.
        """
        step = list(injected)
        for number, phase in reversed(list(phases)):
            step += self._transpose(number, phase)
        return Back(
            tuple(step),
            self._adjoints(),
            self._partial,
            tuple(self._jumped.values()),
            frozenset(self._touched),
            self._history,
        )

    def _transpose(self, number: int, phase: Phase) -> Iterable[Phase]:
        match phase:
            case ForEach():
                return self._dynamics(number, phase)
            case Detect():
                return self._spike(number, phase)
            case Propagate():
                return self._propagate(number, phase)
            case ForEachEvent():
                return self._reset(number, phase)
            case Feed():
                return ()
        raise LearningError(f"{phase.label} cannot be trained through. Remove it.")

    def _inject(self, output: Output) -> Phase:
        array = output.array
        scope = Scope()
        adjoint = scope.bind("adjoint", Ref(adjoint_of(array), Index.ELEMENT))
        gradient = output.loss.by_output(scope, self.model.dt, array)
        weight = scope.bind("weight", Ref(WEIGHT, Index.SCALAR))
        scope.line(adjoint, "+=", [f"{weight}*{gradient}"])
        return ForEach("adjoint of the loss", self.model.arrays[array].size, scope.body())

    def _dynamics(self, number: int, phase: ForEach) -> Iterable[Phase]:
        scope = CoefficientScope(self.tape)
        origin = Origin(number, phase.body, phase.size)
        self._apply_transpose(scope, origin, self.model.maps[number])
        if not scope.empty:
            yield ForEach(f"adjoint of {phase.label}", phase.size, scope.body())

    def _reset(self, number: int, phase: ForEachEvent) -> Iterable[Phase]:
        reset = self.model.maps[number]
        origin = Origin(number, phase.body, self.model.events[phase.events].size)
        if phase.events in self.model.conditions:
            yield from self.crossing.reset(self, origin, phase)
        scope = CoefficientScope(self.tape)
        self._apply_transpose(scope, origin, reset)
        if not scope.empty:
            yield ForEachEvent(f"adjoint of {phase.label}", phase.events, scope.body())

    def _spike(self, number: int, phase: Detect) -> Iterable[Phase]:
        condition = self.model.conditions[phase.events]
        return self.crossing.spike(self, Origin(number, condition.body, phase.size), phase)

    def _apply_transpose(self, scope: CoefficientScope, origin: Origin, found: Map) -> None:
        """``adjoint <- slope^T adjoint`` and the gradient of parameters."""
        updates = {}
        for by in found.state:
            slopes = {of: found.slope(of, by) for of in {**found.values, by: None}}
            if all(slope == int(of == by) for of, slope in slopes.items()):
                continue
            updates[by] = scope.local(f"_adjoint_{by}")
            scope.line(updates[by], "=", transposed(scope, origin, slopes))
        for name, parameter in self.parameters(found.body, Index.ELEMENT):
            slopes = {of: found.slope(of, name) for of in found.values}
            self.add_gradient(scope, parameter, transposed(scope, origin, slopes))
        for by, update in updates.items():
            scope.line(adjoint_name(scope, origin, by), "=", [update])

    def _propagate(self, number: int, phase: Propagate) -> Iterable[Phase]:
        effect = self.model.effects[number]
        origin = Origin(number, phase.body, self.model.connectivities[phase.connectivity].n_target)
        if effect.depends:
            jump = jump_of(self, origin, phase)
            self._jumped |= {array.name: array for array in jump.arrays}
            yield from jump_phases(self, jump)
            return
        for name, parameter in self.parameters(phase.body, Index.SYNAPSE):
            scope = CoefficientScope(self.tape)
            gradient = self.synaptic_gradient(scope, parameter)
            slopes = {x: effect.slope(x, name) for x in effect.increments}
            scope.line(gradient, "+=", transposed(scope, origin, slopes))
            yield replace(phase, label=f"gradient of {parameter}", body=scope.body())
        if phase.events in self.model.conditions or self.task.trained_delay(phase):
            yield from self.crossing.pathway(self, origin, phase)

    def pass_on(
        self, scope: CoefficientScope, origin: Origin, condition: Condition, sent: str
    ) -> None:
        """Add what is known of the distance to threshold to what that depends on."""
        for name in condition.state:
            term = scope.product(origin, condition.slope(name), sent)
            scope.line(adjoint_name(scope, origin, name), "+=", [term])
        for name, parameter in self.parameters(condition.body, Index.ELEMENT):
            term = scope.product(origin, condition.slope(name), sent)
            self.add_gradient(scope, parameter, [term])

    def signal(self, events: str, index: Index, delay: Delay = 0) -> Ref:
        """Where the loss's derivative by a spike of some steps ago is added up."""
        longest = self.model.events[events].slots.history if isinstance(delay, str) else delay
        self._history[events] = max(self._history.get(events, 0), longest)
        return Ref(adjoint_of(events), index, At.SENT if isinstance(delay, str) else -delay)

    def _adjoints(self) -> tuple[Array, ...]:
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
        return (*state, *signals)

    def _slots(self, events: str) -> Slots | None:
        history = self._history.get(events, 0)
        return Slots(history) if history else None

    def parameters(self, body: Body, index: Index) -> list[tuple[str, str]]:
        """Names in a body that are trained, with their arrays.

        Raises
        ------
        LearningError
            If one is used otherwise than as one value an element of the loop.
        """
        return [
            (name, parameter)
            for parameter in self.task.parameters
            for name in parameter_names(body, parameter, index)
        ]

    def synaptic_gradient(self, scope: Scope, parameter: str) -> str:
        """The name of what a synapse's part of the gradient of a parameter is added to."""
        self._touched.add(parameter)
        return scope.bind("gradient", Ref(gradient_of(parameter), Index.SYNAPSE))

    def add_gradient(self, scope: Scope, parameter: str, terms: list[str]) -> None:
        """A neuron's parameter is added up within the instance first: one value a neuron."""
        if any(terms):
            self._touched.add(parameter)
            name = partial_of(parameter)
            size = self.model.arrays[parameter].size
            self._partial[parameter] = Array(name, DType.REAL, size, Access.SCRATCH)
            scope.line(scope.bind("partial", Ref(name, Index.ELEMENT)), "+=", terms)


def _check_touched(task: Task, touched: frozenset[str]) -> None:
    for parameter in task.parameters:
        if parameter not in touched:
            raise LearningError(
                f"'{parameter}' has no influence on the output that can be followed: it "
                "stands in no equation, threshold, reset or on_pre of the network. Take it "
                "out of the parameters."
            )


def gradient_array(model: Model, parameter: str) -> Array:
    """The array that a parameter's gradient is added up in."""
    size = model.arrays[parameter].size
    return Array(gradient_of(parameter), DType.REAL, size, Access.SHARED)


def total_phase(parameter: str, size: int, own: str) -> Phase:
    """What adds an instance's gradient of a parameter to that of the batch."""
    scope = Scope()
    total = scope.bind("total", Ref(gradient_of(parameter), Index.ELEMENT))
    scope.line(total, "+=", [scope.bind("own", Ref(own, Index.ELEMENT))])
    return ForEach(f"gradient of {parameter}", size, scope.body())
