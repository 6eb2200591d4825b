"""Where a parameter's traces live, how they reach the output, and the loops over them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from brian2eprop.device.program import (
    Body,
    Connectivity,
    ForEach,
    ForEachSynapse,
    Index,
    Phase,
    Propagate,
    Ref,
)
from brian2eprop.learning.adjoint.tape import Tape
from brian2eprop.learning.model.feedback import Feedback
from brian2eprop.learning.model.lines import Lines
from brian2eprop.learning.model.symbolic import Expression, names


@dataclass(frozen=True)
class Route:
    """How the spikes of a population reach the output: one pathway and its feedback."""

    number: int
    phase: Propagate
    feedback: Feedback

    @property
    def signal(self) -> str:
        """Array of the population's learning signal."""
        return f"learning_signal_{self.phase.events}"


@dataclass(frozen=True)
class Place:
    """Where a parameter stands: one value a synapse, or one value a neuron."""

    parameter: str
    size: int
    connectivity: Connectivity | None

    @property
    def index(self) -> Index:
        """How its neuron's arrays are indexed."""
        return Index.ELEMENT if self.connectivity is None else Index.TARGET

    @property
    def own(self) -> Index:
        """How its own arrays are indexed."""
        return Index.ELEMENT if self.connectivity is None else Index.SYNAPSE

    def phase(self, label: str, body: Body) -> Phase:
        """A loop over its values."""
        if self.connectivity is None:
            return ForEach(label, self.size, body)
        return ForEachSynapse(label, self.connectivity.name, body)


class TraceBody(Lines):
    """Collects the lines of a loop over a parameter's values."""

    def __init__(self, place: Place, tape: Tape) -> None:
        super().__init__()
        self.place = place
        self._tape = tape

    def own(self, array: str, offset: int = 0) -> str:
        """An array with one element a value of the parameter."""
        name = array if offset == 0 else f"{array}_then"
        return self.bind(name, Ref(array, self.place.own, offset))

    def neuron(self, array: str) -> str:
        """An array with one element a neuron."""
        return self.bind(array, Ref(array, self.place.index))

    def scalar(self, array: str) -> str:
        """An array with one element."""
        return self.bind(array, Ref(array, Index.SCALAR))

    def coefficient(self, number: int, body: Body, expression: Expression, size: int) -> str:
        """An expression of a neuron's phase, at the parameter's neuron."""
        text, refs = self._tape.coefficient(number, body, expression, size)
        for name, ref in refs.items():
            index = self.place.index if ref.index is Index.ELEMENT else ref.index
            self._refs[name] = replace(ref, index=index)
        used = names(expression) & set(body.constants)
        self._constants |= {name: body.constants[name] for name in used}
        return text

    def conflicts(self, body: Body) -> bool:
        """Whether a phase's constants are not those of the lines so far."""
        known = self._constants
        return any(known.get(name, value) != value for name, value in body.constants.items())

    def flush(self, label: str) -> list[Phase]:
        """The loop over what was collected; collecting starts anew."""
        if self.empty:
            return []
        body = self.body()
        self._lines, self._refs, self._constants = [], {}, {}
        return [self.place.phase(label, body)]
