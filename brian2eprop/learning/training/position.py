"""Where within an epoch a training is, so that it can go on with the very next batch."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brian2eprop.learning.training.numbers import Key


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
        """Add those of a batch."""
        self.n_samples += n_samples
        self.total_steps += total_steps
        for key, value in numbers.items():
            self.numbers[key] = self.numbers.get(key, 0.0) + value


@dataclass
class Position:
    """Where within an epoch a training is.

    Parameters
    ----------
    source : mapping of str to object
        What the epoch goes through, in JSON form: numbers of samples, size of batches.
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
    order: Mapping[str, Any] | None = None
    batch: int = 0
    sums: Sums = field(default_factory=Sums)
    seed: int | None = None

    def copy(self) -> Position:
        """The same, which stays as it is."""
        return deepcopy(self)

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
        counts = (found["batch"], n_samples, total_steps, found["seed"] or 0)
        if not all(isinstance(count, int) and 0 <= count < 2**63 for count in counts):
            raise ValueError("counts")
        sums = Sums(n_samples, total_steps)
        for what, whose, value in numbers:
            number = np.asarray(value, float)
            sums.numbers[str(what), str(whose)] = number if number.ndim else float(number)
        position = cls(dict(found["source"]), found["order"], found["batch"], sums, found["seed"])
        position.generator()
        return position


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
