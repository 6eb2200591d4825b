"""Graphs of NIR as Brian2 networks, beside NIR's equations in NumPy and their solutions."""

from __future__ import annotations

import builtins
import itertools

import brian2 as b
import numpy as np
import pytest

import brian2eprop as b2e
from brian2eprop import Unsupported
from tests.ml.nir_in_numpy import SPIKING, Simulation, kind

nir = pytest.importorskip("nir")

DT = 1e-3
RNG = np.random.default_rng(0)


def lif(*shape, **changed):
    values = {"tau": 0.02, "r": 8.0, "v_leak": 0.1, "v_threshold": 1.0, "v_reset": -0.2} | changed
    spread = RNG.uniform(0.8, 1.2, shape)
    return nir.LIF(**{name: value * spread for name, value in values.items()})


def ones(value, *shape):
    return np.full(shape, float(value))


def images():
    """Kernels of two directions, pooling of both kinds, and a way that is multiplied out."""
    normal = RNG.normal
    first, second = normal(0.3, 1, (4, 2, 3, 3)), normal(0.2, 1, (6, 2, 2, 2))
    nodes = {
        "input": nir.Input(np.array([2, 7, 6])),
        "conv": nir.Conv2d((7, 6), first, (2, 1), (1, 0), 1, 1, normal(0, 1, 4)),
        "if": nir.IF(ones(90, 4, 4, 4), ones(1, 4, 4, 4), ones(0.1, 4, 4, 4)),
        "sum": nir.SumPool2d(np.array([2, 2]), np.array([2, 1]), np.array([0, 0])),
        "conv2": nir.Conv2d((2, 3), second, 1, (1, 1), (1, 2), 2, normal(0, 1, 6)),
        "lif": lif(6, 3, 3),
        "mean": nir.AvgPool2d(np.array([3, 2]), np.array([2, 1]), np.array([1, 0])),
        "flat": nir.Flatten(np.array([6, 2, 2]), 0, -1),
        "full": nir.Affine(normal(0, 2, (3, 24)), normal(0, 1, 3)),
        "li": nir.LI(ones(0.01, 3), ones(2, 3), normal(0, 1, 3)),
        "output": nir.Output(np.array([3])),
    }
    return chain(nodes), {"input": RNG.normal(0, 1, (2, 7, 6))}


def sequences():
    """One direction, values that are sent on, factors, and a threshold without a membrane."""
    normal = RNG.normal
    cuba = [ones(v, 4, 5) for v in (0.004, 0.01, 3, 0.1)]
    nodes = {
        "input": nir.Input(np.array([4, 5])),
        "cubali": nir.CubaLI(*cuba, w_in=normal(1, 0.2, (4, 5))),
        "conv": nir.Conv1d(5, normal(0, 1, (4, 2, 3)), 1, "same", 1, 2, normal(0, 1, 4)),
        "threshold": nir.Threshold(normal(0.2, 0.1, (4, 5))),
        "scale": nir.Scale(normal(0, 1, (4, 5))),
        "i": nir.I(ones(30, 4, 5)),
        "output": nir.Output(np.array([4, 5])),
    }
    return chain(nodes), {"input": normal(0, 1, (4, 5))}


def loops():
    """Spikes that come in, delays of sources and of targets, and neurons that reach each other."""
    normal = RNG.normal
    nodes = {
        "input": nir.Input(np.array([3])),
        "early": nir.Delay(DT * np.array([0, 2, 5.0])),
        "w_in": nir.Linear(normal(1, 1, (4, 3))),
        "late": nir.Delay(DT * np.array([1, 0, 3, 2.0])),
        "cubalif": nir.CubaLIF(*(ones(v, 4) for v in (0.004, 0.01, 3, 0, 0.4)), w_in=ones(5, 4)),
        "w_rec": nir.Affine(normal(0, 1, (4, 4)), normal(0.3, 0.3, 4)),
        "lif": lif(4),
        "output": nir.Output(np.array([4])),
    }
    edges = [("input", "early"), ("early", "w_in"), ("w_in", "late"), ("late", "cubalif"),
             ("cubalif", "w_rec"), ("w_rec", "cubalif"), ("w_rec", "lif"), ("cubalif", "lif"),
             ("lif", "lif"), ("lif", "output")]  # fmt: skip
    return nir.NIRGraph(nodes, edges), {"input": RNG.random((40, 3)) < 0.3}


def chain(nodes):
    # The package derives sizes of kernels that are not square otherwise.
    return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False)


def order(values):
    """As the neurons are numbered: channels last."""
    return np.moveaxis(values, 0, -1).ravel()


def spike_source(trains):
    step, neuron = np.nonzero(trains)
    return b.SpikeGeneratorGroup(trains.shape[1], neuron, step * DT * b.second, name="input")


@pytest.mark.parametrize("make", [images, sequences, loops])
def test_what_neurons_do_is_what_the_equations_say(backend, make):
    global RNG
    RNG = np.random.default_rng(3)
    graph, inputs = make()
    b.set_device("eprop_cuda", backend=backend, precision="float64")
    spiking = make is loops
    given = {"input": spike_source(inputs["input"])} if spiking else None
    network = b2e.ml.from_nir(graph, dt=DT * b.second, inputs=given)
    if not spiking:
        network["input"].x = order(inputs["input"])
    numpy = Simulation(graph, DT, inputs, ["input"] * spiking).run(40)
    monitors = {
        name: b.SpikeMonitor(network[name], record=False)
        for name, node in graph.nodes.items()
        if kind(node) in SPIKING
    }
    network.add(*monitors.values())
    network.run(40 * DT * b.second)
    for name, values in numpy.v.items():
        if kind(graph.nodes[name]) != "Threshold":
            np.testing.assert_allclose(network[name].v[:], order(values), rtol=1e-9, atol=1e-9)
    for name, monitor in monitors.items():
        assert monitor.count[:].tolist() == order(numpy.spikes[name]).tolist()
        assert monitor.num_spikes > 5


def test_kernels_are_stored_once():
    graph, _ = images()
    b.set_device("eprop_cuda", backend="reference")
    network = b2e.ml.from_nir(graph, dt=DT * b.second)
    assert network["input_to_if"].w[:].shape == (3, 3, 2, 4)
    # A pool and a kernel on one way are multiplied out, without what is zero.
    assert 0 < len(network["if_to_lif"]) < 64 * 54


def graph_of(*nodes):
    return nir.NIRGraph.from_list(*nodes)


def test_solutions_that_are_known():
    """A membrane at a constant current, the time to the threshold, and a current that decays."""
    current = nir.Affine(np.eye(1), np.array([2.0]))
    tau, v0 = np.array([0.01]), np.zeros(1)
    models = {
        "li": nir.LI(tau, ones(1, 1), v0),
        "lif": nir.LIF(tau, ones(1, 1), v0, ones(1, 1), v0),
        "if": nir.IF(ones(100, 1), ones(1, 1), v0),
    }
    found = {}
    for name, node in models.items():
        network = b2e.ml.from_nir(
            graph_of(current, node), dt=0.1 * b.ms, method="exponential_euler"
        )
        group = network[name]
        monitors = [b.StateMonitor(group, "v", record=True, when="end")]
        if name != "li":
            monitors.append(b.SpikeMonitor(group))
        network.add(*monitors)
        network.run(30 * b.ms)
        found[name] = monitors
    t = np.arange(1, 301) * 1e-4
    np.testing.assert_allclose(found["li"][0].v[0], 2 * (1 - np.exp(-t / 0.01)), rtol=1e-10)
    # v = 2 (1 - exp(-t/tau)) is above 1 after tau ln 2 = 6.93 ms, in the 70th step.
    steps = np.round(found["lif"][1].t / (0.1 * b.ms)).astype(int)
    assert steps.tolist() == [69, 139, 209, 279]
    # 200 per second: above 1 in the 51st step, after 5 ms.
    np.testing.assert_allclose(np.diff(found["if"][1].t / b.ms), 5.0, atol=0.101)
    assert len(found["if"][1].t) in (5, 6)


def test_a_pulse_lasts_for_a_step():
    """A spike of weight 3 moves v by r dt/tau w = 3 in the next step; from there it decays."""
    node = nir.LI(np.array([0.01]), np.array([10.0]), np.zeros(1))
    source = b.SpikeGeneratorGroup(1, [0], [2 * b.ms], name="input")
    graph = graph_of(nir.Linear(np.array([[3.0]])), node)
    network = b2e.ml.from_nir(graph, dt=1 * b.ms, inputs={"input": source})
    monitor = b.StateMonitor(network["li"], "v", record=0, when="end")
    network.add(monitor)
    network.run(6 * b.ms)
    np.testing.assert_allclose(monitor.v[0], [0, 0, 0, 3, 2.7, 2.43])


def test_sub_graphs_and_outputs():
    """A recurrent block as other tools write it, twice; an output behind a node has a group."""
    inner = nir.NIRGraph(
        {"input": nir.Input(np.array([2])), "lif": lif(2), "w": nir.Linear(-np.eye(2)),
         "output": nir.Output(np.array([2]))},
        [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")],
    )  # fmt: skip
    graph = nir.NIRGraph(
        {"input": nir.Input(np.array([2])), "0": inner, "1": inner,
         "scale": nir.Scale(np.array([1.0, 2.0])), "output": nir.Output(np.array([2]))},
        [("input", "0"), ("0", "1"), ("1", "scale"), ("scale", "output")],
    )  # fmt: skip
    network = b2e.ml.from_nir(graph, dt=1 * b.ms)
    names = {found.name for found in network.objects if isinstance(found, b.Synapses)}
    first, second = "layer_0_lif", "layer_1_lif"
    assert names == {f"input_to_{first}", f"{first}_to_{first}", f"{first}_to_{second}",
                     f"{second}_to_{second}", f"{second}_to_output"}  # fmt: skip
    network["input"].x = 5
    monitors = [
        b.StateMonitor(network["output"], "x", record=True),
        b.SpikeMonitor(network[second]),
    ]
    network.add(*monitors)
    network.run(60 * b.ms)
    sent = np.zeros((2, 61))
    sent[monitors[1].i[:], np.round(monitors[1].t / b.ms).astype(int) + 1] = 1
    np.testing.assert_allclose(monitors[0].x, sent[:, :60] * [[1], [2]])
    assert sent.sum() > 2


def test_what_was_given_as_an_input_is_used():
    group = b.NeuronGroup(2, "x = t/ms : 1", name="ramp", dt=1 * b.ms)
    graph = graph_of(nir.Linear(np.eye(2)), nir.I(ones(1000, 2)))
    network = b2e.ml.from_nir(graph, dt=1 * b.ms, inputs={"input": group})
    network.run(4 * b.ms)
    np.testing.assert_allclose(network["i"].v[:], 0 + 1 + 2 + 3)


def between(shape, *nodes):
    """A graph of an input and nodes, called by their kinds."""
    named = {kind(node).lower(): node for node in nodes}
    return chain({"input": nir.Input(np.array(shape)), **named})


def edges(nodes, *found):
    ends = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}
    return nir.NIRGraph(ends | nodes, list(found), type_check=False)


SQUARE = nir.Linear(np.eye(2))
REFUSED = [
    (between([2], SQUARE, lif(3)), "'lif' has neurons of the shape"),
    (between([3], SQUARE, lif(2)), "'linear' has weights of the shape .* a Flatten before it"),
    (between([2], nir.Delay(np.array([-1.0])), lif(2)), "'delay' has delays that are no numbers"),
    (between([2], nir.Scale(ones(1, 3)), lif(2)), "'scale' has a scale of the shape"),
    (between([2], nir.Delay(np.array([0, 1.0])), lif(2)), "'input' sends values rather than spik"),
    (between([2], lif(2, tau=-1.0)), "'lif' has a tau that is no finite number, or not above zero"),
    (between([2], lif(2, r=np.nan)), "'lif' has a r that is no finite number; give it one"),
    (between([2], nir.Flatten(np.array([2]), 1), lif(2)), "'flatten' flattens the axes 1 to -1"),
    (between([2], nir.SumPool2d(2, 2, 0), lif(2)), "'sumpool2d' pools values of the shape"),
    (between([2], nir.Conv1d(2, ones(1, 1, 1, 1), 1, 0, 1, 1, ones(0, 1)), lif(2)), "'conv1d' has"),
    (
        between(
            [2], lif(2), SQUARE, nir.Delay(np.array([0, 1.0])), nir.Affine(np.eye(2), ones(0, 2)),
            nir.LI(ones(1, 2), ones(1, 2), ones(1, 2)),
        ),
        "The delays of 'delay' differ and stand between nodes that mix values",
    ),
    (
        edges({"a": SQUARE}, ("input", "a"), ("a", "a"), ("a", "output")),
        "'a' leads to itself through nodes without neurons",
    ),
    (edges({"a": SQUARE}, ("a", "output")), "Nothing leads to 'a'; put an Input before it"),
    (edges({}, ("input", "nobody")), "names 'nobody', and no node is called so"),
    (edges({}, ("input", "output"), ("input", "output")), "Two edges lead from 'input' to"),
]  # fmt: skip


@pytest.mark.parametrize(("graph", "sentence"), REFUSED)
def test_refusals(graph, sentence):
    with pytest.raises((ValueError, Unsupported), match=sentence):
        b2e.ml.from_nir(graph)


def test_refusals_of_arguments(monkeypatch):
    graph = graph_of(nir.Linear(np.eye(2)), lif(2))
    with pytest.raises(TypeError, match=r"is no graph; give a nir\.NIRGraph"):
        b2e.ml.from_nir("network.nir")
    with pytest.raises(ValueError, match="method is 'rk4'; give 'euler'"):
        b2e.ml.from_nir(graph, method="rk4")
    with pytest.raises(ValueError, match="inputs has 'image', and the graph's inputs are 'input'"):
        b2e.ml.from_nir(graph, inputs={"image": b.NeuronGroup(2, "x : 1")})
    with pytest.raises(TypeError, match="give a group of 2 neurons"):
        b2e.ml.from_nir(graph, inputs={"input": b.NeuronGroup(3, "x : 1")})
    importing = builtins.__import__

    def without(name, *others):
        if name == "nir":
            raise ImportError(name)
        return importing(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"from_nir needs the package nir.*; pip install nir"):
        b2e.ml.from_nir(graph)
