"""What every loss offers: what an output should have been, step by step.

A loss reads the output at the end of every step of its window. Each gives, as phases of a
Program, the loss of an instance, its gradient by the output at every step, and what
``predict`` returns.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from brian2.units import Quantity, second

from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    DType,
    Index,
    Number,
    Phase,
    Reduce,
    Reduction,
    Ref,
    Slots,
)
from brian2eprop.learning.model.scope import Scope
from brian2eprop.number_checks import in_unit

Window = tuple[Quantity, Quantity] | None

_LAST_STEP = 2**31 - 1

# PER_INSTANCE, INT, size 1: the number of steps of an instance.
TRIAL_STEPS = "trial:steps"

# One in a step of the window, zero elsewhere.
IN_WINDOW = "int(step >= window_start and step < window_stop)"


@dataclass(frozen=True)
class LossArrays:
    """Names of the arrays of an output's loss.

    ``gradient`` (SCRATCH, one slot a step if kept) is the gradient of the instance's
    unweighted loss by the output.
    """

    output: str

    @property
    def target(self) -> str:
        """What the output is compared with."""
        return f"loss:target:{self.output}"

    @property
    def prediction(self) -> str:
        """What ``predict`` returns."""
        return f"loss:prediction:{self.output}"

    @property
    def value(self) -> str:
        """The loss of an instance."""
        return f"loss:value:{self.output}"

    @property
    def scale(self) -> str:
        """One by the number of steps that count."""
        return f"loss:scale:{self.output}"

    @property
    def weight(self) -> str:
        """What the sample counts."""
        return f"loss:weight:{self.output}"

    @property
    def gradient(self) -> str:
        """The loss's derivative by the output."""
        return f"loss:gradient:{self.output}"

    def numbers(self) -> tuple[Array, ...]:
        """The arrays of one number an instance."""
        names = (self.value, self.scale, self.weight)
        return tuple(Array(name, DType.REAL, 1, Access.PER_INSTANCE) for name in names)

    def own(self, role: str) -> str:
        """An array that only the loss itself uses."""
        return f"loss:{role}:{self.output}"


@dataclass(frozen=True)
class LossPhases:
    """A loss as parts of a Program.

    Attributes
    ----------
    arrays : tuple of Array
        Its arrays, with the names of :class:`LossArrays`.
    begin, step, end : tuple of Phase
        Before the sweep, at the end of every step, after the sweep.
    """

    arrays: tuple[Array, ...]
    begin: tuple[Phase, ...]
    step: tuple[Phase, ...]
    end: tuple[Phase, ...]


class Judged(Enum):
    """What of an output a loss judges."""

    STATE = "state"
    SPIKE_TIMES = "spike times"
    SPIKE_COUNTS = "spike counts"


@dataclass(frozen=True)
class Loss(ABC):
    """A loss over a window of time.

    Parameters
    ----------
    window : (Quantity, Quantity), optional
        Start and end (seconds) of the time that counts; by default the whole trial.

    Attributes
    ----------
    has_accuracy : bool
        Whether predictions are right or wrong.
    has_classes : bool
        Whether labels are classes, and a prediction has a number for each.
    in_units_of_output : bool
        Whether labels are values of the output, with its unit.
    by_reward : bool
        Whether rewards take the place of labels.
    judges : Judged
        What of the output it judges: a variable, or when, or how often, its neurons spike.
    """

    has_accuracy: ClassVar[bool] = False
    has_classes: ClassVar[bool] = False
    in_units_of_output: ClassVar[bool] = False
    by_reward: ClassVar[bool] = False
    judges: ClassVar[Judged] = Judged.STATE

    window: Window = None

    def __post_init__(self) -> None:
        check_window("window", self.window)

    @property
    def online(self) -> bool:
        """Whether the gradient of a step is known when the step is over."""
        return True

    def window_range(self, dt: float) -> range:
        """The steps that count, of a trial without end."""
        return steps_of(self.window, dt)

    def window_steps(self, n_steps: int, dt: float) -> int:
        """How many of a trial's steps count.

        Raises
        ------
        ValueError
            If none does.
        """
        window = self.window_range(dt)
        count = max(0, min(window.stop, n_steps) - window.start)
        if count == 0:
            raise ValueError(
                f"The loss's window {self.window} contains no step of a trial of {n_steps} steps "
                f"of {dt * 1e3:g} ms. Move it into the trial."
            )
        return count

    def constants(self, dt: float) -> dict[str, Number]:
        """The window, for :data:`IN_WINDOW`."""
        window = self.window_range(dt)
        return {"window_start": window.start, "window_stop": window.stop}

    @abstractmethod
    def targets(
        self, labels: npt.ArrayLike, n_outputs: int, n_steps: int
    ) -> npt.NDArray[np.float64]:
        """What is to be written into the array ``target`` for some samples.

        Raises
        ------
        ValueError
            If the labels are not what this loss compares with.
        """

    def scores(self, prediction: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The prediction in a form whose largest number is at the class that is answered.

        Numbers that tie are no answer; minus infinity is that of a class that cannot be it.
        """
        return prediction

    @abstractmethod
    def accuracy(self, prediction: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Any:
        """Share of the samples predicted right (REAL, no axes), where that means something.

        The arrays lie where the backend keeps its own, in NumPy or CuPy.
        """

    @abstractmethod
    def phases(self, output: str, size: int, dt: float, kept: bool) -> LossPhases:
        """The loss of an output.

        Parameters
        ----------
        output : str
            Its array.
        size : int
            Number of elements of the array.
        dt : float
            Length of a step in seconds.
        kept : bool
            Whether the gradient at every step is wanted after the last.
        """

    def by_output(self, scope: Scope, dt: float, output: str) -> str:
        """The derivative of an instance's loss by its output in the step in hand.

        Parameters
        ----------
        scope : Scope
            The body, over the outputs, that the term is for; what it needs is bound there.
        dt : float
            Length of a step in seconds.
        output : str
            Its array.
        """
        return scope.bind("gradient", Ref(LossArrays(output).gradient, Index.ELEMENT))

    def by_spike(self, scope: Scope, dt: float, events: str, index: Index) -> str:
        """The derivative of an instance's loss by whether a neuron spikes in the step in hand.

        As :meth:`by_output`, of what judges spikes: ``index`` is how the body finds the neuron.
        """
        raise self._judges_otherwise()

    def by_time(self, scope: Scope, dt: float, events: str, index: Index) -> str:
        """The same by the time of the spike in hand, of what judges times of spikes alone."""
        raise self._judges_otherwise()

    def by_phantom(self, scope: Scope, dt: float, events: str, index: Index) -> str:
        """The same by a spike that was wanted and did not come until the end of this step."""
        raise self._judges_otherwise()

    def _judges_otherwise(self) -> TypeError:
        judged = f"{type(self).__name__} judges by {self.judges.value}"
        return TypeError(f"{judged} and has no derivative by spikes; define Loss's methods.")


def check_window(name: str, window: Any) -> None:
    """Refuse a window that is no start and end in time.

    Raises
    ------
    ValueError
        If it is no pair, begins before zero, or ends before it begins.
    DimensionMismatchError
        If it is no time.
    """
    if window is None:
        return
    array = isinstance(window, np.ndarray) and window.shape == (2,)
    if not array and not (isinstance(window, list | tuple) and len(window) == 2):
        raise ValueError(
            f"The loss's {name} {window} is no pair of times; give its start and its "
            "end, such as (5*ms, 20*ms)."
        )
    role = f"Each end of a loss's {name}"
    start, stop = (in_unit(role, edge, second, "a time", "5*ms") for edge in window)
    if not 0 <= start < stop:
        raise ValueError(
            f"The loss's {name} {window} must start at zero or later and end after its start."
        )


def check_time(role: str, value: Any, example: str) -> None:
    """Refuse a time that is not above zero.

    Raises
    ------
    ValueError
        If it is not, or no number.
    DimensionMismatchError
        If it is no time.
    """
    if not in_unit(role, value, second, "a time", example) > 0:
        raise ValueError(f"{role} is {value}. Give a positive time.")


def steps_of(window: Window, dt: float) -> range:
    """The steps of a window, of a trial without end.

    A step belongs to the window when it starts in it; half a step of tolerance, because a
    time given as a decimal number may lie a rounding error off the grid.
    """
    if window is None:
        return range(_LAST_STEP)
    start, stop = (math.ceil(min(float(edge) / dt, _LAST_STEP) - 0.5) for edge in window)
    return range(start, min(stop, _LAST_STEP))


def numbers(loss: str, labels: npt.ArrayLike, wanted: str) -> npt.NDArray[Any]:
    """The labels as real numbers, refused where they are none."""
    try:
        values = np.asarray(labels)
    except ValueError as error:
        raise ValueError(f"{loss}: the labels differ in shape; give {wanted}, as one array.") from (
            error
        )
    if values.dtype == object and all(isinstance(v, int | float) for v in values.flat):
        return values.astype(float)
    if values.dtype.kind not in "biuf":
        kinds = {"U": "strings", "S": "strings", "c": "complex numbers", "O": "objects"}
        raise ValueError(
            f"{loss}: the labels are {kinds.get(values.dtype.kind, values.dtype.name)}; give "
            f"{wanted}."
        )
    return values


def one_hot(loss: str, labels: npt.ArrayLike, n_outputs: int) -> npt.NDArray[np.float64]:
    """One row for each label, which is 1 at its class and 0 elsewhere.

    Parameters
    ----------
    loss : str
        Whose labels they are, for the sentences.
    labels : int array, shape (samples,)
        The classes.
    n_outputs : int
        How many classes there are.

    Returns
    -------
    array, shape (samples, outputs)
        The rows.

    Raises
    ------
    ValueError
        If a label is no class.
    """
    values = numbers(
        loss,
        labels,
        "whole numbers, such as numpy.unique(labels, return_inverse=True)[1] makes of names",
    )
    if values.ndim != 1:
        raise ValueError(
            f"{loss} takes one label a sample, an array of shape (samples,), not of "
            f"shape {values.shape}."
        )
    if not np.all(np.isfinite(values)):
        raise ValueError(
            f"Label {int(np.argmin(np.isfinite(values)))} is not a finite number. Remove the "
            "sample or mend its label."
        )
    if np.any(values != np.floor(values)) or np.any((values < 0) | (values >= n_outputs)):
        wrong = values[(values != np.floor(values)) | (values < 0) | (values >= n_outputs)][0]
        raise ValueError(
            f"The label {wrong} is no class of an output of {n_outputs} neurons. Labels are "
            f"whole numbers from 0 to {n_outputs - 1}."
        )
    return np.asarray(np.eye(n_outputs)[values.astype(int)])


def scratch(name: str, size: int, kept: bool = False) -> Array:
    """An array of the instance in hand, every step kept if asked for."""
    slots = Slots(kept=True) if kept else None
    return Array(name, DType.REAL, size, Access.SCRATCH, slots)


def elements(**arrays: str) -> dict[str, Ref]:
    """Names of the elements of arrays."""
    return {name: Ref(array, Index.ELEMENT) for name, array in arrays.items()}


def scalars(**arrays: str) -> dict[str, Ref]:
    """Names of arrays of one element."""
    return {name: Ref(array, Index.SCALAR) for name, array in arrays.items()}


def sum_of(share: str, size: int, into: str) -> Phase:
    """The outputs' shares of the loss, added up."""
    body = Body("_value = share", elements(share=share))
    return Reduce("loss", size, Reduction.SUM, body, into)
