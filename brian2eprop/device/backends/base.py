"""What every backend offers: memory for a Program's arrays, and a kernel that runs it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.allocation import NUMPY_TYPES, in_precision, zeros
from brian2eprop.device.backends.available import free_bytes
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.codegen.storage import KEYS, stored_arrays
from brian2eprop.device.program import (
    Access,
    Array,
    DType,
    Precision,
    Program,
)
from brian2eprop.device.program.draws import draw_keys
from brian2eprop.spikes import SpikeStream


class Memory:
    """The arrays of one or more Programs, by name, for one number of instances.

    Arrays outlive the Programs: reserving a second Program keeps what has the same name.

    Parameters
    ----------
    xp : module
        ``numpy`` or ``cupy``.
    precision : Precision
        Type of REAL arrays.
    instances : int
        Number of instances (the leading axis of PER_INSTANCE arrays).
    workers : int
        Number of copies of SCRATCH arrays.

    Attributes
    ----------
    lazy : bool
        Whether what nobody touches is never taken. Such a system lends more than it has, and kills
        who takes it; so it is asked before.
    """

    lazy = True

    def __init__(self, xp: Any, precision: Precision, instances: int, workers: int) -> None:
        self.xp = xp
        self.precision = precision
        self.instances = instances
        self.workers = workers
        self.arrays: dict[str, Any] = {}
        self._versions: dict[str, Version] = {}

    def reserve(self, program: Program, n_steps: int) -> None:
        """Allocate, filled with zeros, what the Program needs for calls of ``n_steps`` steps.

        Raises
        ------
        ValueError
            If another Program has an array of the same name and another kind.
        """
        self.reserve_arrays(stored_arrays(program).values(), n_steps)

    def reserve_arrays(self, arrays: Iterable[Array], n_steps: int = 0) -> None:
        """Allocate arrays, filled with zeros; those that are there are kept, or get more slots.

        Raises
        ------
        ValueError
            If there is an array of the same name and another kind.
        """
        for array in arrays:
            known = self.arrays.get(array.name)
            if self.fits(array, n_steps):
                continue
            shape, dtype = self.shape(array, n_steps), self.dtype(array)
            if known is not None and (
                known.dtype != dtype or not _more_slots(array, known.shape, shape)
            ):
                raise ValueError(
                    f"The memory holds an array '{array.name}' of shape {known.shape} and type "
                    f"{known.dtype}, but shape {shape} and type {dtype} are asked for; rename one "
                    "of them, or take new memory."
                )
            # What is there is free before more is asked for.
            self.arrays.pop(array.name, None)
            known = None
            self.arrays[array.name] = self.zeros(shape, dtype)

    def bytes_of(self, program: Program, n_steps: int) -> int:
        """How much memory the Program needs for calls of ``n_steps`` steps."""
        return sum(
            math.prod(self.shape(array, n_steps)) * self.dtype(array).itemsize
            for array in stored_arrays(program).values()
        )

    def free_bytes(self) -> int | None:
        """How much memory is left where the arrays lie; None where nobody tells."""
        return free_bytes()

    def fits(self, array: Array, n_steps: int) -> bool:
        """Whether the array is there as calls of ``n_steps`` steps need it."""
        known = self.arrays.get(array.name)
        shape, dtype = self.shape(array, n_steps), self.dtype(array)
        return known is not None and known.shape == shape and known.dtype == dtype

    def shape(self, array: Array, n_steps: int) -> tuple[int, ...]:
        """Shape of the array for calls of ``n_steps`` steps."""
        slots = () if array.slots is None else (array.slots.depth(n_steps),)
        if array.access is Access.PER_INSTANCE:
            return (self.instances, *slots, array.size)
        if array.access is Access.SCRATCH:
            return (self.workers, *slots, array.size)
        return (array.size,)

    def dtype(self, array: Array) -> np.dtype[Any]:
        """NumPy type of the array's elements."""
        return self.precision.dtype if array.dtype is DType.REAL else NUMPY_TYPES[array.dtype]

    def read(self, name: str) -> npt.NDArray[Any]:
        """A copy of the array as a NumPy array; waits for what is being computed."""
        return np.array(self.on_host(self.arrays[name]))

    def write(self, name: str, values: npt.ArrayLike, owners: int | None = None) -> None:
        """Set the array, broadcasting ``values`` to its shape.

        Parameters
        ----------
        name : str
            Name of the array.
        values : array
            Its new elements.
        owners : int, optional
            How many instances' copies are set, from the first on; by default all.

        Raises
        ------
        ValueError
            If a number is too large for the array's precision.
        """
        target = self.arrays[name][:owners]
        target[...] = self.xp.asarray(in_precision(name, np.asarray(values), target.dtype))
        self.touch([name])

    def share(self, other: Memory, names: Iterable[str]) -> None:
        """Use arrays of another memory as its own."""
        for name in names:
            self.arrays[name] = other.arrays[name]
            self._versions[name] = other._version(name)

    def wait(self) -> None:
        """Wait for what is being computed."""

    def touch(self, names: Iterable[str]) -> None:
        """Note that arrays have other contents now."""
        for name in names:
            self._version(name).number += 1

    def _version(self, name: str) -> Version:
        return self._versions.setdefault(name, Version())

    def zeros(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """A new array, filled with zeros."""
        return zeros(shape, dtype)

    def on_host(self, values: Any) -> npt.NDArray[Any]:
        """An array, or a part of one, as a NumPy array."""
        found: npt.NDArray[Any] = values
        return found

    # Slots and logs

    def read_slots(self, name: str, steps: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """The slots of an array for some steps.

        Parameters
        ----------
        name : str
            Name of the array.
        steps : int array, shape (n,)
            The steps.

        Returns
        -------
        array, shape (instances, n, size)
            A copy of the values.
        """
        stored = self.arrays[name]
        return np.array(self.on_host(stored[:, self.xp.asarray(steps % stored.shape[1])]))

    def write_slots(self, name: str, steps: npt.NDArray[np.int64], values: npt.ArrayLike) -> None:
        """Set the slots of an array for some steps, which are no more than it has.

        Parameters
        ----------
        name : str
            Name of the array.
        steps : int array, shape (n,)
            The steps.
        values : array
            Their values, broadcast to shape (instances, n, size).
        """
        stored = self.arrays[name]
        stored[:, self.xp.asarray(steps % stored.shape[1])] = self.xp.asarray(values)

    def copy_slots(self, name: str, first_step: int, into: npt.NDArray[Any]) -> None:
        """Copy the slots of consecutive steps to where they are wanted.

        Parameters
        ----------
        name : str
            Name of the array.
        first_step : int
            The first of the steps.
        into : array, shape (n, instances, size)
            Where to, of any type.
        """
        stored = self.arrays[name]
        depth = stored.shape[1]
        done = 0
        while done < len(into):
            slot = (first_step + done) % depth
            n = min(depth - slot, len(into) - done)
            into[done : done + n] = self.on_host(stored[:, slot : slot + n]).swapaxes(0, 1)
            done += n

    def take_log(
        self, end: str, columns: Iterable[str]
    ) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[Any]]]:
        """What stands in a log, which is empty afterwards.

        Parameters
        ----------
        end : str
            The array with the number of entries.
        columns : iterable of str
            The log's columns.

        Returns
        -------
        instance : int array, shape (n_entries,)
            The instance of each entry, ascending.
        entries : list of array, shape (n_entries,)
            The entries of each column.
        """
        ends = self.read(end)[:, 0]
        self.write(end, 0)
        longest = int(ends.max(initial=0))
        there = np.arange(longest) < ends[:, None]
        flat = (self.arrays[column].reshape(len(ends), -1) for column in columns)
        entries = [self.on_host(column[:, :longest])[there] for column in flat]
        return np.repeat(np.arange(len(ends)), ends), entries

    # Draws

    def write_keys(self, program: Program, seed: int, shift: int = 0) -> None:
        """Let a Program draw the numbers of a seed.

        Parameters
        ----------
        program : Program
            The Program.
        seed : int
            The seed.
        shift : int
            What is added to the step: a number of steps further on in the same numbers.
        """
        if program.draws:
            self.write(KEYS, draw_keys(program.draws, seed, shift))

    # Tables

    def derive_tables(self, program: Program) -> None:
        """Bring tables that follow from others up to date, where these have changed."""
        for found, sides in program.deriving:
            names = [table.name for table in found.tables(())]
            derived = {table.name for table in found.tables(sides)} - set(names)
            now = tuple(self._version(name).number for name in names)
            if any(self._version(name).derived_from != now for name in derived):
                contents = {name: self.read(name) for name in names}
                for name, values in found.derived(contents, sides).items():
                    self.write(name, values)
                    self._version(name).derived_from = now

    def note_derived(self, program: Program) -> None:
        """Note that tables that follow from others are up to date: a phase has derived them."""
        for found, sides in program.deriving:
            names = [table.name for table in found.tables(())]
            now = tuple(self._version(name).number for name in names)
            for name in {table.name for table in found.tables(sides)} - set(names):
                self._version(name).derived_from = now


@dataclass
class Version:
    """How often an array was written, and which versions of other arrays it was derived from."""

    number: int = 0
    derived_from: tuple[int, ...] | None = None


def _more_slots(array: Array, known: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether the two shapes are those of one array with slots."""
    return array.slots is not None and (known[0], known[-1]) == (wanted[0], wanted[-1])


@dataclass(frozen=True)
class Call:
    """What a kernel is asked to run.

    Parameters
    ----------
    first_step, n_steps : int
        The steps ``first_step .. first_step + n_steps - 1``.
    streams : mapping of str to SpikeStream
        The spikes of every input stream. They may lie where the kernel runs, and then are not
        copied.
    """

    first_step: int = 0
    n_steps: int = 0
    streams: Mapping[str, SpikeStream] = field(default_factory=dict)


NOTHING_GIVEN = Call()


class Kernel(ABC):
    """A Program made runnable."""

    program: Program
    layout: Layout = Layout.PER_INSTANCE

    @abstractmethod
    def run(self, memory: Memory, call: Call = NOTHING_GIVEN) -> None:
        """Run the Program's sweeps.

        ``memory`` must have been reserved for the Program and for at least ``call.n_steps``
        steps. It may return before the work is done: reading an array waits for it.

        Raises
        ------
        ValueError
            If an input stream is missing or does not fit.
        """


class Backend(ABC):
    """A place where Programs run."""

    name: str

    def __init__(self, precision: Precision) -> None:
        self.precision = precision

    @abstractmethod
    def memory(self, instances: int) -> Memory:
        """Empty memory for that many instances."""

    @abstractmethod
    def compile(self, program: Program, layout: Layout = Layout.PER_INSTANCE) -> Kernel:
        """Make the Program runnable; programs that differ in constants only compile once.

        Parameters
        ----------
        program : Program
            The Program.
        layout : Layout
            How its instances are spread over the machine, which changes no result.
        """
