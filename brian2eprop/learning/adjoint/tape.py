"""What the way back must know of the way there.

A coefficient of the backward sweep that depends on parameters only is computed again from
them. One that depends on the state is computed where the state is at hand, in the forward
sweep, and written to a tape: one value an element and step. Booleans (such as
``not_refractory``) are taped themselves, right after the phase that set them, so that the
coefficients that depend on nothing else keep their closed form. So is, of whatever type, what a
pathway reads of its neurons: its coefficients have one value a synapse, and are computed again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Detect,
    DType,
    ForEach,
    ForEachEvent,
    Index,
    Loop,
    Phase,
    Propagate,
    Ref,
    Slots,
)
from brian2eprop.device.program.assignments import assignments
from brian2eprop.errors import LearningError
from brian2eprop.learning.model.scope import Scope
from brian2eprop.learning.model.symbolic import Expression, names, render, substitute, symbol
from brian2eprop.learning.objective.trial import changed_arrays


@dataclass(frozen=True)
class Past:
    """An array as it was after one of a step's phases (-1: when the step began)."""

    array: str
    after: int

    @property
    def tape(self) -> str:
        """Array it is taped in."""
        return f"tape:{self.array}:{self.after + 1}"


@dataclass(frozen=True)
class Origin:
    """A phase of the model, whose names an expression uses.

    Attributes
    ----------
    number : int
        Its number among the model's phases.
    body : Body
        What the names mean.
    size : int
        Number of elements of the population that it belongs to.
    """

    number: int
    body: Body
    size: int


@dataclass(frozen=True)
class Recorded:
    """An expression of a phase that is written to a tape when the phase is run.

    Attributes
    ----------
    tape : str
        The array.
    origin : Origin
        The phase.
    expression : Expression
        What is written, in its names.
    events : str, optional
        Written right after the phase, and for these events only; else for all elements, before
        the phase changes the state.
    """

    tape: str
    origin: Origin
    expression: Expression
    events: str | None = None

    def line(self, scope: Scope) -> str:
        """The line that writes it, in a body for the phase's elements."""
        body, own = self.origin.body, {}
        for name in sorted(names(self.expression)):
            if name in body.refs:
                own[name] = symbol(scope.bind(name, body.refs[name]))
            elif name in body.constants:
                own[name] = symbol(scope.define(name, body.constants[name]))
        tape = scope.bind("tape", Ref(self.tape, Index.ELEMENT))
        return f"{tape} = {render(substitute(self.expression, own))}"


@dataclass(frozen=True)
class Taped:
    """What a tape has become.

    Attributes
    ----------
    forward : tuple of Phase
        The model's phases with what writes the tapes.
    arrays : tuple of Array
        The tapes.
    """

    forward: tuple[Phase, ...]
    arrays: tuple[Array, ...]


_EVERY_STEP = Slots(kept=True)


class Tape:
    """Decides what is taped, and makes the forward phases write it.

    What is asked for is taped, until :meth:`taped` is: afterwards only what is taped already can
    be asked for.

    Parameters
    ----------
    phases : tuple of Phase
        The model's phases in a step.
    arrays : mapping of str to Array
        The model's arrays.
    slots : Slots, optional
        For how long a step's values are wanted; by default until the call's end. None: for no
        longer than the step.
    """

    def __init__(
        self,
        phases: tuple[Phase, ...],
        arrays: Mapping[str, Array],
        slots: Slots | None = _EVERY_STEP,
    ) -> None:
        self.phases = phases
        self._slots = slots
        self._arrays = arrays
        self._changed = changed_arrays(phases)
        self._recorded: dict[int, list[Recorded]] = {}
        self._past: dict[Past, None] = {}
        self._kept: dict[int, dict[str, str]] = {}
        self._taped: Taped | None = None

    def record(
        self,
        origin: Origin,
        expression: Expression,
        events: str | None = None,
        known: Collection[str] = (),
    ) -> str | None:
        """The tape of an expression of an element, if its values are gone when the step is over.

        Save those of names that are ``known``.
        """
        refs = origin.body.refs
        used = names(expression) & set(refs) - set(known)
        if not any(self._is_live(refs[name]) for name in used):
            return None
        recorded = self._recorded.setdefault(origin.number, [])
        for other in recorded:
            if (other.expression, other.events) == (expression, events):
                return other.tape
        self._extend()
        tape = f"tape:{origin.number}:{len(recorded)}"
        recorded.append(Recorded(tape, origin, expression, events))
        return tape

    def past(self, number: int, ref: Ref) -> Ref:
        """The ref by which the way back finds what a phase's ref was.

        What changes of a synapse is put back by the adjoint of what changed it.
        """
        if ref.array not in self._changed or ref.index is Index.SYNAPSE:
            return ref
        past = Past(ref.array, self._last_writer(number, ref.array))
        if past not in self._past:
            self._extend()
            self._past[past] = None
        return replace(ref, array=past.tape)

    def kept(self, number: int, name: str) -> str:
        """The tape of a synapse's variable, as a pathway calls it, before each of its spikes."""
        own = self._kept.setdefault(number, {})
        if name not in own:
            self._extend()
            own[name] = f"tape:{number}:synapse:{name}"
        return own[name]

    def taped(self) -> Taped:
        """The tapes and what writes them, once everything has been asked for."""
        if self._taped is None:
            self._taped = Taped(self._forward(), self._tapes())
        return self._taped

    def _extend(self) -> None:
        assert self._taped is None, "asked to tape what nothing would write any more"

    def _tapes(self) -> tuple[Array, ...]:
        real = [
            Array(found.tape, DType.REAL, found.origin.size, Access.SCRATCH, self._slots)
            for recorded in self._recorded.values()
            for found in recorded
        ]
        copied = [
            *((past.tape, past.array) for past in self._past),
            *(
                pair
                for number, found in self._kept.items()
                for pair in self._kept_arrays(number, found)
            ),
        ]
        copies = (
            replace(self._arrays[array], name=tape, access=Access.SCRATCH, slots=self._slots)
            for tape, array in copied
        )
        return (*real, *copies)

    def _forward(self) -> tuple[Phase, ...]:
        found: list[Phase] = list(self._past_phases(-1))
        for number, phase in enumerate(self.phases):
            found += self._recording(number, phase)
            found += self._past_phases(number)
        return tuple(found)

    def _is_live(self, ref: Ref) -> bool:
        """Whether an element's value is gone when the step is over and not a boolean."""
        return (
            ref.index is Index.ELEMENT
            and ref.array in self._changed
            and self._arrays[ref.array].dtype is not DType.BOOL
        )

    def _last_writer(self, number: int, array: str) -> int:
        """The last phase up to this one that set the array in this step.

        A threshold sets its flags when it is done, so it still saw what was there before; a
        pathway's coefficients are of what was there before its spikes.
        """
        last = -1
        for earlier, phase in enumerate(self.phases[: number + 1]):
            own = earlier == number and isinstance(phase, Detect | Propagate)
            if array in changed_arrays([phase]) and not own:
                last = earlier
        return last

    def _past_phases(self, number: int) -> list[Phase]:
        found: list[Phase] = []
        for past in self._past:
            if past.after == number:
                refs = {
                    "tape": Ref(past.tape, Index.ELEMENT),
                    "now": Ref(past.array, Index.ELEMENT),
                }
                body = Body("tape = now", refs)
                found.append(ForEach(f"tape {past.array}", self._arrays[past.array].size, body))
        return found

    def _recording(self, number: int, phase: Phase) -> list[Phase]:
        found = self._recorded.get(number, [])
        at_events: dict[str, list[Recorded]] = {}
        for each in found:
            if each.events is not None:
                at_events.setdefault(each.events, []).append(each)
        return [
            *self._recording_all(
                self._keeping(number, phase), [each for each in found if each.events is None]
            ),
            *(_recording_events(phase, events, each) for events, each in at_events.items()),
        ]

    def _recording_all(self, phase: Phase, recorded: list[Recorded]) -> list[Phase]:
        if not recorded or not isinstance(phase, Loop):
            return [phase]
        if isinstance(phase, Detect | ForEach):
            scope = Scope.around(phase.body)
            lines = [found.line(scope) for found in recorded]
            code = _inserted(phase, lines, self._arrays)
            return [replace(phase, body=replace(scope.body(), code=code, guards=phase.body.guards))]
        sizes = dict.fromkeys(found.origin.size for found in recorded)
        return [*(_before(phase, size, recorded) for size in sizes), phase]

    def _keeping(self, number: int, phase: Phase) -> Phase:
        """A pathway that writes what its synapses kept before each spike."""
        found = self._kept.get(number)
        if not found or not isinstance(phase, Propagate):
            return phase
        scope = Scope.around(phase.body)
        lines = []
        for name, tape in found.items():
            own = scope.bind("tape", Ref(tape, Index.SYNAPSE))
            lines.append(f"{own} = {name}")
        code = "\n".join([*lines, phase.body.code])
        body = replace(scope.body(), code=code, guards=phase.body.guards)
        return replace(phase, body=body)

    def _kept_arrays(self, number: int, found: Mapping[str, str]) -> list[tuple[str, str]]:
        phase = self.phases[number]
        assert isinstance(phase, Propagate)
        return [(tape, phase.body.refs[name].array) for name, tape in found.items()]


def _before(phase: Phase, size: int, recorded: list[Recorded]) -> Phase:
    scope = Scope()
    those = [found for found in recorded if found.origin.size == size]
    code = "\n".join([found.line(scope) for found in those])
    return ForEach(f"tape before {phase.label}", size, replace(scope.body(), code=code))


def _recording_events(phase: Phase, events: str, recorded: list[Recorded]) -> Phase:
    scope = Scope()
    code = "\n".join([found.line(scope) for found in recorded])
    return ForEachEvent(f"tape at {phase.label}", events, replace(scope.body(), code=code))


def _inserted(phase: Detect | ForEach, lines: list[str], arrays: Mapping[str, Array]) -> str:
    """The body's code with lines put where its booleans are set and its state is not.

    Raises
    ------
    LearningError
        If there is no such place.
    """
    body = phase.body
    found = assignments(body.code)
    code = [line for line in body.code.splitlines() if line.strip()]
    kinds = [
        arrays[body.refs[a.target].array].dtype if a.target in body.refs else None for a in found
    ]
    flags = [n for n, kind in enumerate(kinds) if kind is DType.BOOL]
    state = [n for n, kind in enumerate(kinds) if kind is DType.REAL]
    place = flags[-1] + 1 if flags else 0
    if state and state[0] < place:
        raise LearningError(
            f"{phase.label} changes '{found[state[0]].target}' before it sets "
            f"'{found[flags[-1]].target}', so its derivative cannot be taken. Let its equations "
            "set booleans first."
        )
    return "\n".join([*code[:place], *lines, *code[place:]])
