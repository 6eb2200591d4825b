"""``Trainer``: fits the parameters of a Brian2 network to labelled spikes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.core.namespace import get_local_namespace

from brian2eprop.learning.objective.losses import Loss
from brian2eprop.learning.objective.regularisers import FiringRate
from brian2eprop.learning.objective.task import Output, Rule, Task
from brian2eprop.learning.training import checkpoint, host
from brian2eprop.learning.training.arguments import check_callbacks, check_kind
from brian2eprop.learning.training.callbacks import Callback
from brian2eprop.learning.training.data import (
    Dataset,
    Samples,
    batches,
    check_count,
    make_dataset,
    with_labels,
)
from brian2eprop.learning.training.engine import Engine, Snapshot
from brian2eprop.learning.training.fitting import Fitting, Plan
from brian2eprop.learning.training.history import History, Metrics
from brian2eprop.learning.training.optimisers import Optimiser
from brian2eprop.learning.training.tally import Tally

DEFAULT_BATCH_SIZE = 64


class Trainer:
    """Trains parameters of a Brian2 network.

    The network is captured when the Trainer is made: equations, connectivity, constants and
    the state that every sample starts from (at ``t = 0``) are those of that moment, whatever
    the network itself runs later. Values of parameters are read anew whenever ``fit``,
    ``evaluate`` or ``predict`` is called, and the trained ones are written back to the Brian2
    variables; the network's own state and time stay as they are.

    Parameters
    ----------
    network : Network
        What is trained; its SpikeSources take the samples.
    output : VariableView
        State variable that the loss reads, such as ``readout.y``.
    loss : Loss
        How the output is judged.
    rule : Rule
        How gradients are computed.
    parameters : sequence of VariableView
        What is trained, such as ``[synapses.w, readout.b]``.
    optimiser : Optimiser
        How gradients change the parameters.
    regularisers : sequence of FiringRate
        Further terms of the loss.
    seed : int, optional
        Seed of the order of the samples and of what the rule draws.

    Attributes
    ----------
    history : History
        All epochs so far, those before a ``load`` included.
    epoch : int
        Number of epochs done.
    stop_training : bool
        A callback that sets it ends the training after the batch in hand.

    Raises
    ------
    RuntimeError
        If Brian2's device is not ``eprop_cuda``.
    TypeError, ValueError
        If output or parameters are no variables of the network that can be used so, or
        another argument is not of its kind.
    """

    def __init__(
        self,
        network: Any,
        *,
        output: Any,
        loss: Loss,
        rule: Rule,
        parameters: Sequence[Any],
        optimiser: Optimiser,
        regularisers: Sequence[FiringRate] = (),
        seed: int | None = None,
    ) -> None:
        check_kind("loss", loss, Loss, "one, such as CrossEntropy()")
        check_kind("rule", rule, Rule, "one, such as EProp()")
        check_kind("optimiser", optimiser, Optimiser, "one, such as Adam(1e-3)")
        self.loss = loss
        self.optimiser = optimiser
        self.history = History()
        self.epoch = 0
        self.stop_training = False
        self._fitting = False
        self._network = network
        self._device = host.training_device()
        self._captured = self._device.capture(network, get_local_namespace(level=1))
        arrays = host.find_parameters(self._device, self._captured, parameters)
        self._engine = self._make_engine(rule, output, arrays, tuple(regularisers), seed)
        self._initial = self._read(self._engine.programs.roles.initial.values())
        self._rng = np.random.default_rng(seed)

    def _make_engine(
        self,
        rule: Rule,
        output: Any,
        parameters: tuple[Any, ...],
        regularisers: tuple[FiringRate, ...],
        seed: int | None,
    ) -> Engine:
        program = self._captured.program
        output_name = host.find_array(self._device, self._captured, output, "output")
        self._n_outputs = program.all_arrays()[output_name].size
        task = Task(
            outputs=(Output(output_name, self.loss),),
            parameters=tuple(array.name for array in parameters),
            regularisers=regularisers,
            contents=self._captured.tables,
            values=partial(self._device.read_array, self._captured),
            seed=int(np.random.default_rng(seed).integers(2**31)),
        )
        return Engine(
            self._device.backend,
            rule.training_program(program, task),
            self.optimiser,
            parameters,
        )

    # Training

    def fit(
        self,
        spikes: Samples,
        labels: npt.ArrayLike,
        epochs: int = 1,
        batch_size: int = DEFAULT_BATCH_SIZE,
        validation_data: tuple[Samples, npt.ArrayLike] | None = None,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        verbose: bool = True,
    ) -> History:
        """Train.

        Ctrl-C ends the training after the update in hand; the parameters reached stay, and
        the history of the whole epochs is returned. A second Ctrl-C interrupts at once.

        Parameters
        ----------
        spikes : Spikes or mapping of str to Spikes
            Input of the samples, by SpikeSource where there are several.
        labels : array, shape (samples, ...)
            What the loss compares with.
        epochs : int
            Number of passes over the samples, in addition to those done before.
        batch_size : int
            Number of samples an update averages over.
        validation_data : tuple of (spikes, labels), optional
            Evaluated after every epoch.
        shuffle : bool
            Whether every epoch has a new random order.
        callbacks : sequence of Callback
            Called between batches and epochs.
        verbose : bool
            Whether there is a progress bar for every epoch.

        Returns
        -------
        History
            Metrics of this call's epochs.

        Raises
        ------
        ValueError, TypeError
            If samples or labels are not what the network takes, a callback is none, or the
            network holds parameters that are not finite, or states that are NaN.
        FloatingPointError
            If a gradient, the loss or a parameter is not finite; the last finite parameters
            are kept.
        """
        size = check_count("batch_size", batch_size)
        check_callbacks(callbacks)
        data = self._labelled(spikes, labels)
        validation = None if validation_data is None else self._labelled(*validation_data)
        epochs = check_count("epochs", epochs)
        plan = Plan(data, validation, size, self._rng if shuffle else None)
        with self._training():
            self._engine.check_given()
            return Fitting(self, self._engine, plan, callbacks, verbose).run(epochs)

    # Evaluation

    def evaluate(
        self, spikes: Samples, labels: npt.ArrayLike, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Metrics:
        """Judge the network as it is.

        Parameters
        ----------
        spikes : Spikes or mapping of str to Spikes
            Input of the samples.
        labels : array, shape (samples, ...)
            What the loss compares with.
        batch_size : int
            Number of samples that are run together.

        Returns
        -------
        Metrics
            Loss, accuracy and firing rates.

        Raises
        ------
        ValueError, TypeError
            If samples or labels are not what the network takes.
        """
        size = check_count("batch_size", batch_size)
        data = self._labelled(spikes, labels)
        self._read_network()
        return self.evaluate_dataset(data, size)

    def evaluate_dataset(self, data: Dataset, batch_size: int) -> Metrics:
        """Judge the parameters that the engine holds, on samples that are checked already."""
        room = self._engine.evaluation
        tally = Tally(self.loss, room)
        for batch in batches(data, batch_size, None):
            room.run(batch)
            tally.add(batch)
        return tally.metrics()

    def predict(
        self, spikes: Samples, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> npt.NDArray[np.floating]:
        """What the network answers.

        Parameters
        ----------
        spikes : Spikes or mapping of str to Spikes
            Input of the samples.
        batch_size : int
            Number of samples that are run together.

        Returns
        -------
        array, shape (samples, ...)
            The loss's predictions, such as the probability of each class.

        Raises
        ------
        ValueError, TypeError
            If the samples are not what the network takes.
        """
        size = check_count("batch_size", batch_size)
        data = make_dataset(spikes, self._captured.program.streams)
        self._read_network()
        room = self._engine.evaluation
        found = []
        for batch in batches(data, size, None):
            room.run(batch)
            found.append(room.read(room.roles.prediction, batch.n_samples))
        return np.concatenate(found)

    def gradients(
        self, spikes: Samples, labels: npt.ArrayLike, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> dict[str, npt.NDArray[Any]]:
        """The rule's gradients of the mean loss, regularisers included; nothing is changed.

        Parameters
        ----------
        spikes : Spikes or mapping of str to Spikes
            Input of the samples.
        labels : array, shape (samples, ...)
            What the loss compares with.
        batch_size : int
            Number of samples that are run together.

        Returns
        -------
        dict of str to array
            The gradient by each parameter's array name, in the order of its Brian2 variable.

        Raises
        ------
        ValueError, TypeError
            If samples or labels are not what the network takes.
        """
        size = check_count("batch_size", batch_size)
        data = self._labelled(spikes, labels)
        self._read_network()
        engine, totals = self._engine, dict.fromkeys(self._engine.parameters, np.zeros(()))
        for batch in batches(data, size, None):
            engine.training.run(batch)
            share = batch.n_samples / data.n_samples
            for name, gradient in engine.gradients.items():
                totals[name] = totals[name] + share * engine.store.read(gradient)
        return totals

    # State

    def parameter_values(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of the parameters by array name."""
        self._read_network()
        return {name: self._engine.store.read(name) for name in self._engine.parameters}

    def set_parameter_values(self, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Set parameters, here and in the Brian2 variables.

        Parameters
        ----------
        values : mapping of str to array
            New values by array name, as :meth:`parameter_values` gives them.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        for name in values:
            if name not in self._engine.parameters:
                raise ValueError(
                    f"Trainer: '{name}' is no parameter; choose of "
                    f"{', '.join(self._engine.parameters)}."
                )
        with self._training():
            self._engine.load(values)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint: parameters, optimiser, history and random state.

        Parameters
        ----------
        path : path
            The file; written whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written; an earlier file is then as it was.
        """
        self._read_network()
        snapshot = self._engine.snapshot()
        checkpoint.write(
            path,
            checkpoint.Checkpoint(
                snapshot.arrays,
                snapshot.iteration,
                self.epoch,
                self.history,
                self._rng.bit_generator.state,
            ),
        )

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from a checkpoint, as if the training had not been cut.

        Parameters
        ----------
        path : path
            A file that :meth:`save` wrote.

        Raises
        ------
        CheckpointError
            If it is damaged, or of another network, rule or optimiser; nothing changes then.
        OSError
            If it cannot be opened.
        """
        found = checkpoint.read(path)
        checkpoint.check_arrays(path, found.arrays, self._engine.snapshot().arrays)
        rng = checkpoint.generator(path, found.rng)
        with self._training():
            self._engine.restore(Snapshot(found.iteration, found.arrays))
        self.epoch, self._rng = found.epoch, rng
        self.history = History(found.history)

    # Between network and engine

    def _labelled(self, spikes: Samples, labels: npt.ArrayLike) -> Dataset:
        data = make_dataset(spikes, self._captured.program.streams)
        return with_labels(data, labels, self.loss, self._n_outputs)

    def _read_network(self) -> None:
        """Take over what the user may have changed, unless a training is on its way."""
        if not self._fitting:
            names = [name for name in self._engine.given if name not in self._initial]
            self._engine.load({**self._read(names), **self._initial})

    def _read(self, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
        now = float(self._network.t_)
        sources = {name: self._engine.source_of(name) for name in names}
        return host.read(self._device, self._captured, sources, now)

    @contextmanager
    def _training(self) -> Iterator[None]:
        """Read the network, and write the parameters back whatever happens."""
        if self._fitting:
            yield
            return
        self._read_network()
        self._fitting = True
        try:
            yield
        finally:
            self._fitting = False
            for name in self._engine.parameters:
                self._device.write_array(self._captured, name, self._engine.store.read(name))
