"""Augmentation: samples that differ a little each time they are seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.number_checks import number, whole
from brian2eprop.spikes import Spikes

Events = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]

# What a spike may be moved by, so that 64 bits hold where it is then.
FARTHEST = 10**9


class Augmentation(ABC):
    """Makes other spikes of those of some samples, as random numbers will have it."""

    def __call__(self, spikes: Spikes, labels: npt.ArrayLike, rng: np.random.Generator) -> Spikes:
        """The samples, changed.

        Parameters
        ----------
        spikes : Spikes
            Some samples.
        labels : array, shape (samples, ...)
            Their labels.
        rng : Generator
            What all random numbers are taken from.

        Returns
        -------
        Spikes
            As many samples, of as many steps and neurons. Spikes that would leave these are left
            out, and spikes of a neuron in one step are one.

        Raises
        ------
        ValueError
            If the labels are not what it needs.
        """
        rows = np.repeat(np.arange(spikes.start[:, :-1].size), np.diff(spikes.start).ravel())
        events = (*np.divmod(rows, spikes.n_steps), spikes.index.astype(np.int64))
        sample, step, neuron = self.changed(events, len(spikes), np.asarray(labels), rng)
        inside = (step >= 0) & (step < spikes.n_steps) & (neuron >= 0) & (neuron < spikes.n_neurons)
        shape = (len(spikes), spikes.n_steps, spikes.n_neurons)
        columns = (sample[inside], step[inside], neuron[inside])
        flat = np.unique(np.ravel_multi_index(columns, shape))
        samples, steps, neurons = np.unravel_index(flat, shape)
        return Spikes.from_events(samples, steps, neurons, shape)

    @abstractmethod
    def changed(
        self,
        events: Events,
        n_samples: int,
        labels: npt.NDArray[Any],
        rng: np.random.Generator,
    ) -> Events:
        """The spikes of some samples, moved, left out or added to.

        Parameters
        ----------
        events : tuple of three int64 arrays, each of shape (spikes,)
            Sample, step and neuron of every spike, by sample, then by step, then by neuron; they
            may be changed.
        n_samples : int
            Number of samples, those without spikes included.
        labels : array, shape (samples, ...)
            Their labels.
        rng : Generator
            What all random numbers are to be taken from.

        Returns
        -------
        tuple of three int64 arrays, each of shape (spikes,)
            Sample, step and neuron of every spike afterwards, in any order and of any number. What
            lies outside the sample's steps and neurons is left out, what is there twice counts
            once.

        Examples
        --------
        >>> import numpy as np
        >>> from brian2eprop import Spikes
        >>> from brian2eprop.augmentation import Augmentation
        >>> class Mirror(Augmentation):
        ...     def changed(self, events, n_samples, labels, rng):
        ...         sample, step, neuron = events
        ...         return sample, step, 9 - neuron
        >>> spikes = Spikes.from_events([0, 0], [0, 1], [2, 5], (1, 3, 10))
        >>> Mirror()(spikes, [0], np.random.default_rng(0)).index
        array([7, 4], dtype=int32)
        """


@dataclass(frozen=True)
class Shift(Augmentation):
    """All spikes of a sample moved together, by random whole numbers.

    With ``Shift(neurons=40)`` the augmentation of the Heidelberg digits in Nowotny, Turner and
    Knight (2025).

    Parameters
    ----------
    neurons, steps : int
        Most neurons, and steps, that a sample is moved by in either direction.

    Raises
    ------
    ValueError
        If they are no whole numbers from 0 to a thousand million.

    Examples
    --------
    >>> import numpy as np
    >>> from brian2eprop import Spikes, augmentation
    >>> spikes = Spikes.from_events([0], [2], [50], (1, 5, 100))
    >>> augmentation.Shift(neurons=3)(spikes, [0], np.random.default_rng(0)).index
    array([52], dtype=int32)
    """

    neurons: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        for name in ("neurons", "steps"):
            whole("Shift", name, getattr(self, name), 0, FARTHEST)

    def changed(
        self, events: Events, n_samples: int, labels: npt.NDArray[Any], rng: np.random.Generator
    ) -> Events:
        """See :meth:`Augmentation.changed`."""
        sample, step, neuron = events
        neurons, steps = (
            rng.integers(-most, most + 1, n_samples) for most in (self.neurons, self.steps)
        )
        return sample, step + steps[sample], neuron + neurons[sample]


@dataclass(frozen=True)
class Jitter(Augmentation):
    """Every spike moved in time, by a normal random number that is rounded to steps.

    Parameters
    ----------
    steps : float
        Standard deviation in steps.

    Raises
    ------
    ValueError
        If it is no number from 0 to a thousand million.
    """

    steps: float

    def __post_init__(self) -> None:
        number("Jitter", "steps", self.steps, most=FARTHEST)

    def changed(
        self, events: Events, n_samples: int, labels: npt.NDArray[Any], rng: np.random.Generator
    ) -> Events:
        """See :meth:`Augmentation.changed`."""
        sample, step, neuron = events
        moved = np.rint(self.steps * rng.standard_normal(step.size)).astype(np.int64)
        return sample, step + moved, neuron


@dataclass(frozen=True)
class Drop(Augmentation):
    """Every spike left out with some probability.

    Parameters
    ----------
    probability : float
        In [0, 1].

    Raises
    ------
    ValueError
        If it is not.
    """

    probability: float

    def __post_init__(self) -> None:
        number("Drop", "probability", self.probability, most=1.0)

    def changed(
        self, events: Events, n_samples: int, labels: npt.NDArray[Any], rng: np.random.Generator
    ) -> Events:
        """See :meth:`Augmentation.changed`."""
        kept = rng.random(events[0].size) >= self.probability
        sample, step, neuron = events
        return sample[kept], step[kept], neuron[kept]


@dataclass(frozen=True)
class Blend(Augmentation):
    """A sample mixed with another one of its class.

    After Nowotny, Turner and Knight (2025): both are moved halfway towards each other, so that
    the means of their spikes' times and neurons agree, and of either each spike is taken with
    probability one half. The other sample is any of its class in the batch, itself included.

    Parameters
    ----------
    probability : float
        Share of the samples that are mixed; the others stay as they are.

    Raises
    ------
    ValueError
        If it is not in [0, 1]; when called, if there is not one class a sample.
    """

    probability: float = 1.0

    def __post_init__(self) -> None:
        number("Blend", "probability", self.probability, most=1.0)

    def changed(
        self, events: Events, n_samples: int, labels: npt.NDArray[Any], rng: np.random.Generator
    ) -> Events:
        """See :meth:`Augmentation.changed`."""
        if labels.shape != (n_samples,):
            raise ValueError(
                f"Blend needs one class a sample, but the labels have the shape {labels.shape}; "
                "leave it out."
            )
        partner = _of_the_same_class(labels, rng)
        alone = rng.random(n_samples) >= self.probability
        partner[alone] = np.flatnonzero(alone)
        sample, step, neuron = events
        counts = np.bincount(sample, minlength=n_samples)
        starts = np.cumsum(counts) - counts
        # For every sample the spikes of its partner, wherever they lie.
        taken = counts[partner]
        theirs = np.repeat(starts[partner] - (np.cumsum(taken) - taken), taken)
        theirs += np.arange(taken.sum())
        hosts = np.repeat(np.arange(n_samples), taken)
        moved = []
        for values in (step, neuron):
            sums = np.bincount(sample, values, n_samples)
            mean = sums / np.maximum(counts, 1)
            both = (counts > 0) & (taken > 0)
            half = np.where(both, mean[partner] - mean, 0) / 2
            ours = values + np.rint(half).astype(np.int64)[sample]
            moved.append(
                np.concatenate([ours, values[theirs] - np.rint(half).astype(np.int64)[hosts]])
            )
        chance = rng.random(sample.size + theirs.size) < 0.5
        own = np.concatenate([alone[sample], alone[hosts]])
        first = np.arange(chance.size) < sample.size
        kept = np.where(own, first, chance)
        who = np.concatenate([sample, hosts])
        return who[kept], moved[0][kept], moved[1][kept]


def augmented(
    steps: Sequence[Augmentation], spikes: Mapping[str, Spikes], labels: Any, seed: Sequence[int]
) -> dict[str, Spikes]:
    """A batch after several augmentations, one after the other.

    Parameters
    ----------
    steps : sequence of Augmentation
        What is done.
    spikes : mapping of str to Spikes
        The batch by SpikeSource.
    labels : array, shape (samples, ...)
        Its labels.
    seed : sequence of int
        Says which batch it is; what is drawn is a function of it.
    """
    found = dict(spikes)
    for source, name in enumerate(found):
        rng = np.random.default_rng([*seed, source])
        for step in steps:
            found[name] = step(found[name], labels, rng)
    return found


def _of_the_same_class(labels: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """For each sample one of those with its label."""
    order = np.argsort(labels, kind="stable")
    _, first, group, sizes = np.unique(
        labels[order], return_index=True, return_inverse=True, return_counts=True
    )
    chosen = order[first[group] + rng.integers(sizes[group])]
    partner = np.empty(labels.size, np.int64)
    partner[order] = chosen
    return partner
