"""Sweeps: whatever a batch is given one of for each instance, against as many runs of Brian2's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from alike import INSTANCES, Found, assert_alike, on_device
from brian2 import (
    BrianObjectException,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    arange,
    linked_var,
    ms,
    mV,
    run,
    set_device,
    start_scope,
)

import brian2eprop as b2e
from brian2eprop.errors import Unsupported

N = 4
EXACT = {"backend": "cpu", "precision": "float64"}
MODEL = """dv/dt = (I - v)/tau : 1 (unless refractory)
I : 1
tau : second (constant)"""


def cells(model: str = MODEL) -> NeuronGroup:
    found = NeuronGroup(
        N, model, threshold="v > 1", reset="v = 0", refractory=0.2 * ms, method="euler", name="c"
    )
    if model.startswith(MODEL[:40]):
        found.tau, found.I = 3 * ms, 1.5
    return found


def recorded(group: NeuronGroup, *others: object) -> Found:
    trace = StateMonitor(group, "v", record=[1, 3], name="trace")
    spikes = SpikeMonitor(group, name="spikes")
    rate = PopulationRateMonitor(group, name="rate")
    Network(group, trace, spikes, rate, *others).run(8 * ms)
    return {
        "v": np.array(trace.v), "last": np.array(group.v[:]), "count": np.array(spikes.count[:]),
        "rate": np.array(rate.rate_),
    }  # fmt: skip


# From one value of each instance with as many trailing axes of size one as are asked for.
Given = Callable[[int], np.ndarray]


def parameter(given: Given) -> Found:
    group = cells()
    group.tau = (2 + given(1)) * ms
    return recorded(group)


def shared_parameter(given: Given) -> Found:
    group = cells(MODEL.replace("(constant)", "(shared, constant)"))
    group.tau = (2 + given(0)) * ms
    return recorded(group)


def part_of_a_group(given: Given) -> Found:
    group = cells()
    group[1:3].I = 1.1 + given(1)
    group.I[3:] = 1.3 + given(1)
    group[2:].v = "0.1*i + 0.1*I"
    found = {"read": np.array(group[1:].I[:]), "chosen": np.array(group.I["i > 1"])}
    return found | recorded(group)


def subexpression(given: Given) -> Found:
    group = cells(MODEL + "\ntwice = 2*I + v : 1")
    group.I = 1.1 + given(1)
    found = {"twice": np.array(group.twice[:]), "part": np.array(group[1:3].twice[:])}
    return found | {"one": np.array(group.twice[2])} | recorded(group)


def linked(given: Given) -> Found:
    other = NeuronGroup(N, "J : 1", name="other")
    other.J = 1.1 + given(1) * arange(1, N + 1)
    group = cells("dv/dt = (I - v)/(3*ms) : 1 (unless refractory)\nI : 1 (linked)")
    group.I = linked_var(other, "J", index=[3, 2, 1, 0])
    return recorded(group, other)


def weights(given: Given) -> Found:
    group, out = cells(), NeuronGroup(N, "v : 1", name="out")
    path = Synapses(group, out, "w : 1\nx : 1 (shared)", on_pre="v_post += w + x", name="path")
    path.connect(condition="i != j")
    path.w = given(1) + 0.1
    path.w["i == 1"] = "w*2 + j"
    path.x = given(0)
    found = recorded(group, out, path)
    return found | {"out": np.array(out.v[:]), "w": np.array(path.w["j == 2"])}


def course(given: Given) -> Found:
    courses = TimedArray(np.random.default_rng(0).uniform(1, 2, (4, INSTANCES)), dt=2 * ms)
    group = NeuronGroup(
        N, "dv/dt = (courses(t, k) - v)/(3*ms) : 1\nk : integer (shared, constant)",
        threshold="v > 1", reset="v = 0", method="euler", name="c",
        namespace={"courses": courses},
    )  # fmt: skip
    group.k = np.rint(given(0) * 10).astype(int)
    return recorded(group)


def states(given: Given) -> Found:
    group = cells()
    group.I = 1.1 + given(1)
    kept = group.get_states(read_only_variables=False)
    group.I = 0
    group.set_states(kept)
    return recorded(group)


def restored(given: Given) -> Found:
    group = cells()
    group.I = 1.1 + given(1)
    network = Network(group)
    network.store()
    network.run(3 * ms)
    group.I = 0
    network.restore()
    network.run(2 * ms)
    return {"v": np.array(group.v[:]), "I": np.array(group.I[:])}


def refractory(given: Given) -> Found:
    group = NeuronGroup(
        N, "dv/dt = (2 - v)/ms : 1 (unless refractory)\npause : second", threshold="v > 1",
        reset="v = 0", refractory="pause", method="euler", name="c",
    )  # fmt: skip
    group.pause = given(1) * 10 * ms
    return recorded(group) | {"since": np.array(group.lastspike_[:])}


SWEEPS = [
    parameter, shared_parameter, part_of_a_group, subexpression, linked, weights, course, states,
    restored, refractory,
]  # fmt: skip
VALUES = np.array([0.0, 0.1, 0.2])


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.__name__)
def test_a_sweep_is_as_many_runs(sweep: Callable[[Given], Found]) -> None:
    def of_all(axes: int) -> np.ndarray:
        return VALUES.reshape(-1, *[1] * axes)

    ours = on_device(lambda _: sweep(of_all), VALUES, "eprop_cuda", batch_size=len(VALUES), **EXACT)
    for k, value in enumerate(VALUES):
        theirs = on_device(lambda _, v=value: sweep(lambda axes: np.array(v)), VALUES, "runtime")
        assert_alike({name: found[k] for name, found in ours.items()}, theirs, 1e-11)
    assert any((found[0] != found[-1]).any() for found in ours.values()), "nothing is swept"


# To ask, and to decide


def use(batch_size: int | None = INSTANCES) -> None:
    set_device("eprop_cuda", batch_size=batch_size, **EXACT)
    start_scope()


def test_what_is_common_can_be_asked_and_decided() -> None:
    use()
    group = cells()
    path = Synapses(group, group, "w : 1", on_pre="v_post += w", name="path")
    path.connect()
    views = {"v": group.v, "I": group.I, "w": path.w, "i": path.i, "part": group[1:].tau}
    asked = {name: b2e.is_per_instance(view) for name, view in views.items()}
    assert asked == {"v": True, "I": False, "w": False, "i": False, "part": False}
    path.w = "rand()"
    common = path.w[:]
    b2e.set_per_instance(path.w)
    assert b2e.is_per_instance(path.w)
    np.testing.assert_array_equal(path.w[:], np.broadcast_to(common, (INSTANCES, N * N)))
    path.w = "rand()"
    assert len(np.unique(path.w[:])) == INSTANCES * N * N
    network = Network(group, path)
    network.run(1 * ms)
    with pytest.raises(Unsupported) as caught:
        b2e.set_per_instance(path.w, False)
    assert str(caught.value) == (
        "'path.w' has other values in each of 3 instances, which cannot be common to all; set all "
        "of it anew."
    )
    path.w = 0.5
    b2e.set_per_instance(path.w, False)
    assert path.w[:].tolist() == [0.5] * N * N and not b2e.is_per_instance(path.w)
    network.run(1 * ms)
    assert path.w[:].shape == (N * N,)


def test_what_cannot_be_decided() -> None:
    use()
    group = cells()
    path = Synapses(group, group, "w : 1\ny = w : 1", on_pre="v_post += w", name="path")
    path.connect()
    path.pre.delay = 1 * ms
    for view, given, text in (
        (group.v, False, r"'c\.v' is changed by a run"),
        (path.pre.delay, True, r"delay' is a part of the network.* in a loop\.$"),
        (path.i, True, r"'path\.i' is a part of the network.* other instances\.$"),
    ):
        with pytest.raises(Unsupported, match=text):
            b2e.set_per_instance(view, given)
    for wrong in (path.y, group, "v"):
        with pytest.raises(TypeError, match="is no variable of a group that holds values"):
            b2e.is_per_instance(wrong)
    use(None)
    group = cells()
    assert not b2e.is_per_instance(group.v)
    with pytest.raises(Unsupported, match=r"batch_size=\.\.\.\) first\.$"):
        b2e.set_per_instance(group.I)
    set_device("runtime")
    assert not b2e.is_per_instance(NeuronGroup(1, "v : 1").v)


@pytest.mark.parametrize(("scale", "unit"), [(mV, "volt"), (1, "1")])
def test_an_array_of_constants_is_told_to_be_a_parameter(scale: object, unit: str) -> None:
    use()
    drive = np.arange(1, 4) * scale
    group = NeuronGroup(N, f"dv/dt = (drive - v)/ms : {unit}", method="euler", name="c")
    with pytest.raises(Unsupported) as caught:
        run(1 * ms, namespace={"drive": drive, "ms": ms})
    assert str(caught.value) == (
        "'drive' is a name of the equations and an array of shape (3,); for a value in each "
        f"instance make it a parameter, 'drive : {unit} (shared, constant)' in the equations, and "
        "set group.drive = drive."
    )
    use(None)
    group = NeuronGroup(N, f"dv/dt = (drive - v)/ms : {unit}", method="euler", name="c")
    with pytest.raises(BrianObjectException):
        run(1 * ms, namespace={"drive": drive, "ms": ms})
    assert not group.v[:].any()
