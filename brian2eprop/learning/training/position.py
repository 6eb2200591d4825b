"""Where within an epoch a training is, so that it can go on with the very next batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from brian2eprop.errors import CheckpointError
from brian2eprop.learning.training.numbers import Key
from brian2eprop.learning.training.state_reading import read_count

# Seeds of augmentation are below.
MAX_SEED = 2**62

# What is one number of a batch; what metrics count may be arrays.
_SINGLE = ("loss", "accuracy", "spikes", "clipped", "nan")


@dataclass
class Sums:
    """What the batches of a pass add up to.

    Parameters
    ----------
    n_samples, total_steps : int
        Number of samples, and of steps of all of them together.
    numbers : dict of (str, str) to float or array
        Sums over the samples, by what is added and whose it is.
    """

    n_samples: int = 0
    total_steps: int = 0
    numbers: dict[Key, Any] = field(default_factory=dict)

    def add(self, n_samples: int, total_steps: int, numbers: Mapping[Key, Any]) -> None:
        """Add those of a batch.

        Raises
        ------
        CheckpointError
            If those before are of another shape.
        """
        self.n_samples += n_samples
        self.total_steps += total_steps
        for key, value in numbers.items():
            before = self.numbers.get(key, 0.0)
            if key in self.numbers and np.shape(before) != np.shape(value):
                raise CheckpointError(
                    f"fit: the sums of the epoch that it goes on with hold '{key[0]}' of shape "
                    f"{np.shape(before)}, but a batch has {np.shape(value)}; load an earlier "
                    "checkpoint."
                )
            self.numbers[key] = before + value


@dataclass
class Position:
    """Where within an epoch a training is.

    Parameters
    ----------
    source : mapping of str to object
        What the epoch goes through, in JSON form: numbers of samples, size of batches.
    samples : callable
        What tells the samples from others, found when asked for first.
    order : mapping, optional
        State of the generator that the order of the samples was drawn from.
    batch : int
        Number of batches done.
    sums : Sums
        What they add up to.
    seed : int, optional
        What augmentation of the epoch's batches is a function of.
    """

    source: Mapping[str, Any]
    samples: Callable[[], str]
    order: Mapping[str, Any] | None = None
    batch: int = 0
    sums: Sums = field(default_factory=Sums)
    seed: int | None = None

    def copy(self) -> Position:
        """The same, which stays as it is."""
        return replace(self, sums=deepcopy(self.sums))

    def settled(self) -> Position:
        """The same, which holds no samples any more."""
        digest = self.samples()
        return replace(self, samples=lambda: digest)

    def is_in(self, source: Mapping[str, Any], samples: Callable[[], str]) -> bool:
        """Whether an epoch through other samples, or by other batches, is out of the question."""
        return self.source == source and (not self.batch or self.samples() == samples())

    def generator(self) -> np.random.Generator | None:
        """The generator as it was before the order was drawn, if one was.

        Raises
        ------
        KeyError, TypeError, ValueError, OverflowError
            If the state is none.
        """
        return None if self.order is None else generator_of(self.order)

    def to_json(self) -> dict[str, Any]:
        """All of it as lists, dictionaries, words and numbers."""
        sums = self.sums
        numbers = [[*key, np.asarray(value).tolist()] for key, value in sums.numbers.items()]
        return {
            "source": dict(self.source),
            "samples": self.samples(),
            "order": None if self.order is None else dict(self.order),
            "batch": self.batch,
            "seed": self.seed,
            "sums": [sums.n_samples, sums.total_steps, numbers],
        }

    @classmethod
    def from_json(cls, found: Any) -> Position:
        """The position that :meth:`to_json` wrote.

        Raises
        ------
        AttributeError, KeyError, TypeError, ValueError, OverflowError
            If it did not.
        """
        n_samples, total_steps, numbers = found["sums"]
        source, samples = dict(found["source"]), found["samples"]
        sums = Sums(read_count(n_samples), read_count(total_steps))
        for what, whose, value in numbers:
            number = np.asarray(value, float)
            sums.numbers[str(what), str(whose)] = number if number.ndim else float(number)
        seed = found["seed"]
        position = cls(
            source, lambda: samples, found["order"], read_count(found["batch"]), sums, seed
        )
        position.generator()
        if not isinstance(samples, str) or not position._is_possible():
            raise ValueError("position")
        return position

    def _is_possible(self) -> bool:
        """Whether there can be such a position: whether its parts agree."""
        source, sums = self.source, self.sums
        seeded = type(self.seed) is int and 0 <= self.seed < MAX_SEED
        drawn = source["shuffle"] is (self.order is not None)
        drawn &= seeded if source["augmentation"] else self.seed is None
        return drawn and self._counts_agree() and _are_sums(sums.numbers, self.batch)

    def _counts_agree(self) -> bool:
        source, sums, size = self.source, self.sums, read_count(self.source["batch_size"])
        if "n_samples" in source:
            n_samples = read_count(source["n_samples"])
            done = (self.batch - 1) * size < n_samples
            counted = sums.n_samples == min(self.batch * size, n_samples)
        else:
            n_batches = source["n_batches"]
            done = n_batches is None or self.batch <= read_count(n_batches)
            counted = sums.n_samples >= self.batch and bool(sums.n_samples) is bool(self.batch)
        stepped = sums.total_steps >= sums.n_samples and (self.batch > 0 or not sums.total_steps)
        return done and counted and stepped


def _are_sums(numbers: Mapping[Key, Any], batch: int) -> bool:
    """Whether they can be the sums of that many batches."""
    if not batch:
        return not numbers
    single = [value for (what, _), value in numbers.items() if what in _SINGLE]
    finite = all(not np.ndim(value) and np.isfinite(value) for value in single)
    return finite and any(what == "loss" for what, _ in numbers)


def generator_of(state: Mapping[str, Any]) -> np.random.Generator:
    """A random generator in a given state.

    Raises
    ------
    KeyError, TypeError, ValueError, OverflowError
        If the state is none.
    """
    rng = np.random.default_rng()
    rng.bit_generator.state = dict(state)
    return rng
