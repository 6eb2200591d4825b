"""Runs batches of a Program: its kernel and its memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Backend, Call, Kernel, Memory
from brian2eprop.device.program import Access, Program
from brian2eprop.learning.objective.task import Online, Roles
from brian2eprop.learning.training.data import Batch
from brian2eprop.learning.training.validity import counting_nan

Seek = Callable[[Program], Program]


class _Variant:
    """A Program, its states that became NaN counted, with its kernel."""

    def __init__(
        self, backend: Backend, program: Program, roles: Roles, seek: Seek | None = None
    ) -> None:
        self._backend = backend
        self.program, self.nan_counts = counting_nan(program, roles.initial)
        self.seeking = None if seek is None else _Variant(backend, seek(program), roles)

    @property
    def largest(self) -> Program:
        """That of its Programs that needs most memory."""
        return self.program if self.seeking is None else self.seeking.program

    @cached_property
    def kernel(self) -> Kernel:
        """The compiled Program."""
        return self._backend.compile(self.program)


class Session:
    """A Program with its kernel and memory; arrays with one copy lie in a common store.

    It also counts the states that are no numbers any more at the end of a batch.

    Parameters
    ----------
    backend : Backend
        Where it runs.
    program : Program
        What runs.
    store : Memory
        Holds the arrays of which there is one copy for all Programs.
    roles : Roles
        The parts that its arrays play.
    sparing : callable, optional
        Makes a Program with the same results that runs where the other does not fit into memory.
    online : Online, optional
        How it runs in several calls a batch.
    seek : callable, optional
        Makes a Program with the same results that has the gradients of places without a synapse
        as well.
    """

    def __init__(
        self,
        backend: Backend,
        program: Program,
        store: Memory,
        roles: Roles,
        sparing: Callable[[], Program] | None = None,
        online: Online | None = None,
        seek: Seek | None = None,
    ) -> None:
        self.backend = backend
        self.store = store
        self.roles = roles
        self.memory = store
        self._seek = seek
        self._usual = self._running = self._variant(program)
        self._sparing = None if sparing is None else cache(lambda: self._variant(sparing()))
        self._online = online
        self._size = (0, 0)
        self._given: tuple[int, int] | None = None

    def _variant(self, program: Program) -> _Variant:
        return _Variant(self.backend, program, self.roles, self._seek)

    @property
    def program(self) -> Program:
        """What runs."""
        return self._running.program

    @property
    def nan_counts(self) -> Mapping[str, str]:
        """See :func:`counting_nan`."""
        return self._running.nan_counts

    @property
    def kernel(self) -> Kernel:
        """The compiled Program."""
        return self._running.kernel

    @cached_property
    def _begin(self) -> Kernel | None:
        """What comes before the first call, if that is a kernel of its own."""
        return None if self._online is None else self.backend.compile(self._online.begin)

    def run(self, batch: Batch) -> None:
        """Run a batch; the gradients are those of its mean loss."""
        self.begin(batch)
        self.advance(batch, range(batch.n_steps))

    def begin(self, batch: Batch) -> None:
        """Bring the instances to the beginning of a batch's samples."""
        self._prepare(batch.size, batch.n_steps)
        self._give(batch)
        for output, target in zip(self.roles.outputs, batch.targets, strict=False):
            self.memory.write(output.target, target, batch.n_samples)
        for name, values in batch.inputs.items():
            self.memory.write(name, values)
        if self._begin is not None:
            self._begin.run(self.memory)

    def advance(self, batch: Batch, steps: range, seeking: bool = False) -> None:
        """Go through some steps of a batch, in order; the gradients are those of these steps.

        ``seeking``: those of places without a synapse too.
        """
        variant = self._running.seeking if seeking else self._running
        assert variant is not None
        variant.kernel.run(self.memory, Call(steps.start, len(steps), batch.streams))

    def calls(self, batch: Batch) -> Iterator[tuple[range, bool]]:
        """The steps of each call for a batch, and whether an update follows."""
        if self._online is None:
            yield range(batch.n_steps), True
            return
        n_steps = batch.n_steps if batch.lengths is None else int(batch.lengths.max())
        for first in range(0, n_steps, self._online.every):
            steps = range(first, min(first + self._online.every, n_steps))
            yield steps, self._online.counts(steps)

    def read(self, name: str, n_samples: int) -> npt.NDArray[Any]:
        """The first samples of an array with one copy an instance."""
        return np.array(self.memory.on_host(self.samples(name, n_samples)))

    def samples(self, name: str, n_samples: int) -> Any:
        """The first samples of an array with one copy an instance, where they lie."""
        return self.memory.arrays[name][:n_samples]

    def _give(self, batch: Batch) -> None:
        """How long each sample is and what it counts; a padding has one step and counts nothing."""
        usual = batch.lengths is None and batch.weights is None
        if usual and self._given == (batch.n_samples, batch.n_steps):
            return
        n, roles = batch.n_samples, self.roles
        lengths = np.full(n, batch.n_steps) if batch.lengths is None else batch.lengths
        weights = np.ones(n) if batch.weights is None else batch.weights
        values: dict[str | None, Any] = {roles.steps: lengths, roles.weight: np.full(n, 1 / n)}
        for output in roles.outputs:
            values[output.weight] = output.factor * weights
            values[output.scale] = [1 / output.window_steps(length) for length in lengths.tolist()]
        for name in values.keys() & self.memory.arrays.keys():
            padded = np.full((batch.size, 1), float(name == roles.steps))
            padded[:n, 0] = values[name]
            self.memory.write(str(name), padded)
        self._given = (n, batch.n_steps) if usual else None

    def _prepare(self, instances: int, n_steps: int) -> None:
        if self._size == (instances, n_steps):
            return
        # Two of them need not fit beside each other.
        self.memory, self._size, self._given = self.store, (0, 0), None
        if self._sparing is not None:
            fits = self._fits(self._usual.largest, instances, n_steps)
            self._running = self._usual if fits else self._sparing()
        try:
            self.memory = self._new_memory(instances, n_steps)
        except MemoryError as error:
            raise MemoryError(
                f"A batch of {instances} samples of {n_steps} steps does not fit into the memory "
                f"of the backend '{self.backend.name}'; give a smaller batch_size."
            ) from error
        self._size = (instances, n_steps)

    def _fits(self, program: Program, instances: int, n_steps: int) -> bool:
        memory = self.backend.memory(instances)
        free = memory.free_bytes()
        return free is None or memory.bytes_of(program, n_steps) <= free

    def _new_memory(self, instances: int, n_steps: int) -> Memory:
        memory = self.backend.memory(instances)
        program = self._running.largest
        arrays = program.all_arrays().values()
        shared = (array.name for array in arrays if array.access is Access.SHARED)
        memory.share(self.store, [name for name in shared if name in self.store.arrays])
        memory.reserve(program, n_steps)
        return memory
