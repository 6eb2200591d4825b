"""Stages become Brian2's groups and synapses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from brian2 import Network, NeuronGroup, StateMonitor, Synapses, ms

from brian2eprop.device.convolution.connect import connect_kernel
from brian2eprop.ml.algorithm import Algorithm, Neurons
from brian2eprop.ml.graph import Values
from brian2eprop.ml.stages import Projection, Stage, depths

DT = 1 * ms
MONITOR = "output_potential"
# What neurons count: weights that were added, and those that were multiplied by a number before.
ADDED, MULTIPLIED = "added", "multiplied"


@dataclass(frozen=True)
class Scaled:
    """A stage with the scale of each of its channels, and when it begins.

    Parameters
    ----------
    stage : Stage
        The stage.
    scale : array, shape (channels,)
        By what its activations are divided.
    depth : int
        Through how many projections the longest way to it leads.
    """

    stage: Stage
    scale: Values
    depth: int

    @property
    def everywhere(self) -> Values:
        """The scale of each of its neurons, in its shape."""
        return np.broadcast_to(self.scale, self.stage.shape)


def scale_stages(
    stages: tuple[Stage, ...], activations: Mapping[str, Values], algorithm: Algorithm
) -> tuple[Scaled, ...]:
    """Give each stage its scale.

    Parameters
    ----------
    stages : tuple of Stage
        The input first, the output last.
    activations : dict
        Values on samples, by stage.
    algorithm : Algorithm
        Who chooses scales; the output has none.

    Returns
    -------
    tuple of Scaled
        The stages in the same order.
    """
    depth, found = depths(stages), []
    for stage in stages:
        channels = np.ones(stage.shape[-1])
        scale = (
            channels
            if stage is stages[-1]
            else algorithm.scale(activations[stage.name], stage is stages[0])
        )
        found.append(Scaled(stage, scale, depth[stage.name]))
    return tuple(found)


def scaled_kernel(projection: Projection, source: Scaled, target: Scaled) -> Values:
    """A kernel between activations relative to their scales."""
    seen = source.everywhere.reshape(projection.input_shape)
    made = target.everywhere.reshape(projection.output_shape)
    taken: Values = seen[(0,) * (seen.ndim - 1)][projection.channels_in()]
    given: Values = made[(0,) * (made.ndim - 1)]
    return projection.kernel * taken / given


def build(stages: tuple[Scaled, ...], algorithm: Algorithm, counted: bool = False) -> Network:
    """The network, on the device that Brian2 is set to.

    Parameters
    ----------
    stages : tuple of Scaled
        The input first, the output last.
    algorithm : Algorithm
        Whose equations there are.
    counted : bool
        Whether each neuron counts the weights that reach it, in ``added`` and ``multiplied``.

    Returns
    -------
    Network
        Groups by name of the stage, synapses by ``<source>_to_<target>``.
    """
    network = Network()
    groups = {}
    for each in stages:
        groups[each.stage.name] = _group(each, stages, algorithm, counted)
        network.add(groups[each.stage.name])
    by_name = {each.stage.name: each for each in stages}
    for target in stages:
        for number, projection in enumerate(target.stage.projections):
            source = by_name[projection.source]
            name = f"{source.stage.name}_to_{target.stage.name}"
            if any(p.source == projection.source for p in target.stage.projections[:number]):
                name += f"_{number}"
            network.add(_synapses(name, projection, source, target, groups, algorithm, counted))
    output = groups[stages[-1].stage.name]
    if algorithm.answers_each_step:
        network.add(StateMonitor(output, "v", record=True, dt=DT, when="end", name=MONITOR))
    return network


def _neurons(each: Scaled, stages: tuple[Scaled, ...], algorithm: Algorithm) -> Neurons:
    if each is stages[0]:
        return algorithm.input
    return algorithm.output if each is stages[-1] else algorithm.hidden


def _group(
    each: Scaled, stages: tuple[Scaled, ...], algorithm: Algorithm, counted: bool
) -> NeuronGroup:
    neurons = _neurons(each, stages, algorithm)
    group = NeuronGroup(
        each.stage.size,
        neurons.model + f"\n{ADDED} : 1\n{MULTIPLIED} : 1" * counted,
        threshold=neurons.threshold,
        reset=neurons.reset,
        method="euler",
        dt=DT,
        name=each.stage.name,
        namespace={"K": algorithm.timesteps},
    )
    if neurons.each_step is not None:
        group.run_regularly(neurons.each_step, when="start", name=f"{group.name}_each_step")
    is_output = each is stages[-1]
    # An output sums up what comes in, from the step on in which the last stage begins.
    first = (each.depth - is_output) * algorithm.steps_per_stage
    times = {"begin": first - 0.5, "end": first + algorithm.steps_per_stage - 0.5}
    for name, steps in times.items():
        if name in group.variables:
            setattr(group, name, steps * DT)
    if each is not stages[0]:
        bias = np.broadcast_to(each.stage.bias, each.stage.shape) / each.everywhere
        for name, values in algorithm.initial(bias.ravel(), is_output).items():
            setattr(group, name, values)
    return group


def _synapses(
    name: str,
    projection: Projection,
    source: Scaled,
    target: Scaled,
    groups: Mapping[str, NeuronGroup],
    algorithm: Algorithm,
    counted: bool,
) -> Synapses:
    """Synapses along a kernel; what leads past stages waits as long as they take."""
    sender = algorithm.input if source.depth == 0 else algorithm.hidden
    on_pre = sender.on_pre
    if counted:
        on_pre += f"\n{MULTIPLIED if sender.graded else ADDED}_post += 1"
    passed = target.depth - source.depth - 1
    synapses = Synapses(
        groups[source.stage.name],
        groups[target.stage.name],
        "w : 1",
        on_pre=on_pre,
        delay=passed * algorithm.steps_per_stage * DT,
        dt=DT,
        name=name,
    )
    connect_kernel(
        synapses,
        scaled_kernel(projection, source, target),
        projection.input_shape,
        strides=projection.strides,
        padding=projection.padding,
        dilation=projection.dilation,
        groups=projection.groups,
    )
    return synapses
