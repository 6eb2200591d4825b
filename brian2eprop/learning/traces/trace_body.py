"""Where a parameter's traces live, and the loops over them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from brian2eprop.device.program import (
    Body,
    Connectivity,
    ForEach,
    ForEachSynapse,
    Index,
    Phase,
    Ref,
)
from brian2eprop.learning.adjoint.coefficients import CoefficientScope
from brian2eprop.learning.adjoint.tape import Tape


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

    def at_neuron(self, ref: Ref) -> Ref:
        """A ref of a neuron's phase, as seen from the parameter."""
        return replace(ref, index=self.index) if ref.index is Index.ELEMENT else ref

    def phase(self, label: str, body: Body) -> Phase:
        """A loop over its values."""
        if self.connectivity is None:
            return ForEach(label, self.size, body)
        return ForEachSynapse(label, self.connectivity.name, body)


class TraceBody(CoefficientScope):
    """Collects the lines of a loop over a parameter's values."""

    def __init__(self, place: Place, tape: Tape) -> None:
        super().__init__(tape, place.at_neuron)
        self.at = place

    def own(self, suggested: str, array: str, offset: int = 0) -> str:
        """An array with one element a value of the parameter."""
        return self.bind(suggested, Ref(array, self.at.own, offset))

    def neuron(self, suggested: str, array: str) -> str:
        """An array with one element a neuron."""
        return self.bind(suggested, Ref(array, self.at.index))

    def scalar(self, suggested: str, array: str) -> str:
        """An array with one element."""
        return self.bind(suggested, Ref(array, Index.SCALAR))

    def phases(self, label: str) -> list[Phase]:
        """The loop over what was collected, if anything was."""
        return [] if self.empty else [self.at.phase(label, self.body())]
