"""What a Trainer has besides its training: parameters, and checkpoints of all of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from brian2eprop.archives import check_path
from brian2eprop.learning.objective.task import TrainingPrograms
from brian2eprop.learning.training.analogue import AnalogueInputs
from brian2eprop.learning.training.connectivity import Connections
from brian2eprop.learning.training.data import Dataset
from brian2eprop.learning.training.engine import Engine
from brian2eprop.learning.training.keeping import Keeper
from brian2eprop.learning.training.labels import Head
from brian2eprop.learning.training.mirror import Mirror
from brian2eprop.learning.training.parameters import Parameters
from brian2eprop.learning.training.progress import InProgress
from brian2eprop.learning.training.turns import Turns


class TrainerState(InProgress):
    """The state of a training as its user reads, sets, saves and loads it."""

    _connections: Connections
    _engine: Engine
    _keeper: Keeper
    _mirror: Mirror
    _parameters: Parameters
    _turns: Turns
    _programs: Callable[[frozenset[str], frozenset[str]], TrainingPrograms]
    _find: Callable[[Any], str]
    _analogue: AnalogueInputs
    _outputs: tuple[Head, ...]
    _streams: Any

    def parameter_values(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of the parameters by name (``w_in_w`` for ``w_in.w``).

        Returns
        -------
        dict of str to array
            Plain numbers in SI units, in the order of each Brian2 variable.
        """
        with self._turns.turn():
            self._connections.check()
            self._mirror.read()
            names = self._engine.parameters
            return self._parameters.shown({name: self._engine.store.read(name) for name in names})

    def set_parameter_values(self, values: Mapping[str, npt.ArrayLike]) -> None:
        """Set parameters, here and in the Brian2 variables.

        Parameters
        ----------
        values : mapping of str to array
            New values by name, as :meth:`parameter_values` gives them.

        Raises
        ------
        TypeError, ValueError
            If there is no such parameter, or its values are of another shape or unit, or not
            finite; nothing is set then.
        """
        taken = self._parameters.taken(values)
        with self._turns.turn(), self._mirror.training():
            self._connections.check()
            self._engine.load(taken)
            self._mirror.updated()

    def freeze(self, *parameters: Any) -> None:
        """Leave parameters as they are, and their part of the optimiser's state too.

        Their gradients are not computed, and norms of gradients do not count them.

        Parameters
        ----------
        *parameters : VariableView
            Some of the Trainer's parameters, such as ``w_in.w``.

        Raises
        ------
        TypeError, ValueError
            If one is no parameter, or nothing would be left to train.
        RuntimeError
            Within fit.
        """
        self._set_frozen(self._progress.frozen | self._names(parameters))

    def unfreeze(self, *parameters: Any) -> None:
        """Train parameters again that were frozen.

        Parameters
        ----------
        *parameters : VariableView
            Some of the Trainer's parameters.

        Raises
        ------
        TypeError, ValueError
            If one is no parameter.
        RuntimeError
            Within fit.
        """
        self._set_frozen(self._progress.frozen - self._names(parameters))

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the parameters that are frozen (``w_in_w`` for ``w_in.w``)."""
        arrays = self._parameters.arrays.items()
        return tuple(name for name, array in arrays if array.name in self._progress.frozen)

    def _names(self, parameters: Sequence[Any]) -> frozenset[str]:
        found = frozenset(map(self._find, parameters))
        for name in sorted(found - set(self._engine.parameters)):
            raise ValueError(
                f"Trainer: '{name}' is not among the parameters, and is not trained anyway; give "
                "some of those that the Trainer was made with."
            )
        return found

    def _set_frozen(self, frozen: frozenset[str]) -> None:
        if frozen >= set(self._engine.parameters):
            raise ValueError(
                "Trainer: with all of its parameters frozen there is nothing to train; leave one, "
                "or use evaluate and predict, which train nothing."
            )
        with self._turns.turn():
            if self._turns.in_training:
                raise RuntimeError(
                    "Trainer: within fit no parameter can be frozen, or trained again; call fit "
                    "for the epochs before, and then once more."
                )
            self._progress.frozen = frozen

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint: parameters, connectivity, optimiser, history, random state.

        Parameters
        ----------
        path : path
            The file; written whole or not at all.

        Raises
        ------
        ValueError
            If the network holds parameters that are not finite.
        OSError
            If it cannot be written; an earlier file is then as it was.
        """
        check_path("save", path)
        with self._turns.turn():
            self._read()
            self._keeper.save(path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from a checkpoint, as if the training had not been cut.

        The optimiser gets the numbers that it had, a learning rate changed by hand included.

        Parameters
        ----------
        path : path
            A file that :meth:`save` wrote.

        Raises
        ------
        CheckpointError
            If it is damaged, or of another network, connectivity, rule, loss or kind of
            optimiser; nothing changes then.
        OSError
            If it cannot be opened.
        """
        check_path("load", path)
        with self._turns.turn():
            self._connections.check()
            self._keeper.load(path)

    def _follow(self, data: Dataset) -> None:
        """Have the engine take the analogue input that these samples have."""
        programs = self._programs(frozenset(data.inputs), self._progress.frozen)
        if programs is not self._engine.programs and self._turns.in_training:
            raise ValueError(
                "Within fit, samples must have analogue input for the same variables as those that "
                "are trained on; give the same, or call this after fit."
            )
        self._engine.follow(programs)

    def _read(self) -> None:
        """Take over what the user may have changed, unless it can lead to nothing."""
        self._connections.check()
        self._mirror.read()
        self._engine.check_given()
