"""Where the batches of a pass come from: samples in memory, or a data set that gives batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, islice
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brian2eprop.learning.training.background import prepared
from brian2eprop.learning.training.data import (
    Batch,
    Change,
    Dataset,
    batches,
    unchanged,
    whole_batch,
)
from brian2eprop.learning.training.digest import sample_digest
from brian2eprop.spikes import Spikes

Order = npt.NDArray[np.int64] | None


def gives_batches(given: Any) -> bool:
    """Whether this is a data set, and not samples, or a pair of these and their labels."""
    if isinstance(given, Spikes | Mapping | tuple | str | np.ndarray):
        return False
    return _is_indexed(given) or callable(given) or isinstance(given, Iterable)


def _is_indexed(given: Any) -> bool:
    return hasattr(given, "__getitem__") and hasattr(given, "__len__")


def _never() -> bool:
    return False


class NoBatchError(ValueError):
    """A data set gave no batch where it is gone through."""


class Source(Protocol):
    """What a pass goes through.

    Attributes
    ----------
    first : Dataset
        Some of its samples, to see what they have.
    batch_size : int
        Number of samples of a batch; of the first one, where they differ.
    n_batches : int or None
        Number of batches, where it is known.
    n_ordered : int or None
        Number of what can be gone through in any order, samples or batches, if anything can.
    """

    first: Dataset
    batch_size: int

    @property
    def n_batches(self) -> int | None:
        """See the class."""

    @property
    def n_ordered(self) -> int | None:
        """See the class."""

    def identity(self) -> dict[str, Any]:
        """Its numbers of samples or batches, in JSON form."""

    def samples(self) -> str:
        """What tells its samples from others of these numbers, found when asked for first."""

    def batches(
        self,
        order: Order = None,
        skipped: int = 0,
        change: Change = unchanged,
        gone: Callable[[], bool] = _never,
    ) -> Generator[Batch]:
        """The batches of a pass.

        Parameters
        ----------
        order : int array, optional
            The order of samples or batches; as they lie unless given.
        skipped : int
            Number of batches that are left out at the beginning.
        change : callable
            What is made of the spikes of each batch.
        gone : callable
            Whether nobody waits for them any more.
        """


class InMemory:
    """Samples that are all there.

    Parameters
    ----------
    data : Dataset
        The samples.
    batch_size : int
        Number of samples of a batch.
    """

    def __init__(self, data: Dataset, batch_size: int) -> None:
        self.first, self.batch_size = data, min(batch_size, data.n_samples)

    @property
    def n_batches(self) -> int:
        """See :class:`Source`."""
        return -(-self.first.n_samples // self.batch_size)

    @property
    def n_ordered(self) -> int:
        """See :class:`Source`."""
        return self.first.n_samples

    def identity(self) -> dict[str, Any]:
        """See :class:`Source`."""
        return {"n_samples": self.first.n_samples, "batch_size": self.batch_size}

    def samples(self) -> str:
        """See :class:`Source`."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return sample_digest(self.first)

    def batches(
        self,
        order: Order = None,
        skipped: int = 0,
        change: Change = unchanged,
        gone: Callable[[], bool] = _never,
    ) -> Generator[Batch]:
        """See :class:`Source`."""
        made = batches(self.first, self.batch_size, order, skipped, change)
        return made if change is unchanged else prepared(made, gone)


class Streamed:
    """A data set that gives batches, which are prepared while the one before is computed.

    Parameters
    ----------
    owner : str
        Who was given it, for the sentences.
    given : sequence, iterable or callable
        Has ``len()`` and gives batch ``k`` as ``given[k]``, as Keras' PyDataset; or can be gone
        through anew for each pass; or is called for each pass and gives what can be gone through.
    make : callable
        The samples of a batch, from what the sentences call it and what was given.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it is empty.
    """

    def __init__(self, owner: str, given: Any, make: Callable[[str, Any], Dataset]) -> None:
        self.owner, self.given, self.make = owner, given, make
        if isinstance(given, type):
            raise TypeError(
                f"{owner}: the class {given.__name__} is no data set; give an instance, such as "
                f"{given.__name__}()."
            )
        if isinstance(given, Iterator):
            raise TypeError(
                f"{owner}: of type {type(given).__name__} is what can be gone through only once; "
                "give the function that makes it, without calling it: batches, not batches()."
            )
        if not gives_batches(given):
            raise TypeError(
                f"{owner}: there are no labels, and of type {type(given).__name__} is nothing that "
                "can be gone through for every epoch; give spikes and labels, an object with len() "
                "and batches by index, or the function that makes a generator."
            )
        self.indexed = _is_indexed(given)
        self._begun: Iterator[tuple[int, Any]] | None = None
        items = self._items(None, 0)
        head = [item for _, item in islice(items, 1)]
        if not head:
            raise NoBatchError(
                f"{owner}: the data set gives no batch; give one that gives at least one."
            )
        self.first = self._made(head[0], 0)
        self.batch_size = self.first.n_samples
        if not self.indexed:
            # What was made of the first batch, for its arrays may be filled again by now.
            self._begun = chain([(0, self.first)], items)

    @property
    def n_batches(self) -> int | None:
        """See :class:`Source`."""
        return len(self.given) if hasattr(self.given, "__len__") else None

    @property
    def n_ordered(self) -> int | None:
        """See :class:`Source`."""
        return self.n_batches if self.indexed else None

    def identity(self) -> dict[str, Any]:
        """See :class:`Source`."""
        return {"n_batches": self.n_batches, "batch_size": self.batch_size}

    def samples(self) -> str:
        """See :class:`Source`; of the first batch, for the others are not there."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return sample_digest(self.first)

    def batches(
        self,
        order: Order = None,
        skipped: int = 0,
        change: Change = unchanged,
        gone: Callable[[], bool] = _never,
    ) -> Generator[Batch]:
        """See :class:`Source`."""
        return prepared(self._prepare(order, skipped, change), gone)

    def _prepare(self, order: Order, skipped: int, change: Change) -> Iterator[Batch]:
        met = 0
        for number, item in self._items(order, skipped):
            met += 1
            if number < skipped:
                continue
            data = self._made(item, number)
            # The same size whatever comes first, so that no sum is done in another order.
            yield whole_batch(data, max(self.batch_size, data.n_samples), change, number)
        if not (met or skipped):
            raise NoBatchError(
                f"{self.owner}: the data set gives no batch when it is gone through once more; "
                "give one that gives the same each time, such as a function that makes a new "
                "generator."
            )

    def _items(self, order: Order, skipped: int) -> Iterator[tuple[int, Any]]:
        """What it gives, by its number in the pass; only by index can some be left out."""
        if self.indexed:
            numbers = range(len(self.given)) if order is None else order.tolist()
            left = (self.given[number] for number in numbers[skipped:])
            return enumerate(left, skipped)
        begun, self._begun = self._begun, None
        return begun or enumerate(self._gone_through())

    def _gone_through(self) -> Iterator[Any]:
        if not callable(self.given):
            return iter(self.given)
        found = self.given()
        if not isinstance(found, Iterable):
            raise TypeError(
                f"{self.owner}: of type {type(found).__name__}, which the function gives, is "
                "nothing that can be gone through; let it yield its batches, or give what it "
                "makes itself if that has len() and batches by index."
            )
        return iter(found)

    def _made(self, item: Any, number: int) -> Dataset:
        if isinstance(item, Dataset):
            return item
        data = self.make(f"batch {number + 1} of the data set", item)
        first = getattr(self, "first", data)
        if data.inputs.keys() != first.inputs.keys():
            raise ValueError(
                f"{self.owner}: batch {number + 1} of the data set has analogue input for other "
                "variables than the first one; give the same for all."
            )
        return data
