"""Runs a rule's Programs: their kernels, and the memory they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Backend, Call, Kernel, Memory
from brian2eprop.device.program import Access, Array, Program
from brian2eprop.learning.objective.task import Roles, TrainingPrograms
from brian2eprop.learning.objective.trial import changed_arrays
from brian2eprop.learning.training.data import Batch
from brian2eprop.learning.training.optimisers import Optimiser

Values = npt.NDArray[Any]


class Room:
    """A Program with its kernel and memory; arrays with one copy lie in a common store.

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
    """

    def __init__(self, backend: Backend, program: Program, store: Memory, roles: Roles) -> None:
        self.backend = backend
        self.program = program
        self.store = store
        self.roles = roles
        self.memory = store
        self._size = (0, 0)

    @cached_property
    def kernel(self) -> Kernel:
        """The compiled Program."""
        return self.backend.compile(self.program)

    def run(self, batch: Batch) -> None:
        """Run a batch; the gradients are those of its mean loss."""
        self._prepare(batch.size, batch.n_steps)
        if self.roles.weight in self.memory.arrays:
            weights = np.zeros((batch.size, 1))
            weights[: batch.n_samples] = 1 / batch.n_samples
            self.memory.write(self.roles.weight, weights)
        if batch.targets is not None:
            target = self.memory.arrays[self.roles.target]
            target[: batch.n_samples] = self.memory.xp.asarray(batch.targets, target.dtype)
        self.kernel.run(self.memory, Call(0, batch.n_steps, batch.streams))

    def read(self, name: str, n_samples: int) -> Values:
        """The first samples of an array with one copy an instance."""
        values = self.memory.arrays[name][:n_samples]
        return np.array(values if self.memory.xp is np else self.memory.xp.asnumpy(values))

    def total(self, name: str, n_samples: int) -> float:
        """Sum of the first samples of an array with one copy an instance."""
        return float(self.memory.arrays[name][:n_samples].sum())

    def _prepare(self, instances: int, n_steps: int) -> None:
        if self._size == (instances, n_steps):
            return
        values = {name: value(n_steps) for name, value in self.roles.per_call.items()}
        try:
            memory = self._new_memory(instances, n_steps)
        except MemoryError as error:
            raise MemoryError(
                f"A batch of {instances} samples of {n_steps} steps does not fit into the memory "
                f"of the backend '{self.backend.name}'; give a smaller batch_size."
            ) from error
        for name in memory.arrays.keys() & values.keys():
            memory.write(name, values[name])
        self.memory, self._size = memory, (instances, n_steps)

    def _new_memory(self, instances: int, n_steps: int) -> Memory:
        memory = self.backend.memory(instances)
        shared = (a.name for a in self.program.all_arrays().values() if a.access is Access.SHARED)
        memory.share(self.store, [name for name in shared if name in self.store.arrays])
        memory.reserve(self.program, n_steps)
        return memory


@dataclass(frozen=True)
class Snapshot:
    """A training state: its arrays, and how many updates led to it."""

    iteration: int
    arrays: Mapping[str, Values] = field(repr=False)


class Engine:
    """The kernels and the memory of one training task.

    Parameters
    ----------
    backend : Backend
        Where everything runs.
    programs : TrainingPrograms
        The rule's Programs.
    optimiser : Optimiser
        How gradients change parameters.
    parameters : sequence of Array
        What is trained.
    """

    def __init__(
        self,
        backend: Backend,
        programs: TrainingPrograms,
        optimiser: Optimiser,
        parameters: Sequence[Array],
    ) -> None:
        self.backend = backend
        self.programs = programs
        self.optimiser = optimiser
        self.parameters = tuple(array.name for array in parameters)
        self.iteration = 0
        self.gradients = programs.roles.gradients
        self._update = optimiser.program(parameters, self.gradients)
        self.store = self._make_store()
        self.training = Room(backend, programs.train, self.store, programs.roles)
        self.evaluation = Room(backend, programs.evaluate, self.store, programs.roles)

    def _make_store(self) -> Memory:
        arrays = {
            array.name: array
            for program in (self.programs.train, self.programs.evaluate)
            for array in program.all_arrays().values()
            if array.access is Access.SHARED and array.name not in self.programs.roles.per_call
        }
        store = self.backend.memory(1)
        store.reserve_arrays(arrays.values())
        store.reserve(self._update, 0)
        if self.programs.refresh is not None:
            store.reserve(self.programs.refresh, 0)
        for name, values in self.programs.shared.items():
            store.write(name, values)
        return store

    @cached_property
    def _update_kernel(self) -> Kernel:
        return self.backend.compile(self._update)

    @cached_property
    def _refresh_kernel(self) -> Kernel | None:
        refresh = self.programs.refresh
        return None if refresh is None else self.backend.compile(refresh)

    @property
    def own(self) -> tuple[str, ...]:
        """Names of the arrays that a training changes or draws: the state to be kept."""
        updated = set(self._update.all_arrays()) - set(self.gradients.values())
        return tuple(sorted(updated | set(self.programs.shared) | set(self.parameters)))

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the arrays whose contents come from the network, initial values included."""
        refresh = self.programs.refresh
        drawn = set() if refresh is None else changed_arrays(refresh.phases())
        not_given = (set(self.own) | set(self.gradients.values()) | drawn) - set(self.parameters)
        return tuple(sorted(set(self.store.arrays) - not_given))

    def source_of(self, name: str) -> str:
        """The network's array that a given array takes its contents from."""
        sources = {initial: state for state, initial in self.programs.roles.initial.items()}
        return sources.get(name, name)

    def load(self, values: Mapping[str, Values]) -> None:
        """Write arrays of the store and bring what follows from them up to date."""
        for name, found in values.items():
            self.store.write(name, found)
        self.refresh()

    def refresh(self) -> None:
        """Recompute what follows from the parameters."""
        if self._refresh_kernel is not None:
            self._refresh_kernel.run(self.store)

    def update(self) -> None:
        """One update of the parameters by the gradients of the last training batch."""
        self.iteration += 1
        self.optimiser.prepare(self.store, self.iteration)
        self._update_kernel.run(self.store)
        self.refresh()

    def snapshot(self) -> Snapshot:
        """A copy of the training state."""
        return Snapshot(self.iteration, {name: self.store.read(name) for name in self.own})

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a training state."""
        self.iteration = snapshot.iteration
        self.load(snapshot.arrays)

    def check_given(self) -> None:
        """Refuse to begin with values that no training can mend.

        Raises
        ------
        ValueError
            If a parameter is not finite, or another variable holds NaN.
        """
        name = self.non_finite(self.parameters) or next(filter(self._holds_nan, self.given), None)
        if name is not None:
            raise ValueError(
                f"Trainer: '{self.source_of(name)}' holds values that are not finite, before any "
                "training; set it to finite values."
            )

    def _holds_nan(self, name: str) -> bool:
        values = self.store.arrays[name]
        return bool((values != values).any())

    def bad_gradient(self) -> str | None:
        """The first parameter whose gradient holds NaN or infinity, if any."""
        bad = self.non_finite(list(self.gradients.values()))
        return next((name for name, found in self.gradients.items() if found == bad), None)

    def non_finite(self, names: Sequence[str]) -> str | None:
        """The first of the arrays that holds NaN or infinity, if any."""
        xp = self.store.xp
        arrays = [self.store.arrays[name] for name in names]
        # One sum an array is the cheapest test: it is finite only if every element is, unless
        # finite elements overflow it, which the second look tells apart.
        with np.errstate(all="ignore"):
            sums = np.array([float(array.sum()) for array in arrays])
        suspects = [i for i in range(len(names)) if not np.isfinite(sums[i])]
        return next((names[i] for i in suspects if not bool(xp.isfinite(arrays[i]).all())), None)
