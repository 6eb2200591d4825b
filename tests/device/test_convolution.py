"""Convolutions: synapses that share a kernel do what unrolled ones do on Brian2's runtime."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    Quantity,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    get_device,
    ms,
    mV,
    set_device,
    start_scope,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import brian2eprop as b2e
from brian2eprop.device.convolution.shapes import find_convolution
from brian2eprop.device.program import Access, Distribution, Draw, Side
from brian2eprop.device.program.verify import ProgramError, Stage, verify
from brian2eprop.errors import Unsupported
from tests.conftest import BACKENDS
from tests.device.alike import Found, assert_alike, on_device
from tests.device.programs import CASES
from tests.oracles.convolution import Layer, random_layer
from tests.samples import sampled

SETS = st.integers(0, 2**32 - 1)


@settings(max_examples=150, deadline=None)
@given(SETS, st.integers(1, 2))
def test_rows_hold_the_synapses_of_the_definition(seed: int, directions: int) -> None:
    layer = random_layer(np.random.default_rng(seed), directions)
    wanted = layer.synapses()
    found = find_convolution("s", layer.kernel, layer.image, **layer.given())
    assert found.outputs[2 - directions :] == layer.outputs
    assert not list(found.faults())
    assert list(zip(*(each.tolist() for each in found.unrolled()), strict=True)) == wanted
    assert found.n_unrolled == len(wanted)
    assert found.n_synapses == np.prod(layer.kernel)
    for side in Side:
        end = 0 if side is Side.SOURCE else 1
        counts = Counter(each[end] for each in wanted)
        assert found.numbers(side).tolist() == [counts[n] for n in range(found.rows(side))]
        met = []
        for neuron in range(found.rows(side)):
            row = found.row({}, neuron, side)
            assert (np.diff(row.neighbours) > 0).all()
            assert len(set(row.synapses)) == len(row.synapses)
            for other, element in zip(row.neighbours, row.synapses, strict=True):
                ends = (neuron, int(other)) if side is Side.SOURCE else (int(other), neuron)
                met.append((*ends, int(element)))
        assert sorted(met) == wanted


def test_same_padding_is_that_of_tensorflow() -> None:
    """The example of its documentation: 13 inputs, a window of 6, a stride of 5."""
    found = find_convolution("s", (6, 1, 1), (13, 1), strides=5, padding="same")
    assert (found.outputs, found.before) == ((1, 3, 1), (0, 1))


def unrolled(synapses: Synapses, layer: Layer, kernel: Any) -> None:
    """What connect_kernel does, synapse by synapse."""
    source, target, element = np.array(layer.synapses()).T
    synapses.connect(i=source, j=target)
    synapses.w = np.ravel(kernel)[element] * getattr(kernel, "unit", 1)


def connect(synapses: Synapses, layer: Layer, kernel: Any) -> None:
    """By the kernel on our device, each synapse for itself on Brian2's."""
    if synapses.variables["w"].device.__class__.__name__ == "RuntimeDevice":
        unrolled(synapses, layer, kernel)
    else:
        assert b2e.connect_kernel(synapses, kernel, layer.image, **layer.given()) == layer.outputs


IMAGE = (6, 5, 6)
LAYERS = [
    Layer(IMAGE, (3, 3, 6, 8), (1, 1), "same", (1, 1)),
    Layer(IMAGE, (3, 2, 2, 9), (2, 1), "valid", (1, 2), 3),
    Layer(IMAGE, (2, 3, 1, 12), (3, 2), "same", (2, 1), 6),
    Layer(IMAGE, (2, 2, 1, 6), (2, 2), ((0, 1), (2, 1)), (1, 1), 6),
    Layer((30, 6), (4, 3, 4), (2,), "causal", (3,), 2),
    Layer((180, 1), (7, 1, 3), (3,), ((2, 5),), (1,)),
]
# Along each of them, forward only or back as well.
CODES = [
    {"on_pre": "v_post += w"},
    {"on_pre": "v_post += w*x_pre", "delay": 0.3 * ms},
    {"on_pre": "v_post += w; x_pre += 0.01*w"},
    {"on_pre": "v_post += w", "on_post": "x_pre += 0.1*w"},
    {"on_pre": {"first": "v_post += w", "second": "v_post -= 0.5*w"}, "delay": {"second": 1 * ms}},
    {"model": "w : 1\ntotal_post = 3*w*x_pre : 1 (summed)"},
]


def network(drive: np.ndarray) -> Found:
    rng = np.random.default_rng(3)
    image = NeuronGroup(
        180,
        """dv/dt = (drive - v)/(4*ms) : 1
           dx/dt = (1 - x)/(9*ms) : 1
           drive : 1""",
        threshold="v > 1",
        reset="v = 0; x -= 0.3",
        method="exact",
        name="image",
    )
    image.drive = drive
    objects: list[Any] = [image]
    spikes = [SpikeMonitor(image, name="spikes")]
    for number, (layer, code) in enumerate(zip(LAYERS, CODES, strict=True)):
        maps = NeuronGroup(
            int(np.prod(layer.outputs)),
            "dv/dt = (total - v)/(5*ms) : 1\ntotal : 1",
            threshold="v > 0.2",
            reset="v -= 0.2",
            method="exact",
            name=f"maps{number}",
        )
        pathway = Synapses(image, maps, **{"model": "w : 1", "name": f"conv{number}"} | code)
        connect(pathway, layer, rng.normal(0.2, 0.3, layer.kernel))
        objects += [maps, pathway, StateMonitor(maps, "v", record=True, name=f"trace{number}")]
        spikes.append(SpikeMonitor(maps, name=f"spikes{number}"))
    whole = Network(*objects, *spikes)
    whole.run(3 * ms)
    found = {
        f"{name.name}.{what}": np.array(getattr(name, what)) for name in spikes for what in "it"
    }
    assert all(len(found[f"{name.name}.i"]) > 3 for name in spikes)
    traces = [each for each in objects if isinstance(each, StateMonitor)]
    return found | {trace.name: np.array(trace.v) for trace in traces}


@pytest.mark.parametrize(
    ("backend", "layout"),
    sampled(
        product(BACKENDS, ["per_instance", "team"]),
        lambda case: case != ("emulated", "per_instance"),
    ),
    indirect=["backend"],
)
def test_networks_do_what_unrolled_ones_do(backend: str, layout: str) -> None:
    if (backend, layout) == ("reference", "team"):
        pytest.skip("to an interpreter all layouts are one")
    drive = np.random.default_rng(0).uniform(1.5, 4, 180)
    options = {"backend": backend, "precision": "float64", "layout": layout}
    ours, theirs = (
        on_device(network, drive, "eprop_cuda", **options),
        on_device(network, drive, "runtime"),
    )
    assert_alike(ours, theirs, 1e-11)


KERNEL = np.random.default_rng(5).normal(0.3, 0.4, (3, 2, 2, 4))
PLAIN = Layer((4, 5, 2), KERNEL.shape, (1, 2), "same", (1, 1))


def plain(model: str = "w : 1", **code: Any) -> tuple[Synapses, NeuronGroup, NeuronGroup]:
    """Synapses between two images that are not connected yet, and the images."""
    image = NeuronGroup(
        40, "dv/dt = (drive - v)/(4*ms) : 1\ndrive : 1", threshold="v > 1", reset="v = 0",
        method="exact", name="image",
    )  # fmt: skip
    image.drive = np.linspace(0.5, 2.5, 40)
    maps = NeuronGroup(
        48, "dv/dt = -v/(5*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="maps"
    )
    found = Synapses(image, maps, model, **{"on_pre": "v_post += w", "name": "conv"} | code)
    return found, image, maps


def test_kernels_of_each_instance(backend: str) -> None:
    """Each instance does with its kernel what Brian2's runtime does with it."""
    kernels = np.stack([KERNEL, -KERNEL, 2 * KERNEL])

    def script(kernel: Any, device: str, **options: Any) -> Any:
        set_device(device, **options)
        start_scope()
        defaultclock.dt = 0.1 * ms
        found, image, maps = plain()
        connect(found, PLAIN, KERNEL if device == "eprop_cuda" else kernel)
        if device == "eprop_cuda":
            found.w = kernel
            assert found.w.shape == found.w[:].shape == kernel.shape
            assert b2e.is_per_instance(found.w)
        network = Network(found, image, maps)
        network.run(8 * ms)
        return maps.v[:]

    ours = script(kernels, "eprop_cuda", backend=backend, precision="float64", batch_size=3)
    theirs = np.stack([script(kernel, "runtime") for kernel in kernels])
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def changing(_: np.ndarray) -> Found:
    """A kernel and a delay that change between runs while spikes are on their way."""
    found, image, maps = plain(delay=0.5 * ms)
    b2e.connect_kernel(found, KERNEL, (4, 5, 2), strides=(1, 2), padding="same")
    trace = StateMonitor(maps, "v", record=True)
    weights = StateMonitor(found, "w", record=[0, 7, 100])
    network = Network(found, image, maps, trace, weights)
    network.run(6 * ms)
    network.store()
    found.w = KERNEL[::-1]
    found.delay = 1.2 * ms
    network.run(3 * ms)
    found.w[1, 0] = 0.5
    found.w[..., 2] *= 2
    found.delay = 0.1 * ms
    network.run(4 * ms)
    ends = {"i": found.i[:], "j": found.j[:], "w": found.w[:].copy(), "one": found.w[2, 1, 0, 3:]}
    later, recorded = np.array(trace.v), np.array(weights.w)
    network.restore()
    network.run(5 * ms)
    counts = {"in": found.N_incoming[:], "out": found.N_outgoing[:], "n": np.array(len(found))}
    return (
        ends
        | counts
        | {"later": later, "weights": recorded, "again": np.array(trace.v), "w again": found.w[:]}
    )


def test_changes_between_runs(backend: str) -> None:
    ours = on_device(changing, np.zeros(1), "eprop_cuda", backend=backend, precision="float64")
    assert_alike(ours, on_device(changing, np.zeros(1), "runtime"), 1e-11)


def test_no_synapse_is_made_until_somebody_asks() -> None:
    set_device("eprop_cuda", backend="cpu")
    found, image, maps = plain(delay=0.3 * ms)
    b2e.connect_kernel(found, KERNEL, (4, 5, 2), strides=(1, 2), padding="same")
    network = Network(found, image, maps)
    network.run(2 * ms)
    network.store()
    network.run(1 * ms)
    network.restore()
    kept = found.variables["N"].device.arrays
    sizes = [len(kept[each][:]) for each in found.variables.values() if each in kept]
    assert max(sizes) == KERNEL.size == found.w[:].size
    source, target, _ = np.array(PLAIN.synapses()).T
    np.testing.assert_array_equal(found.i[:], source)
    np.testing.assert_array_equal(found.j[:], target)
    np.testing.assert_array_equal(found.v_post[:], maps.v[:][target])
    np.testing.assert_array_equal(found.v_pre[7, :], image.v[:][source[source == 7]])


def test_units() -> None:
    for device in ("runtime", "eprop_cuda"):
        set_device(device)
        start_scope()
        image = NeuronGroup(40, "v : 1", threshold="v > 1")
        maps = NeuronGroup(48, "v : volt")
        found = Synapses(image, maps, "k : volt", on_pre="v_post += k")
        shape = b2e.connect_kernel(
            found, KERNEL * mV, (4, 5, 2), strides=(1, 2), padding="same", variable="k"
        )
        assert shape == (4, 3, 4)
        assert isinstance(found.k[:], Quantity)
        np.testing.assert_allclose(found.k[0, :, 1] / mV, KERNEL[0, :, 1])
        found.k[0] = 3 * mV
        found.k_[1] = 1
        assert found.k[:][:2].min() == 3 * mV and found.k_[1].max() == 1
        with pytest.raises(Exception, match="unit"):
            found.k = 1
        with pytest.raises(ValueError, match="k' is a kernel of the shape"):
            found.k = np.zeros((7, 3)) * mV


def refused(error: type[Exception], words: str, **changes: Any) -> None:
    """A change of what is connected, and what it is refused with."""
    given_: dict[str, Any] = {
        "kernel": KERNEL, "input_shape": (4, 5, 2), "strides": (1, 2), "padding": "same",
    }  # fmt: skip
    names = given_.keys() | {"groups", "dilation", "variable"}
    code = {name: value for name, value in changes.items() if name not in names}
    with pytest.raises(error, match=words):
        found, image, maps = plain(**code)
        b2e.connect_kernel(found, **given_ | {n: changes[n] for n in names & changes.keys()})
        Network(found, image, maps).run(0.2 * ms)


@pytest.mark.parametrize(
    ("error", "words", "changes"),
    [
        (TypeError, "the kernel of 'conv' is 'ones'; give an array", {"kernel": "ones"}),
        (ValueError, "input_shape of 'conv' is 3; give whole", {"input_shape": 3}),
        (ValueError, r"give \(steps, channels\) or \(rows", {"input_shape": (2, 2, 5, 2)}),
        (ValueError, r"give one of \(rows, columns", {"kernel": KERNEL[0]}),
        (ValueError, r"give one of \(steps, input", {"input_shape": (20, 2)}),
        (ValueError, "takes 2 channels in each of 1 group, and its input has 1", {
            "input_shape": (5, 8, 1)}),
        (ValueError, "which 3 groups do not divide", {"groups": 3}),
        (ValueError, r"strides of 'conv' is \(1, 2, 3\); give whole", {"strides": (1, 2, 3)}),
        (ValueError, "strides of 'conv' is 0", {"strides": 0}),
        (ValueError, "dilation of 'conv' is 1.5", {"dilation": 1.5}),
        (ValueError, "padding of 'conv' is 'full'; give 'valid', 'same'", {"padding": "full"}),
        (ValueError, "padding of 'conv' is 'causal'", {"padding": "causal"}),
        (ValueError, r"padding of 'conv' is \(\(1, 1\), \(-1, 0\)\)", {
            "padding": ((1, 1), (-1, 0))}),
        (ValueError, "is larger than its input", {"padding": "valid", "dilation": 4}),
        (ValueError, r"source of 'conv', 'image', has 40 neurons, and its image of the shape "
         r"\(4, 6, 2\) has 48 places; make it a group of 48", {"input_shape": (4, 6, 2)}),
        (ValueError, "target of 'conv', 'maps', has 48 neurons, .* has 80", {"strides": 1}),
        (ValueError, "has no variable 'k' of each synapse", {"variable": "k"}),
        (Unsupported, "has the variable 'x' of each synapse", {"model": "w : 1\nx : 1"}),
        (Unsupported, "changes 'w' in a run", {"on_pre": "v_post += w; w *= 0.9"}),
        (Unsupported, "changes 'w' in a run", {"on_pre": "v_post += w  # more\n    w **= 0.9"}),
        (Unsupported, "changes 'w' in a run", {"model": "dw/dt = -w/ms : 1 (clock-driven)"}),
        (Unsupported, "'conv_pre' reads 'i' of each synapse of 'conv'", {
            "on_pre": "v_post += w*i"}),
        (Unsupported, "draws random numbers for each synapse", {"on_pre": "v_post += w*rand()"}),
    ],
)  # fmt: skip
def test_refusals(error: type[Exception], words: str, changes: dict[str, Any]) -> None:
    set_device("eprop_cuda", backend="reference")
    refused(error, words, **changes)


@pytest.mark.long
def test_the_same_on_brian2s_standalone(tmp_path: Path) -> None:
    def script(device: str) -> tuple[Any, Any]:
        start_scope()
        set_device(device, **({"build_on_run": False} if device == "cpp_standalone" else {}))
        found, image, maps = plain(delay=0.5 * ms)
        b2e.connect_kernel(found, KERNEL, (4, 5, 2), strides=(1, 2), padding="same")
        Network(found, image, maps).run(20 * ms)
        if device == "cpp_standalone":
            get_device().build(directory=str(tmp_path), with_output=False)
        return np.array(maps.v), np.array(found.w)

    standalone, runtime = script("cpp_standalone"), script("runtime")
    for ours, theirs in zip(standalone, runtime, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert np.ptp(runtime[0]) > 0.1


def test_what_code_compares_or_comments_is_not_set() -> None:
    set_device("eprop_cuda", backend="reference")
    found, *_ = plain(on_pre="v_post += w*int(w >= 0)*int(w == w)  # not w = 3, w += 3")
    b2e.connect_kernel(found, KERNEL, (4, 5, 2), strides=(1, 2), padding="same")


@pytest.mark.parametrize("device", ["runtime", "eprop_cuda"])
def test_a_kernel_is_all_that_connects(device: str) -> None:
    set_device(device)
    found, image, maps = plain()
    with pytest.raises(TypeError, match="is to be connected; give Synapses"):
        b2e.connect_kernel(image, KERNEL, (4, 5, 2))
    b2e.connect_kernel(found, KERNEL, (4, 5, 2), strides=(1, 2), padding="same")
    with pytest.raises(Unsupported, match="'conv' is connected already"):
        b2e.connect_kernel(found, KERNEL, (4, 5, 2), strides=(1, 2), padding="same")
    with pytest.raises(Unsupported, match="'conv' is connected by a kernel"):
        found.connect(i=0, j=0)
    with pytest.raises(TypeError, match="evaluates no text such as 'rand"):
        found.w = "rand()"
    with pytest.raises(TypeError, match="evaluates no text such as 'i"):
        found.w["i < 3"] = 1
    part = Synapses(image[:20], maps, "w : 1", on_pre="v_post += w", name="part")
    with pytest.raises(Unsupported, match="which is a part of a group or Synapses"):
        b2e.connect_kernel(part, KERNEL, (4, 5, 2))
    if device == "eprop_cuda":
        b2e.rewire(found, b2e.Rewire("w < 0"))
        with pytest.raises(Unsupported, match="'conv' is to be rewired, but its synapses share"):
            Network(found, image, maps).run(20 * ms)


def faults(*changes: tuple[Any, Any]) -> str:
    """What verify says of the Program that adds to a kernel's elements, with changes."""
    program = CASES["shared gradient"].program
    for old, new in changes:
        program = replace(
            program,
            arrays=tuple(new if found is old else found for found in program.arrays),
            connectivities=tuple(new if f is old else f for f in program.connectivities),
        )
    with pytest.raises(ProgramError) as error:
        verify(program, Stage.GENERATION)
    return str(error.value)


def test_what_is_shared_is_only_added_to() -> None:
    program = CASES["shared gradient"].program
    verify(program, Stage.GENERATION)
    g = program.arrays[2]
    assert "it writes 'g', an element that synapses of 'apart' share" in faults(
        (g, replace(g, access=Access.PER_INSTANCE))
    )
    apart = program.connectivities[0]
    assert "there are 280 sources and 60 targets; make the numbers those of the images" in faults(
        (apart, replace(apart, inputs=(7, 5, 4)))
    )
    assert "has 3 groups of 8 and 10 channels" in faults((apart, replace(apart, groups=3)))
    body = program.sweeps[0].phases[0].body
    drawn = replace(body, code="g += x*y*a", draws={"a": Draw(Distribution.UNIFORM, "a", 0)})
    phase = replace(program.sweeps[0].phases[0], body=drawn)
    drawing = replace(program, sweeps=(replace(program.sweeps[0], phases=(phase,)),))
    with pytest.raises(ProgramError, match="it draws for each synapse of 'apart'"):
        verify(drawing, Stage.GENERATION)
