"""Gradients of kernels: those of the unrolled network, summed over what shares an element."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e
from brian2eprop.errors import LearningError
from tests.conftest import BACKENDS
from tests.oracles.convolution import Layer
from tests.samples import sampled

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


def connected(
    name: str, source: Any, target: Any, kernel: Any, shared: bool, on_pre: str = "I_post += w"
) -> Synapses:
    delay = 2 * defaultclock.dt if name == "second" else 0 * ms
    found = Synapses(source, target, "w : 1", on_pre=on_pre, delay=delay, name=name)
    layer = LAYERS[name]
    if shared:
        b2e.connect_kernel(found, kernel, layer.image, **layer.given())
    else:
        i, j, element = np.array(layer.synapses()).T
        found.connect(i=i, j=j)
        found.w = kernel.ravel()[element]
    return found


def trainer(shared: bool, rule: Any, backend: str, first: str = "I_post += w") -> b2e.Trainer:
    """A Trainer of four layers, of which what the first one adds may be another."""
    set_device("eprop_cuda", backend=backend, precision="float64")
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
        connected(
            name,
            *(named[end] for end in ENDS[name]),
            kernel,
            shared,
            first if name == "first" else "I_post += w",
        )
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
    )


def spikes() -> Any:
    return b2e.Spikes.from_dense(np.random.default_rng(2).random((2, 14, 32)) < 0.3)


LABELS = np.array([1, 11])


def summed(name: str, gradient: np.ndarray) -> np.ndarray:
    """Gradients of synapses in Brian2's order, summed by the element that they share."""
    elements = np.array(LAYERS[name].synapses()).T[2]
    shape = LAYERS[name].kernel
    return np.bincount(elements, gradient, int(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize(
    ("name", "backend"),
    sampled(product(RULES, BACKENDS), lambda case: case[1] != "emulated" or case[0] == "bptt"),
    indirect=["backend"],
)
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


def test_fit_and_checkpoints(tmp_path: Path) -> None:
    """Kernels are updated, kept in their shape, and go with a checkpoint to the same network."""
    made = trainer(True, RULES["bptt"], "cpu")
    before = made.parameter_values()
    assert {name: values.shape for name, values in before.items()} == {
        f"{name}_w": layer.kernel for name, layer in LAYERS.items()
    }
    gradients = made.gradients(spikes(), LABELS)
    made.fit(spikes(), LABELS, epochs=1, batch_size=2, verbose=False)
    after = made.parameter_values()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(after[name], before[name] - 0.05 * gradient, rtol=1e-12)
    made.save(tmp_path / "kernels.npz")
    again = trainer(True, RULES["bptt"], "cpu")
    again.load(tmp_path / "kernels.npz")
    for name, values in again.parameter_values().items():
        np.testing.assert_array_equal(values, after[name])
    with pytest.raises(ValueError, match="first"):
        trainer(False, RULES["bptt"], "cpu").load(tmp_path / "kernels.npz")
    with pytest.raises(ValueError, match=r"give an array of shape \(3, 3, 2, 3\)"):
        again.set_parameter_values({"first_w": np.zeros(54)})


@pytest.mark.parametrize(
    ("rule", "first", "words"),
    [
        (b2e.EProp(form="forward"), "I_post += w", r"'\w+.w' is a kernel that the synapses of"),
        (b2e.EProp(form="chunked", chunk=5), "I_post += w", "a form that goes forward"),
        (RULES["bptt"], "I_post += w*(2 - v_post)", "its synapses share a kernel. Let it add"),
        (
            b2e.EProp(feedback={"third": np.zeros((24, 12)), "skip": np.zeros((48, 12))}),
            "I_post += w",
            "share a kernel, and were given feedback weights",
        ),
    ],
)
def test_refusals(rule: Any, first: str, words: str) -> None:
    with pytest.raises(LearningError, match=words):
        trainer(True, rule, "reference", first)


@pytest.mark.parametrize("feedback", ["random", "adaptive"])
def test_other_feedback_has_the_shape_of_the_kernel(feedback: Any) -> None:
    found = trainer(True, b2e.EProp(feedback=feedback), "reference").gradients(spikes(), LABELS)
    assert all(np.abs(gradient).max() > 0 for gradient in found.values())
