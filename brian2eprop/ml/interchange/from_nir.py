"""A graph of NIR becomes Brian2's groups and synapses."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, Quantity, Synapses, defaultclock, second
from brian2.groups.group import Group
from scipy import sparse

from brian2eprop.device.convolution.connect import connect_kernel
from brian2eprop.errors import Unsupported
from brian2eprop.ml.graph import Values
from brian2eprop.ml.interchange.flat import Flat, flatten
from brian2eprop.ml.interchange.linear import Shape, channels_last
from brian2eprop.ml.interchange.neurons import MODELS, Model
from brian2eprop.ml.interchange.package import import_nir
from brian2eprop.ml.interchange.ways import Arrival, Way, Ways, population, shape_of

METHODS = ("euler", "exponential_euler")
# A spike is a pulse of height 1 that lasts for a step.
PULSE = "pulse"
_INPUT = Model("", {}, "I", "x")
_OUTPUT = Model("x = I : 1", {}, "I", "x")


def from_nir(
    graph: Any,
    *,
    dt: Quantity | None = None,
    method: str = "euler",
    inputs: Mapping[str, Group] | None = None,
) -> Network:
    """Make a Brian2 network of a graph in the Neuromorphic Intermediate Representation.

    Each node with neurons becomes a group of its name, with NIR's own equations and symbols, and
    what leads from one to another becomes synapses ``<source>_to_<target>``. NIR is continuous in
    time; here a spike is a pulse of height 1 that lasts for a step, as in the simulators that NIR
    is exchanged with, and what a neuron sends in a step reaches others in the next one. Neurons
    are numbered channels last, as elsewhere in this package: neuron
    ``(y*columns + x)*channels + c``.

    Parameters
    ----------
    graph : nir.NIRGraph
        Of Input, Output, Affine, Linear, Scale, Conv1d, Conv2d, SumPool2d, AvgPool2d, Flatten,
        Delay, I, IF, LI, LIF, CubaLI, CubaLIF, Threshold, and graphs of these.
    dt : Quantity, optional
        The step; ``defaultclock.dt`` without. Networks that were trained in steps need theirs.
    method : str
        'euler', as those simulators have it, or 'exponential_euler', which is exact for what is
        constant within a step.
    inputs : mapping of str to group, optional
        By name of an Input the group that is to be it, such as a SpikeSource or a
        SpikeGeneratorGroup; without events what it sends is its variable ``x``. An Input that is
        not among them becomes a group with a variable ``x`` to be set.

    Returns
    -------
    brian2.Network
        The network. An Output is the group that leads to it, where nothing stands between;
        otherwise a group whose variable is ``x``.

    Raises
    ------
    ImportError
        If there is no package nir.
    TypeError
        If it is no graph, or an input no group.
    ValueError
        If shapes do not go together, or there is no such method or input.
    Unsupported
        If there are nodes, loops or delays that Brian2 cannot have.

    Examples
    --------
    >>> import nir
    >>> import numpy as np
    >>> from brian2 import ms
    >>> import brian2eprop as b2e
    >>> ones = np.ones(2)
    >>> graph = nir.NIRGraph.from_list(
    ...     nir.Affine(np.eye(2), np.array([2., 0.])),
    ...     nir.LIF(tau=0.01*ones, r=ones, v_leak=0*ones, v_threshold=ones, v_reset=0*ones))
    >>> network = b2e.ml.from_nir(graph, dt=1*ms)
    >>> network.run(20*ms)
    >>> network['lif'].v[:].round(2).tolist()
    [0.94, 0.0]
    """
    nir = import_nir("from_nir")
    if not isinstance(graph, nir.NIRGraph):
        raise TypeError(f"from_nir: {graph!r} is no graph; give a nir.NIRGraph, as nir.read gives.")
    if method not in METHODS:
        raise ValueError(f"from_nir: method is {method!r}; give 'euler' or 'exponential_euler'.")
    step = defaultclock.dt if dt is None else dt
    return _Building(flatten(graph), step, method, dict(inputs or {})).build()


class _Building:
    """A network in the making."""

    def __init__(self, flat: Flat, dt: Quantity, method: str, given: dict[str, Group]) -> None:
        self.flat, self.dt, self.method, self.given = flat, dt, method, given
        self.network = Network()
        self.groups: dict[str, Group] = {}
        self.ways = Ways(flat)

    def build(self) -> Network:
        self._check_inputs()
        arrivals = {}
        for name in self.flat.nodes:
            if population(self.flat, name):
                arrivals[name] = self.ways.to(name)
                self._check_shape(name, arrivals[name])
            elif self._is_output(name):
                arrivals[name] = self.ways.to(name)
        for name, arrival in arrivals.items():
            if not self._is_output(name) or not _passed_on(arrival):
                self.groups[name] = self._group(name, arrival)
        self.network.add(*self.groups.values())
        for name in self.groups:
            for number, way in enumerate(arrivals[name].ways):
                self._synapses(name, number, way, arrivals[name])
        return self.network

    def _is_output(self, name: str) -> bool:
        return Flat.kind(self.flat.nodes[name]) == "Output" and name not in self.flat.inner

    def _check_inputs(self) -> None:
        there = [
            name
            for name, node in self.flat.nodes.items()
            if Flat.kind(node) == "Input" and name not in self.flat.inner
        ]
        for name, group in self.given.items():
            if name not in there:
                raise ValueError(
                    f"from_nir: inputs has '{name}', and the graph's inputs are "
                    f"{', '.join(map(repr, there))}; give one of these."
                )
            size = prod(shape_of(self.flat, name))
            if not isinstance(group, Group) or len(group) != size:
                raise TypeError(
                    f"from_nir: the input '{name}' is {group!r}; give a group of {size} neurons."
                )

    def _check_shape(self, name: str, arrival: Arrival) -> None:
        shape = shape_of(self.flat, name)
        if arrival.ways and arrival.shape != shape:
            raise ValueError(
                f"'{name}' has neurons of the shape {shape} and gets values of the shape "
                f"{arrival.shape}; give its parameters that shape."
            )

    def _model(self, name: str) -> Model:
        kind = Flat.kind(self.flat.nodes[name])
        return {"Input": _INPUT, "Output": _OUTPUT}.get(kind) or MODELS[kind]

    def _spikes(self, way: Way) -> bool:
        if way.source in self.given:
            return "spike" in getattr(self.given[way.source], "events", {})
        return self._model(way.source).threshold is not None

    def _group(self, name: str, arrival: Arrival) -> Group:
        if name in self.given:
            return self.given[name]
        model, node = self._model(name), self.flat.nodes[name]
        shape = arrival.shape if self._is_output(name) else shape_of(self.flat, name)
        lines = [model.equations]
        lines += [f"{each} : {unit} (constant)" for each, unit in model.parameters.items()]
        if model is _INPUT:
            lines.append("x : 1")
        else:
            lines += self._received(model, arrival)
        group = NeuronGroup(
            prod(shape),
            "\n".join(lines),
            threshold=model.threshold,
            reset=self._reset(model, node),
            method=self.method,
            dt=self.dt,
            name=name,
        )
        if any(map(self._spikes, arrival.ways)):
            # Over when the neurons have moved on, before the spikes of this step.
            group.run_regularly(
                f"{PULSE} = 0", when="after_groups", dt=self.dt, name=f"{name}_{PULSE}_ends"
            )
        self._set(group, name, model, node, shape, arrival)
        return group

    def _reset(self, model: Model, node: Any) -> str | None:
        soft = node.metadata.get("reset") == "subtract"
        return "v -= v_threshold" if model.reset and soft else model.reset

    def _received(self, model: Model, arrival: Arrival) -> list[str]:
        """Equations of what reaches a neuron: pulses, the values of others, and a constant."""
        graded = [f"graded_{n} : 1" for n, way in enumerate(arrival.ways) if not self._spikes(way)]
        pulses = [f"{PULSE} : 1"] * (len(graded) < len(arrival.ways))
        constant = ["bias : 1 (constant)"] * bool(np.any(arrival.constant))
        each = [line.split()[0] for line in (*pulses, *graded, *constant)]
        return [f"{model.receives} = {' + '.join(each) or '0'} : 1", *pulses, *graded, *constant]

    def _set(
        self, group: Group, name: str, model: Model, node: Any, shape: Shape, arrival: Arrival
    ) -> None:
        order = channels_last(shape)
        for parameter, unit in model.parameters.items():
            values = np.broadcast_to(np.asarray(getattr(node, parameter), float), shape)
            if not np.isfinite(values).all() or (unit == "second" and not (values > 0).all()):
                raise ValueError(
                    f"'{name}' has a {parameter} that is no finite number"
                    f"{', or not above zero' * (unit == 'second')}; give it one."
                )
            getattr(group, f"{parameter}_")[:] = values.ravel()[order]
        if "bias" in group.variables:
            group.bias = np.broadcast_to(arrival.constant, prod(shape))[order]
        if "v_initial" in node.metadata:
            group.v = float(node.metadata["v_initial"])

    def _synapses(self, name: str, number: int, way: Way, arrival: Arrival) -> None:
        source, target = self.groups[way.source], self.groups[name]
        label = f"{way.source}_to_{name}"
        if any(each.source == way.source for each in arrival.ways[:number]):
            label += f"_{number}"
        if self._spikes(way):
            model, on_pre = "w : 1", f"{PULSE}_post += w"
        else:
            sent = self._model(way.source).sends
            model, on_pre = f"w : 1\ngraded_{number}_post = w*{sent}_pre : 1 (summed)", None
        first, last = way.delays()
        if on_pre is None and (first.any() or last.any()):
            raise Unsupported(
                f"What leads from '{way.source}' to '{name}' is delayed, and '{way.source}' sends "
                "values rather than spikes, which no synapses delay; leave the delay out."
            )
        single = np.ptp(first) == 0 and not last.any()
        delay = float(first[0]) * second if single and on_pre else None
        synapses = Synapses(
            source, target, model, on_pre=on_pre, delay=delay, dt=self.dt, name=label
        )
        if single and way.only is not None:
            _connect_kernel(synapses, way)
        else:
            _connect(synapses, way, None if single else (first, last))
        self.network.add(synapses)


def _passed_on(arrival: Arrival) -> bool:
    """Whether an output is a population as it is."""
    return len(arrival.ways) == 1 and not any(
        step.matrix is not None or step.delay is not None for step in arrival.ways[0].steps
    )


def _connect_kernel(synapses: Synapses, way: Way) -> None:
    kernel = way.only.kernel if way.only is not None else None
    if kernel is not None:
        connect_kernel(
            synapses,
            kernel.values,
            kernel.input_shape,
            strides=kernel.strides,
            padding=kernel.padding,
            dilation=kernel.dilation,
            groups=kernel.groups,
        )


def _connect(synapses: Synapses, way: Way, delays: tuple[Values, Values] | None) -> None:
    """Connect what is not zero, each synapse for itself."""
    matrix = sparse.coo_array(way.matrix)
    target, source = matrix.coords
    i = np.argsort(channels_last(way.shape))[source]
    j = np.argsort(channels_last(way.outputs))[target]
    order = np.lexsort((j, i))
    if not order.size:
        synapses.connect(False)
        return
    synapses.connect(i=i[order], j=j[order])
    synapses.w = matrix.data[order]
    if delays is not None:
        synapses.delay = (delays[0][source] + delays[1][target])[order] * second
