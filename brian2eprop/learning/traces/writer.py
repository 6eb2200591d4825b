"""The forward form: every trained parameter carries its eligibility trace along.

For a parameter w of a neuron with state h, the phases of a step carry ``eps = dh/dw``, local
paths only:

    dynamics        eps <- dF/dh eps + dF/dw
    spike           e = psi (dg/dh eps + dg/dw)
    input spike     eps += de/dw at every spike
    reset           eps <- dR/dh eps where z; eps += (R(h) - h) e (paths that are not detached)

and a readout filters e as it filters spikes, so that the gradient is the sum over steps of
the learning signal times the filtered e. The signal weighs the loss's gradient by what a spike
adds to each readout neuron. Memory does not grow with the number of steps.
"""

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
    ForEachSynapse,
    Index,
    Phase,
    Ref,
    Slots,
)
from brian2eprop.learning.adjoint.coefficients import CoefficientScope, swapped
from brian2eprop.learning.adjoint.tape import Tape
from brian2eprop.learning.model.model import Model
from brian2eprop.learning.model.surrogates import Triangular
from brian2eprop.learning.objective.losses import LossArrays
from brian2eprop.learning.objective.task import Task
from brian2eprop.learning.traces.parameter_traces import ParameterTraces
from brian2eprop.learning.traces.routes import Route


class TraceWriter:
    """Writes the forward form of all parameters' gradients.

    Parameters
    ----------
    model : Model
        The model's phases with their derivatives.
    task : Task
        Outputs, parameters and regularisers.
    surrogate : Triangular
        What takes the place of a spike's derivative.
    routes : mapping of str to tuple of Route
        How the spikes of each population reach the outputs.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        surrogate: Triangular,
        routes: Mapping[str, tuple[Route, ...]],
    ) -> None:
        self.model = model
        self.task = task
        self.surrogate = surrogate
        self.routes = routes
        self.tape = Tape(model.phases, model.arrays, kept=False)
        self.arrays: list[Array] = []
        self.step: list[Phase] = [
            phase
            for found in routes.values()
            for route in found
            for output in route.outputs
            for phase in self._learning_signal(route, output)
        ]
        self.end: list[Phase] = []
        self._spiked: dict[str, Array] = {}
        for parameter in task.parameters:
            ParameterTraces(self, parameter).write()

    def begin(self) -> Phase:
        """What clears the traces."""
        return Clear("no traces yet", tuple(array.name for array in self.arrays))

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

    def _learning_signal(self, route: Route, output: str) -> list[Phase]:
        size = route.feedback.connectivity.n_target
        array = self.scratch(route.signal(output), size)
        forget = Body("signal = 0.0", {"signal": Ref(array, Index.ELEMENT)})
        scope = CoefficientScope(self.tape, swapped)
        signal = scope.bind("signal", Ref(array, Index.TARGET))
        gradient = scope.bind("gradient", Ref(LossArrays(output).gradient, Index.SOURCE))
        feedback = scope.bind("feedback", Ref(route.feedback.weight, Index.SYNAPSE))
        known = {self.model.weight(route.phase): feedback}
        sent = scope.coefficient(route.origin, route.size, known)
        scope.line(signal, "+=", [f"{sent}*{gradient}"])
        return [
            ForEach(f"forget {array}", size, forget),
            ForEachSynapse(array, route.feedback.connectivity.name, scope.body()),
        ]
