"""What of a training goes into a checkpoint, and how it comes back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program.connectivity.pairs import Pairs
from brian2eprop.device.program.connectivity.sparse import as_sparse
from brian2eprop.learning.settings import settings
from brian2eprop.learning.training import checkpoint
from brian2eprop.learning.training.connectivity import Connections, digests, value_digest
from brian2eprop.learning.training.engine import Engine, Snapshot
from brian2eprop.learning.training.history import History
from brian2eprop.learning.training.mirror import Mirror
from brian2eprop.learning.training.parameters import Parameters
from brian2eprop.learning.training.progress import Progress
from brian2eprop.learning.training.reading import File, opened

Values = npt.NDArray[Any]


class Keeper:
    """Takes a training's state, and puts one back.

    Parameters
    ----------
    engine : Engine
        Its arrays, iterations and optimiser.
    mirror : Mirror
        Ties them to the network.
    parameters : Parameters
        Their order for users, which files have too.
    connections : Connections
        The network's synapses.
    progress : Progress
        How far it is.
    made_with : mapping of str to object
        Network, rule, loss and regularisers.
    """

    def __init__(
        self,
        engine: Engine,
        mirror: Mirror,
        parameters: Parameters,
        connections: Connections,
        progress: Progress,
        made_with: Mapping[str, Any],
    ) -> None:
        self.engine, self.mirror, self.parameters = engine, mirror, parameters
        self.connections, self.progress, self.made_with = connections, progress, made_with

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state into a file, if it could be loaded again.

        Raises
        ------
        ValueError
            If it could not.
        """
        self.engine.tune()
        bad = self.engine.non_finite(self.engine.own)
        if bad is not None:
            raise ValueError(
                f"save: '{bad}' of the training's state holds values that are not finite, so that "
                "the file could not be loaded; load an earlier checkpoint and lower the learning "
                "rate."
            )
        position = self.progress.position
        snapshot, pairs = self.engine.snapshot(), self.connections.pairs()
        state = checkpoint.State(
            snapshot.iteration,
            self.progress.epoch,
            self.progress.history,
            self.progress.rng.bit_generator.state,
            self._settings(),
            self._digests(pairs),
            self._values(),
            sorted(self.progress.frozen),
            None if position is None else position.to_json(),
            self.progress.states(),
        )
        arrays = self._turned(snapshot.arrays, self.parameters.in_brian_order)
        arrays = {name: values for name, values in arrays.items() if name not in self._places()}
        checkpoint.write(path, checkpoint.Checkpoint(arrays, state, pairs))

    def load(self, path: str | os.PathLike[str]) -> None:
        """Put the state of a file back, all of it or nothing."""
        engine, progress = self.engine, self.progress
        self.mirror.read()
        with opened(path) as file:
            file.check(self._settings(), self._digests(self.connections.pairs()), self._values())
            optimiser = file.optimiser(engine.optimiser)
            layout = engine.layout(optimiser)
            wanted = {name: form for name, form in layout.items() if name not in self._places()}
            arrays = file.arrays(wanted)
            orders = self._read_places(file, arrays)
            rng, frozen = file.generator(), file.frozen(engine.parameters)
            position = file.position()
        with self.mirror.training():
            vars(engine.optimiser).update(vars(optimiser))
            engine.tune()
            turned = self._turned(arrays, self.parameters.in_program_order)
            turned |= {name: arrays[name][order] for name, order in orders.items()}
            engine.restore(Snapshot(file.state.iteration, turned))
            self.mirror.updated()
        progress.rng, progress.epoch, progress.position = rng, file.state.epoch, position
        progress.history, progress.frozen = History(file.state.history), frozen
        progress.kept = file.state.callbacks

    def _digests(self, pairs: Mapping[str, Any]) -> dict[str, str]:
        """A hash of each connectivity; those that are rewired are what they are."""
        rewired = self.engine.rewirings.found
        return {name: "" if name in rewired else text for name, text in digests(pairs).items()}

    def _places(self) -> set[str]:
        """The arrays that the pairs in a file stand for."""
        found = self.engine.rewirings.found.values()
        return {name for rewired in found for name in (*rewired.rows, *rewired.ends)}

    def _read_places(self, file: File, arrays: dict[str, Values]) -> dict[str, Values]:
        """Add where a file's rewired synapses are; the order of each array that lies beside."""
        orders: dict[str, Values] = {}
        for name, rewired in self.engine.rewirings.found.items():
            found = rewired.connectivity
            pairs = file.pairs(name, found.size, found.n_source, found.n_target)
            sources, targets = pairs
            placed = as_sparse(Pairs(name, sources, targets, found.n_source, found.n_target))
            order = np.arange(found.size) if placed.order is None else placed.order
            arrays |= {**placed.tables, **dict(zip(rewired.ends, pairs, strict=True))}
            for table in rewired.tables:
                file.check_steps(table, arrays[table], int(self.engine.store.read(table).max()))
            beside = self.engine.rewirings.beside.items()
            orders |= {array: order for array, leader in beside if leader == rewired.ends[0]}
        return orders

    def _settings(self) -> dict[str, Any]:
        made: dict[str, Any] = settings({"optimiser": self.engine.optimiser, **self.made_with})
        return made

    def _values(self) -> dict[str, str]:
        """A hash of what is not trained, the state at the start included, by its variable."""
        engine = self.engine
        names = sorted(set(engine.given) - set(engine.own))
        return {engine.source_of(name): value_digest(engine.store.read(name)) for name in names}

    def _turned(
        self, arrays: Mapping[str, npt.NDArray[Any]], turn: Any
    ) -> dict[str, npt.NDArray[np.generic]]:
        """Arrays, those that lie beside a parameter in another order."""
        follows = self.engine.follows
        return {
            name: turn(follows[name], values) if name in follows else values
            for name, values in arrays.items()
        }
