"""A graph of NIR without sub-graphs: nodes by names that Brian2 takes, and what leads to each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brian2eprop.errors import Unsupported
from brian2eprop.ml.names import brian_name


@dataclass(frozen=True)
class Flat:
    """Nodes, and what leads to them.

    Parameters
    ----------
    nodes : mapping of str to NIRNode
        Nodes by name; those of a sub-graph have its name before theirs.
    before : mapping of str to tuple of str
        Names of the nodes that lead to each.
    inner : frozenset of str
        The inputs and outputs of sub-graphs, which pass on what they get.
    """

    nodes: Mapping[str, Any]
    before: Mapping[str, tuple[str, ...]]
    inner: frozenset[str]

    @staticmethod
    def kind(node: Any) -> str:
        """What NIR calls such a node."""
        return type(node).__name__


def flatten(graph: Any) -> Flat:
    """Bring the nodes of sub-graphs into one graph.

    Parameters
    ----------
    graph : nir.NIRGraph
        The graph.

    Returns
    -------
    Flat
        Its nodes.

    Raises
    ------
    ValueError
        If an edge leads to or from a node that is not there, or there twice.
    Unsupported
        If a sub-graph has several inputs or outputs.
    """
    walk = _Walk()
    walk.enter(graph, "")
    return Flat(
        walk.nodes, {name: tuple(found) for name, found in walk.before.items()}, walk.inner()
    )


class _Walk:
    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}
        self.before: dict[str, list[str]] = {}
        self._inner: set[str] = set()

    def inner(self) -> frozenset[str]:
        return frozenset(self._inner)

    def enter(self, graph: Any, prefix: str) -> tuple[dict[str, str], dict[str, str]]:
        """Take the nodes of a graph; where edges to and from each of them end."""
        heads, tails = {}, {}
        for name, node in graph.nodes.items():
            own = self._free(brian_name(f"{prefix}{name}"))
            if Flat.kind(node) == "NIRGraph":
                ends = self.enter(node, f"{own}_")
                heads[name], tails[name] = (
                    self._single(own, what, node, found)
                    for what, found in zip(("Input", "Output"), ends, strict=True)
                )
                continue
            self.nodes[own], self.before[own] = node, []
            heads[name] = tails[name] = own
            if prefix and Flat.kind(node) in ("Input", "Output"):
                self._inner.add(own)
        for source, target in graph.edges:
            for name in (source, target):
                if name not in heads:
                    raise ValueError(
                        f"An edge of the graph names '{name}', and no node is called so."
                    )
            if tails[source] in self.before[heads[target]]:
                raise ValueError(f"Two edges lead from '{source}' to '{target}'; leave one out.")
            self.before[heads[target]].append(tails[source])
        return heads, tails

    def _single(self, name: str, what: str, graph: Any, ends: dict[str, str]) -> str:
        found = [ends[inner] for inner, node in graph.nodes.items() if Flat.kind(node) == what]
        if len(found) != 1:
            raise Unsupported(
                f"The sub-graph '{name}' has {len(found)} nodes of the kind {what}, and an edge "
                f"does not say which; give it one."
            )
        return found[0]

    def _free(self, name: str) -> str:
        number, found = 0, name
        while found in self.nodes:
            number += 1
            found = f"{name}_{number}"
        return found
