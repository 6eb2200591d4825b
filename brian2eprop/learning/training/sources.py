"""Where the batches of a pass come from: samples in memory, or a data set that gives batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
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


class Source(Protocol):
    """What a pass goes through.

    Attributes
    ----------
    first : Dataset
        Some of its samples, to see what they have.
    n_batches : int or None
        Number of batches, where it is known.
    n_ordered : int or None
        Number of what can be gone through in any order, samples or batches, if anything can.
    """

    first: Dataset

    @property
    def n_batches(self) -> int | None:
        """See the class."""

    @property
    def n_ordered(self) -> int | None:
        """See the class."""

    def identity(self) -> dict[str, Any]:
        """What tells it from others, in JSON form."""

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
        self.indexed = _is_indexed(given)
        if isinstance(given, Iterator) or not gives_batches(given):
            raise TypeError(
                f"{owner}: there are no labels, and of type {type(given).__name__} is nothing that "
                "can be gone through for every epoch; give spikes and labels, an object with len() "
                "and batches by index, or the function that makes a generator."
            )
        self._begun: Iterator[Any] | None = None
        items = self._items(None, 0)
        head = list(islice(items, 1))
        if not head:
            raise ValueError(
                f"{owner}: the data set gives no batch; give one that gives at least one."
            )
        self.first = self._made(head[0], 0)
        if not self.indexed:
            self._begun = chain(head, items)

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
        return {"n_batches": self.n_batches, "batch_size": self.first.n_samples}

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
        for number, item in enumerate(self._items(order, skipped), skipped):
            data = self._made(item, number)
            # The same size whatever comes first, so that no sum is done in another order.
            yield whole_batch(data, max(self.first.n_samples, data.n_samples), change, number)

    def _items(self, order: Order, skipped: int) -> Iterator[Any]:
        if self.indexed:
            numbers = range(len(self.given)) if order is None else order.tolist()
            return (self.given[number] for number in numbers[skipped:])
        begun, self._begun = self._begun, None
        if begun is None:
            begun = iter(self.given() if callable(self.given) else self.given)
        return islice(begun, skipped, None)

    def _made(self, item: Any, number: int) -> Dataset:
        data = self.make(f"batch {number + 1} of the data set", item)
        first = getattr(self, "first", data)
        if data.inputs.keys() != first.inputs.keys():
            raise ValueError(
                f"{self.owner}: batch {number + 1} of the data set has analogue input for other "
                "variables than the first one; give the same for all."
            )
        return data
