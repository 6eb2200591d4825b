"""Learning rates that are functions of the number of updates done."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2.units.fundamentalunits import is_dimensionless

from brian2eprop.device.program import Array
from brian2eprop.learning.settings import KIND, settings
from brian2eprop.learning.training.finding import find_array
from brian2eprop.learning.training.host import CapturedNetwork, TrainingDevice
from brian2eprop.number_checks import as_real, flag, number, shown

Rate = float | Callable[[int], float]


class Schedule(ABC):
    """A learning rate by the number of updates done, 0 at the first."""

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The learning rate of an update."""


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    r"""Learning rate that falls by a factor in so many updates, as Keras' of that name.

    .. math:: \eta(k) = \eta_0 \, r^{k/n}

    Parameters
    ----------
    initial_learning_rate : float
        :math:`\eta_0`, at the first update.
    decay_steps : int
        :math:`n`, number of updates.
    decay_rate : float
        :math:`r`, what is left after them.
    staircase : bool
        Whether the exponent is rounded down, so that the rate falls in steps.

    Raises
    ------
    ValueError
        If a number is not finite or negative, or there are no steps.

    Examples
    --------
    >>> from brian2eprop import ExponentialDecay
    >>> ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)(200)
    0.025
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __post_init__(self) -> None:
        _check(self, ("initial_learning_rate", "decay_rate"), ("decay_steps",))
        object.__setattr__(self, "staircase", flag("ExponentialDecay", "staircase", self.staircase))

    def __call__(self, step: int) -> float:
        """See :class:`Schedule`."""
        exponent = step / self.decay_steps
        power = math.floor(exponent) if self.staircase else exponent
        try:
            return float(self.initial_learning_rate * self.decay_rate**power)
        except OverflowError:  # a rate above 1; whoever updates refuses what is not finite
            return math.inf


@dataclass(frozen=True)
class CosineDecay(Schedule):
    r"""Learning rate that falls along a cosine, after a linear warm-up if wished, as in Keras.

    .. math::

        \eta(k) = \eta_0 \left((1 - \alpha) \tfrac{1}{2} (1 + \cos(\pi k/n)) + \alpha\right)

    (Loshchilov and Hutter 2017, without restarts); :math:`\alpha \eta_0` from :math:`n` on.

    Parameters
    ----------
    initial_learning_rate : float
        :math:`\eta_0`; with a warm-up where that begins.
    decay_steps : int
        :math:`n`, number of updates of the fall.
    alpha : float
        What is left at its end, as a share.
    warmup_target : float, optional
        Where the warm-up ends, and the fall begins.
    warmup_steps : int
        Number of updates of the warm-up.

    Raises
    ------
    ValueError
        If a number is not finite or negative, there are no steps, or only one of target and
        steps of a warm-up is given.

    Examples
    --------
    >>> from brian2eprop import CosineDecay
    >>> CosineDecay(0.1, decay_steps=100)(50)
    0.05
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        warm = () if self.warmup_target is None else ("warmup_target",)
        _check(self, ("initial_learning_rate", "alpha", *warm, "warmup_steps"), ("decay_steps",))
        if (self.warmup_target is None) != (self.warmup_steps == 0):
            raise ValueError(
                f"CosineDecay: warmup_target is {self.warmup_target} and warmup_steps is "
                f"{self.warmup_steps}; give both or none."
            )

    def __call__(self, step: int) -> float:
        """See :class:`Schedule`."""
        first, top = self.initial_learning_rate, self.warmup_target
        if top is None:
            top = first
        elif step < self.warmup_steps:
            return float(first + (top - first) * step / self.warmup_steps)
        share = min(step - self.warmup_steps, self.decay_steps) / self.decay_steps
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        return float(top * ((1 - self.alpha) * cosine + self.alpha))


@dataclass(frozen=True)
class PiecewiseConstantDecay(Schedule):
    """Learning rate that is constant between given updates, as Keras' of that name.

    Parameters
    ----------
    boundaries : sequence of int
        Ascending numbers of updates; the first value holds up to the first one, included.
    values : sequence of float
        The learning rates, one more than boundaries.

    Raises
    ------
    ValueError
        If boundaries do not ascend, or there are not as many values.

    Examples
    --------
    >>> from brian2eprop import PiecewiseConstantDecay
    >>> schedule = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> schedule(100), schedule(101), schedule(500)
    (0.1, 0.01, 0.001)
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        steps, rates = (_reals(given) for given in (self.boundaries, self.values))
        good = steps is not None and rates is not None and len(rates) == len(steps) + 1
        if not good or list(steps or ()) != sorted(set(steps or ())):
            raise ValueError(
                f"PiecewiseConstantDecay: the boundaries are {self.boundaries!r} and the values "
                f"{self.values!r}; give ascending numbers of updates, and one rate more."
            )
        object.__setattr__(self, "boundaries", steps)
        object.__setattr__(self, "values", rates)

    def __call__(self, step: int) -> float:
        """See :class:`Schedule`."""
        return float(self.values[sum(step > boundary for boundary in self.boundaries)])


def _reals(given: Any) -> tuple[Any, ...] | None:
    """The elements of a sequence; None where it is none, or not of numbers from 0 up."""
    whole = isinstance(given, np.ndarray) and given.ndim == 1 and is_dimensionless(given)
    if not (whole or isinstance(given, list | tuple | range)) or not all(map(_real, given)):
        return None
    return tuple(map(_plain, given))


def _plain(value: Any) -> Any:
    """A number of NumPy's, or one in a Quantity, as Python's."""
    return np.asarray(value).item() if isinstance(value, np.generic | np.ndarray) else value


def check_rate(owner: str, role: str, rate: Any) -> Rate:
    """A learning rate, refused where it is no number from 0 up, schedule or function.

    Raises
    ------
    ValueError
        If it is not.
    """
    if callable(rate) and not isinstance(rate, type):
        return rate  # type: ignore[no-any-return]
    if not _real(rate):
        raise ValueError(
            f"{owner}: {role} is {shown(rate)}; give a finite number, not below 0, or a schedule, "
            "such as ExponentialDecay(1e-3, 1000, 0.5)."
        )
    return float(rate)


def rate_of(owner: str, rate: Rate, step: int) -> float:
    """The learning rate of an update.

    Raises
    ------
    ValueError
        If it is no finite number from 0 up.
    """
    if not callable(rate):
        return float(check_rate(owner, "learning_rate", rate))  # type: ignore[arg-type]
    value = rate(step)
    if not _real(value):
        raise ValueError(
            f"{owner}: the schedule {rate!r} gives {shown(value)} for update {step}; let it "
            "give finite numbers, not below 0."
        )
    return float(value)


def find_rates(
    device: TrainingDevice, captured: CapturedNetwork, parameters: Sequence[Array], given: Any
) -> dict[str, Rate]:
    """The parameters' own learning rates.

    Parameters
    ----------
    device, captured
        The device and the network.
    parameters : sequence of Array
        What is trained.
    given : mapping of VariableView to float or callable
        What the user gave.

    Returns
    -------
    dict of str to float or callable
        The rates by array.

    Raises
    ------
    TypeError, ValueError
        If one is no learning rate, or of a variable that is not trained.
    """
    if not isinstance(given, Mapping):
        raise TypeError(
            f"Trainer: learning_rates is of type {type(given).__name__}; give a dictionary by "
            "parameter, such as {synapses.w: 1e-4}."
        )
    trained, found = {array.name for array in parameters}, {}
    for view, rate in given.items():
        name = find_array(device, captured, view, "variable with a learning rate")
        if name not in trained or name in found:
            fault = "has two learning rates" if name in found else "is not among the parameters"
            raise ValueError(f"Trainer: '{name}' in learning_rates {fault}; give one of these.")
        found[name] = check_rate("Trainer", f"the learning rate of '{name}'", rate)
    return found


def made_again(saved: Any, here: Rate) -> Rate | None:
    """A learning rate from its settings: a number, a schedule, or the function that is here.

    Parameters
    ----------
    saved : object
        What :func:`settings` made of it.
    here : float or callable
        The learning rate that is to be replaced.

    Returns
    -------
    float or callable or None
        The learning rate; None if it is a function that is not here.
    """
    if not isinstance(saved, Mapping):
        return float(saved)
    kinds = {
        kind.__name__: kind for kind in Schedule.__subclasses__() if kind.__module__ == __name__
    }
    taken = dict(saved)
    kind = kinds.get(taken.pop(KIND))
    if kind is not None:
        return kind(**taken)
    return here if settings(here) == saved else None


def _real(value: Any) -> bool:
    found = as_real(value)
    return found is not None and 0 <= found < math.inf


def _check(owner: Schedule, rates: Sequence[str], counts: Sequence[str]) -> None:
    for name in (*rates, *counts):
        value = getattr(owner, name)
        number(type(owner).__name__, name, value, low=1 if name in counts else 0)
        object.__setattr__(owner, name, _plain(value))
