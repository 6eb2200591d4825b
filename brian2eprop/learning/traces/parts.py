"""The parts of the forward form, as they are collected."""

from __future__ import annotations

from collections.abc import Mapping

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Clear,
    DType,
    ForEach,
    ForEachEvent,
    Index,
    Phase,
    Ref,
    Slots,
)
from brian2eprop.learning.adjoint.tape import Tape
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.surrogates import Surrogate
from brian2eprop.learning.objective.loss import LossArrays
from brian2eprop.learning.objective.task import Task
from brian2eprop.learning.traces.routes import Route


class TraceParts:
    """Arrays and phases of all parameters' traces, and what they are made of.

    Parameters
    ----------
    model : Model
        The model's phases with their derivatives.
    task : Task
        Outputs, parameters and regularisers.
    surrogate : Surrogate
        What takes the place of a spike's derivative.
    routes : mapping of str to tuple of Route
        How the spikes of each population reach the outputs.
    online : bool
        Whether there are updates within a sample.

    Attributes
    ----------
    arrays : list of Array
        What the instance carries along.
    step, end : list of Phase
        What is done in every step after the model's phases, and after the last one.
    sums : list of str
        The arrays that are added up from one update to the next.
    given : list of Array
        What the host writes before a call.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        surrogate: Surrogate,
        routes: Mapping[str, tuple[Route, ...]],
        online: bool = False,
    ) -> None:
        self.model = model
        self.task = task
        self.surrogate = surrogate
        self.routes = routes
        self.online = online
        self.tape = Tape(model.run, model.arrays, None)
        self.arrays: list[Array] = []
        self.step: list[Phase] = []
        self.end: list[Phase] = []
        self.sums: list[str] = []
        self.given: list[Array] = []
        self._spiked: dict[str, Array] = {}

    def begin(self) -> Phase:
        """What clears the traces."""
        return Clear("no traces yet", tuple(array.name for array in self.arrays))

    def forget(self) -> Phase:
        """What clears the sums alone, after an update within a sample."""
        return Clear("no gradient yet", tuple(self.sums))

    def signals(self) -> list[Phase]:
        """What sends each population its learning signal."""
        found: list[Phase] = []
        for route in (route for routes in self.routes.values() for route in routes):
            for output in route.outputs:
                array = self.scratch(route.signal(output), route.feedback.n_senders)
                gradient = LossArrays(output).gradient
                found += route.send(self.model, self.tape, gradient, array)
        return found

    def flag_phases(self) -> list[Phase]:
        """What notes which neurons spiked in this step."""
        found: list[Phase] = []
        for events, array in self._spiked.items():
            refs = {"spiked": Ref(array.name, Index.ELEMENT)}
            found.append(ForEach(f"forget {events}", array.size, Body("spiked = False", refs)))
            found.append(ForEachEvent(f"note {events}", events, Body("spiked = True", refs)))
        return found

    def spiked(self, events: str) -> str:
        """Array that says which neurons spiked in this step."""
        size = self.model.events[events].size
        name = f"spiked:{events}"
        self._spiked[events] = Array(name, DType.BOOL, size, Access.SCRATCH)
        return name

    def flags(self) -> tuple[Array, ...]:
        """The arrays of :meth:`spiked`."""
        return tuple(self._spiked.values())

    def scratch(self, name: str, size: int, history: int = 0) -> str:
        """A new real array of the instance's own."""
        slots = Slots(history) if history else None
        self.arrays.append(Array(name, DType.REAL, size, Access.SCRATCH, slots))
        return name
