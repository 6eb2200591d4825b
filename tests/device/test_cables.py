"""SpatialNeuron against Brian2's runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import (
    Cylinder,
    Network,
    NeuronGroup,
    Section,
    Soma,
    SpatialNeuron,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    amp,
    cm,
    defaultclock,
    linked_var,
    ms,
    msiemens,
    mV,
    nA,
    ohm,
    set_device,
    siemens,
    uF,
    um,
)
from brian2.spatialneuron.spatialneuron import FlatMorphology
from brian2.utils.logger import catch_logs

import brian2eprop as b2e
from brian2eprop.device.capture.objects.cables import tree_of
from tests.conformance.exact_cable import chain_of, long
from tests.device.alike import Found, check_alike, drives, on_device

CHANNELS = """
Im = gl*(El - v) + g_na*m**3*(E_na - v) + g_k*n*(E_k - v) : amp/meter**2
dm/dt = (1/(1 + exp(-(v + 40*mV)/(5*mV))) - m)/(0.5*ms) : 1
dn/dt = (1/(1 + exp(-(v + 30*mV)/(6*mV))) - n)/(3*ms) : 1
I : amp (point current)
g_na : siemens/meter**2
"""
PASSIVE = """
Im = (-70*mV - v)*siemens/meter**2 : amp/meter**2
I : amp (point current)
"""
CONSTANTS = {
    "gl": 1e-4 * siemens / cm**2,
    "El": -70 * mV,
    "E_na": 50 * mV,
    "g_k": 5 * msiemens / cm**2,
    "E_k": -80 * mV,
}


def cable() -> Any:
    return Cylinder(length=200 * um, diameter=2 * um, n=9)


def star() -> Any:
    root = Cylinder(length=30 * um, diameter=20 * um, n=2)
    root.axon = Cylinder(length=100 * um, diameter=1 * um, n=7)
    root.left = Cylinder(length=50 * um, diameter=2 * um, n=1)
    root.right = Section(
        diameter=[2, 1.5, 1, 1] * um,  # type: ignore[operator]
        length=[20, 20, 30] * um,  # type: ignore[operator]
        n=3,
    )
    return root


def chain() -> Any:
    """A section with one child with one child, and branches at the end."""
    root = Cylinder(length=20 * um, diameter=10 * um, n=1)
    root.a = Cylinder(length=40 * um, diameter=3 * um, n=3)
    root.a.b = Cylinder(length=60 * um, diameter=2 * um, n=1)
    for name in "LR":
        root.a.b[name] = Cylinder(length=25 * um, diameter=1 * um, n=2)
        root.a.b[name].L = Cylinder(length=15 * um, diameter=0.5 * um, n=1)
    return root


SHAPES = {"cable": cable, "star": star, "chain": chain}

# Brian2 superposes three solutions a section, and their differences cancel some digits.
TOLERANCE = 1e-8


def neuron_of(morphology: Any, **more: Any) -> SpatialNeuron:
    made = SpatialNeuron(
        morphology=morphology,
        model=CHANNELS,
        Cm=1 * uF / cm**2,
        Ri=100 * ohm * cm,
        method="exponential_euler",
        namespace=CONSTANTS,
        name="cell",
        **more,
    )
    made.v = -70 * mV
    made.g_na = "20*msiemens/cm**2*exp(-distance/(100*um))"
    return made


def above_each(section: Any, above: int = -1, first: int = 0) -> list[int]:
    """The compartment above each of a section's and of those that branch off it, from ``first``."""
    found = [above, *range(first, first + section.n - 1)]
    last = first + section.n - 1
    for child in section.children:
        found += above_each(child, last, first + len(found))
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_nodes_are_the_compartments_and_the_points_where_sections_branch(shape: str) -> None:
    morphology = SHAPES[shape]()
    above, tree = above_each(morphology), tree_of(FlatMorphology(morphology))
    n, size = len(above), len(tree.parent)
    assert (tree.parent < np.arange(size)).all()
    np.testing.assert_array_equal(tree.place, np.flatnonzero(tree.capacitive))
    np.testing.assert_array_equal(tree.compartment[tree.place], np.arange(n))
    np.testing.assert_array_equal(tree.compartment[tree.parent[tree.place]][1:], above[1:])
    np.testing.assert_array_equal(tree.above[1:], tree.compartment[tree.parent][1:])
    points = np.flatnonzero(~tree.capacitive)
    assert len(points) == len(set(tree.parent[points])) == n_with_children(morphology)
    np.testing.assert_array_equal(tree.parent[points], tree.place[tree.compartment[points]])


def n_with_children(section: Any) -> int:
    children = list(section.children)
    return bool(children) + sum(n_with_children(child) for child in children)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_potentials_are_brians(shape: str, batch: bool, backend: str) -> None:
    def script(drive: np.ndarray) -> Found:
        cell = neuron_of(SHAPES[shape]())
        cell.I[0] = 0.15 * nA * drive[..., 0]
        seen = StateMonitor(cell, ["v", "Ic", "Im", "m"], record=True)
        network = Network(cell, seen)
        network.run(6 * ms)
        cell.I = 0 * amp
        cell.I[len(cell) - 1] = 0.05 * nA
        network.run(4 * ms)
        return {name: np.asarray(getattr(seen, name)) for name in ("v", "Ic", "Im", "m")}

    found = check_alike(script, backend, 1, batch, TOLERANCE)
    assert np.ptp(found["v"]) > 0.02


def test_a_spike_in_an_axon(backend: str) -> None:
    """Threshold at one place, refractoriness, synapses onto parts, and a code run on a part."""

    def script(drive: np.ndarray) -> Found:
        shape = star()
        cell = neuron_of(
            shape, threshold="v > -30*mV", refractory="v > -30*mV", threshold_location=shape.axon[3]
        )
        source = SpikeGeneratorGroup(2, [0, 1, 0], [1, 2, 4] * ms)  # type: ignore[operator]
        synapses = Synapses(source, cell.right, "w : amp", on_pre="I_post += w*5")
        synapses.connect()
        synapses.w = 0.02 * nA
        cell.right.run_regularly("I *= 0.9", dt=0.5 * ms)
        target = NeuronGroup(1, "x : 1", name="target")
        out = Synapses(cell, target, on_pre="x_post += 1")
        out.connect(i=shape.axon.indices[3], j=0)
        spikes, seen = SpikeMonitor(cell), StateMonitor(cell.right, "v", record=True)
        Network(cell, source, synapses, target, out, spikes, seen).run(12 * ms)
        return {
            "i": np.asarray(spikes.i),
            "t": np.asarray(spikes.t),
            "v": np.asarray(seen.v),
            "x": np.asarray(target.x),
        }

    found = check_alike(script, backend, 1, batch=False, tolerance=TOLERANCE)
    assert len(found["i"]) > 0
    assert found["x"][0] == len(found["i"])


@pytest.mark.parametrize("batch", [False, True])
def test_channels_read_what_all_share_and_what_is_linked(batch: bool, backend: str) -> None:
    """What a point where sections branch reads is its compartment's, whichever way it is found."""

    def script(drive: np.ndarray) -> Found:
        source = NeuronGroup(3, "du/dt = 1/ms : 1\nk : 1 (shared)", method="euler", name="source")
        source.u = np.arange(3) * drive
        source.k = 1.5
        cell = SpatialNeuron(
            morphology=chain(),
            model="""
            Im = gl*(El - 2*mV*u + 3*mV*k*s - v) : amp/meter**2
            u : 1 (linked)
            k : 1 (linked)
            s : 1 (shared)
            """,
            Cm=1 * uF / cm**2,
            Ri=100 * ohm * cm,
            method="exponential_euler",
            namespace=CONSTANTS,
            name="cell",
        )
        cell.v = -70 * mV
        cell.s = 0.5
        cell.u = linked_var(source, "u", index=2 - np.arange(len(cell)) % 3)
        cell.k = linked_var(source, "k")
        cell.run_regularly("s += 0.1", dt=0.5 * ms)
        seen = StateMonitor(cell, "v", record=True)
        Network(source, cell, seen).run(3 * ms)
        return {"v": np.asarray(seen.v)}

    check_alike(script, backend, 3, batch, TOLERANCE)


def test_shapes_may_differ_in_resistance_by_instance(backend: str) -> None:
    """A sweep of the axial resistance is one call; each instance is what a run alone gives."""

    def script(drive: np.ndarray) -> Found:
        cell = neuron_of(star())
        cell.Ri = np.squeeze(drive[..., 0]) * 100 * ohm * cm
        cell.I[0] = 0.2 * nA
        seen = StateMonitor(cell, "v", record=True)
        Network(cell, seen).run(5 * ms)
        return {"v": np.asarray(seen.v)}

    ours = on_device(
        script,
        drives(1, 3),
        "eprop_cuda",
        backend=backend,
        precision="float64",
        batch_size=3,
    )
    assert not np.allclose(ours["v"][0], ours["v"][1], rtol=1e-4)
    for instance, drive in enumerate(drives(1, 3)):
        theirs = on_device(script, drive, "runtime")
        np.testing.assert_allclose(ours["v"][instance], theirs["v"], rtol=TOLERANCE)


def test_a_soma_hardly_resists(backend: str) -> None:
    """Beside the exact solution: a Soma couples 1e8 times more strongly than its neighbours, where
    Brian2's superposition of three solutions loses digits."""
    set_device("eprop_cuda", backend=backend, precision="float64")
    defaultclock.dt = 0.1 * ms
    shape = Soma(diameter=30 * um)
    shape.axon = Cylinder(length=100 * um, diameter=1 * um, n=5)
    cell = SpatialNeuron(
        shape, PASSIVE, Cm=1 * uF / cm**2, Ri=100 * ohm * cm, method="exponential_euler"
    )
    cell.v, cell.I[0] = -70 * mV, 0.2 * nA
    seen = StateMonitor(cell, "v", record=True)
    Network(cell, seen).run(5 * ms)
    expected = chain_of(cell).run(
        np.full(len(cell), long(-0.07)), long(1.0), long(cell.I_) / long(cell.area_) - 0.07, 50
    )
    np.testing.assert_allclose(seen.v_, expected.astype(float), rtol=1e-13)


def test_single_precision_is_close() -> None:
    def script(drive: np.ndarray) -> Found:
        cell = neuron_of(star())
        cell.I[0] = 0.1 * nA
        seen = StateMonitor(cell, "v", record=True)
        Network(cell, seen).run(5 * ms)
        return {"v": np.asarray(seen.v)}

    single, double = (
        on_device(script, drives(1), "eprop_cuda", backend="cpu", precision=precision)["v"]
        for precision in ("float32", "float64")
    )
    assert 0 < np.abs(single - double).max() < 1e-4 * np.abs(double).max()


def test_a_training_refuses_a_spatial_neuron() -> None:
    set_device("eprop_cuda", backend="reference")
    cell = neuron_of(cable(), threshold="v > -30*mV", threshold_location=2)
    source = b2e.SpikeSource(2)
    synapses = Synapses(source, cell, "w : amp", on_pre="I_post += w")
    synapses.connect()
    with pytest.raises(b2e.LearningError, match="potentials of compartments"):
        b2e.Trainer(
            Network(cell, source, synapses),
            output=cell.v,
            loss=b2e.MeanSquaredError(),
            rule=b2e.EProp(),
            parameters=[synapses.w],
            optimiser=b2e.SGD(0.1),
        )


@pytest.mark.parametrize("batch", [None, 2])
def test_potentials_that_are_no_numbers_are_warned_of(batch: int | None) -> None:
    set_device("eprop_cuda", backend="reference", batch_size=batch)
    shape = Cylinder(diameter=1 * um, length=100 * um, n=5)
    model = "Im = gl*(0*mV - v) : amp/meter**2"
    name = f"cable_{batch}"  # Brian2 warns once of each
    neuron = SpatialNeuron(
        shape, model, Cm=1 * uF / cm**2, Ri=0 * ohm * cm, name=name, namespace=CONSTANTS
    )
    with catch_logs() as logs:
        Network(neuron).run(0.2 * ms)
    assert any(name in text and "'v'" in text for _, _, text in logs), logs
