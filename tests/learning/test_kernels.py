"""Gradients of kernels: those of the unrolled network, summed over what shares an element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e
from tests.oracles.convolution import Layer

FIRST = Layer((4, 4, 2), (3, 3, 2, 3), (1, 1), "same", (1, 1))
SECOND = Layer((4, 4, 3), (3, 2, 1, 6), (2, 2), "same", (1, 2), 3)
THIRD = Layer((2, 2, 6), (2, 2, 6, 3), (1, 1), "same", (1, 1))
SKIP = Layer((4, 4, 3), (3, 3, 3, 3), (2, 2), "same", (1, 1))
LAYERS = {"first": FIRST, "second": SECOND, "third": THIRD, "skip": SKIP}
ENDS = {
    "first": ("inputs", "maps"),
    "second": ("maps", "more"),
    "third": ("more", "readout"),
    "skip": ("maps", "readout"),
}
RULES = {
    "bptt": b2e.SurrogateBPTT(surrogate=b2e.Triangular()),
    "bptt detached": b2e.SurrogateBPTT(surrogate=b2e.SuperSpike(), detach=["maps_v", "more_v"]),
    "e-prop": b2e.EProp(surrogate=b2e.Triangular()),
    "eventprop": b2e.EventProp(),
}


def kernels(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = {"first": 1, "second": 2, "third": 0.3, "skip": 0.2}
    return {name: rng.normal(0.3 * s, s, LAYERS[name].kernel) for name, s in sizes.items()}


def connected(name: str, source: Any, target: Any, kernel: Any, shared: bool) -> Synapses:
    delay = 2 * defaultclock.dt if name == "second" else 0 * ms
    found = Synapses(source, target, "w : 1", on_pre="I_post += w", delay=delay, name=name)
    layer = LAYERS[name]
    if shared:
        b2e.connect_kernel(found, kernel, layer.image, **layer.given())
    else:
        i, j, element = np.array(layer.synapses()).T
        found.connect(i=i, j=j)
        found.w = kernel.ravel()[element]
    return found


def trainer(
    shared: bool, rule: Any, backend: str, precision: str = "float64", **others: Any
) -> Any:
    set_device("eprop_cuda", backend=backend, precision=precision)
    defaultclock.dt = 1 * ms
    inputs = b2e.SpikeSource(32, name="inputs")
    groups = [
        NeuronGroup(
            int(np.prod(LAYERS[layer].outputs)),
            "dv/dt = (I - v)/(8*ms) : 1\ndI/dt = -I/(4*ms) : 1",
            threshold="v > 1",
            reset="v -= 1",
            method="exact",
            name=name,
        )
        for layer, name in (("first", "maps"), ("second", "more"))
    ]
    readout = NeuronGroup(
        12, "dy/dt = (I - y)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1", method="exact", name="readout"
    )
    chain = [inputs, *groups, readout]
    named = {group.name: group for group in chain}
    synapses = [
        connected(name, *(named[end] for end in ENDS[name]), kernel, shared)
        for name, kernel in kernels().items()
    ]
    return b2e.Trainer(
        Network(*chain, *synapses),
        output=readout.y,
        loss=b2e.CrossEntropy(),
        rule=rule,
        parameters=[each.w for each in synapses],
        optimiser=b2e.SGD(0.05),
        seed=1,
        **others,
    )


def spikes() -> Any:
    return b2e.Spikes.from_dense(np.random.default_rng(2).random((2, 14, 32)) < 0.3)


LABELS = np.array([1, 11])


def summed(name: str, gradient: np.ndarray) -> np.ndarray:
    """Gradients of synapses in Brian2's order, summed by the element that they share."""
    elements = np.array(LAYERS[name].synapses()).T[2]
    shape = LAYERS[name].kernel
    return np.bincount(elements, gradient, int(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize("name", RULES)
def test_a_kernel_has_the_gradient_of_its_synapses(name: str, backend: str) -> None:
    found = trainer(True, RULES[name], backend).gradients(spikes(), LABELS)
    wanted = trainer(False, RULES[name], "cpu").gradients(spikes(), LABELS)
    for layer, shape in LAYERS.items():
        expected = summed(layer, wanted[f"{layer}_w"])
        assert np.abs(expected).max() > 1e-4
        assert found[f"{layer}_w"].shape == shape.kernel
        np.testing.assert_allclose(
            found[f"{layer}_w"], expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max()
        )


def test_central_differences() -> None:
    """The readout's kernel is met by no surrogate: its gradient is the loss's own."""
    made = trainer(True, RULES["bptt"], "cpu")
    gradient = made.gradients(spikes(), LABELS)["third_w"]
    start, step = kernels()["third"], 1e-5
    for place in ((0, 0, 0, 0), (1, 0, 3, 2), (0, 1, 5, 1), (1, 1, 2, 0)):
        losses = []
        for sign in (1, -1):
            values = start.copy()
            values[place] += sign * step
            made.set_parameter_values({"third_w": values})
            losses.append(made.evaluate(spikes(), LABELS).loss)
        slope = (losses[0] - losses[1]) / (2 * step)
        assert gradient[place] == pytest.approx(slope, rel=1e-6, abs=1e-9)
