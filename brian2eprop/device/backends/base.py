"""What every backend offers: memory for a Program's arrays, and a kernel that runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program import Access, Array, DType, Precision, Program


@dataclass(frozen=True)
class SpikeStream:
    """Input spikes of a batch, by instance and step.

    Parameters
    ----------
    start : int64 array, shape (instances, n_steps + 1)
        The spikes of instance ``b`` at step ``first_step + s`` are
        ``index[start[b, s]:start[b, s + 1]]``; steps outside have none.
    index : int32 array, shape (n_spikes,)
        Neuron of each spike, ascending within a step, none twice.
    first_step : int
        The step that ``start[:, 0]`` belongs to.
    """

    start: npt.NDArray[np.int64]
    index: npt.NDArray[np.int32]
    first_step: int = 0


class Memory:
    """The arrays of one or more Programs, by name, for one number of instances.

    Arrays outlive the Programs: reserving a second Program keeps what has the same name,
    type and shape.

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
    """

    def __init__(self, xp: Any, precision: Precision, instances: int, workers: int) -> None:
        self.xp = xp
        self.precision = precision
        self.instances = instances
        self.workers = workers
        self.arrays: dict[str, Any] = {}

    def reserve(self, program: Program, n_steps: int) -> None:
        """Allocate, filled with zeros, what the Program needs for calls of ``n_steps`` steps."""
        for array in program.all_arrays().values():
            if not self.fits(array, n_steps):
                shape = self.shape(array, n_steps)
                self.arrays[array.name] = zeros(self.xp, shape, self.dtype(array))

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
        """A copy of the array as a NumPy array."""
        values = self.arrays[name]
        return np.array(values if self.xp is np else self.xp.asnumpy(values))

    def read_slots(self, name: str, slots: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """A copy of those slots of a PER_INSTANCE array, shape (instances, slots, elements)."""
        chosen = self.arrays[name][:, self.xp.asarray(slots)]
        return np.asarray(chosen if self.xp is np else self.xp.asnumpy(chosen))

    def write(self, name: str, values: npt.ArrayLike) -> None:
        """Set the array, broadcasting ``values`` to its shape."""
        target = self.arrays[name]
        target[...] = self.xp.asarray(np.asarray(values), dtype=target.dtype)


CACHE_LINE = 64


def zeros(xp: Any, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
    """Zeros that start at a cache line: a vector that straddles two costs twice as much.

    Pages that nobody touches are never allocated.
    """
    if xp is not np:
        return xp.zeros(shape, dtype)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


NUMPY_TYPES: dict[DType, np.dtype[Any]] = {
    DType.DOUBLE: np.dtype(np.float64),
    DType.INT: np.dtype(np.int32),
    DType.BOOL: np.dtype(np.bool_),
}


class Kernel(ABC):
    """A Program made runnable."""

    program: Program

    @abstractmethod
    def run(
        self,
        memory: Memory,
        first_step: int = 0,
        n_steps: int = 0,
        streams: Mapping[str, SpikeStream] | None = None,
    ) -> None:
        """Run the Program's sweeps over the steps ``first_step .. first_step + n_steps - 1``.

        ``memory`` must have been reserved for the Program and for at least ``n_steps`` steps.
        Returns when the work is done.
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
    def compile(self, program: Program) -> Kernel:
        """Make the Program runnable; programs that differ in constants only compile once."""
