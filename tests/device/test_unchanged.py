"""A network is captured once, and again as soon as anything has changed that a run depends on."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    mV,
    prefs,
    set_device,
    start_scope,
    volt,
)

from brian2eprop import Spikes, SpikeSource
from brian2eprop.device import training as hooks
from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.capture import connections as found_in
from brian2eprop.device.capture.unchanged import (
    Memo,
    Stamps,
    Watched,
    digest,
    frozen,
    origin_of,
    same,
)

B = 2


def use(**options: Any) -> None:
    set_device("eprop_cuda", **{"backend": "reference", "precision": "float64"} | options)


def build() -> dict[str, Any]:
    """A network with something of every kind that a capture depends on."""
    start_scope()
    defaultclock.dt = 1 * ms
    cells = NeuronGroup(
        4,
        "dv/dt = (drive*gain*k - v)/tau : 1\ndrive = 1 + step*i : 1\nk : 1 (constant)",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        namespace={"step": 0.2},
        name="cells",
    )
    cells.k = 1
    wires = Synapses(cells, cells, "w : 1", on_pre="v_post += w*boost", name="wires")
    wires.connect(i=[0, 1, 2, 3], j=[1, 2, 3, 0])
    wires.w = [0.1, 0.2, 0.3, 0.4]
    spikes = SpikeMonitor(cells, name="spikes")
    trace = StateMonitor(cells, "v", record=[0, 3], name="trace")
    names = {"tau": np.array(8.0) * ms, "gain": 2.0, "boost": 1.0, "unused": 1}
    network = Network(cells, wires, spikes, trace)
    return locals()


def results(objects: dict[str, Any]) -> dict[str, np.ndarray]:
    found = {"v": np.array(objects["cells"].v), "trace": np.array(objects["trace"].v)}
    for name in ("spikes", "later"):
        if name in objects:
            found[name] = np.array(objects[name].i), np.array(objects[name].t_)
    return {name: np.ravel(np.concatenate(np.atleast_2d(x), -1)) for name, x in found.items()}


def simulate(change: Callable[[dict[str, Any]], None] | None) -> dict[str, np.ndarray]:
    objects = build()
    objects["network"].run(12 * ms, namespace=objects["names"])
    if change is not None:
        change(objects)
    objects["network"].run(12 * ms, namespace=objects["names"])
    return results(objects)


def constant(o: dict[str, Any]) -> None:
    o["names"]["gain"] = 3.0


def constant_in_place(o: dict[str, Any]) -> None:
    o["names"]["tau"].view(np.ndarray)[...] /= 2


def constant_of_synapses(o: dict[str, Any]) -> None:
    o["names"]["boost"] = -1.0


def group_namespace_in_a_subexpression(o: dict[str, Any]) -> None:
    o["cells"].namespace["step"] = 0.5


def new_group_namespace(o: dict[str, Any]) -> None:
    o["cells"].namespace = {"step": 0.5}


def time_step(o: dict[str, Any]) -> None:
    defaultclock.dt = 0.5 * ms


def inactive(o: dict[str, Any]) -> None:
    o["wires"].active = o["wires"].pre.active = False


def inactive_reset(o: dict[str, Any]) -> None:
    o["cells"].resetter["spike"].active = False


def when(o: dict[str, Any]) -> None:
    o["trace"].when = "end"


def order(o: dict[str, Any]) -> None:
    o["wires"].pre.when = "resets"
    o["wires"].pre.order = 1


def schedule(o: dict[str, Any]) -> None:
    o["network"].schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]


def added(o: dict[str, Any]) -> None:
    o["later"] = SpikeMonitor(o["cells"], name="later")
    o["network"].add(o["later"])


def added_synapses(o: dict[str, Any]) -> None:
    o["more"] = Synapses(o["cells"], o["cells"], on_pre="v_post += 0.3", name="more")
    o["more"].connect()
    o["network"].add(o["more"])


def removed(o: dict[str, Any]) -> None:
    o["network"].remove(o["wires"])


def delay(o: dict[str, Any]) -> None:
    o["wires"].delay = 3 * ms


def connections(o: dict[str, Any]) -> None:
    o["wires"].connect(i=3, j=[2, 3])
    o["wires"].w[4:] = 0.7


def order_of_synapses(o: dict[str, Any]) -> None:
    for side in ("_synaptic_pre", "_synaptic_post"):
        values = o["wires"].variables[side].get_value()
        values[:] = values[::-1].copy()


def record(o: dict[str, Any]) -> None:
    o["trace"].variables["_indices"].set_value(np.array([2, 1]))


def parameter(o: dict[str, Any]) -> None:
    o["cells"].k = [1, 2, 3, 4]


def state(o: dict[str, Any]) -> None:
    o["cells"].v = "0.2*i"


def weights(o: dict[str, Any]) -> None:
    o["wires"].w = "0.1*i + 0.2*j"


NOTICED = [
    constant, constant_in_place, constant_of_synapses, group_namespace_in_a_subexpression,
    new_group_namespace, time_step, inactive, inactive_reset, when, order, schedule, added,
    added_synapses, removed, delay, connections, order_of_synapses, record,
]  # fmt: skip
VALUES_ONLY = [parameter, state, weights]


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Gets an entry for each capture."""
    made: list[str] = []
    original = hooks.capture

    def counting(network: Any, *args: Any) -> Any:
        made.append(network.name)
        return original(network, *args)

    monkeypatch.setattr(hooks, "capture", counting)
    return made


@pytest.mark.parametrize("change", [*NOTICED, *VALUES_ONLY], ids=lambda f: f.__name__)
def test_after_a_change_all_is_as_on_the_runtime(change: Any, captures: list[str]) -> None:
    set_device("runtime")
    as_before, theirs = simulate(None), simulate(change)
    assert any(not np.array_equal(theirs[name], as_before.get(name)) for name in theirs), (
        "the change changes nothing"
    )
    use()
    ours = simulate(change)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-12, err_msg=name)
    assert len(captures) == 1 + (change in NOTICED)


def nothing(o: dict[str, Any]) -> None:
    pass


def read(o: dict[str, Any]) -> None:
    assert o["cells"].v[:].shape == (4,)
    assert o["wires"].i[:].tolist() == [0, 1, 2, 3]
    assert o["wires"].w["i > 1"].shape == (2,)
    assert o["trace"].v.shape[0] == 2


def other_names(o: dict[str, Any]) -> None:
    o["names"]["unused"] = o["names"]["new"] = 5


def equal_constant(o: dict[str, Any]) -> None:
    o["names"]["tau"] = 8 * ms


def stored(o: dict[str, Any]) -> None:
    o["network"].store()
    o["network"].restore()


def test_a_restored_network_runs_by_the_kernel_that_there_is(monkeypatch: Any) -> None:
    use()
    made, compile = [], ReferenceBackend.compile
    monkeypatch.setattr(
        ReferenceBackend, "compile", lambda *given: made.append(given[1].name) or compile(*given)
    )
    simulate(stored)
    assert len(made) == 1


@pytest.mark.parametrize("change", [nothing, read, other_names, equal_constant, stored])
def test_nothing_changed(change: Any, captures: list[str]) -> None:
    use()
    simulate(change)
    assert len(captures) == 1


def test_a_name_of_the_caller_is_looked_up_at_every_run(captures: list[str]) -> None:
    use()
    group = NeuronGroup(1, "x : 1", threshold="True", reset="x += step", name="g")
    network = Network(group)
    for step in (1, 10, 10):  # noqa: B007 (the run looks for it)
        network.run(1 * ms)
    assert group.x[0] == 21
    assert len(captures) == 2


def test_spikes_of_a_source_are_read_at_every_run(captures: list[str]) -> None:
    use()
    defaultclock.dt = 1 * ms
    inputs = SpikeSource(2, name="inputs")
    monitor = SpikeMonitor(inputs, name="spikes")
    network = Network(inputs, monitor)
    for neuron in (0, 1):
        dense = np.zeros((1, 10, 2), bool)
        dense[0, [2, 7], neuron] = True
        inputs.spikes = Spikes.from_dense(dense)
        network.run(5 * ms)
    assert monitor.i[:].tolist() == [0, 1]
    assert len(captures) == 1


def test_values_in_each_instance(captures: list[str]) -> None:
    """A parameter that gets an instance axis between runs."""
    gains = np.array([[1.0, 2, 3, 4], [4, 3, 2, 1]])
    theirs = []
    for k in range(B):
        set_device("runtime")
        theirs.append(simulate(lambda o, k=k: setattr(o["cells"], "k", gains[k]))["v"])
    use(batch_size=B)
    ours = simulate(lambda o: setattr(o["cells"], "k", gains))["v"]
    np.testing.assert_allclose(ours.reshape(B, 4), theirs, rtol=1e-12)
    assert len(captures) == 2


def test_another_batch_size(captures: list[str]) -> None:
    use()
    objects = build()
    del objects["network"], objects["trace"], objects["spikes"]
    network = Network(objects["cells"], objects["wires"])
    network.run(3 * ms, namespace=objects["names"])
    alone = np.array(objects["cells"].v)
    use(batch_size=B)
    network.run(0 * ms, namespace=objects["names"])
    assert objects["cells"].v[:].tolist() == [alone.tolist()] * B
    assert len(captures) == 2


def test_connections_are_sorted_only_when_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    sorted_for: list[str] = []
    original = found_in.find_connectivity

    def counting(name: str, *args: Any) -> Any:
        sorted_for.append(name)
        return original(name, *args)

    monkeypatch.setattr(found_in, "find_connectivity", counting)
    use()
    objects = build()
    for change in (nothing, constant, added, weights, read, time_step):
        change(objects)
        objects["network"].run(2 * ms, namespace=objects["names"])
    assert sorted_for == ["wires"]
    connections(objects)
    objects["network"].run(2 * ms, namespace=objects["names"])
    assert sorted_for == ["wires", "wires"]


@pytest.mark.parametrize("warns", [False, True])
def test_unused_objects_are_looked_for_where_that_is_warned_of(
    warns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected: list[None] = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(None))
    use()
    before, prefs.logging.warn_for_unused_objects = prefs.logging.warn_for_unused_objects, warns
    try:
        Network(NeuronGroup(1, "v : 1")).run(0 * ms)
    finally:
        prefs.logging.warn_for_unused_objects = before
    assert len(collected) == warns


def test_a_network_is_prepared_in_spite_of_an_earlier_stop() -> None:
    use()
    group = NeuronGroup(1, "x : 1", threshold="True", reset="x += 1", name="g")
    network = Network(group)
    network.run(1 * ms)
    network.stop()
    network.run(1 * ms)
    assert group.x[0] == 2


# The parts of the rule


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2), (1, 1.0), (1, True), ("a", "b"), (1 * mV, 1 * volt), (1 * ms, 1 * mV), (None, 0),
        (np.array([1, 2]), np.array([1, 3])), (np.array([1]), np.array([1.0])),
        (np.zeros(2, int), np.zeros(2)), (np.zeros((2, 3)), np.zeros((3, 2))),
        ([1, 2], [1, 2, 3]), ([1], (1,)), ({"a": 1}, {"a": 2}), ({"a": 1}, {"b": 1}),
        ({1, 2}, {1}), (object(), object()), (abs, max), (float("nan"), 0.0),
    ],
)  # fmt: skip
def test_other_values_are_not_the_same(one: Any, other: Any) -> None:
    assert same(one, frozen(one))
    assert not same(other, frozen(one))


def test_equal_values_are_the_same() -> None:
    nan = float("nan")
    for one, other in [(5 * ms, 0.005 * ms * 1000), (nan, -nan), ([np.eye(2)], [np.eye(2)])]:
        assert same(one, frozen(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(3, np.int64), np.zeros(3)), (np.zeros(4, np.int32), np.zeros(2)),
        (np.zeros((2, 3)), np.zeros((3, 2))), (np.zeros(6), np.zeros((1, 6))),
        (np.arange(3), np.array([0, 1, 3])),
    ],
)  # fmt: skip
def test_digests_tell_values_types_and_shapes_apart(one: np.ndarray, other: np.ndarray) -> None:
    assert digest(one) == digest(one.copy())
    assert digest(one) != digest(other)


LOOKS: dict[str, Callable[[Watched], Any]] = {
    "in": lambda names: "gain" in names,
    "get": lambda names: names.get("gain"),
    "[]": lambda names: names["gain"],
}


@pytest.mark.parametrize("before", [{"gain": 1}, {}], ids=["there", "missing"])
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_name_that_was_looked_up_is_remembered(
    look: Callable[[Watched], Any], before: dict[str, Any]
) -> None:
    names, stamps = Watched(before), Stamps(np.asarray)
    with suppress(KeyError):
        look(names)
    origin = origin_of([], names, [], stamps, ())
    assert origin.is_unchanged([], {**before, "other": 2}, stamps, ())
    assert not origin.is_unchanged([], {"gain": 2}, stamps, ())


def test_what_is_remembered_is_not_kept() -> None:
    import gc
    import weakref

    class Thing:
        pass

    thing = Thing()
    there, remembered = weakref.ref(thing), frozen({"a": [thing]})
    del thing
    gc.collect()
    assert there() is None
    assert not same({"a": [Thing()]}, remembered)


class Named:
    """Stands for a variable."""


def test_stamps_follow_values() -> None:
    values, asked = {}, []
    one = Named()
    values[one] = np.arange(3)

    def look(variable: Any) -> np.ndarray:
        asked.append(variable)
        return values[variable]

    stamps = Stamps(look)
    before = stamps.of(one)
    assert stamps.of(one) == before == digest(np.arange(3))
    stamps.advance(one)
    assert stamps.of(one) == before, "it was written, but with what it had"
    values[one] = np.arange(4)
    stamps.advance(one)
    assert stamps.of(one) != before


def test_memo_makes_anew_for_other_values() -> None:
    one, other = Named(), Named()
    values = {one: np.arange(3), other: np.arange(3)}
    stamps = Stamps(values.__getitem__)
    memo, made = Memo(stamps), []

    def make() -> int:
        made.append(1)
        return len(made)

    assert [memo.of([one, other], make) for _ in range(3)] == [1, 1, 1]
    values[other] = np.arange(4)
    stamps.advance(other)
    assert memo.of([one, other], make) == 2
