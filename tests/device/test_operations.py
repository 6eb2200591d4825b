"""Code that runs beside a group's own, and what all elements share, as on Brian2's runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonInput,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    set_device,
    start_scope,
)

from brian2eprop import Adam, CrossEntropy, EProp, Spikes, SpikeSource, Trainer
from brian2eprop.errors import LearningError, Unsupported
from tests.device.alike import Found, check_alike

FOUND = dict[str, np.ndarray]
EXACT = {"precision": "float64"}

MODEL = """
    dv/dt = (1.2 + 0.1*i + s - v)/(5*ms) : 1
    s : 1 (shared)
    n : integer (shared)
    on : boolean (shared)
    held = v*2 + s : 1 (constant over dt)
    k : 1
    y = v**2 + held + t/ms : 1"""


def simulate(device: str, **options: Any) -> FOUND:
    """Operations on neurons and synapses, at intervals and at listed times."""
    set_device(device, **options)
    defaultclock.dt = 0.1 * ms
    cells = NeuronGroup(5, MODEL, threshold="v > 1", reset="v = 0", method="exact", name="cells")
    cells.run_regularly("s += 0.05; n += 1; on = not on; k += v*s + held", dt=0.35 * ms, name="a")
    cells.run_regularly(
        "old = 2.5*n + s; n = n + 1; s = 0.5*s + t/second + dt/ms; v += 0.01*old/(1 + n)",
        dt=0.7 * ms, when="after_resets", name="b",
    )  # fmt: skip
    cells.run_at("v += 0.2; k = t/ms", times=[0.33, 1.2, 5, 21.55] * ms, name="c")
    links = Synapses(
        cells, cells, "w : 1\ntotal : 1 (shared)", on_pre="v += 0.05*w + 0.001*total", name="links"
    )
    links.connect("i != j")
    links.w = "0.1*i"
    links.run_regularly("total += 1; w = 0.9*w + 0.01*total + 0.001*v_post", dt=1 * ms, when="end")
    trace = StateMonitor(cells, ["v", "s", "y", "k"], record=True, dt=0.5 * ms, name="trace")
    spikes = SpikeMonitor(cells, name="spikes")
    network = Network(cells, links, trace, spikes)
    for duration in (10.05, 3.3, 7.15):
        network.run(duration * ms)
    found = {name: np.asarray(getattr(trace, name)) for name in ("v", "s", "y", "k")}
    found |= {name: np.array(getattr(cells, name)) for name in ("n", "on")}
    found |= {"w": np.array(links.w), "total": np.array(links.total)}
    return found | {"i": np.array(spikes.i), "times": np.array(spikes.t_)}


def test_operations_of_groups_and_synapses(backend: str) -> None:
    theirs, ours = simulate("runtime"), simulate("eprop_cuda", backend=backend, **EXACT)
    assert len(theirs["i"]) > 20
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], 1e-10, 1e-10, err_msg=name)


def test_operations_in_a_batch(backend: str) -> None:
    theirs = simulate("runtime")
    ours = simulate("eprop_cuda", backend=backend, batch_size=2, **EXACT)
    for name in ("v", "s", "k", "n", "on", "w", "total"):
        for instance in ours[name]:
            np.testing.assert_allclose(instance, theirs[name], 1e-10, 1e-10, err_msg=name)


def test_what_is_shared_is_set_before_anything_of_an_element(backend: str) -> None:
    """A local of the shared part keeps its value although the variable changes."""
    found = []
    for device, options in (("runtime", {}), ("eprop_cuda", {"backend": backend, **EXACT})):
        set_device(device, **options)
        group = NeuronGroup(3, "s : 1 (shared)\nx : 1\nz : 1", name="g")
        group.run_regularly("before = s; s += 1; after = s; x += before; z += after*i")
        Network(group).run(4 * ms)
        found.append([group.s[:], group.x[:], group.z[:]])
    for ours, theirs in zip(found[1], found[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(found[0][1], [6, 6, 6])


def test_synapses_that_set_their_neurons_are_refused() -> None:
    set_device("eprop_cuda", backend="reference")
    group = NeuronGroup(3, "v : 1", name="g")
    links = Synapses(group, group, name="links")
    links.connect()
    links.run_regularly("v_post += 1", name="regular")
    with pytest.raises(Unsupported, match=r"'regular' sets 'v_post', a variable of neurons.*; set"):
        Network(group, links).run(1 * ms)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("s += 0.1", r"out_stateupdater reads 's', which all elements share .*; the learning"),
        (None, r"regular goes through all synapses, and the learning rules do not follow .*Move"),
    ],
)
def test_trainings_that_would_leave_operations_out_are_refused(
    code: str | None, message: str
) -> None:
    set_device("eprop_cuda", backend="reference")
    inputs = SpikeSource(2, Spikes.from_dense(np.zeros((1, 3, 2), bool)), name="inputs")
    out = NeuronGroup(2, "dy/dt = (s - y)/(5*ms) : 1\ns : 1 (shared)", method="exact", name="out")
    path = Synapses(inputs, out, "w : 1\nu : 1", on_pre="y_post += w + u", name="path")
    path.connect()
    if code is None:
        path.run_regularly("u *= 0.9", name="regular")
    else:
        out.run_regularly(code)
    with pytest.raises(LearningError, match=message):
        Trainer(
            Network(inputs, out, path), output=out.y, loss=CrossEntropy(), rule=EProp(),
            parameters=[path.w], optimiser=Adam(1e-3),
        )  # fmt: skip


@pytest.mark.parametrize("batch", [False, True])
def test_code_runs_on_a_part_of_a_group(batch: bool, backend: str) -> None:
    """Its own numbers, the whole group's variables, and nobody else's values."""

    def script(drive: np.ndarray) -> Found:
        group = NeuronGroup(6, "x : 1\ny : 1\nz : 1 (shared)", name="group")
        group.x = drive
        part = group[2:5]
        part.run_regularly("x += 1 + 10*i; y = 2*x + z", dt=0.2 * ms)
        Network(group).run(1 * ms)
        return {"x": np.asarray(group.x), "y": np.asarray(group.y)}

    found = check_alike(script, backend, 6, batch)
    np.testing.assert_array_equal(found["y"] == 0, [True, True, False, False, False, True])


def test_poisson_input_reaches_a_part_of_a_group(backend: str) -> None:
    set_device("eprop_cuda", backend=backend, precision="float64")
    group = NeuronGroup(5, "x : 1", name="group")
    source = PoissonInput(group[1:3], "x", N=50, rate=200 * Hz, weight=0.5)
    Network(group, source).run(50 * ms)
    # 500 spikes are expected; a deviation of 40 % has odds below 1e-15.
    assert np.all(np.abs(np.asarray(group.x)[1:3] / 250 - 1) < 0.4)
    np.testing.assert_array_equal(np.asarray(group.x)[[0, 3, 4]], 0)


@pytest.mark.parametrize("backend", ["cpu", "emulated", "reference"])
@pytest.mark.parametrize("part", [slice(0, 2), slice(1, 4), slice(None), slice(0, 4)], ids=str)
def test_code_on_a_part_whose_neurons_stand_still(part: slice, backend: str) -> None:
    found = []
    for device in ("runtime", "eprop_cuda"):
        start_scope()
        options = {} if device == "runtime" else {"backend": backend, "precision": "float64"}
        set_device(device, **options)
        defaultclock.dt = 0.1 * ms
        group = NeuronGroup(
            4,
            "dv/dt = (1 + i)/ms : 1 (unless refractory)\nu : 1\nx : 1",
            threshold="v > 1",
            reset="v = 0",
            refractory=1 * ms,
            method="euler",
        )
        own = group[part]
        own.run_regularly("v += 0.03; u = v; x += i", dt=0.2 * ms)
        Network(group, own, *own.contained_objects).run(4 * ms)
        found.append([np.array(view[:]) for view in (group.v, group.u, group.x)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_code_on_a_part_that_decides_what_stands_still_is_refused() -> None:
    set_device("eprop_cuda", backend="reference")
    group = NeuronGroup(
        4,
        "dv/dt = 1/ms : 1 (unless refractory)",
        threshold="v > 1",
        reset="v = 0",
        refractory=1 * ms,
        method="euler",
        name="group",
    )
    group[:2].run_regularly("not_refractory = True; v += 0.1", dt=1 * ms)
    with pytest.raises(Unsupported, match="sets 'not_refractory', and what stands still by it"):
        Network(group, *group.contained_objects).run(1 * ms)
