"""NIR's equations step by step in NumPy: what networks made of its graphs are compared with."""

from __future__ import annotations

import itertools

import numpy as np

from tests.ml.plain import convolve

SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
GRADED = ("I", "LI", "CubaLI")


class Simulation:
    """A graph without sub-graphs, in steps of dt; what is sent arrives in the next step."""

    def __init__(self, graph, dt, inputs, spiking_inputs=()):
        self.graph, self.dt, self.inputs, self.spiking = graph, dt, inputs, spiking_inputs
        self.v, self.i, self.sent, self.spikes = {}, {}, {}, {}
        for name, node in graph.nodes.items():
            if kind(node) in SPIKING + GRADED:
                shape = tuple(node.input_type["input"])
                self.v[name], self.i[name] = np.zeros(shape), np.zeros(shape)
                self.sent[name], self.spikes[name] = {}, np.zeros(shape)

    def run(self, steps):
        for n in range(steps):
            for name in self.v:
                self.sent[name][n] = self.v[name].copy()
            got = {name: self.reaching(name, n) for name in self.v}
            for name in self.v:
                self.update(name, self.graph.nodes[name], got[name], n)
        return self

    def update(self, name, node, got, n):
        v = self.v[name]
        match kind(node):
            case "I" | "IF":
                v = v + self.dt * node.r * got
            case "LI" | "LIF":
                v = v + self.dt / node.tau * (node.v_leak - v + node.r * got)
            case "CubaLI" | "CubaLIF":
                i = self.i[name]
                v = v + self.dt / node.tau_mem * (node.v_leak - v + node.r * i)
                self.i[name] = i + self.dt / node.tau_syn * (-i + node.w_in * got)
            case "Threshold":
                v = got
        if kind(node) in SPIKING:
            above = v > (node.threshold if kind(node) == "Threshold" else node.v_threshold)
            self.sent[name][n + 1] = self.sent[name][n] = None
            self.spikes[name] += above
            if kind(node) != "Threshold":
                v = np.where(above, node.v_reset, v)
            self.sent[name, n] = above.astype(float)
        self.v[name] = v

    def reaching(self, name, n):
        before = [source for source, target in self.graph.edges if target == name]
        return sum((self.out(source, n) for source in before), np.zeros(1))

    def out(self, name, n):
        """What a node sends to others in a step."""
        node = self.graph.nodes[name]
        if kind(node) == "Input":
            given = np.asarray(self.inputs[name], float)
            if name not in self.spiking:
                return given
            return given[n - 1] if 0 < n <= len(given) else np.zeros(given.shape[1:])
        if kind(node) in SPIKING:
            shape = tuple(node.input_type["input"])
            return self.sent[name, n - 1] if n > 0 else np.zeros(shape)
        if kind(node) in GRADED:
            return self.sent[name][n]
        if kind(node) == "Delay":
            steps = np.round(node.delay / self.dt).astype(int)
            found = np.zeros(steps.shape)
            for place in np.ndindex(steps.shape):
                if n >= steps[place]:
                    found[place] = self.reaching(name, n - steps[place])[place]
            return found
        return linear(node, self.reaching(name, n))


def kind(node):
    return type(node).__name__


def pair(value):
    return tuple(int(each) for each in np.broadcast_to(value, 2))


def linear(node, x):
    """What a node does to one array."""
    match kind(node):
        case "Linear":
            return node.weight @ x
        case "Affine":
            return node.weight @ x + node.bias
        case "Scale":
            return node.scale * x
        case "Flatten":
            return x.reshape(tuple(int(n) for n in node.output_type["output"]))
        case "Conv1d":
            kernel = node.weight.transpose(2, 1, 0)
            reach = (kernel.shape[0] - 1) * node.dilation
            pads = (
                (reach // 2, reach - reach // 2) if node.padding == "same" else (node.padding,) * 2
            )
            strides, dilation = (node.stride,), (node.dilation,)
            found = convolve(x.T, kernel, strides, [pads], dilation, node.groups)
            return found.T + node.bias[:, None]
        case "Conv2d":
            kernel = node.weight.transpose(2, 3, 1, 0)
            pads = [(p, p) for p in pair(0 if node.padding == "valid" else node.padding)]
            strides, dilation = pair(node.stride), pair(node.dilation)
            image = x.transpose(1, 2, 0)
            found = convolve(image, kernel, strides, pads, dilation, node.groups)
            return found.transpose(2, 0, 1) + node.bias[:, None, None]
        case "SumPool2d" | "AvgPool2d":
            (h, w), (s, t), (p, q) = map(pair, (node.kernel_size, node.stride, node.padding))
            padded = np.pad(x, ((0, 0), (p, p), (q, q)))
            rows, columns = ((padded.shape[1] - h) // s + 1, (padded.shape[2] - w) // t + 1)
            found = np.zeros((len(x), rows, columns))
            for i, j in itertools.product(range(rows), range(columns)):
                found[:, i, j] = padded[:, i * s : i * s + h, j * t : j * t + w].sum(axis=(1, 2))
            return found / (h * w if kind(node) == "AvgPool2d" else 1)
    raise AssertionError(kind(node))
