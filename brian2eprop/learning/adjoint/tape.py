"""What the way back must know of the way there.

A coefficient of the backward sweep that depends on parameters only is computed again from
them. One that depends on the state is computed where the state is at hand, in the forward
sweep, and written to a tape: one value an element and step. Booleans (such as
``not_refractory``) are taped themselves, right after the phase that set them, so that the
coefficients that depend on nothing else keep their closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Detect,
    DType,
    ForEach,
    Index,
    Phase,
    Ref,
    Slots,
)
from brian2eprop.device.program.assignments import assignments
from brian2eprop.errors import LearningError
from brian2eprop.learning.model.symbolic import Expression, names, render, substitute, symbol
from brian2eprop.learning.objective.trial import changed_arrays


@dataclass(frozen=True)
class Flag:
    """A boolean array as it was after one of a step's phases (-1: when the step began)."""

    array: str
    after: int

    @property
    def tape(self) -> str:
        """Array it is taped in."""
        return f"tape_{self.array}_{self.after + 1}"


class Tape:
    """Decides what is taped, and makes the forward phases write it.

    Parameters
    ----------
    phases : tuple of Phase
        The model's phases in a step.
    arrays : mapping of str to Array
        The model's arrays.
    kept : bool
        Whether a step's values are wanted after the step.
    """

    def __init__(
        self, phases: tuple[Phase, ...], arrays: Mapping[str, Array], kept: bool = True
    ) -> None:
        self.phases = phases
        self._slots = Slots(kept=True) if kept else None
        self._arrays = arrays
        self._changed = changed_arrays(phases)
        self._expressions: dict[int, list[tuple[str, Expression]]] = {}
        self._flags: dict[Flag, None] = {}
        self._sizes: dict[str, int] = {}

    def coefficient(
        self, number: int, body: Body, expression: Expression, size: int
    ) -> tuple[str, dict[str, Ref]]:
        """An expression of a phase's names, for use in a backward body.

        Parameters
        ----------
        number : int
            Number of the phase among the model's.
        body : Body
            The phase's body.
        expression : Expression
            Mathematics in the body's names.
        size : int
            Number of elements of the population it belongs to.

        Returns
        -------
        str
            The expression's text, in which refs go by the names of their arrays, so that
            expressions of several phases can stand in one body.
        dict of str to Ref
            The refs it needs (its constants are the phase's own).
        """
        used = names(expression) & set(body.refs)
        if any(self._is_live(body.refs[name]) for name in used):
            tape = self._record(number, expression, size)
            return tape, {tape: Ref(tape, Index.ELEMENT)}
        past = {name: self.past(number, body.refs[name]) for name in used}
        renamed = substitute(expression, {name: symbol(r.array) for name, r in past.items()})
        return render(renamed), {ref.array: ref for ref in past.values()}

    def past(self, number: int, ref: Ref) -> Ref:
        """The ref by which the way back finds what a phase's (boolean or shared) ref was."""
        if ref.array not in self._changed:
            return ref
        flag = Flag(ref.array, self._last_writer(number, ref.array))
        self._flags[flag] = None
        return replace(ref, array=flag.tape)

    def arrays(self) -> tuple[Array, ...]:
        """The tapes."""
        real = [
            Array(tape, DType.REAL, self._sizes[tape], Access.SCRATCH, self._slots)
            for recorded in self._expressions.values()
            for tape, _ in recorded
        ]
        flags = [
            Array(f.tape, DType.BOOL, self._arrays[f.array].size, Access.SCRATCH, self._slots)
            for f in self._flags
        ]
        return (*real, *flags)

    def forward(self) -> tuple[Phase, ...]:
        """The model's phases with what writes the tapes."""
        found: list[Phase] = list(self._flag_phases(-1))
        for number, phase in enumerate(self.phases):
            found += self._recording(number, phase)
            found += self._flag_phases(number)
        return tuple(found)

    def _is_live(self, ref: Ref) -> bool:
        """Whether a ref's value is gone when the step is over and not a boolean."""
        return ref.array in self._changed and self._arrays[ref.array].dtype is not DType.BOOL

    def _record(self, number: int, expression: Expression, size: int) -> str:
        recorded = self._expressions.setdefault(number, [])
        for tape, known in recorded:
            if known == expression:
                return tape
        tape = f"tape_{number}_{len(recorded)}"
        recorded.append((tape, expression))
        self._sizes[tape] = size
        return tape

    def _last_writer(self, number: int, array: str) -> int:
        """The last phase up to this one that set the array in this step.

        A threshold sets its flags when it is done, so it still saw what was there before.
        """
        last = -1
        for earlier, phase in enumerate(self.phases[: number + 1]):
            own = earlier == number and isinstance(phase, Detect)
            if array in changed_arrays([phase]) and not own:
                last = earlier
        return last

    def _flag_phases(self, number: int) -> list[Phase]:
        found: list[Phase] = []
        for flag in self._flags:
            if flag.after == number:
                refs = {n: Ref(n, Index.ELEMENT) for n in (flag.array, flag.tape)}
                body = Body(f"{flag.tape} = {flag.array}", refs)
                found.append(ForEach(f"tape {flag.array}", self._arrays[flag.array].size, body))
        return found

    def _recording(self, number: int, phase: Phase) -> list[Phase]:
        recorded = self._expressions.get(number)
        if not recorded:
            return [phase]
        body: Body = phase.body  # type: ignore[union-attr]
        lines = [f"{tape} = {render(expression)}" for tape, expression in recorded]
        tapes = {tape: Ref(tape, Index.ELEMENT) for tape, _ in recorded}
        if isinstance(phase, Detect | ForEach):
            code = _inserted(phase, lines, self._arrays)
            return [replace(phase, body=replace(body, code=code, refs={**body.refs, **tapes}))]
        used = set().union(*(names(expression) for _, expression in recorded))
        refs = {name: ref for name, ref in body.refs.items() if name in used}
        before = Body("\n".join(lines), {**refs, **tapes}, body.constants)
        size = self._sizes[recorded[0][0]]
        return [ForEach(f"tape before {phase.label}", size, before), phase]


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
