"""Constraints: what a parameter is put back to after every update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from brian2.synapses.synapses import Synapses
from brian2.units.fundamentalunits import get_dimensions

from brian2eprop.device.program import Access, Array, Body, DType, ForEach, Index, Ref
from brian2eprop.device.program.connectivity.pairs import in_their_order
from brian2eprop.learning.objective.task import Follower
from brian2eprop.learning.training.finding import find_array
from brian2eprop.learning.training.host import CapturedNetwork, TrainingDevice
from brian2eprop.learning.training.update import Update

Values = npt.NDArray[Any]


class Constraint(ABC):
    """Keeps the elements of a parameter within bounds.

    Attributes
    ----------
    code : str
        What moves the element ``w`` to the nearest value allowed; it must leave what is not
        finite so, for that ends a training. ``own_sign`` is the element's sign.
    """

    code: ClassVar[str]

    def constants(self) -> dict[str, float]:
        """Further names of the code, in SI units."""
        return {}

    def signs(self, view: Any) -> Values | None:
        """The sign of each element in Brian2's order, where the code uses it."""
        return None

    def fault(self, view: Any) -> str | None:
        """Why it cannot be a constraint of this variable, if so."""
        return None

    @abstractmethod
    def allows(self, values: Values, signs: Values | None) -> Values:
        """Which values are within bounds."""


@dataclass(frozen=True)
class NonNegative(Constraint):
    """No element below zero.

    Examples
    --------
    >>> from brian2eprop import NonNegative
    >>> NonNegative()
    NonNegative()
    """

    code: ClassVar[str] = "w = w*int(not (w < 0))"

    def allows(self, values: Values, signs: Values | None) -> Values:
        """See :meth:`Constraint.allows`."""
        return values >= 0


@dataclass(frozen=True)
class Clip(Constraint):
    """Every element between two bounds.

    Parameters
    ----------
    low, high : float or Quantity
        The bounds, in the unit of the parameter.

    Raises
    ------
    ValueError
        If they are no finite numbers of one unit, or the lower one is above the other.

    Examples
    --------
    >>> from brian2eprop import Clip
    >>> Clip(-1, 1)
    Clip(low=-1, high=1)
    """

    low: Any
    high: Any

    code: ClassVar[str] = (
        "w = low*int(w < low) + high*int(w > high) + w*int(not (w < low) and not (w > high))"
    )

    def __post_init__(self) -> None:
        plain = [np.asarray(bound) for bound in (self.low, self.high)]
        real = all(bound.shape == () and bound.dtype.kind in "iuf" for bound in plain)
        if not real or not np.isfinite(plain).all() or not plain[0] <= plain[1]:
            raise ValueError(
                f"Clip: the bounds are {self.low!r} and {self.high!r}; give two finite numbers, "
                "the lower one first."
            )
        if get_dimensions(self.low) is not get_dimensions(self.high):
            raise ValueError(
                f"Clip: the bounds {self.low} and {self.high} differ in unit; give both in that of "
                "the parameter."
            )

    def constants(self) -> dict[str, float]:
        """See :meth:`Constraint.constants`."""
        return {"low": float(self.low), "high": float(self.high)}

    def fault(self, view: Any) -> str | None:
        """See :meth:`Constraint.fault`."""
        if get_dimensions(self.low) is view.dim:
            return None
        return f"the bounds {self.low} and {self.high} do not have the unit of the parameter"

    def allows(self, values: Values, signs: Values | None) -> Values:
        """See :meth:`Constraint.allows`."""
        low, high = (values.dtype.type(float(bound)) for bound in (self.low, self.high))
        allowed: Values = (values >= low) & (values <= high)
        return allowed


@dataclass(frozen=True, eq=False)
class Dale(Constraint):
    """Every neuron excites or inhibits: all its synapses have its sign, or are zero.

    Parameters
    ----------
    signs : int array, shape (sources,)
        1 or -1 for each presynaptic neuron of the Synapses.

    Raises
    ------
    ValueError
        If they are anything else.

    Examples
    --------
    >>> from brian2eprop import Dale
    >>> Dale([1, 1, -1]).signs_of_sources.tolist()
    [1, 1, -1]
    """

    signs_of_sources: Any

    code: ClassVar[str] = "w = w*int(not (w*own_sign < 0))"

    def __post_init__(self) -> None:
        given = np.asarray(self.signs_of_sources)
        if given.ndim != 1 or given.dtype.kind not in "if" or (np.abs(given) != 1).any():
            raise ValueError("Dale: give a list with 1 or -1 for each presynaptic neuron.")
        object.__setattr__(self, "signs_of_sources", given.astype(int))

    def signs(self, view: Any) -> Values:
        """See :meth:`Constraint.signs`."""
        found: Values = self.signs_of_sources[np.asarray(view.group.i[:])]
        return found

    def fault(self, view: Any) -> str | None:
        """See :meth:`Constraint.fault`."""
        if not isinstance(view.group, Synapses):
            return "Dale is for variables of Synapses"
        sources, given = len(view.group.source), len(self.signs_of_sources)
        if sources != given:
            return f"there are {given} signs but {sources} presynaptic neurons"
        return None

    def allows(self, values: Values, signs: Values | None) -> Values:
        """See :meth:`Constraint.allows`."""
        allowed: Values = values * np.asarray(signs) >= 0
        return allowed


@dataclass(frozen=True)
class Constraints:
    """The constraints of a training.

    Parameters
    ----------
    of : mapping of str to Constraint
        By the array of each parameter.
    signs : mapping of str to array
        Signs of the elements, in the Program's order, where the constraint has some.
    always : frozenset of str
        Parameters that nothing is computed with outside of their bounds.
    """

    of: Mapping[str, Constraint]
    signs: Mapping[str, Values]
    always: frozenset[str] = frozenset()

    def contents(self) -> dict[str, Values]:
        """What the arrays of the phases hold."""
        return {_sign_of(name): signs for name, signs in self.signs.items()}

    def added(
        self, update: Update, parameters: Sequence[Array], following: Mapping[str, Follower]
    ) -> Update:
        """An update, and what puts these parameters back within bounds.

        That is a part of the update, so what follows a parameter is moved by as much.
        """
        program = update.program
        beside: dict[str, str] = {}
        (sweep,) = program.single_sweeps()
        arrays, phases = list(program.arrays), list(sweep.phases)
        for parameter in (array for array in parameters if array.name in self.of):
            name = parameter.name
            led = {n: follower for n, follower in following.items() if follower.leader == name}
            own = [replace(parameter, name=_sign_of(name))] if name in self.signs else []
            own += [replace(parameter, name=_moved_of(name))] if led else []
            arrays += own
            beside |= {array.name: name for array in own}
            phases.append(self.constrained(parameter, bool(led)))
            for follower, how in led.items():
                arrays.append(Array(how.origin, DType.INT, parameter.size, Access.SHARED))
                phases.append(_moved_alike(follower, how, parameter.size))
        sweeps = (replace(sweep, phases=tuple(phases)),)
        program = replace(program, arrays=tuple(arrays), sweeps=sweeps)
        return replace(update, program=program, follows={**update.follows, **beside})

    def constrained(self, parameter: Array, followed: bool) -> ForEach:
        """What puts a parameter back, and notes by how much if something follows it."""
        name, code = parameter.name, self.of[parameter.name].code
        refs = {"w": Ref(name, Index.ELEMENT)}
        if name in self.signs:
            refs["own_sign"] = Ref(_sign_of(name), Index.ELEMENT)
        if followed:
            refs["moved"] = Ref(_moved_of(name), Index.ELEMENT)
            code = f"moved = -w\n{code}\nmoved += w"
        body = Body(code, refs, self.of[name].constants())
        return ForEach(f"constrain_{name}", parameter.size, body)

    def derived(self, following: Mapping[str, Follower]) -> set[str]:
        """Names of the arrays that are no state: what follows from the others."""
        origins = {follower.origin for follower in following.values()}
        return origins | {_moved_of(name) for name in self.of}

    def sign_of(self, name: str) -> str | None:
        """The array with the signs of a parameter's elements, where the constraint has some."""
        return _sign_of(name) if name in self.signs else None

    def check(self, name: str, values: Values, signs: Values | None = None) -> None:
        """Refuse to begin outside of the bounds.

        Parameters
        ----------
        name : str
            Array of the parameter.
        values : array
            Its values.
        signs : array, optional
            The signs of its elements, where the constraint has some.

        Raises
        ------
        ValueError
            If a value is.
        """
        bad = ~self.of[name].allows(values, signs)
        if bad.any():
            raise ValueError(
                f"Trainer: the parameter '{name}' holds {values[bad][0]:g}, which its constraint "
                f"{self.of[name]!r} does not allow ({bad.sum()} of {bad.size} values); set it "
                "within the bounds before fit."
            )


def _sign_of(parameter: str) -> str:
    return f"constraint:sign:{parameter}"


def _moved_of(parameter: str) -> str:
    return f"constraint:moved:{parameter}"


def _moved_alike(name: str, follower: Follower, size: int) -> ForEach:
    refs = {
        "own": Ref(name, Index.ELEMENT),
        "moved": Ref(_moved_of(follower.leader), Index.ELEMENT, via=follower.origin),
    }
    return ForEach(f"constrain_{name}", size, Body("own += moved", refs))


def find_constraints(
    device: TrainingDevice, captured: CapturedNetwork, parameters: Sequence[Array], given: Any
) -> Constraints:
    """The constraints of parameters.

    Parameters
    ----------
    device, captured
        The device and the network.
    parameters : sequence of Array
        What is trained.
    given : mapping of VariableView to Constraint
        What the user gave.

    Raises
    ------
    TypeError, ValueError
        If one is no constraint, or not for this variable, or that is not trained.
    """
    if not isinstance(given, Mapping):
        raise TypeError(
            f"Trainer: constraints is of type {type(given).__name__}; give a dictionary by "
            "parameter, such as {synapses.w: NonNegative()}."
        )
    trained, found, signs = {array.name for array in parameters}, {}, {}
    for view, constraint in given.items():
        name = find_array(device, captured, view, "constrained variable")
        fault = None if name in trained else "it is not among the parameters"
        if isinstance(constraint, type) or not isinstance(constraint, Constraint):
            raise TypeError(
                f"Trainer: the constraint of '{name}' is {constraint!r}; give one, such as "
                "NonNegative() or Clip(-1, 1)."
            )
        fault = fault or constraint.fault(view)
        if fault is not None or name in found:
            fault = fault or "it has another one already"
            raise ValueError(f"Trainer: '{name}' cannot have {constraint!r}: {fault}.")
        found[name], own = constraint, constraint.signs(view)
        if own is not None:
            signs[name] = in_their_order(own, captured.orders.get(name))
    # Spikes are kept for as long as the longest delay only.
    return Constraints(found, signs, frozenset(captured.rounding))
