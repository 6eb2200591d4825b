"""Stages become Brian2's groups and synapses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, StateMonitor, Synapses, ms

from brian2eprop.device.convolution.connect import connect_kernel
from brian2eprop.ml.algorithm import Algorithm
from brian2eprop.ml.graph import Values
from brian2eprop.ml.stages import Kind, Projection, Stage

DT = 1 * ms
# Name of the monitor of an output, after that of its group.
MONITOR = "_potential"
# The event of neurons that take a spike back.
TAKEN_BACK = "taken_back"
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
    begin : int
        The step in which it begins to send; an output has begun to hear a latency before.
    """

    stage: Stage
    scale: Values
    begin: int

    @property
    def everywhere(self) -> Values:
        """The scale of each of its neurons, in its shape."""
        return np.broadcast_to(self.scale, self.stage.shape)


def scale_stages(
    stages: tuple[Stage, ...], activations: Mapping[str, Values], algorithm: Algorithm
) -> tuple[Scaled, ...]:
    """Give each stage its scale, and the step in which it begins.

    Parameters
    ----------
    stages : tuple of Stage
        Each after those that lead to it.
    activations : dict
        Values on samples, by stage; see ``Algorithm.observe``.
    algorithm : Algorithm
        Who chooses scales; outputs have none, and a maximum has that of what it compares.

    Returns
    -------
    tuple of Scaled
        The stages in the same order.
    """
    periods = scale_periods(stages)
    found: dict[str, Scaled] = {}
    for stage in stages:
        scale = _scale(stage, periods[stage.name], found, activations, algorithm)
        begin = begin_of(stage, found, algorithm)
        found[stage.name] = Scaled(stage, np.resize(scale, stage.shape[-1]), begin)
    return tuple(found.values())


def begin_of(stage: Stage, known: Mapping[str, Scaled], algorithm: Algorithm) -> int:
    """In which step a stage begins, after those that lead to it."""
    before = max((known[each.source].begin for each in stage.projections), default=0)
    return max(before, _late(stage.kind, algorithm)) + algorithm.latency(stage.kind)


def _late(kind: Kind, algorithm: Algorithm) -> int:
    """By how many steps a current acts later than spikes: these are added to an output at once."""
    return int(kind is Kind.OUTPUT and algorithm.input.graded)


def delay_of(source: Scaled, target: Scaled, algorithm: Algorithm) -> int:
    """How many steps a spike is on its way, so that what leads past stages waits for them."""
    kind = target.stage.kind
    early = _late(kind, algorithm) if algorithm.neurons(source.stage.kind).graded else 0
    return target.begin - algorithm.latency(kind) - source.begin - early


def _scale(
    stage: Stage,
    period: int,
    known: Mapping[str, Scaled],
    activations: Mapping[str, Values],
    algorithm: Algorithm,
) -> Values:
    """The scale of as many channels as have one of their own."""
    if stage.kind is Kind.OUTPUT:
        return np.ones(period)
    if stage.kind is Kind.MAXIMUM:
        (projection,) = stage.projections
        return known[projection.source].scale[:period]
    values = activations[stage.name]
    repeated = values.reshape(len(values), -1, period)
    return algorithm.scale(repeated, stage.kind is Kind.INPUT, stage.ceiling)


def scale_periods(stages: tuple[Stage, ...]) -> dict[str, int]:
    """After how many neurons the scale of a stage repeats itself, by name.

    A kernel is one for all places, so what it leads from, and to, has one scale for each of the
    channels that the kernel sees there, even where a reshape lies between these and the stage's.
    """
    found = {stage.name: stage.shape[-1] for stage in stages}
    for stage in reversed(stages):
        for each in stage.projections:
            if prod(each.output_shape[:-1]) > 1:
                found[stage.name] = gcd(found[stage.name], each.output_shape[-1])
            if stage.kind is Kind.MAXIMUM:
                found[each.source] = gcd(found[each.source], found[stage.name])
            if prod(each.input_shape[:-1]) > 1:
                found[each.source] = gcd(found[each.source], each.input_shape[-1])
    return found


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
        Each after those that lead to it.
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
        groups[each.stage.name] = group = _group(each, algorithm, counted)
        network.add(group)
        if each.stage.kind is Kind.OUTPUT and algorithm.answers_each_step:
            name = f"{group.name}{MONITOR}"
            network.add(StateMonitor(group, "v", record=True, dt=DT, when="end", name=name))
    by_name = {each.stage.name: each for each in stages}
    for target in stages:
        for number, projection in enumerate(target.stage.projections):
            source = by_name[projection.source]
            network.add(_synapses(projection, number, source, target, groups, algorithm, counted))
    _check_names(network, stages)
    return network


def _check_names(network: Network, stages: tuple[Scaled, ...]) -> None:
    """Raise a ValueError where a layer is called as something that is made beside the layers."""
    made = [each.name for each in network.objects]
    made += [inner.name for each in network.objects for inner in each.contained_objects]
    for stage in (each.stage for each in stages):
        if made.count(stage.name) > 1:
            raise ValueError(
                f"The layer '{stage.name}' is called as the synapses, the monitor or the code that "
                "the conversion makes beside its layers; give it another name."
            )


def gain_name(number: int) -> str:
    """Name of the variable by which neurons multiply what comes along a projection."""
    return f"gain_{number}"


def _group(each: Scaled, algorithm: Algorithm, counted: bool) -> NeuronGroup:
    stage, neurons = each.stage, algorithm.neurons(each.stage.kind)
    gains = {
        gain_name(number): np.broadcast_to(projection.gain, projection.output_shape).ravel()
        for number, projection in enumerate(stage.projections)
        if projection.gain is not None
    }
    more = [f"{name} : 1 (constant)" for name in gains]
    more += [f"{name} : 1" for name in (ADDED, MULTIPLIED) if counted]
    group = NeuronGroup(
        stage.size,
        "\n".join([neurons.model, *more]),
        threshold=neurons.threshold,
        reset=neurons.reset,
        events=None if neurons.takes_back is None else {TAKEN_BACK: neurons.takes_back},
        method="euler",
        dt=DT,
        name=stage.name,
        namespace={"K": algorithm.timesteps},
    )
    if neurons.takes_back is not None:
        group.run_on_event(TAKEN_BACK, neurons.taken_back)
    if neurons.each_step is not None:
        group.run_regularly(neurons.each_step, when="start", name=f"{group.name}_each_step")
    asked = {name: of for name, of in _times(each, algorithm).items() if name in group.variables}
    values = {**asked, **gains}
    if stage.kind in (Kind.HIDDEN, Kind.OUTPUT):
        bias = np.broadcast_to(stage.bias, stage.shape) / each.everywhere
        values |= algorithm.initial(bias.ravel(), stage.kind is Kind.OUTPUT)
    for name, value in values.items():
        setattr(group, name, value)
    return group


def _times(each: Scaled, algorithm: Algorithm) -> dict[str, Any]:
    """When neurons begin and end, halfway between steps, and the step of theirs in step zero."""
    is_output = each.stage.kind is Kind.OUTPUT
    # An output sums up what comes in, from the step on in which it listens.
    begin = each.begin - algorithm.latency(Kind.OUTPUT) * is_output
    length = algorithm.steps_per_stage
    return {
        "begin": (begin - 0.5) * DT,
        "end": (begin + length - 0.5) * DT,
        "ahead": -begin % length,
    }


def _synapses(
    projection: Projection,
    number: int,
    source: Scaled,
    target: Scaled,
    groups: Mapping[str, NeuronGroup],
    algorithm: Algorithm,
    counted: bool,
) -> Synapses:
    """Synapses along a kernel; what leads past stages waits as long as they take."""
    kind, others = target.stage.kind, target.stage.projections[:number]
    follows = algorithm.neurons(kind).follows
    sender = algorithm.neurons(source.stage.kind)
    events, on_pre = {"pre": "spike"}, {"pre": follows or sender.on_pre}
    # A maximum is what was the largest at any time.
    if sender.takes_back is not None and follows is None:
        events[TAKEN_BACK], on_pre[TAKEN_BACK] = TAKEN_BACK, sender.on_taken_back
    more = "" if projection.gain is None else f"*{gain_name(number)}_post"
    if counted:
        more += f"\n{MULTIPLIED if sender.graded else ADDED}_post += 1"
    delay = delay_of(source, target, algorithm) * DT
    name = f"{source.stage.name}_to_{target.stage.name}"
    if any(each.source == projection.source for each in others):
        name += f"_{number}"
    synapses = Synapses(
        groups[source.stage.name],
        groups[target.stage.name],
        "w : 1",
        on_pre={pathway: code + more for pathway, code in on_pre.items()},
        on_event=events,
        delay=dict.fromkeys(events, delay),
        dt=DT,
        name=name,
    )
    if follows is not None:
        synapses.pre.when = "after_resets"
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
