"""What every kind of connectivity offers; one file a kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from brian2eprop.device.program.arrays import Array
from brian2eprop.device.program.phase import Side

Integers = npt.NDArray[np.integer[Any]]
Contents = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Row:
    """The synapses of one neuron.

    Parameters
    ----------
    neighbours : int array, shape (n,)
        The neurons at their other ends, ascending.
    synapses : int array, shape (n,)
        The synapses' numbers.
    """

    neighbours: Integers
    synapses: Integers


@dataclass(frozen=True)
class Connectivity(ABC):
    """The synapses from one population to another.

    They are numbered source by source, for each source by ascending target. A kind says how
    the synapses of a neuron are found; how rows are laid out in memory is not its meaning.

    Parameters
    ----------
    name : str
        Name of the synapses.
    n_source, n_target : int
        Sizes of the two populations.
    """

    # Whether the place in a row is the neuron at the other end, so that a loop along any row
    # meets a neuron at the same iteration.
    aligned: ClassVar[bool] = False
    # Whether synapses of several neurons are one: such a one is read, or added to by instances
    # together, and no two of one row are the same.
    shares: ClassVar[bool] = False

    name: str
    n_source: int
    n_target: int

    @property
    def kind(self) -> str:
        """Its kind's name, which its template has too."""
        return type(self).__name__.lower()

    @property
    @abstractmethod
    def n_synapses(self) -> int:
        """Number of synapses that are stored."""

    @property
    @abstractmethod
    def unique(self) -> bool:
        """Whether no pair of neurons has two synapses."""

    def rows(self, side: Side) -> int:
        """Number of rows: neurons of the side."""
        return self.n_source if side is Side.SOURCE else self.n_target

    def tables(self, sides: Collection[Side]) -> tuple[Array, ...]:
        """The arrays that loops from some sides need; none unless a kind says so."""
        return ()

    def derived(self, contents: Contents, sides: Collection[Side]) -> dict[str, Integers]:
        """Contents of those tables that follow from the others."""
        return {}

    def faults(self) -> Iterable[str]:
        """What is not legal in it, each half a sentence."""
        return ()

    @abstractmethod
    def row(self, contents: Contents, neuron: int, side: Side) -> Row:
        """The synapses of a neuron: the meaning of the kind."""

    @abstractmethod
    def pairs(self, contents: Contents) -> tuple[Integers, Integers]:
        """Source and target of every synapse, in the order of their numbers."""

    @abstractmethod
    def transposed(self, name: str, contents: Contents) -> Transposed:
        """The connectivity turned around, as one of its own."""


@dataclass(frozen=True)
class Transposed:
    """A connectivity turned around.

    Parameters
    ----------
    connectivity : Connectivity
        From the targets to the sources.
    order : int array, shape (n_synapses,)
        Which synapse each of its synapses was.
    tables : mapping of str to int32 array
        Contents of its tables.
    """

    connectivity: Connectivity
    order: Integers
    tables: Mapping[str, npt.NDArray[np.int32]]
