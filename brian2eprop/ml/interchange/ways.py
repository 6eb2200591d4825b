"""What reaches each population of a graph: from which others, through which linear nodes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from scipy import sparse

from brian2eprop.errors import Unsupported
from brian2eprop.ml.graph import Values
from brian2eprop.ml.interchange.flat import Flat
from brian2eprop.ml.interchange.linear import Linear, Shape, linear, same
from brian2eprop.ml.interchange.neurons import MODELS


@dataclass(frozen=True)
class Way:
    """A way from a population, through linear nodes.

    Parameters
    ----------
    source : str
        Name of the population it starts at.
    shape : tuple of int
        Its shape, channels first.
    steps : tuple of Linear
        The nodes, in their order.
    """

    source: str
    shape: Shape
    steps: tuple[Linear, ...] = ()

    @property
    def outputs(self) -> Shape:
        """Shape of what arrives."""
        return self.steps[-1].outputs if self.steps else self.shape

    @property
    def only(self) -> Linear | None:
        """The node whose convolution is all that happens on it."""
        doing = [step for step in self.steps if step.matrix is not None]
        found = doing[0] if len(doing) == 1 else None
        fits = found is not None and (found.inputs, found.outputs) == (self.shape, self.outputs)
        return found if fits and found is not None and found.kernel is not None else None

    @property
    def matrix(self) -> Any:
        """All steps as one sparse matrix of flattened arrays."""
        found = sparse.eye_array(prod(self.shape), format="csr")
        for step in self.steps:
            found = found if step.matrix is None else step.matrix @ found
        return sparse.coo_array(found)

    def delays(self) -> tuple[Values, Values]:
        """Seconds by which it delays what each source sends, and what each target receives.

        Raises
        ------
        Unsupported
            If delays that differ stand between nodes that mix values.
        """
        first, last = np.zeros(prod(self.shape)), np.zeros(prod(self.outputs))
        for number, step in enumerate(self.steps):
            if step.delay is None:
                continue
            if np.ptp(step.delay) == 0 or not any(s.mixes for s in self.steps[:number]):
                first = first + (step.delay if np.ptp(step.delay) else step.delay.flat[0])
            elif not any(s.mixes for s in self.steps[number:]):
                last = last + step.delay
            else:
                raise Unsupported(
                    f"The delays of '{step.name}' differ and stand between nodes that mix values, "
                    "where no synapse could have them; make them equal, or put neurons between."
                )
        return first, last


@dataclass(frozen=True)
class Arrival:
    """What reaches a node: ways, a constant, and its shape."""

    ways: tuple[Way, ...]
    constant: Values
    shape: Shape


def population(flat: Flat, name: str) -> bool:
    """Whether a node has neurons, or is where values enter the graph."""
    kind = Flat.kind(flat.nodes[name])
    return kind in MODELS or (kind == "Input" and name not in flat.inner)


def shape_of(flat: Flat, name: str) -> Shape:
    """Shape of a population.

    Raises
    ------
    ValueError
        If its node does not say.
    """
    node = flat.nodes[name]
    if Flat.kind(node) == "Input":
        given = node.input_type["input"]
        if given is None:
            raise ValueError(f"The input '{name}' has no shape; give it one.")
        return tuple(int(n) for n in np.atleast_1d(given))
    shapes = [np.shape(getattr(node, each)) for each in MODELS[Flat.kind(node)].parameters]
    return tuple(np.broadcast_shapes(*shapes))


class Ways:
    """What reaches the nodes of a graph.

    Parameters
    ----------
    flat : Flat
        The graph.
    """

    def __init__(self, flat: Flat) -> None:
        self._flat = flat
        self._found: dict[str, Arrival] = {}
        self._entered: list[str] = []

    def to(self, name: str) -> Arrival:
        """What reaches a node.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        Arrival
            Ways and a constant; without either where nothing leads to it.

        Raises
        ------
        ValueError
            If shapes do not go together.
        Unsupported
            If there is no such node, or linear nodes lead to themselves.
        """
        if name in self._entered:
            raise Unsupported(
                f"'{name}' leads to itself through nodes without neurons, which has no solution "
                "in time; put neurons, such as an LI, into the loop."
            )
        self._entered.append(name)
        arrivals = [self._from(before) for before in self._flat.before[name]]
        self._entered.pop()
        shapes = {arrival.shape for arrival in arrivals}
        if len(shapes) > 1:
            raise ValueError(
                f"'{name}' gets values of the shapes {sorted(shapes)}; a sum is of one shape."
            )
        ways = tuple(way for arrival in arrivals for way in arrival.ways)
        constant = sum((arrival.constant for arrival in arrivals), np.zeros(1))
        return Arrival(ways, np.asarray(constant), next(iter(shapes), ()))

    def _from(self, name: str) -> Arrival:
        if name not in self._found:
            self._found[name] = self._leaving(name)
        return self._found[name]

    def _leaving(self, name: str) -> Arrival:
        if population(self._flat, name):
            shape = shape_of(self._flat, name)
            return Arrival((Way(name, shape),), np.zeros(prod(shape)), shape)
        arrived, node = self.to(name), self._flat.nodes[name]
        if not arrived.shape and not arrived.ways:
            raise ValueError(f"Nothing leads to '{name}'; put an Input before it.")
        make = same if name in self._flat.inner else linear
        step = make(name, node, arrived.shape)
        ways = tuple(Way(way.source, way.shape, (*way.steps, step)) for way in arrived.ways)
        return Arrival(ways, step.apply(arrived.constant), step.outputs)
