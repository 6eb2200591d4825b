"""The spikes that sources feed into a call."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from brian2.input.spikegeneratorgroup import SpikeGeneratorGroup
from brian2.utils.logger import get_logger

from brian2eprop.device import brian
from brian2eprop.device.source import SpikeSource
from brian2eprop.spikes import Spikes, SpikeStream

logger = get_logger(__name__)


class Feeder(Protocol):
    """What feeds the calls of a run."""

    def __call__(self, first_step: int, n_steps: int) -> SpikeStream:
        """The spikes of some steps."""

    def require_same(self) -> None:
        """Refuse to go on if the source was given other spikes meanwhile."""


def feeder(source: Any, batch_size: int | None, first: int, end: int) -> Feeder:
    """What feeds the calls of a run.

    Parameters
    ----------
    source : SpikeSource or SpikeGeneratorGroup
        The source of the spikes.
    batch_size : int or None
        Number of instances; None is one.
    first, end : int
        The steps of the run: ``first <= step < end``.

    Raises
    ------
    ValueError
        If the spikes of a source are not those of ``batch_size`` instances, or a neuron of a
        generator spikes twice in a step.
    """
    if isinstance(source, SpikeGeneratorGroup):
        return _Repeated(source, batch_size or 1)
    spikes = source.spikes_for(batch_size)
    _warn_of_silence(source, spikes, first, end)
    return _Given(source, spikes)


def _warn_of_silence(source: SpikeSource, spikes: Any, first: int, end: int) -> None:
    if end > first and spikes.index.size and spikes.n_steps <= first:
        logger.warn(
            f"SpikeSource '{source.name}' is silent in this run: its spikes end after "
            f"{spikes.n_steps} steps, counted from t = 0, and the run begins with step "
            f"{first}. To show other spikes from the start, use store() before the first "
            "run and restore() before the others.",
            name_suffix="silent_source",
        )


def _changed(source: Any) -> ValueError:
    return ValueError(
        f"'{source.name}' was given other spikes within a run, which takes them as they were when "
        "it began; give them before the run, or end the run and call run() again."
    )


class _Given:
    """The spikes of a SpikeSource."""

    def __init__(self, source: SpikeSource, spikes: Spikes) -> None:
        self._source, self._spikes = source, spikes
        self._stream: SpikeStream = spikes.stream()

    def __call__(self, first_step: int, n_steps: int) -> SpikeStream:
        """All of them, whatever the steps."""
        return self._stream

    def require_same(self) -> None:
        """See :meth:`Feeder.require_same`."""
        if self._source.spikes is not self._spikes:
            raise _changed(self._source)


class _Repeated:
    """The spikes of a SpikeGeneratorGroup: the same in all instances, perhaps again and again.

    Those of one step come by neuron, and only in the very step that they belong to.
    """

    def __init__(self, source: SpikeGeneratorGroup, instances: int) -> None:
        read = {name: source.variables[name].get_value() for name in _OF_A_GENERATOR}
        order = np.lexsort((read["neuron_index"], read["_timebins"]))
        self.bins = read["_timebins"][order].astype(np.int64)
        self.neurons = read["neuron_index"][order].astype(np.int32)
        self.period = int(np.ravel(read["_period_bins"])[0])
        self.instances = instances
        self._source = source
        twice = (np.diff(self.bins) == 0) & (np.diff(self.neurons) == 0)
        if twice.any():
            raise ValueError(
                f"Neuron {self.neurons[twice.argmax()]} of SpikeGeneratorGroup '{source.name}' "
                f"spikes more than once in step {self.bins[twice.argmax()]}; give its spikes "
                "times in different steps, or use a smaller dt."
            )

    def __call__(self, first_step: int, n_steps: int) -> SpikeStream:
        """The spikes of some steps."""
        steps = np.arange(first_step, first_step + n_steps)
        places = steps % self.period if self.period else steps
        first = np.searchsorted(self.bins, places)
        counts = np.searchsorted(self.bins, places, side="right") - first
        start = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(start[-1]) - np.repeat(start[:-1], counts)
        index = self.neurons[np.repeat(first, counts) + within]
        return SpikeStream(np.tile(start, (self.instances, 1)), index, first_step)

    def require_same(self) -> None:
        """See :meth:`Feeder.require_same`."""
        if brian.has_other_spikes(self._source):
            raise _changed(self._source)


_OF_A_GENERATOR = ("_timebins", "neuron_index", "_period_bins")
