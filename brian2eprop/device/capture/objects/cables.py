"""Neurons with a shape: the potentials of compartments, coupled along a tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.spatialneuron.spatialneuron import (
    FlatMorphology,
    SpatialNeuron,
    SpatialStateUpdater,
    SpatialSubgroup,
)

from brian2eprop.device.capture.builder import Builder
from brian2eprop.device.capture.objects.kind import Kind
from brian2eprop.device.capture.objects.neurons import neuron
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    DType,
    ForEach,
    Index,
    Ref,
    TreeSolve,
)

# The equations of the implicit Euler method, node by node: a compartment's capacitance and
# conductances, none at a branching point, and the axial conductance towards the parent. Names
# with an underscore in front are no user's.
_EQUATIONS = """
_leak = _capacitive*area*(Cm/dt + _gtot)
_source = _capacitive*area*(Cm/dt*v + _I0)
_coupling = 1.0/(Ri*(_from_parent/r_length_2 + _capacitive/r_length_1))
"""
_SYSTEM = ("leak", "coupling", "source")
_SOLUTION = """
Ic = Cm*(_solution - v)/dt
v = _solution
"""


@dataclass(frozen=True)
class Tree:
    """The nodes of a neuron: its compartments, and the points where sections branch off.

    A section's compartments follow one another, and its children follow the point at its end;
    a section without children has none, because no current leaves it there.

    Attributes
    ----------
    parent : int array, shape (nodes,)
        A node's parent, which comes before it; -1 for the root.
    compartment : int array, shape (nodes,)
        Its compartment; of a branching point the one that it is the end of.
    above : int array, shape (nodes,)
        The compartment of the parent.
    capacitive : bool array, shape (nodes,)
        Whether it is a compartment.
    place : int array, shape (compartments,)
        The node of each compartment.
    """

    parent: npt.NDArray[np.int64]
    compartment: npt.NDArray[np.int64]
    above: npt.NDArray[np.int64]
    capacitive: npt.NDArray[np.bool_]
    place: npt.NDArray[np.int64]


def tree_of(morphology: FlatMorphology) -> Tree:
    """The nodes of a morphology, whose sections are in the order of a walk from the root."""
    parents: list[int] = []
    compartments: list[int] = []
    capacitive: list[bool] = []
    ends: dict[int, int] = {0: -1}  # the node at the end of each section, counted from one
    for section, above in enumerate(morphology.morph_parent_i.tolist()):
        before = ends[above]
        for compartment in range(morphology.starts[section], morphology.ends[section]):
            parents.append(before)
            before = len(parents) - 1
            compartments.append(compartment)
            capacitive.append(True)
        if morphology.morph_children_num[section + 1]:
            parents.append(before)
            ends[section + 1] = len(parents) - 1
            compartments.append(compartments[-1])
            capacitive.append(False)
    return _tree(parents, compartments, capacitive)


def _tree(parents: Sequence[int], compartments: Sequence[int], capacitive: Sequence[bool]) -> Tree:
    parent, compartment = np.array(parents), np.array(compartments)
    own = np.array(capacitive)
    return Tree(parent, compartment, compartment[np.maximum(parent, 0)], own, np.flatnonzero(own))


def _add_diffusion(builder: Builder, updater: SpatialStateUpdater) -> None:
    """The phases that give all compartments their potentials after the step."""
    group, name = updater.group, updater.name
    tree = tree_of(group.flat_morphology)
    n = len(tree.parent)
    table = {
        what: builder.table(name, what, values)
        for what, values in (
            ("parent", np.maximum(tree.parent, 0)),
            ("compartment", tree.compartment),
            ("above", tree.above),
            ("place", tree.place),
        )
    }
    # Half of the axial resistance between a node and its parent is the parent's, half its own;
    # a branching point, where two compartments' halves meet, has none.
    for what, values in (
        ("capacitive", tree.capacitive),
        ("from_parent", tree.capacitive[np.maximum(tree.parent, 0)]),
    ):
        table[what] = builder.table(name, what, values, DType.DOUBLE)
    system = {what: f"{name}:{what}" for what in _SYSTEM}
    for array in system.values():
        builder.arrays[array] = Array(array, DType.REAL, n, Access.SHARED)
    table |= system
    nodes = _equations(builder, updater, tree, table)
    builder.phases += [
        ForEach(f"{name}:equations", n, nodes),
        TreeSolve(name, table["parent"], **system),
        ForEach(f"{name}:potentials", len(group), _solution(builder, updater, table)),
    ]


def _equations(
    builder: Builder, updater: SpatialStateUpdater, tree: Tree, table: dict[str, str]
) -> Body:
    """What the equations of every node are made of; the user's are those of its compartment."""
    group, own = updater.group, neuron(builder, updater)

    def at(place: str, variable: str) -> Ref:
        array = builder.array_of(group.variables[variable])
        return Ref(array, Index.ELEMENT, via=table[place])

    def locate(variable: Any, index: str) -> Ref:
        ref = own(variable, index)
        if ref.index is Index.SCALAR:
            return ref
        if ref.via is None:
            return replace(ref, via=table["compartment"])
        linked = group.variables[index].get_value()[tree.compartment]
        return replace(ref, via=builder.table(group.name, f"{ref.via}:nodes", linked))

    body = builder.body(updater, locate)
    refs = {
        **{f"_{x}": Ref(table[x], Index.ELEMENT) for x in (*_SYSTEM, "capacitive", "from_parent")},
        **{x: at("compartment", x) for x in ("area", "Cm", "v", "r_length_1")},
        "r_length_2": at("above", "r_length_2"),
        "Ri": Ref(builder.array_of(group.variables["Ri"]), Index.SCALAR),
    }
    return replace(body, code=body.code + _EQUATIONS, refs={**body.refs, **refs})


def _solution(builder: Builder, updater: SpatialStateUpdater, table: dict[str, str]) -> Body:
    group = updater.group
    refs = {x: Ref(builder.array_of(group.variables[x]), Index.ELEMENT) for x in ("Cm", "v", "Ic")}
    refs["_solution"] = Ref(table["source"], Index.ELEMENT, via=table["place"])
    return Body(_SOLUTION.strip(), refs)


KINDS: dict[type, Kind] = {
    SpatialNeuron: Kind(),
    SpatialSubgroup: Kind(),
    SpatialStateUpdater: Kind(_add_diffusion),
}
