"""One call of ``Trainer.fit``: its epochs and batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from brian2.utils.logger import get_logger
from tqdm import tqdm

from brian2eprop.augmentation import Augmentation, augmented
from brian2eprop.errors import CheckpointError
from brian2eprop.interrupts import interrupts_wait
from brian2eprop.learning.settings import settings
from brian2eprop.learning.training.callbacks import Callback, Trained, hears_batches
from brian2eprop.learning.training.data import Batch, Change, unchanged
from brian2eprop.learning.training.engine import Engine, Snapshot
from brian2eprop.learning.training.history import History
from brian2eprop.learning.training.interrupt import Interruption
from brian2eprop.learning.training.labels import Head
from brian2eprop.learning.training.metrics import Metric
from brian2eprop.learning.training.mirror import Mirror
from brian2eprop.learning.training.numbers import Key, fetch
from brian2eprop.learning.training.position import MAX_SEED, Position
from brian2eprop.learning.training.progress import Progress
from brian2eprop.learning.training.sources import NoBatchError, Source
from brian2eprop.learning.training.tally import Tally, evaluate, metric_names, nan_fault
from brian2eprop.spikes import Spikes

logger = get_logger(__name__)


@dataclass(frozen=True)
class Plan:
    """What an epoch goes through.

    Parameters
    ----------
    source : Source
        Gives the batches that are trained on.
    validation : Source, optional
        Gives the batches that are evaluated after the epoch.
    rng : Generator
        Shuffles the samples, and gives the seeds of what is drawn for them.
    shuffle : bool
        Whether they are shuffled.
    augmentation : tuple of Augmentation
        What is made of the spikes of each batch.
    counted : tuple of Metric
        What is measured beside loss, accuracy and rates.
    """

    source: Source
    validation: Source | None
    rng: np.random.Generator
    shuffle: bool
    augmentation: tuple[Augmentation, ...] = ()
    counted: tuple[Metric, ...] = ()

    def metrics(self, outputs: Sequence[Head]) -> tuple[str, ...]:
        """Names of the numbers that the history gets for an epoch."""
        names = metric_names(outputs, self.counted, self.source.first.labels)
        validated = () if self.validation is None else tuple(f"val_{name}" for name in names)
        return (*names, *validated)

    def begin(self, position: Position | None) -> Position:
        """Where the next epoch begins: at a given position, if that is one in this plan."""
        shuffled = bool(self.shuffle) and self.source.n_ordered is not None
        source = {**self.source.identity(), "shuffle": shuffled}
        source["augmentation"] = settings(self.augmentation)
        source["metrics"] = settings(self.counted)
        samples = self.source.samples
        if position is not None and position.is_in(source, samples):
            return replace(position, samples=samples)
        if position is not None and position.batch:
            logger.warn(_anew(position, source))
        seed = int(self.rng.integers(MAX_SEED)) if self.augmentation else None
        order = self.rng.bit_generator.state if shuffled else None
        return Position(source, samples, order, seed=seed)

    def batches(self, position: Position, gone: Callable[[], bool]) -> Generator[Batch]:
        """The batches that are left of the epoch."""
        rng, n_ordered = position.generator(), self.source.n_ordered
        order = None if rng is None or n_ordered is None else rng.permutation(n_ordered)
        if rng is not None and not position.batch:
            self.rng.bit_generator.state = rng.bit_generator.state
        change: Change = unchanged
        if position.seed is not None:
            change = partial(self._augmented, position.seed)
        return self.source.batches(order, position.batch, change, gone)

    def _augmented(
        self, seed: int, spikes: Mapping[str, Spikes], labels: tuple[Any, ...], number: int
    ) -> Mapping[str, Spikes]:
        return augmented(self.augmentation, spikes, labels[0], (seed, number))


@dataclass(frozen=True)
class _Before:
    """What there was before the first update of an epoch, or of what was left of it."""

    state: Snapshot
    position: Position


@dataclass
class Fitting:
    """Goes through the epochs.

    Parameters
    ----------
    engine : Engine
        Runs the batches and updates the parameters.
    mirror : Mirror
        Ties its parameters to the network's variables.
    outputs : sequence of Head
        What is judged.
    plan : Plan
        What an epoch goes through.
    progress : Progress
        How far the training is; kept up to date.
    trained : Trained
        What callbacks are given.
    """

    engine: Engine
    mirror: Mirror
    outputs: Sequence[Head]
    plan: Plan
    progress: Progress
    trained: Trained
    callbacks: Sequence[Callback] = ()
    verbose: bool = False
    _heard: bool = False  # whether callbacks are told of batches
    history: History = field(default_factory=History)
    interruption: Interruption = field(default_factory=Interruption)

    def run(self, epochs: int, callbacks: Sequence[Callback], verbose: bool) -> History:
        """Go through that many epochs, or until told to stop.

        Parameters
        ----------
        epochs : int
            How many.
        callbacks : sequence of Callback
            Called between batches and epochs.
        verbose : bool
            Whether a bar is shown.
        """
        self.callbacks, self.verbose = callbacks, verbose
        self._heard = any(map(hears_batches, callbacks))
        self.progress.stop = False
        self.progress.metrics = self.plan.metrics(self.outputs)
        for history in (self.history, self.progress.history):
            history.expect((*self.progress.metrics, "rates"))
        self.progress.cut = True
        with self.interruption:
            try:
                try:
                    self._begin()
                    for _ in range(epochs):
                        if not self._epoch() or self._stopping():
                            break
                except KeyboardInterrupt:
                    self.interruption.requested = True
                except NoBatchError:
                    self.progress.position = None
                    raise
                self._report_interruption()
                self.progress.cut = self.interruption.requested or self.trained.within_epoch
                self._call("on_train_end", self.history)
            finally:
                position = self.progress.position
                self.progress.position = None if position is None else position.settled()
                self.progress.kept = self.progress.states() if self.progress.cut else None
                self.progress.callbacks = ()
        return self.history

    def _begin(self) -> None:
        """Have callbacks begin, or go on where a training was cut."""
        left = list(self.progress.kept or ())
        for callback in self.callbacks:
            name = type(callback).__name__
            found = next((each for each in left if each[0] == name), None)
            if found is None:
                callback.on_train_begin(self.trained)
                continue
            left.remove(found)
            try:
                callback.on_train_resume(self.trained, found[1])
            except (KeyError, TypeError, ValueError) as error:
                raise CheckpointError(
                    f"fit: what was kept of {name} is no state of it ({error}); load an earlier "
                    "checkpoint, or leave it out."
                ) from error
        self.progress.callbacks = self.callbacks

    def _epoch(self) -> bool:
        """Whether the epoch was gone through to its end."""
        number = self.progress.epoch + 1
        self._call("on_epoch_begin", number)
        self.mirror.read()
        position = self.progress.position = self.plan.begin(self.progress.position)
        before = _Before(self.engine.snapshot(), position.copy())
        tally = Tally(self.outputs, self.engine.training, position.sums, self.plan.counted)
        left = self.plan.batches(position, lambda: self.interruption.requested)
        with closing(left), self._bar(number, position.batch) as bar:
            for k, batch in enumerate(left, position.batch + 1):
                self._step(batch, tally, position, before, f"epoch {number}, batch {k}")
                if self.verbose or self._heard:
                    self._tell(k, tally.metrics().named(), bar)
                if self._stopping() and k != self.plan.source.n_batches:
                    return False
            self.mirror.read()
            self._check_parameters(before, f"epoch {number}")
            self._end_epoch(number, tally, bar)
        return True

    def _tell(self, batch: int, values: dict[str, float], bar: Any) -> None:
        """Tell of a batch."""
        bar.set_postfix(_shown(values), refresh=False)
        bar.update()
        if self._heard:
            self._call("on_batch_end", batch, values)

    def _step(
        self, batch: Batch, tally: Tally, position: Position, before: _Before, place: str
    ) -> None:
        """A batch, with one update or several; what is measured is known after the last call."""
        if self._heard:  # who was told of the last batch may have changed the network
            self.mirror.read()
        else:
            self.mirror.follow()
        session = self.engine.training
        session.begin(batch)
        calls = list(session.calls(batch))
        for steps, counts in calls:
            session.advance(batch, steps, self.engine.seeking)
            measured = self._checked(batch, tally, before, place)
            with interrupts_wait():
                if counts:
                    self.mirror.updated()
                    self.engine.update()
                if steps is calls[-1][0]:
                    tally.add(batch, measured)
                    position.batch += 1

    def _checked(
        self, batch: Batch, tally: Tally, before: _Before, place: str
    ) -> Mapping[Key, float]:
        """What a call has measured, once it is sure that an update can be made.

        The host waits for the device here, and nowhere else.
        """
        added = tally.numbers(batch)
        sums = self.engine.sums(self.engine.judged)
        found = fetch(self.engine.store.xp, {**added, **sums})
        gradient = self.engine.bad_gradient(found)
        state = nan_fault(found, batch.n_samples)
        if gradient is not None or state is not None or not _all_finite(found):
            self._check_parameters(before, place)
            self.progress.position = None
            raise FloatingPointError(_stopped(place, gradient, state))
        return {key: found[key] for key in added}

    def _check_parameters(self, before: _Before, place: str) -> None:
        """Refuse to go on with a non-finite parameter, and go back to where the epoch began."""
        parameter = self.engine.non_finite(self.engine.parameters)
        if parameter is None:
            return
        self.engine.restore(before.state)
        self.progress.position = before.position if before.position.batch else None
        self.mirror.updated()
        raise FloatingPointError(
            f"Training stopped in {place}: the parameter '{parameter}' is not finite. The "
            "parameters from before this epoch are kept; lower the learning rate."
        )

    def _end_epoch(self, number: int, tally: Tally, bar: Any) -> None:
        metrics = tally.metrics()
        values: dict[str, Any] = {**metrics.recorded(), "rates": dict(metrics.rates)}
        if metrics.clipped:
            values["clipped"] = dict(metrics.clipped)
        tally.warn_of_clipped()
        if self.engine.rewirings.found:
            values["churn"] = self.engine.rewirings.take_churn(self.engine.store)
            self._warn_of_stuck()
        try:
            values |= self._validated()
        except NoBatchError:
            # Lists of the history have one entry an epoch.
            self._record(number, dict.fromkeys(self.progress.metrics, np.nan) | values)
            raise
        bar.set_postfix(_shown(values))
        self._record(number, values)
        self._call("on_epoch_end", number, values)

    def _validated(self) -> dict[str, Any]:
        if self.plan.validation is None:
            return {}
        held_out = self.plan.validation.batches(gone=lambda: self.interruption.requested)
        judged, counted = self.engine.evaluation, self.plan.counted
        return evaluate(judged, self.outputs, held_out, counted).recorded("val_")

    def _record(self, number: int, values: Mapping[str, Any]) -> None:
        self.progress.epoch, self.progress.position = number, None
        self.progress.history.record(values)
        self.history.record(values)

    def _warn_of_stuck(self) -> None:
        for name, number in self.engine.rewirings.take_stuck(self.engine.store).items():
            logger.warn(
                f"Of the synapses that the rewiring of '{name}' was to form in this epoch, "
                f"{number} found no other place and were formed where others had just been taken "
                "away; allow more places, let form be greater, or connect fewer."
            )

    def _bar(self, number: int, done: int) -> Any:
        return tqdm(
            total=self.plan.source.n_batches,
            initial=done,
            desc=f"Epoch {number}",
            unit="batch",
            disable=not self.verbose,
        )

    def _stopping(self) -> bool:
        return self.progress.stop or self.interruption.requested

    def _report_interruption(self) -> None:
        if self.interruption.requested:
            logger.warn(
                f"The training was interrupted after {self.progress.epoch} whole epochs; the "
                "parameters of the last update are kept."
            )

    def _call(self, name: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(self.trained, *arguments)


def _all_finite(found: Mapping[Key, float]) -> bool:
    """Whether the loss of every output is a number."""
    return all(np.isfinite(value) for (what, _), value in found.items() if what == "loss")


def _stopped(place: str, gradient: str | None, state: str | None) -> str:
    """The sentence for an update that could not be made."""
    if state is not None:
        return (
            f"Training stopped in {place}: {state}. The parameters of the update before are kept; "
            "look for a division by zero, a time constant of zero, or activity that explodes."
        )
    what = "the loss" if gradient is None else f"the gradient of '{gradient}'"
    return (
        f"Training stopped in {place}: {what} is not finite. The parameters of the update "
        "before are kept; lower the learning rate or look for activity that explodes."
    )


def _anew(position: Position, source: Mapping[str, Any]) -> str:
    """The sentence for an epoch that cannot be gone on with."""
    now = f"something else now ({_pairs(source)})"
    if position.source == source:
        now = "of the same form now, but the samples are others"
    return (
        f"fit: an epoch was cut after {position.batch} batches; what it went through then "
        f"({_pairs(position.source)}) is {now}, so it begins anew."
    )


def _pairs(source: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in source.items())


def _shown(values: dict[str, Any]) -> dict[str, str]:
    return {name: f"{value:.4f}" for name, value in values.items() if isinstance(value, float)}
