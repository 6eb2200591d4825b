"""Brian2 networks as graphs of NIR: by the numbers that they must have, and there and back."""

from __future__ import annotations

import brian2 as b
import numpy as np
import pytest

import brian2eprop as b2e
from brian2eprop import Unsupported, ml
from tests.ml import test_from_nir as graphs
from tests.ml.nir_in_numpy import Simulation, kind, linear
from tests.ml.plain import convolve, residual_network, same

nir = pytest.importorskip("nir")

DT, spread = graphs.DT, graphs.ones


def chain_of(graph, start):
    """The nodes behind one, as long as each leads to one other."""
    found = [start]
    while after := [target for source, target in graph.edges if source == found[-1]]:
        found += after[:1]
    return found


@pytest.mark.parametrize("make", [graphs.images, graphs.sequences, graphs.loops])
def test_there_and_back(make):
    """A graph, its network, the graph of that: NumPy runs both alike."""
    graph, inputs = make()
    spiking = make is graphs.loops
    given = {"input": graphs.spike_source(inputs["input"])} if spiking else None
    back = b2e.ml.to_nir(b2e.ml.from_nir(graph, dt=DT * b.second, inputs=given))
    for name, node in graph.nodes.items():
        if kind(node) in ("LIF", "CubaLIF", "IF", "LI", "I", "CubaLI", "Threshold"):
            assert kind(back.nodes[name]) == kind(node)
    first, second = (
        Simulation(each, DT, inputs, ["input"] * spiking).run(30) for each in (graph, back)
    )
    for name, values in first.v.items():
        found = second.v[name]
        expected = values if found.shape == values.shape else graphs.order(values)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert sum(counts.sum() for counts in first.spikes.values()) > 20


def test_nodes_of_a_chain_are_those_it_was_made_of():
    graph = graphs.graph_of(
        nir.Affine(np.arange(6.0).reshape(3, 2), np.array([1.0, 2, 3])),
        nir.CubaLIF(*(spread(v, 3) for v in (0.01, 0.02, 2, 0.1, 1, -1)), w_in=spread(3, 3)),
        nir.Delay(spread(0.002, 3)),
        nir.Linear(np.ones((1, 3))),
        nir.LI(spread(0.01, 1), spread(1, 1), spread(0.5, 1)),
    )
    back = b2e.ml.to_nir(b2e.ml.from_nir(graph, dt=1 * b.ms))
    there, here = (chain_of(each, "input") for each in (graph, back))
    assert [kind(graph.nodes[name]) for name in there] == [kind(back.nodes[name]) for name in here]
    for one, other in zip(there, here, strict=True):
        numbers = {k: v for k, v in vars(graph.nodes[one]).items() if isinstance(v, np.ndarray)}
        for name, values in numbers.items():
            np.testing.assert_allclose(getattr(back.nodes[other], name), values, rtol=1e-12)


def brian_network():
    """A network as users write them, with units and names of their own."""
    b.defaultclock.dt = 1 * b.ms
    source = b.PoissonGroup(2, 10 * b.Hz, name="source")
    hidden = b.NeuronGroup(
        3,
        """du/dt = (rest - u + g*R)/tau : volt
        dg/dt = -g/(5*ms) : amp
        R : ohm (constant)""",
        threshold="u > -50*mV",
        reset="u = rest",
        method="euler",
        name="hidden",
        namespace={"tau": 20 * b.ms, "rest": -70 * b.mV},
    )
    hidden.R = [1, 2, 3] * b.Mohm
    readout = b.NeuronGroup(1, "dy/dt = (y_in - y)/(30*ms) : 1\ny_in : 1", name="readout")
    into = b.Synapses(source, hidden, "w : amp", on_pre="g += 2*w", name="into")
    into.connect()
    into.w = "(i + 10*j)*nA"
    out = b.Synapses(hidden, readout, on_pre="y_post += 0.5", delay=3 * b.ms, name="out")
    out.connect(i=[0, 2], j=0)
    return b.Network(source, hidden, readout, into, out)


def test_equations_are_recognised_whatever_they_are_called():
    graph = b2e.ml.to_nir(brian_network())
    hidden, readout = graph.nodes["hidden"], graph.nodes["readout"]
    assert (kind(hidden), kind(readout)) == ("CubaLIF", "LI")
    expected = {"tau_syn": 0.005, "tau_mem": 0.02, "v_leak": -0.07, "v_threshold": -0.05,
                "v_reset": -0.07, "w_in": 5.0, "r": np.array([1e6, 2e6, 3e6])}  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(hidden, name), np.broadcast_to(value, 3), rtol=1e-12)
    np.testing.assert_allclose([readout.tau, readout.r, readout.v_leak], [[0.03], [30], [0]])
    weights = 2e-9 * np.array([[0, 1], [10, 11], [20, 21]])
    np.testing.assert_allclose(graph.nodes["into"].weight, weights)
    np.testing.assert_allclose(graph.nodes["out"].delay, [0.003] * 3)
    np.testing.assert_allclose(graph.nodes["out_linear"].weight, [[0.5, 0, 0.5]])


def test_a_file_says_the_same(tmp_path):
    graph = b2e.ml.to_nir(brian_network())
    nir.write(tmp_path / "network.nir", graph)
    back = b2e.ml.to_nir(
        b2e.ml.from_nir(nir.read(tmp_path / "network.nir"), dt=1 * b.ms,
                        inputs={"source": b.PoissonGroup(2, 1 * b.Hz, name="source")})
    )  # fmt: skip
    np.testing.assert_allclose(back.nodes["hidden"].r, graph.nodes["hidden"].r)


@pytest.mark.parametrize(("padding", "outputs"), [("same", (3, 2)), (((2, 0), (0, 3)), (3, 2))])
def test_kernels_with_other_padding_on_either_side(padding, outputs):
    """NIR pads alike before and after: zeros in the kernel make up for it."""
    kernel = np.random.default_rng(1).normal(size=(2, 3, 2, 2))
    image = b.NeuronGroup(30, "x : 1", threshold="x > 0", name="image")
    maps = b.NeuronGroup(12, "dv/dt = -v/second : 1", name="maps")
    synapses = b.Synapses(image, maps, "w : 1", on_pre="v_post += w", name="kernel")
    b2e.connect_kernel(synapses, kernel, (5, 3, 2), strides=2, padding=padding)
    graph = b2e.ml.to_nir(b.Network(image, maps, synapses))
    assert graph.nodes["maps"].tau.shape == (2, *outputs)
    x = np.random.default_rng(2).normal(size=(5, 3, 2))
    found = linear(graph.nodes["kernel"], np.moveaxis(x, -1, 0))
    pads = padding if padding != "same" else [same(5, 2, 2, 1), same(3, 3, 2, 1)]
    expected = convolve(x, kernel, (2, 2), pads, (1, 1), 1)
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), expected, atol=1e-12)


def test_a_conversion_with_rates_spikes_the_same(backend, tmp_path):
    """Shifted by a step for each stage; what NIR has no symbol for is in the metadata."""
    rng = np.random.default_rng(6)
    layers = [
        ml.Input(name="image", shape=(6, 5, 2)),
        ml.Convolution(
            name="conv", inputs=("image",), kernel=rng.normal(0, 0.5, (3, 3, 2, 4)),
            bias=rng.normal(0, 0.3, 4), strides=2, padding="same",
        ),
        ml.ReLU(name="relu", inputs=("conv",)),
        ml.Convolution(
            name="next", inputs=("relu",), kernel=rng.normal(0, 0.4, (3, 3, 4, 4)), padding="same"
        ),
        ml.Add(name="add", inputs=("next", "relu")),
        ml.ReLU(name="relu_1", inputs=("add",)),
        ml.Reshape(name="flat", inputs=("relu_1",)),
        ml.Dense(name="y", inputs=("flat",), kernel=rng.normal(0, 1, (36, 3)), bias=np.arange(3.0)),
    ]  # fmt: skip
    x = rng.normal(size=(1, 6, 5, 2))
    b.set_device("eprop_cuda", backend=backend, precision="float64")
    snn = ml.convert(layers, x, algorithm="rate", timesteps=20)
    graph = b2e.ml.to_nir(snn, soft_reset="metadata")
    assert kind(graph.nodes["image_to_conv"]) == "Conv2d"
    assert graph.nodes["conv"].metadata == {"reset": "subtract", "v_initial": 0.5}
    nir.write(tmp_path / "rates.nir", graph)
    # The package takes kernels for square when it checks shapes.
    graph = nir.read(tmp_path / "rates.nir", type_check=False)
    network = b2e.ml.from_nir(graph, dt=1 * b.ms)
    network["image"].x = x.ravel()
    names = ("conv", "add")
    here = {name: b.SpikeMonitor(network[name], name=f"{name}_found") for name in names}
    network.add(*here.values())
    network.run(21 * b.ms)
    there = {name: b.SpikeMonitor(snn.network[name], name=f"{name}_made") for name in names}
    snn.network.add(*there.values())
    snn.network.store()
    snn.predict(x)
    for name in names:
        spikes = [
            sorted(zip(np.round(found.t / b.ms).astype(int) + late, found.i[:], strict=True))
            for found, late in ((here[name], 1), (there[name], 0))
        ]
        assert [each for each in spikes[0] if each[0] < 20] == [s for s in spikes[1] if s[0] < 20]
        assert len(spikes[1]) > 20


def with_group(model, **options):
    def change(network):
        group = b.NeuronGroup(3, model, name="other", **options)
        synapses = b.Synapses(network["hidden"], group, on_pre="v_post += 1", name="more")
        synapses.connect()
        network.add(group, synapses)

    return change


def with_synapses(model="w : 1", target="readout", **options):
    def change(network):
        synapses = b.Synapses(network["hidden"], network[target], model, name="more", **options)
        synapses.connect()
        network.add(synapses)

    return change


FIRES = {"threshold": "v > 1", "reset": "v = 0"}
LEAKY, DECAYS = "dv/dt = -v/second : 1", "dw/dt = -w/second : 1 (clock-driven)"
REFUSED = [
    (with_group(LEAKY, threshold="v > 1", reset="v -= 1"), "'other' keeps what is above"),
    (with_group(LEAKY, threshold="v > 1", reset="v -= 0.5"), "'other' has the reset 'v -= 0.5', w"),
    (with_group(LEAKY, threshold="v > 1", reset="v = 0; v = 1"), "has the reset 'v = 0; v = 1'"),
    (with_group(LEAKY, threshold="v > t/second", reset="v = 0"), "'other' has 't' in"),
    (with_group(LEAKY, threshold="v > 1 and v < 2", reset="v = 0"), "the threshold 'v > 1 and v"),
    (with_group(LEAKY, refractory=1 * b.ms, **FIRES), "'other' is refractory, for which NIR has"),
    (with_group("dv/dt = (v**2 - v)/second : 1", **FIRES), "has an equation of 'v' that is not li"),
    (with_group("dv/dt = v/second : 1", **FIRES), "'other' has a state 'v' that does not decay"),
    (with_group("dv/dt = (a - v)/second : 1\nda/dt = -v/second : 1"), "'v', that drive each other"),
    (with_group("dv/dt = (sin(t/second) - v)/second : 1", **FIRES), "'other' has 't' in"),
    (with_group("v : 1", threshold="v > 1", reset=""), "'more' adds to 'v' of 'other', which nei"),
    (with_synapses(on_pre="y_post *= 2"), "'more' do 'y_post .= 2' at a spike, which is not a we"),
    (with_synapses(on_pre="y_post += w*y_post"), "'more' add what depends on 'y_post' of 'readou"),
    (with_synapses(DECAYS, on_pre="y_post += w"), "'more' have states of their own, for which NIR"),
    (with_synapses(target="hidden", on_pre="g += w*nA", on_post="w += 1"), "do more than one"),
    (with_synapses("y_in_post = u_pre/mV : 1 (summed)"), "'more' sums up 'u' of 'hidden', which"),
    (with_synapses("y_in_post = u_pre*u_pre/mV**2 : 1 (summed)"), "'more' sum up .* not a weight"),
    (with_synapses(target="hidden", on_pre="u_post += 1*mV"), "has the current 'g', and synapses"),
    (
        lambda network: network["hidden"].run_regularly("u = 0*mV", dt=5 * b.ms, name="code"),
        "'code' runs code on 'hidden', for which NIR has no node",
    ),
    (lambda network: network.add(b.NetworkOperation(lambda: None, name="op")), "'op' is a Network"),
]


@pytest.mark.parametrize(("change", "sentence"), REFUSED)
def test_what_nir_has_no_node_for_is_refused_by_name(change, sentence):
    network = brian_network()
    change(network)
    with pytest.raises(Unsupported, match=sentence):
        b2e.ml.to_nir(network)


def test_refusals_of_arguments_and_conversions():
    network = brian_network()
    with pytest.raises(TypeError, match="give a Network or a converted one"):
        b2e.ml.to_nir(network["hidden"])
    with pytest.raises(ValueError, match="soft_reset is True; give 'metadata' or nothing"):
        b2e.ml.to_nir(network, soft_reset=True)
    group = b.NeuronGroup(2, "dv/dt = -v/second : 1", threshold="v > 1", reset="v = 0", name="a")
    other = b.NeuronGroup(2, "dv/dt = -v/second : 1", threshold="v > 1", reset="v = 0", name="b")
    both = [b.Synapses(*ends, on_pre="v += 1") for ends in ((group, other), (other, group))]
    for each in both:
        each.connect()
    with pytest.raises(ValueError, match="every group leads to another one, so none is the output"):
        b2e.ml.to_nir(b.Network(group, other, both))
    x = np.ones((1, 6, 5, 2))
    layers = residual_network(np.random.default_rng(0))
    b.set_device("eprop_cuda", backend="reference")
    with pytest.raises(Unsupported, match="'few-spike' has neurons whose threshold changes"):
        b2e.ml.to_nir(ml.convert(layers, x, timesteps=3))
    with pytest.raises(
        Unsupported, match=r"'signed-rate' has neurons .* whose spikes are taken back"
    ):
        b2e.ml.to_nir(
            ml.convert(layers, x, algorithm="signed-rate", timesteps=3), soft_reset="metadata"
        )
    with pytest.raises(Unsupported, match="'conv' keeps what is above its threshold"):
        b2e.ml.to_nir(ml.convert(layers, x, algorithm="rate", timesteps=3))
