"""Populations and pathways become a graph of NIR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from brian2eprop.device.program import Convolution
from brian2eprop.errors import Unsupported
from brian2eprop.ml.graph import Values
from brian2eprop.ml.interchange.kernels import Symmetric, symmetric
from brian2eprop.ml.interchange.linear import Shape, channels_last
from brian2eprop.ml.interchange.pathways import Pathway
from brian2eprop.ml.interchange.recognition import Population


def assemble(
    nir: Any,
    populations: Mapping[str, Population],
    sizes: Mapping[str, int],
    pathways: Sequence[Pathway],
) -> Any:
    """Make a graph.

    Parameters
    ----------
    nir : module
        The package.
    populations : mapping of str to Population
        What becomes of each group.
    sizes : mapping of str to int
        How many neurons it has.
    pathways : sequence of Pathway
        What leads from one to another.

    Returns
    -------
    nir.NIRGraph
        The graph.

    Raises
    ------
    Unsupported
        If shapes do not go together in NIR, or a bias or a factor has no place.
    ValueError
        If nothing is an output.
    """
    made = _Assembly(nir, populations, _shapes(sizes, pathways))
    for name, population in populations.items():
        made.add_population(name, population)
    biased = set()
    for pathway in pathways:
        made.add_pathway(pathway, with_bias=pathway.target not in biased)
        biased.add(pathway.target)
    for name, population in populations.items():
        if name not in biased and np.any(population.bias):
            raise Unsupported(
                f"'{name}' is driven by a constant and by no synapses, and NIR adds constants to "
                "what comes in; let an input lead to it."
            )
    made.add_outputs(pathways)
    return nir.NIRGraph(made.nodes, made.edges, type_check=False)


def is_image(convolution: Convolution | None) -> bool:
    """Whether a kernel is laid on more than one place, and is no matrix."""
    return convolution is not None and prod(convolution.inputs[:2]) > 1


def _shapes(sizes: Mapping[str, int], pathways: Sequence[Pathway]) -> dict[str, Shape]:
    """Shapes of populations, channels first: those of the kernels that lead to and from them."""
    found: dict[str, Shape] = {}
    for pathway in pathways:
        of = pathway.convolution
        if of is None or not is_image(of):
            continue
        flat = of.inputs[0] == of.outputs[0] == of.window[0] == 1
        for name, image in ((pathway.source, of.inputs), (pathway.target, of.outputs)):
            shape = (image[2], *image[flat:2])
            if found.setdefault(name, shape) != shape:
                raise Unsupported(
                    f"'{name}' is an image of the shape {found[name]} to one kernel and of the "
                    f"shape {shape} to another, channels first, and a node of NIR has one shape."
                )
    alike = [each for each in pathways if each.convolution is None and _diagonal(each.weights)]
    for _ in alike:
        # From neuron to neuron a shape is passed on, either way.
        for each in alike:
            for one, other in ((each.source, each.target), (each.target, each.source)):
                if one in found:
                    found.setdefault(other, found[one])
    return {name: found.get(name, (size,)) for name, size in sizes.items()}


def _diagonal(weights: Values) -> bool:
    square = weights.shape[0] == weights.shape[1]
    return square and not np.any(weights - np.diag(np.diag(weights)))


@dataclass
class _Assembly:
    nir: Any
    populations: Mapping[str, Population]
    shapes: Mapping[str, Shape]
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def add_population(self, name: str, population: Population) -> None:
        shape = self.shapes[name]
        if population.kind in ("Input", "Output"):
            self.nodes[name] = getattr(self.nir, population.kind)(np.array(shape))
            return
        parameters = {
            parameter: channels_first(np.broadcast_to(values, prod(shape)), shape)
            for parameter, values in population.parameters.items()
        }
        metadata = dict(population.metadata)
        self.nodes[name] = getattr(self.nir, population.kind)(**parameters, metadata=metadata)

    def add_pathway(self, pathway: Pathway, with_bias: bool) -> None:
        """Delays of sources, the map with its bias, delays of targets."""
        target = self.populations[pathway.target]
        bias: Values | float = target.bias if with_bias else 0.0
        factor = np.asarray(target.factors.get(pathway.variable, 1.0))
        steps = [*self._delay(pathway.delays[0], self.shapes[pathway.source])]
        steps += self._map(pathway, factor, bias)
        steps += self._delay(pathway.delays[1], self.shapes[pathway.target])
        if not steps and (pathway.source, pathway.target) in self.edges:
            steps = [self.nir.Scale(np.ones(self.shapes[pathway.target]))]
        before = pathway.source
        for node in steps:
            name = self._free(pathway.name if node is steps[0] else f"{pathway.name}_{_kind(node)}")
            self.nodes[name] = node
            self.edges.append((before, name))
            before = name
        self.edges.append((before, pathway.target))

    def add_outputs(self, pathways: Sequence[Pathway]) -> None:
        """An output behind each population that leads to no other."""
        leading = {each.source for each in pathways if each.source != each.target}
        ends = [
            name
            for name, population in self.populations.items()
            if name not in leading and population.kind not in ("Input", "Output")
        ]
        there = [name for name, of in self.populations.items() if of.kind == "Output"]
        if not ends and not there:
            raise ValueError(
                "to_nir: every group leads to another one, so none is the output; add a group, "
                "such as a readout, that leads to none."
            )
        for name in ends:
            output = self._free("output" if len(ends) == 1 else f"{name}_output")
            self.nodes[output] = self.nir.Output(np.array(self.shapes[name]))
            self.edges.append((name, output))

    def _delay(self, delay: Values, shape: Shape) -> list[Any]:
        return [self.nir.Delay(channels_first(delay, shape))] if delay.any() else []

    def _map(self, pathway: Pathway, factor: Values, bias: Values | float) -> list[Any]:
        of = pathway.convolution
        if of is not None and is_image(of):
            return [self._kernel(pathway, of, factor, bias)]
        weights = pathway.weights if of is None else _matrix(of, pathway.weights)
        weights = np.reshape(factor, (-1, 1)) * weights
        source, target = self.shapes[pathway.source], self.shapes[pathway.target]
        if source == target and not np.any(bias) and _diagonal(weights):
            own = channels_first(np.diag(weights), target)
            return [] if np.all(own == 1) else [self.nir.Scale(own)]
        if len(target) > 1:
            raise Unsupported(
                f"'{pathway.name}' leads to '{pathway.target}', an image by other kernels, along "
                "weights that are no kernel, and NIR's matrices lead to vectors."
            )
        weights = weights[:, np.argsort(channels_last(source))]
        steps = [self.nir.Flatten(np.array(source), 0, -1)] if len(source) > 1 else []
        if np.any(bias):
            added = np.array(np.broadcast_to(bias, len(weights)), float)
            return [*steps, self.nir.Affine(weights, added)]
        return [*steps, self.nir.Linear(weights)]

    def _kernel(
        self, pathway: Pathway, of: Convolution, factor: Values, bias: Values | float
    ) -> Any:
        name = pathway.name
        factor, added = (
            _by_channel(name, values, of.outputs[2]) for values in (factor, np.asarray(bias))
        )
        laid: Symmetric = symmetric(name, of, pathway.weights * factor)
        weight = np.moveaxis(laid.kernel, (-1, -2), (0, 1))
        if len(self.shapes[pathway.target]) == 2:
            one = (laid.padding[1], of.dilation[1], of.groups)
            return self.nir.Conv1d(of.inputs[1], weight[:, :, 0], of.strides[1], *one, added)
        others = (of.strides, laid.padding, of.dilation, of.groups)
        return self.nir.Conv2d(of.inputs[:2], weight, *others, added)

    def _free(self, name: str) -> str:
        number, found = 0, name
        while found in self.nodes:
            number += 1
            found = f"{name}_{number}"
        return found


def channels_first(values: Values, shape: Shape) -> Values:
    """Values of a group's neurons as an array of NIR."""
    found = np.empty(prod(shape))
    found[channels_last(shape)] = values
    return found.reshape(shape)


def _matrix(of: Convolution, kernel: Values) -> Values:
    source, target, element = of.unrolled()
    found = np.zeros((of.n_target, of.n_source))
    np.add.at(found, (target, source), kernel.ravel()[element])
    return found


def _by_channel(name: str, values: Values, channels: int) -> Values:
    spread = np.broadcast_to(values, channels) if values.size == 1 else values.reshape(-1, channels)
    found = np.atleast_2d(spread)
    if np.any(np.ptp(found, axis=0)):
        raise Unsupported(
            f"Along '{name}' what is added, or multiplied by, differs from place to place, and "
            "NIR's kernels have a bias for each channel; make it equal within each."
        )
    return np.array(found[0], float)


def _kind(node: Any) -> str:
    return type(node).__name__.lower()
