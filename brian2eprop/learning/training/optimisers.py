"""Optimisers: how a gradient changes a parameter, as an elementwise Program."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Memory
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Direction,
    ForEach,
    Index,
    Over,
    Program,
    Ref,
    Sweep,
)
from brian2eprop.learning.training.arguments import explains_arguments

LEARNING_RATE = dict.fromkeys(("lr", "rate", "eta", "step_size"), "learning_rate")


class Optimiser(ABC):
    """An update rule for parameters.

    What changes from update to update, such as the learning rate, lies in arrays of size 1
    that :meth:`prepare` fills: the compiled Program stays the same. The arrays it uses have
    names with a colon, which no variable of Brian2 can have.
    """

    learning_rate: float

    def program(self, parameters: Sequence[Array], gradients: Mapping[str, str]) -> Program:
        """The Program of one update.

        Parameters
        ----------
        parameters : sequence of Array
            The arrays that are trained.
        gradients : mapping of str to str
            For each of them the array of its gradient.

        Returns
        -------
        Program
            A sweep over what is shared: every parameter, its gradient and the optimiser's own
            arrays.
        """
        parts = [self._update(p, _like(p, gradients[p.name])) for p in parameters]
        arrays = {array.name: array for _, used in parts for array in used}
        phases = tuple(phase for phase, _ in parts)
        return Program(
            name=f"{type(self).__name__.lower()}_update",
            dt=1.0,
            arrays=tuple(arrays.values()),
            sweeps=(Sweep(Direction.ONCE, phases, Over.SHARED),),
        )

    @abstractmethod
    def prepare(self, memory: Memory, iteration: int) -> None:
        """Fill the arrays of size 1 for one update.

        Parameters
        ----------
        memory : Memory
            Memory that has been reserved for the Program.
        iteration : int
            Number of the update, 1 for the first.
        """

    @abstractmethod
    def _update(self, parameter: Array, gradient: Array) -> tuple[ForEach, tuple[Array, ...]]:
        """The phase that updates one parameter, and the arrays it uses."""

    def follows(self, program: Program) -> dict[str, str]:
        """The optimiser's own arrays that lie beside a parameter, element by element.

        Parameters
        ----------
        program : Program
            One that :meth:`program` gave.

        Returns
        -------
        dict of str to str
            The parameter of each.
        """
        return {
            ref.array: phase.body.refs["w"].array
            for phase in program.phases()
            if isinstance(phase, ForEach)
            for name, ref in phase.body.refs.items()
            if ref.index is Index.ELEMENT and name not in ("w", "g")
        }

    def fault(self, name: str, values: npt.NDArray[Any]) -> str | None:
        """What is impossible about the contents of one of its arrays, if anything.

        Parameters
        ----------
        name : str
            Name of the array.
        values : array
            Its contents.
        """
        return None

    def _rate(self) -> float:
        """The learning rate, which a callback may have changed."""
        return _number(self, "learning_rate", self.learning_rate, 0.0, math.inf)


@explains_arguments(LEARNING_RATE)
@dataclass
class Adam(Optimiser):
    r"""Adam (Kingma and Ba 2015, the efficient form at the end of section 2).

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        w &\leftarrow w - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
            \frac{m}{\sqrt{v} + \epsilon}

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`; may be changed during training.
    beta_1, beta_2 : float
        Decay of the two averages, in [0, 1).
    epsilon : float
        Added to the denominator; above zero.

    Raises
    ------
    ValueError
        If a number lies outside its range.
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        self.learning_rate = self._rate()
        self.beta_1 = _number(self, "beta_1", self.beta_1, 0.0, 1.0)
        self.beta_2 = _number(self, "beta_2", self.beta_2, 0.0, 1.0)
        self.epsilon = _number(self, "epsilon", self.epsilon, 0.0, math.inf)
        if self.epsilon == 0.0:
            raise ValueError(
                f"{type(self).__name__}: epsilon is 0; give a number above zero, such as 1e-8."
            )

    def fault(self, name: str, values: npt.NDArray[Any]) -> str | None:
        """Averages of squares are not negative; see :meth:`Optimiser.fault`."""
        if name.startswith("adam:v:") and (values < 0).any():
            return "holds an average of squares that is negative"
        return None

    def prepare(self, memory: Memory, iteration: int) -> None:
        """Write the bias-corrected learning rate; see :meth:`Optimiser.prepare`."""
        correction = math.sqrt(1 - self.beta_2**iteration) / (1 - self.beta_1**iteration)
        memory.write("adam:rate", self._rate() * correction)

    def _update(self, parameter: Array, gradient: Array) -> tuple[ForEach, tuple[Array, ...]]:
        own = {
            "m": _like(parameter, f"adam:m:{parameter.name}"),
            "s": _like(parameter, f"adam:v:{parameter.name}"),
            "rate": Array("adam:rate", parameter.dtype, 1, Access.SHARED),
        }
        own |= self._decay(parameter)
        kept = "w - decay*w" if "decay" in own else "w"
        code = (
            "m = beta_1*m + rest_1*g\ns = beta_2*s + rest_2*g*g\n"
            f"w = {kept} - rate*m/(sqrt(s) + epsilon)"
        )
        constants = {
            "beta_1": self.beta_1,
            "rest_1": 1 - self.beta_1,
            "beta_2": self.beta_2,
            "rest_2": 1 - self.beta_2,
            "epsilon": self.epsilon,
        }
        return _phase("adam", parameter, code, {"g": gradient, **own}, constants)

    def _decay(self, parameter: Array) -> dict[str, Array]:
        """The array of the share by which weights decay, if they do."""
        return {}


@explains_arguments(LEARNING_RATE)
@dataclass
class AdamW(Adam):
    r"""Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Before the update of :class:`Adam`, whose averages do not see it,

    .. math:: w \leftarrow w - \eta \lambda w

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float
        As for :class:`Adam`.
    weight_decay : float
        :math:`\lambda`; may be changed during training.

    Raises
    ------
    ValueError
        If a number lies outside its range.

    Examples
    --------
    >>> from brian2eprop import AdamW
    >>> AdamW(1e-3, weight_decay=0.1).weight_decay
    0.1
    """

    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.weight_decay = _number(self, "weight_decay", self.weight_decay, 0.0, math.inf)

    def prepare(self, memory: Memory, iteration: int) -> None:
        """Write the share that decays as well; see :meth:`Optimiser.prepare`."""
        super().prepare(memory, iteration)
        decay = _number(self, "weight_decay", self.weight_decay, 0.0, math.inf)
        memory.write("adam:decay", self._rate() * decay)

    def _decay(self, parameter: Array) -> dict[str, Array]:
        return {"decay": Array("adam:decay", parameter.dtype, 1, Access.SHARED)}


@explains_arguments(LEARNING_RATE)
@dataclass
class SGD(Optimiser):
    r"""Stochastic gradient descent, with momentum if wished.

    .. math::

        u &\leftarrow \mu u - \eta g \\
        w &\leftarrow w + u

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`; may be changed during training.
    momentum : float
        :math:`\mu`, in [0, 1).

    Raises
    ------
    ValueError
        If a number lies outside its range.
    """

    learning_rate: float = 1e-2
    momentum: float = 0.0

    def __post_init__(self) -> None:
        self.learning_rate = self._rate()
        self.momentum = _number(self, "momentum", self.momentum, 0.0, 1.0)

    def prepare(self, memory: Memory, iteration: int) -> None:
        """Write the learning rate; see :meth:`Optimiser.prepare`."""
        memory.write("sgd:rate", self._rate())

    def _update(self, parameter: Array, gradient: Array) -> tuple[ForEach, tuple[Array, ...]]:
        own = {"rate": Array("sgd:rate", parameter.dtype, 1, Access.SHARED)}
        if self.momentum == 0:
            return _phase("sgd", parameter, "w = w - rate*g", {"g": gradient, **own}, {})
        own["u"] = _like(parameter, f"sgd:u:{parameter.name}")
        code = "u = momentum*u - rate*g\nw = w + u"
        return _phase("sgd", parameter, code, {"g": gradient, **own}, {"momentum": self.momentum})


def _like(parameter: Array, name: str) -> Array:
    return Array(name, parameter.dtype, parameter.size, Access.SHARED)


def _phase(
    kind: str, parameter: Array, code: str, own: dict[str, Array], constants: dict[str, float]
) -> tuple[ForEach, tuple[Array, ...]]:
    arrays = {
        "w": parameter,
        **own,
    }
    body = Body(code, _refs(arrays.items(), scalars={"rate", "decay"}), constants)
    return ForEach(f"{kind}_{parameter.name}", parameter.size, body), tuple(arrays.values())


def _refs(arrays: Iterable[tuple[str, Array]], scalars: set[str]) -> dict[str, Ref]:
    return {
        name: Ref(array.name, Index.SCALAR if name in scalars else Index.ELEMENT)
        for name, array in arrays
    }


def _number(owner: Optimiser, name: str, value: float, low: float, below: float) -> float:
    """The number, refused where it is not in ``[low, below)``."""
    real = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not real or not low <= value < below:
        limit = "a finite number" if math.isinf(below) else f"a number below {below:g}"
        raise ValueError(
            f"{type(owner).__name__}: {name} is {value!r}; give {limit}, not below {low:g}."
        )
    return float(value)
