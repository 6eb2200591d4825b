"""Many instances at once: each is the run that it would be alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import (
    DEFAULT_FUNCTIONS,
    DimensionMismatchError,
    Function,
    Network,
    NeuronGroup,
    StateMonitor,
    Synapses,
    get_device,
    ms,
    mV,
    seed,
    set_device,
    start_scope,
    volt,
)  # fmt: skip
from brian2.codegen.runtime.numpy_rt.numpy_rt import NumpyCodeObject
from models import Result, Spec, assert_same, build, input_spikes, run_objects, run_on, source

from brian2eprop.device.memory import limits, loop
from brian2eprop.errors import Unsupported

B = 3
SPECS = [
    Spec("adaptive", connections="no diagonal", delay=2, runs=(20, 15)),
    Spec("refractory", connections="repeated", two_pathways=True, runs=(30,)),
]


def use(backend: str = "reference", precision: str = "float64", **options: object) -> None:
    set_device("eprop_cuda", batch_size=B, backend=backend, precision=precision, **options)


def instance(result: Result, k: int) -> Result:
    """One instance of a batched result."""
    monitor = result.objects["raster"]
    own = monitor.instance[:] == k
    return Result(
        (result.spikes[0][own], result.spikes[1][own]),
        result.count[k],
        {name: values[k] for name, values in result.traces.items()},
        {name: values[k] for name, values in result.final.items()},
        result.weights,
    )


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_instance_equals_single_run(backend: str, spec: Spec) -> None:
    inputs = np.stack([input_spikes(seed, spec.steps) for seed in range(B)])
    options = {"backend": backend, "precision": "float64"}
    batch = run_on("eprop_cuda", spec, inputs, batch_size=B, **options)
    assert batch.traces["v"].shape == (B, 3, spec.steps)
    assert batch.final["v"].shape == batch.count.shape == (B, spec.n)
    for k in range(B):
        assert_same(instance(batch, k), run_on("runtime", spec, inputs[k]))


def test_parameters_differ_between_instances(backend: str) -> None:
    spec = Spec("lif", runs=(25,))
    factors = np.array([1.0, 1.5, 0.4])
    inputs = np.stack([input_spikes(1, spec.steps)] * B)
    use(backend)
    objects = build(spec, source("eprop_cuda", inputs))
    tau, weights = np.array(objects["cells"].tau), np.array(objects["feed"].w)
    objects["cells"].tau = np.outer(factors, tau) * 1000 * ms
    objects["feed"].w = np.outer(factors[::-1], weights)
    batch = run_objects(objects, spec)
    for k in range(B):
        set_device("runtime")
        alone = build(spec, source("runtime", inputs[k]))
        alone["cells"].tau = factors[k] * tau * 1000 * ms
        alone["feed"].w = factors[::-1][k] * weights
        assert_same(instance(batch, k), run_objects(alone, spec))


def cells() -> NeuronGroup:
    model = "dv/dt = (x - v)/(10*ms) : volt\nx : volt\ny = 2*v : volt\nz : 1 (shared)"
    return NeuronGroup(4, model, method="exact", name="cells")


def test_shapes_before_a_run() -> None:
    use()
    group = cells()
    assert group.v[:].shape == (B, 4)  # a state
    assert group.x[:].shape == (4,)  # a parameter
    assert group.y[:].shape == (B, 4)
    assert group.y[1].shape == (B,)
    assert group.y[1:3].shape == (B, 2)


def test_values_with_an_instance_axis() -> None:
    use()
    group = cells()
    given = np.arange(12.0).reshape(B, 4)
    group.x = given * mV
    np.testing.assert_array_equal(group.x / mV, given)
    np.testing.assert_array_equal(group.x[2] / mV, given[:, 2])
    np.testing.assert_array_equal(group.x[1:3] / mV, given[:, 1:3])
    group.x[1:3] = np.array([[7], [8], [9]]) * mV
    np.testing.assert_array_equal(group.x[:, None][:, 1, 0] / mV, [7, 8, 9])
    group.x[0] = 5 * mV
    np.testing.assert_array_equal(group.x[0] / mV, [5, 5, 5])
    group.x = [1, 2, 3, 4] * mV
    np.testing.assert_array_equal(group.x / mV, [[1, 2, 3, 4]] * B)
    group.z = [1, 2, 3]
    np.testing.assert_array_equal(group.z[:], [1, 2, 3])


def test_expressions_run_in_each_instance() -> None:
    use(seed=5)
    group = cells()
    group.x = np.arange(12.0).reshape(B, 4) * mV
    group.v = "2*x + i*mV"
    np.testing.assert_allclose(group.v / mV, 2 * (group.x / mV) + np.arange(4))
    group.v["i > 1"] = "0*mV"
    assert not (group.v[:, None][:, 2:] / mV).any()
    np.testing.assert_allclose(group.v[:2] / mV, 2 * (group.x[:2] / mV) + np.arange(2))
    np.testing.assert_allclose(group.y / mV, 2 * (group.v / mV))
    group.v = "rand()*volt"
    assert len(np.unique(group.v / volt)) == B * 4
    fresh = NeuronGroup(4, "p : 1")
    fresh.p = "rand()"
    assert len(np.unique(fresh.p[:])) == B * 4


def test_random_weights_are_shared() -> None:
    use()
    group = cells()
    synapses = Synapses(group, group, "w : 1", on_pre="", name="s")
    synapses.connect()
    synapses.w = "rand()"
    assert synapses.w[:].shape == (16,)
    synapses.w = np.ones((B, 16))
    assert synapses.w[:].shape == (B, 16)


def test_seed_makes_values_repeat() -> None:
    found = []
    for chosen in (1, 1, 2):
        use(seed=chosen)
        group = cells()
        group.v = "rand()*volt"
        found.append(np.array(group.v))
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).all()


def test_values_written_in_a_run_get_an_axis(backend: str) -> None:
    use(backend)
    group = NeuronGroup(2, "a : 1\nb : 1", threshold="a > 0.5", reset="b += 1; a -= 1")
    group.a = [[0, 1], [2, 3], [0, 0]]
    Network(group).run(5 * ms)
    np.testing.assert_array_equal(group.b[:], [[0, 1], [2, 3], [0, 0]])


def test_setting_between_runs_reaches_every_instance(backend: str) -> None:
    use(backend)
    group = cells()
    network = Network(group)
    group.v = np.arange(12).reshape(B, 4) * mV
    network.run(1 * ms)
    decayed = np.exp(-0.1) * np.arange(12).reshape(B, 4)
    np.testing.assert_allclose(group.v / mV, decayed)
    group.v[1] = 50 * mV
    network.run(1 * ms)
    decayed[:, 1] = 50
    np.testing.assert_allclose(group.v / mV, decayed * np.exp(-0.1))


def test_new_synapses_leave_the_others_as_they_are_in_every_instance() -> None:
    use()
    group = cells()
    synapses = Synapses(group, group, "w : 1", name="s")
    synapses.connect(i=[0, 1], j=[1, 2])
    weights = np.arange(2 * B).reshape(B, 2) + 1.0
    synapses.w = weights
    synapses.connect(i=3, j=0)
    np.testing.assert_array_equal(synapses.w[:], np.pad(weights, ((0, 0), (0, 1))))


def test_store_and_restore_every_instance(backend: str) -> None:
    spec = Spec("lif", delay=6)
    inputs = np.stack([input_spikes(seed, spec.steps) for seed in range(B)])
    use(backend)
    objects = build(spec, source("eprop_cuda", inputs))
    network, raster, trace = objects["network"], objects["raster"], objects["trace"]
    found = []
    network.run(30 * ms)
    network.store()
    for _ in range(2):
        network.run(25 * ms)
        found.append([np.array(x) for x in (raster.i, raster.instance, raster.count, trace.v_)])
        network.restore()
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(first, second)
    assert trace.v.shape == (B, 3, 30)
    assert found[0][0].size > raster.i[:].size > 0


def test_shared_group_size_is_no_instance_axis() -> None:
    """Values of shape (N,) are the same in all instances, also where N is the batch size."""
    use()
    group = NeuronGroup(B, "x : 1\ndv/dt = -v/(5*ms) : 1", name="g")
    group.x = [1, 2, 3]
    group.v = [1, 2, 3]
    assert group.x[:].tolist() == [1, 2, 3]
    assert group.v[:].tolist() == [[1, 2, 3]] * B


def test_refuses_another_leading_axis() -> None:
    use()
    group = cells()
    message = r"'cells\.x' was given values of the shape \(2, 4\) but batch_size is 3; .* \(3, 4\)"
    with pytest.raises(ValueError, match=message):
        group.x = np.ones((2, 4)) * mV
    assert group.x[:].shape == (4,)


def test_refuses_ragged_conditions() -> None:
    use()
    group = cells()
    group.v = np.tri(B, 4) * volt
    with pytest.raises(ValueError, match=r"different numbers .* of 'cells' .*; read the whole"):
        group.v["v > 0.5*volt"]


def test_conditions_select_other_elements_in_each_instance() -> None:
    use()
    group = cells()
    assert group.x["x > 1*mV"].shape == (0,)  # common to all instances so far
    given = np.array([[3, 0, 2, 0], [0, 4, 0, 5], [6, 7, 0, 0]])
    group.x = given * mV
    selected = group.x["x > 1*mV"]
    np.testing.assert_allclose(selected / mV, [[3, 2], [4, 5], [6, 7]])
    for condition, value in (("x > 4*mV", 1 * mV), ("x > 1*mV", "(1 + i)*mV")):
        group.x[condition] = value
    np.testing.assert_allclose(group.x / mV, [[1, 0, 3, 0], [0, 2, 0, 1], [1, 1, 0, 0]])


def test_monitor_of_a_batch_has_brians_views() -> None:
    use()
    group = cells()
    group.v = np.arange(12).reshape(B, 4) * mV
    monitor = StateMonitor(group, "v", record=[3, 1])
    Network(group, monitor).run(5 * ms)
    assert monitor.v.shape == (B, 2, 5)
    np.testing.assert_allclose(monitor.v[:, :, 0] / mV, [[3, 1], [7, 5], [11, 9]])
    np.testing.assert_allclose(monitor[1].v[:, 0] / mV, [1, 5, 9])
    np.testing.assert_allclose(monitor[[1, 3]].v_[:, :, 0] * 1e3, [[1, 3], [5, 7], [9, 11]])
    np.testing.assert_allclose(monitor.t / ms, np.arange(5))


def test_operators_and_other_groups_values() -> None:
    use()
    one, other = cells(), NeuronGroup(4, "x : volt", name="other")
    given = np.arange(12.0).reshape(B, 4)
    one.x = given * mV
    one.x *= 2
    other.x = one.x
    other.x += 1 * mV
    one.x[1:3] -= other.x[1:3]
    np.testing.assert_allclose(other.x / mV, 2 * given + 1)
    np.testing.assert_allclose(one.x / mV, np.where([0, 1, 1, 0], -1, 2 * given))
    with pytest.raises(DimensionMismatchError):
        one.x = other.x / mV


def test_one_element_in_each_instance() -> None:
    use()
    group = cells()
    group.x[0] = [7, 8, 9] * mV
    group.x[3] = 5 * mV
    group.x[1] = np.reshape([1, 2, 3], (B, 1)) * mV
    np.testing.assert_allclose(group.x / mV, [[7, 1, 0, 5], [8, 2, 0, 5], [9, 3, 0, 5]])


@pytest.mark.parametrize(
    ("item", "shape", "wanted", "rest"),
    [
        (slice(None), (B,), (B, 4), "(3, 1) for one that all of its elements share, (4,)"),
        (slice(None), (B, 3), (B, 4), "(3, 1) for one that all of its elements share, (4,)"),
        (slice(0, 2), (4,), (B, 2), "(3, 1) for one that all of its elements share, (2,)"),
        (slice(None), (1, B, 4), (B, 4), "(3, 1) for one that all of its elements share, (4,)"),
        (1, (2,), (B,), "a number"),
        (1, (B, 2), (B,), "a number"),
    ],
)
@pytest.mark.parametrize("name", ["v", "x"])
def test_shapes_that_fit_nothing(
    name: str, item: object, shape: tuple[int, ...], wanted: tuple[int, ...], rest: str
) -> None:
    use()
    group = cells()
    before = getattr(group, name)[:].copy()
    with pytest.raises(ValueError) as caught:
        getattr(group, name)[item] = np.ones(shape) * volt
    assert str(caught.value) == (
        f"'cells.{name}' was given values of the shape {shape} but batch_size is 3; give the shape "
        f"{wanted} for values in each instance, {rest} for the same in all instances."
    )
    np.testing.assert_array_equal(getattr(group, name)[:], before)


def loops(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets the number of instances that code ran for, one entry a call."""
    called: list[int] = []
    original = NumpyCodeObject.__call__

    def counting(self: NumpyCodeObject, **options: object) -> object:
        called.append(int(self.namespace["N"]) // 4)
        return original(self, **options)

    monkeypatch.setattr(NumpyCodeObject, "__call__", counting)
    return called


@pytest.mark.parametrize(
    ("expression", "at_once"),
    [
        ("rand()*volt", [1, 2]),
        ("(x + i*mV)*int(x > 3*mV)", [1, 2]),
        ("-y", [1, 2]),
        ("x*i/N", [1, 1, 1]),
    ],
)
def test_instances_are_set_at_once(
    expression: str, at_once: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    use()
    group = cells()
    group.x = given = np.arange(12.0).reshape(B, 4) * mV
    group.v = given[::-1]
    monkeypatch.setattr(loop, "AT_ONCE", 8)
    called = loops(monkeypatch)
    np.random.seed(1)
    group.v = expression
    assert called == at_once
    names = {"x": given, "y": 2 * given[::-1], "i": np.arange(4), "N": 4, "mV": mV, "volt": volt}
    np.random.seed(1)
    names |= {"int": lambda x: x.astype(int), "rand": lambda: np.random.rand(B, 4)}
    drawn = "rand" in expression  # by the first instance from these very numbers
    expected = np.asarray(eval(expression, names))[: 1 if drawn else B] * 1000
    np.testing.assert_allclose((group.v[:] / mV)[: 1 if drawn else B], expected)


def test_what_stands_in_the_place_of_a_function_of_brian2_sees_an_instance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    centred = Function(lambda x: x - np.mean(x), arg_units=[1], return_unit=1)
    monkeypatch.setitem(DEFAULT_FUNCTIONS, "tanh", centred)
    use()
    group = cells()
    group.x = given = np.arange(12.0).reshape(B, 4) * mV
    group.x = "tanh(x/mV)*mV"
    np.testing.assert_allclose(group.x, given - given.mean(axis=1, keepdims=True))


def test_chosen_elements_are_set_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    use()
    group = cells()
    group.x = given = np.arange(12.0).reshape(B, 4) * mV
    called = loops(monkeypatch)
    group.x["x > 3*mV and i > 0"] = "-x"
    assert called == [1, B - 1]
    chosen = (given > 3 * mV) & (np.arange(4) > 0)
    np.testing.assert_allclose(group.x / mV, np.where(chosen, -given, given) * 1000)


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "free_bytes", lambda: 1000)
    set_device("eprop_cuda", batch_size=50, backend="reference")
    with pytest.raises(MemoryError) as caught:
        cells().v = "rand()*volt"
    assert str(caught.value) == (
        "'cells.v' in 50 instances takes 1.56 KiB of memory but 1e+03 bytes are free; give a "
        "smaller batch_size."
    )


@pytest.mark.parametrize(
    "set_delays",
    [
        lambda synapses: setattr(synapses, "delay", np.arange(6).reshape(B, 2) * ms),
        lambda synapses: setattr(synapses.pre, "delay", np.arange(B)[:, None] * ms),
        lambda synapses: setattr(synapses.post, "delay", np.arange(B) * ms),
        lambda synapses: setattr(synapses, "delay", "p_pre*ms"),
        lambda synapses: synapses.delay.__setitem__(1, np.arange(B) * ms),
    ],
)
def test_delays_of_instances_are_refused_where_they_are_set(set_delays: Any) -> None:
    use()
    group = NeuronGroup(1, "v : 1\np : 1", threshold="v > 1")
    target = NeuronGroup(2, "x : 1", threshold="x > 1")
    synapses = Synapses(
        group,
        target,
        on_pre="x_post += 1",
        on_post="v_pre += 1",
        delay={"post": 2 * ms},
        name="wires",
    )
    synapses.connect()
    group.p = np.arange(B)[:, None]
    synapses.delay = 1 * ms
    said = r"'wires\.delay' is a part of the network.* in a loop\.$"
    with pytest.raises(Unsupported, match=said):
        set_delays(synapses)
    assert synapses.delay.shape == (2,)
    assert (np.asarray(synapses.delay) == 1e-3).all()
    assert float(synapses.post.delay[:].item()) == 2e-3


VIEWED = """dv/dt = -v/ms : volt
            twice = 2*v : volt
            p : 1
            gain : volt (shared)
            level = 2*gain : volt (shared)"""


@pytest.mark.parametrize("part", [slice(None), slice(1, 3)])
def test_views_are_of_the_shape_of_what_they_give(part: slice) -> None:
    use()
    group = NeuronGroup(4, VIEWED)
    group.gain = [1, 2, 3] * volt
    synapses = Synapses(group, group, "w : 1")
    synapses.connect(condition="i != j")
    chosen = group[part]
    shapes = {}
    for given in (False, True):
        if given:
            chosen.p = np.ones((B, 1))
            synapses.w = np.ones((B, 1))
        views = {name: getattr(chosen, name) for name in ("v", "twice", "p", "gain", "level")}
        views["w"] = synapses.w
        for view in views.values():
            assert view.shape == np.shape(view[:])
            assert view.ndim == len(view.shape)
            assert len(view) == view.shape[0]
        shapes[given] = {name: view.shape for name, view in views.items()}
    n = len(range(4)[part])
    own = {"v": (B, n), "twice": (B, n), "gain": (B,), "level": (B,)}
    assert shapes[False] == own | {"p": (n,), "w": (12,)}
    assert shapes[True] == own | {"p": (B, n), "w": (B, 12)}


def test_a_shared_variable_prints_the_values_of_all_instances() -> None:
    use()
    group = NeuronGroup(4, VIEWED, name="cells")
    assert repr(group.gain) == "<cells.gain: 0. * volt>"
    for shape in ((B,), (B, 1)):
        group.gain = np.reshape([1, 2, 3], shape) * volt
        assert repr(group.gain) == "<cells.gain: array([1., 2., 3.]) * volt>"
        assert repr(group.gain_) == "<cells.gain_: array([1., 2., 3.])>"
        assert repr(group.level) == "<cells.level: array([2., 4., 6.]) * volt>"
        group.gain = 0 * volt
    set_device("runtime")
    start_scope()
    assert repr(NeuronGroup(4, VIEWED, name="cells").gain) == "<cells.gain: 0. * volt>"


def test_the_device_tells_its_batch_size() -> None:
    for size in (B, None):
        set_device("eprop_cuda", batch_size=size)
        device = get_device()
        assert device.batch_size == size
        with pytest.raises(AttributeError, match=r"call set_device\('eprop_cuda', batch_size=7\)"):
            device.batch_size = 7
        assert device.batch_size == size


def test_a_neuron_is_no_instance() -> None:
    use()
    group = NeuronGroup(4, "v : 1", name="cells")
    with pytest.raises(IndexError, match=r"'cells.v' is indexed by neuron, as on .*v\[:\]\[b\]"):
        group.v[0, :] = 5


@pytest.mark.parametrize("expression", ["rand()", "rand() + 2*randn()", "rand()*N"])
def test_the_first_instance_and_connections_do_not_depend_on_how_many_there_are(
    expression: str,
) -> None:
    found = []
    for batch_size in (None, 1, 3):
        start_scope()
        set_device("eprop_cuda", backend="reference", batch_size=batch_size)
        seed(4)
        group = NeuronGroup(20, "v : 1\nu : 1")
        group.v = expression
        group.u["i > 5"] = expression
        links = Synapses(group, group)
        links.connect(p=0.3)
        v, u = (np.array(view[:]).reshape(-1, 20) for view in (group.v, group.u))
        assert len(np.unique(v)) == v.size
        found.append((v[0].tolist(), u[0].tolist(), links.i[:].tolist(), links.j[:].tolist()))
    assert found[0] == found[1] == found[2]
