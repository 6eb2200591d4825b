"""Networks that are built alike on Brian2's own device and on eprop_cuda."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import brian2
import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    set_device,
)

from brian2eprop import Spikes, SpikeSource

N_IN = 5


@dataclass(frozen=True)
class Model:
    """A kind of neuron: equations, what synapses add to, and how it is integrated."""

    equations: str
    target: str = "v"
    threshold: str = "v > 1"
    method: str = "exact"
    refractory: Any = False
    recorded: tuple[str, ...] = ("v",)
    resets: tuple[str, ...] = ("v = 0", "v -= 1")


MODELS = {
    "lif": Model("dv/dt = -v/tau : 1"),
    "euler": Model("dv/dt = (0.3 - v)/tau : 1", method="euler"),
    "adaptive": Model(
        "dv/dt = -v/tau : 1\nda/dt = -a/(30*ms) : 1",
        threshold="v > 1 + 0.2*a",
        recorded=("v", "a"),
        resets=("v -= 1\na += 1", "v = 0; a += 1 + 0.1*v"),
    ),
    "current": Model(
        "dv/dt = (c - v)/tau : 1\ndc/dt = -c/(6*ms) : 1\ndouble = 2*v + c : 1",
        target="c",
        recorded=("v", "c", "double"),
    ),
    "refractory": Model(
        "dv/dt = (0.5 - v)/tau : 1 (unless refractory)\ndc/dt = -c/(6*ms) : 1",
        refractory=3 * ms,
        recorded=("v", "c", "lastspike", "not_refractory"),
    ),
    "refractory by expression": Model(
        "dv/dt = -v/tau : 1 (unless refractory)",
        refractory="v > 0.5",
        resets=("v = 0.9",),
    ),
    "conductance": Model(
        "dv/dt = (g*(3 - v) - v)/tau : 1\ndg/dt = -g/(5*ms) : 1",
        target="g",
        method="exponential_euler",
        recorded=("v", "g"),
    ),
    "mixed types": Model(
        "dv/dt = (drive - v)/tau : 1\ncount : integer\nhot : boolean\n"
        "drive = 0.2*int(hot) + 0.1*(count % 3) + clip(0.1*i, 0, 0.3) : 1",
        method="euler",
        recorded=("v", "count", "hot", "drive"),
        resets=("v = 0\ncount += 1\nhot = not hot",),
    ),
}

CONNECTIONS = ("dense", "no diagonal", "sparse", "repeated", "shuffled")


@dataclass(frozen=True)
class Spec:
    """A network of one recurrent group with input."""

    model: str = "lif"
    reset: int = 0
    connections: str = "dense"
    delay: int = 0
    input_delay: int = 0
    seed: int = 1
    n: int = 6
    runs: tuple[int, ...] = (40, 25)
    two_pathways: bool = False

    @property
    def steps(self) -> int:
        return sum(self.runs)


@dataclass
class Result:
    """What a run gave."""

    spikes: tuple[np.ndarray, np.ndarray]
    count: np.ndarray
    traces: dict[str, np.ndarray]
    final: dict[str, np.ndarray]
    weights: np.ndarray
    objects: dict[str, Any] = field(default_factory=dict)


def input_spikes(seed: int, steps: int, n: int = N_IN) -> np.ndarray:
    """Random input, shape (steps, n)."""
    return np.random.default_rng(seed).random((steps, n)) < 0.25


def pairs(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Sources and targets of the recurrent synapses."""
    rng = np.random.default_rng(spec.seed + 1)
    i, j = (index.ravel() for index in np.indices((spec.n, spec.n)))
    if spec.connections == "no diagonal":
        i, j = i[i != j], j[i != j]
    elif spec.connections == "sparse":
        keep = rng.random(i.size) < 0.4
        i, j = i[keep], j[keep]
    elif spec.connections == "repeated":
        chosen = rng.integers(0, i.size, i.size // 2)
        i, j = i[chosen], j[chosen]
    elif spec.connections == "shuffled":
        order = rng.permutation(i.size)
        i, j = i[order], j[order]
    return i, j


def run_on(device: str, spec: Spec, inputs: np.ndarray | None = None, **options: Any) -> Result:
    """Build the network on a device, run it, and collect what it gave.

    ``inputs`` has the shape (steps, neurons), or (instances, steps, neurons).
    """
    set_device(device, **options)
    brian2.start_scope()
    defaultclock.dt = 1 * ms
    inputs = input_spikes(spec.seed, spec.steps) if inputs is None else inputs
    return run_objects(build(spec, source(device, inputs)), spec)


def source(device: str, inputs: np.ndarray) -> Any:
    """The input, as each device has it."""
    if device == "runtime":
        step, neuron = inputs.nonzero()
        return SpikeGeneratorGroup(N_IN, neuron, step * ms, name="inputs")
    dense = inputs if inputs.ndim == 3 else inputs[None]
    return SpikeSource(N_IN, Spikes.from_dense(dense), name="inputs")


def build(spec: Spec, inputs: Any) -> dict[str, Any]:
    """The objects of a network, by name."""
    model = MODELS[spec.model]
    rng = np.random.default_rng(spec.seed + 2)
    group = NeuronGroup(
        spec.n,
        model.equations + "\ntau : second (constant)",
        threshold=model.threshold,
        reset=model.resets[spec.reset % len(model.resets)],
        refractory=model.refractory,
        method=model.method,
        name="cells",
    )
    group.tau = rng.uniform(5, 30, spec.n) * ms
    group.v = rng.uniform(0, 0.9, spec.n)
    feed = Synapses(
        inputs, group, "w : 1", on_pre=f"{model.target}_post += w", name="feed",
        delay=spec.input_delay * ms,
    )  # fmt: skip
    feed.connect()
    feed.w = rng.uniform(0, 0.6, (N_IN, spec.n)).ravel()
    recurrent = _recurrent(spec, group, model.target)
    i, j = pairs(spec)
    recurrent.connect(i=i, j=j)
    recurrent.w = rng.normal(0, 0.4, i.size)
    objects = {"inputs": inputs, "cells": group, "feed": feed, "recurrent": recurrent}
    objects["trace"] = StateMonitor(
        group, list(model.recorded), record=[spec.n - 1, 0, 2], name="trace"
    )
    objects["raster"] = SpikeMonitor(group, name="raster")
    objects["network"] = Network(*objects.values())
    return objects


def _recurrent(spec: Spec, group: Any, target: str) -> Synapses:
    if not spec.two_pathways:
        code: Any = f"{target}_post += w"
        return Synapses(group, group, "w : 1", on_pre=code, delay=spec.delay * ms, name="recurrent")
    code = {"now": f"{target}_post += u*w", "later": f"u = 0.8*u + 0.1\n{target} -= 0.1*u"}
    delay = {"now": spec.delay * ms, "later": (spec.delay + 2) * ms}
    return Synapses(group, group, "w : 1\nu : 1", on_pre=code, delay=delay, name="recurrent")


def run_objects(objects: dict[str, Any], spec: Spec) -> Result:
    """Run a network in the spec's pieces."""
    for steps in spec.runs:
        objects["network"].run(steps * ms)
    recorded = MODELS[spec.model].recorded
    raster, trace, cells = objects["raster"], objects["trace"], objects["cells"]
    return Result(
        (np.array(raster.i[:]), np.array(raster.t_[:])),
        np.array(raster.count[:]),
        {name: np.array(getattr(trace, f"{name}_")) for name in recorded},
        {name: np.array(getattr(cells, f"{name}_")[:]) for name in recorded},
        np.array(objects["recurrent"].w[:]),
        objects,
    )


def assert_same(ours: Result, theirs: Result, tolerance: float = 1e-10) -> None:
    """Equal spikes, and states that are equal to rounding."""
    np.testing.assert_array_equal(ours.spikes[0], theirs.spikes[0])
    np.testing.assert_array_equal(ours.spikes[1], theirs.spikes[1])
    np.testing.assert_array_equal(ours.count, theirs.count)
    for kind in ("traces", "final"):
        mine, yours = getattr(ours, kind), getattr(theirs, kind)
        for name in yours:
            np.testing.assert_allclose(
                mine[name], yours[name], rtol=tolerance, atol=tolerance, err_msg=f"{kind} {name}"
            )
    np.testing.assert_array_equal(ours.weights, theirs.weights)
