"""Runs a rule's Programs: their kernels, and the memory they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.backends.base import Backend, Kernel, Memory
from brian2eprop.device.program import Access, Array, DType, Program
from brian2eprop.learning.adjoint.places import with_places
from brian2eprop.learning.objective.task import TrainingPrograms
from brian2eprop.learning.objective.trial import changed_arrays
from brian2eprop.learning.training.checkpoint import Form
from brian2eprop.learning.training.constraints import Constraints
from brian2eprop.learning.training.numbers import Key, Numbers, fetch
from brian2eprop.learning.training.optimiser import Optimiser
from brian2eprop.learning.training.rewiring import RewiredInTraining
from brian2eprop.learning.training.schedules import Rate
from brian2eprop.learning.training.session import Session
from brian2eprop.learning.training.update import Update

Values = npt.NDArray[Any]


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
    constraints : Constraints
        What every update is put back to.
    rates : mapping of str to float or callable
        Learning rates of parameters that have one of their own.
    rewirings : RewiredInTraining
        What rewires synapses after updates.
    """

    def __init__(
        self,
        backend: Backend,
        programs: TrainingPrograms,
        optimiser: Optimiser,
        parameters: Sequence[Array],
        constraints: Constraints,
        rates: Mapping[str, Rate],
        rewirings: RewiredInTraining,
    ) -> None:
        self.backend = backend
        self.programs = programs
        self.optimiser = optimiser
        self.constraints = constraints
        self.rates = rates
        self.rewirings = rewirings
        self.trained = tuple(parameters)
        self.parameters = tuple(array.name for array in parameters)
        self.iteration = 0
        self._whole = programs  # with the gradients of all parameters
        self._update = self._updating(optimiser, programs)
        self._update_kernel: Kernel | None = None
        self.store = self._make_store()
        self._make_sessions()

    def _make_store(self) -> Memory:
        arrays = {
            array.name: array
            for program in (self.programs.train, self.programs.evaluate)
            for array in program.all_arrays().values()
            if array.access is Access.SHARED
        }
        store = self.backend.memory(1)
        store.reserve_arrays(arrays.values())
        store.reserve(self._update.program, 0)
        self._reserve_rewirings(store)
        if self.programs.refresh is not None:
            store.reserve(self.programs.refresh, 0)
        for name, values in {**self.programs.shared, **self.constraints.contents()}.items():
            store.write(name, values)
        return store

    def _reserve_rewirings(self, store: Memory) -> None:
        arrays = {**self.programs.train.all_arrays(), **self._update.program.all_arrays()}
        self.rewirings.reserve(store, arrays, self._update.follows)

    def _make_sessions(self) -> None:
        backend, programs, store = self.backend, self.programs, self.store
        roles = programs.roles
        self.training = Session(
            backend, programs.train, store, roles, programs.sparing, programs.online, self._seek
        )
        self.evaluation = Session(backend, programs.evaluate, store, roles)

    @property
    def _seek(self) -> Callable[[Program], Program] | None:
        """What adds the gradients of places without a synapse, if any are asked for."""
        sought = tuple(self.rewirings.sought(self.gradients))
        return (lambda program: with_places(program, sought)) if sought else None

    def _updating(self, optimiser: Optimiser, programs: TrainingPrograms) -> Update:
        """What updates the parameters that have gradients there, and what follows them."""
        parameters = [array for array in self.trained if array.name in programs.roles.gradients]
        arrays = programs.train.all_arrays()
        followers = [arrays[name] for name in programs.following]
        gradients = {name: follower.gradient for name, follower in programs.following.items()}
        gradients |= programs.roles.gradients
        update = optimiser.update((*parameters, *followers), gradients, self._rates)
        return self.constraints.added(update, parameters, programs.following)

    @property
    def _rates(self) -> dict[str, Rate]:
        """Learning rates of arrays that have one of their own."""
        following = self._whole.following.items()
        led = {name: f.leader for name, f in following if f.leader in self.rates}
        return {**self.rates, **{name: self.rates[leader] for name, leader in led.items()}}

    @property
    def gradients(self) -> Mapping[str, str]:
        """The array of the gradient of each parameter that is not frozen."""
        return self.programs.roles.gradients

    @property
    def judged(self) -> Mapping[str, str]:
        """Of each array of gradients of the batch in hand the parameter that they are of."""
        found = {gradient: parameter for parameter, gradient in self.gradients.items()}
        if self.seeking:
            found |= {s.gradient: s.weight for s in self.rewirings.sought(self.gradients)}
        return found

    @property
    def seeking(self) -> bool:
        """Whether the next update asks for the gradients of places without a synapse."""
        due = self.rewirings.due(self.iteration + 1, self.gradients)
        return any(rewired.everywhere is not None for rewired in due)

    def follow(self, programs: TrainingPrograms) -> None:
        """Run other Programs of the same task; what is trained or drawn stays as it is.

        Parameters that they have no gradients of are frozen: not updated, and their part of the
        optimiser's state stays as it is.
        """
        if programs is self.programs:
            return
        self.programs, self._update_kernel = programs, None
        self._make_sessions()

    def tune(self) -> None:
        """Follow the optimiser's numbers, which the user or a checkpoint may have changed."""
        update = self._updating(self.optimiser, self._whole)
        if update == self._update:
            return
        for name in self._own(self._update) - self._own(update):
            del self.store.arrays[name]
        self.store.reserve(update.program, 0)
        self._update, self._update_kernel = update, None
        self._reserve_rewirings(self.store)

    @cached_property
    def _refresh_kernel(self) -> Kernel | None:
        refresh = self._whole.refresh
        return None if refresh is None else self.backend.compile(refresh)

    @property
    def own(self) -> tuple[str, ...]:
        """Names of the arrays that a training changes or draws: the state to be kept."""
        return tuple(sorted(self._own(self._update)))

    def _own(self, update: Update) -> set[str]:
        arrays = self._whole.train.all_arrays()
        drawn = {name for name in self._whole.shared if arrays[name].dtype is DType.REAL}
        updated = set(update.program.all_arrays()) - self._temporary
        rewired = {*self.rewirings.beside, *self.rewirings.rows, *self.rewirings.counts}
        return updated | drawn | set(self.parameters) | rewired

    @property
    def _temporary(self) -> set[str]:
        """Names of arrays that an update uses and that are no state: gradients and the like."""
        following = self._whole.following
        gradients = {*self._whole.roles.gradients.values()}
        gradients |= {follower.gradient for follower in following.values()}
        return gradients | self.constraints.derived(following)

    def layout(self, optimiser: Optimiser) -> dict[str, Form]:
        """What each array of the state to be kept must be, were this the optimiser."""
        update, store = self._updating(optimiser, self._whole), self.store
        arrays = {**self._whole.train.all_arrays(), **update.program.all_arrays()}
        arrays |= self.rewirings.arrays()
        return {
            name: Form(
                store.shape(arrays[name], 0), store.dtype(arrays[name]), name in update.squares
            )
            for name in sorted(self._own(update))
        }

    @property
    def follows(self) -> Mapping[str, str]:
        """The parameter that each array lies beside, element by element."""
        own = {name: name for name in self.parameters}
        beside = self._update.follows.items()
        own |= {name: leader for name, leader in beside if leader in own}
        return own | self.rewirings.beside

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the arrays whose contents come from the network, initial values included."""
        refresh = self._whole.refresh
        derived = set() if refresh is None else changed_arrays(refresh.phases())
        own = set(self.own) | set(self._whole.shared) | self._temporary
        derived |= (own | self.rewirings.own) - self.rewirings.given - set(self.parameters)
        return tuple(sorted(set(self.store.arrays) - (derived - set(self.parameters))))

    def source_of(self, name: str) -> str:
        """The network's array that a given array takes its contents from."""
        sources = {initial: state for state, initial in self.programs.roles.initial.items()}
        return sources.get(name, name)

    def load(self, values: Mapping[str, Values]) -> None:
        """Write arrays of the store and bring what follows from them up to date.

        Raises
        ------
        ValueError
            If a delay is out of its bounds; nothing is written then.
        """
        dtype = self.backend.precision.dtype
        for name in self.constraints.always & values.keys():
            self.constraints.check(name, values[name].astype(dtype))
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
        usual, own = self.optimiser.prepare(self.store, self.iteration, self._rates)
        if self._update_kernel is None:
            update = self._updating(self.optimiser, self.programs)
            self._update_kernel = self.backend.compile(update.program)
        self._update_kernel.run(self.store)
        rates = {name: own.get(name, usual) for name in self.gradients}
        self.rewirings.run(self.store, self.iteration, rates)
        self.refresh()

    def snapshot(self) -> Snapshot:
        """A copy of the training state."""
        return Snapshot(self.iteration, {name: self.store.read(name) for name in self.own})

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a training state."""
        self.iteration = snapshot.iteration
        self.load(snapshot.arrays)

    def check_constraints(self) -> None:
        """Refuse to begin with parameters outside of their bounds."""
        for name in self.constraints.of:
            signs = self.constraints.sign_of(name)
            now = None if signs is None else self.store.read(signs)
            self.constraints.check(name, self.store.read(name), now)

    def check_given(self) -> None:
        """Refuse to begin with values that no result can be expected from.

        Raises
        ------
        ValueError
            If a parameter is not finite, or another variable holds NaN.
        """
        nan = {
            ("nan", name): (self.store.arrays[name] != self.store.arrays[name]).any()
            for name in self.given
        }
        found = fetch(self.store.xp, {**nan, **self.sums(self.parameters)})
        holds_nan = (name for (what, name), value in found.items() if what == "nan" and value)
        name = self.non_finite(self.parameters, found) or next(holds_nan, None)
        if name is not None:
            raise ValueError(
                f"Trainer: '{self.source_of(name)}' holds values that are not finite, before any "
                "training; set it to finite values."
            )

    def sums(self, names: Iterable[str]) -> Numbers:
        """A number for each array that is finite only if all its elements are.

        The sum is the cheapest test; finite elements that overflow it are told apart by a
        second look.
        """
        with np.errstate(all="ignore"):
            return {("sum", name): self.store.arrays[name].sum() for name in names}

    def bad_gradient(self, sums: Mapping[Key, float]) -> str | None:
        """The first parameter whose gradient holds NaN or infinity, if any."""
        judged = self.judged
        return judged.get(self.non_finite(judged, sums) or "")

    def non_finite(
        self, names: Iterable[str], sums: Mapping[Key, float] | None = None
    ) -> str | None:
        """The first of the arrays that holds NaN or infinity, if any, by its sums."""
        known = fetch(self.store.xp, self.sums(names)) if sums is None else sums
        suspects = (name for name in names if not np.isfinite(known["sum", name]))
        return next((name for name in suspects if not self._all_finite(name)), None)

    def _all_finite(self, name: str) -> bool:
        return bool(self.store.xp.isfinite(self.store.arrays[name]).all())
