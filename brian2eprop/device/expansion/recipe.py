"""Synapses that are kept as a rule: which there are, and what has been said of each of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from brian2eprop.device import brian
from brian2eprop.device.backends.base import Backend, Memory
from brian2eprop.device.expansion.definition import Definition, joined, needed, value
from brian2eprop.device.expansion.rows import Rows, run_once
from brian2eprop.device.program import (
    Access,
    Array,
    Assign,
    Body,
    DType,
    Index,
    Ref,
)

_KEPT = "_eprop_recipe"
_OUT = "_out"
_TO = {_OUT: Ref(_OUT, Index.SYNAPSE)}


@dataclass(frozen=True, eq=False)
class Recipe:
    """A rule, and the expressions that variables of its synapses were set to since.

    Parameters
    ----------
    rows : Rows
        Which synapses there are.
    script : tuple of Definition
        The expressions in order.
    latest : mapping of brian2 Variable to int
        Which of them is the value of each variable; of others it is zero.
    """

    rows: Rows
    script: tuple[Definition, ...] = ()
    latest: WeakKeyDictionary[Any, int] = field(default_factory=WeakKeyDictionary)
    _steps: dict[tuple[Any, ...], Steps] = field(default_factory=dict, init=False)

    def assigned(self, variable: Any, definition: Definition) -> Recipe:
        """The same, with a variable set to an expression."""
        latest = WeakKeyDictionary({**self.latest, variable: len(self.script)})
        return replace(self, script=(*self.script, definition), latest=latest)

    def read(self, variable: Any) -> npt.NDArray[Any]:
        """The values of a variable, on the host; as precise as they are in a run."""
        size, kind = self.rows.n_synapses, variable.dtype
        if variable not in self.latest:
            return np.zeros(size, kind)
        dtype = _dtype(variable)
        backend = self.rows.machines.fine_backend
        if dtype is DType.REAL:
            backend = self.rows.machines.backend
        memory = backend.memory(1)
        memory.reserve_arrays([Array(_OUT, dtype, size, Access.SHARED)])
        self.fill(variable, backend, memory, _OUT, dtype)
        return memory.read(_OUT).astype(kind)

    def fill(
        self, variable: Any, backend: Backend, memory: Memory, name: str, dtype: DType
    ) -> None:
        """Work a variable out where an array is.

        Parameters
        ----------
        variable : brian2 Variable
            The variable.
        backend : Backend
            Where it is.
        memory : Memory
            Has the array.
        name : str
            Name of the array, of which the first copy is filled where there are some.
        dtype : DType
            Its type.
        """
        values = memory.arrays[name]
        into = values if values.ndim == 1 else values[0]
        if variable not in self.latest:
            into[...] = 0
        elif len(into):
            number = self.latest[variable]
            self._assign(backend, into, number, Body(f"{_OUT} = {value(number)}", _TO), dtype)
        if values.ndim > 1:
            values[1:] = into
        memory.touch([name])

    def _assign(self, backend: Backend, into: Any, number: int, last: Body, dtype: DType) -> None:
        rows = self.rows
        used = [self.script[each] for each in needed(self.script, number)]
        sizes = rows.n_source, rows.n_target, joined(used, last), rows.n_synapses
        phase = Assign("values", rows.name, *sizes)
        shared = backend.memory(1)
        shared.share(rows.memory(), [phase.part("row"), phase.part("target")])
        shared.arrays[_OUT] = into
        arrays = (
            Array(_OUT, dtype, rows.n_synapses, Access.SHARED),
            Array(phase.part("row"), DType.INT, rows.n_source + 1, Access.SHARED),
            Array(phase.part("target"), DType.INT, rows.n_synapses, Access.SHARED),
            Array(phase.part("ranges"), DType.INT, 4, Access.SHARED),
            *(array for each in used for array in each.arrays()),
        )
        known = {name: values for each in used for name, values in each.contents.items()}
        contents = {**known, phase.part("ranges"): rows.ranges()}
        seeds = {draw: each.seed for each in used for draw in each.body.draws.values()}
        run_once(backend, shared, rows.name, phase, arrays, contents, seeds)

    def delay_steps(self, variable: Any, dt: float, late: int, name: str) -> Steps:
        """The delays of its synapses in steps; see :class:`Steps`."""
        key = (id(variable), dt, late, name)
        if key not in self._steps:
            self._steps[key] = Steps(self, variable, dt, late, name)
        return self._steps[key]

    def fill_steps(self, delay: Steps, memory: Memory) -> None:
        """Work out the steps that a delay is rounded to, as Brian2 rounds it, where an array is."""
        into = memory.arrays[delay.name]
        number = self.latest[delay.variable]
        code = f"{_OUT} = int({value(number)}/_width + 0.5) + _late"
        last = Body(code, _TO, {"_width": delay.dt, "_late": delay.late})
        if len(into):
            self._assign(self.rows.machines.fine_backend, into, number, last, DType.INT)


@dataclass(eq=False)
class Steps:
    """The delays of synapses in steps.

    Parameters
    ----------
    recipe : Recipe
        The synapses.
    variable : brian2 Variable
        The delay.
    dt : float
        A step in seconds.
    late : int
        How many steps are added.
    name : str
        What their array is called.
    """

    recipe: Recipe
    variable: Any
    dt: float
    late: int
    name: str
    _made: tuple[Backend, Memory] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        into = self.memory().arrays[self.name]
        self.least, self.most = (int(into.min()), int(into.max())) if len(into) else (0, 0)

    def memory(self) -> Memory:
        """The memory of the backend that has them."""
        backend = self.recipe.rows.machines.fine_backend
        if self._made is None or self._made[0] is not backend:
            memory = backend.memory(1)
            size = self.recipe.rows.n_synapses
            memory.reserve_arrays([Array(self.name, DType.INT, size, Access.SHARED)])
            self.recipe.fill_steps(self, memory)
            self._made = backend, memory
        return self._made[1]

    def read(self) -> npt.NDArray[np.int32]:
        """All of them, on the host."""
        return np.asarray(self.memory().read(self.name), np.int32)


def _dtype(variable: Any) -> DType:
    """The type in which a variable is worked out: a time is as fine as it is on the host."""
    if variable.is_boolean:
        return DType.BOOL
    if variable.is_integer:
        return DType.INT
    return DType.DOUBLE if brian.is_delay(variable) else DType.REAL


def recipe_of(synapses: Any) -> Recipe | None:
    """What synapses are kept as; None where each of them is known."""
    found = getattr(synapses, "__dict__", {}).get(_KEPT)
    return found if isinstance(found, Recipe) else None


def keep(synapses: Any, recipe: Recipe | None) -> None:
    """Keep synapses as a recipe, or as such no more."""
    if recipe is None:
        synapses.__dict__.pop(_KEPT, None)
    else:
        synapses.__dict__[_KEPT] = recipe
