"""What stays from one run to the next: values, spikes in transit, options; and what does not."""

from __future__ import annotations

import gc
import pickle
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Clock,
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    device,
    get_device,
    magic_network,
    ms,
    run,
    set_device,
    start_scope,
)
from brian2.utils.logger import catch_logs
from models import Spec, assert_same, run_on

from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.memory.transit import Sent, put_transit
from brian2eprop.device.program import Access, Events, Precision, Program, Slots
from brian2eprop.errors import Unsupported

RISING = "dv/dt = rate : 1\nrate : Hz"
RUNTIME: dict[str, Any] = {"device": "runtime"}
OURS: dict[str, Any] = {"device": "eprop_cuda", "backend": "reference", "precision": "float64"}


def use(**options: Any) -> None:
    set_device(**OURS | options)
    start_scope()
    defaultclock.dt = 1 * ms


def rising(n: int = 2, name: str = "g") -> NeuronGroup:
    group = NeuronGroup(n, RISING, threshold="v > 1", reset="v = 0", method="euler", name=name)
    group.rate = "(1 + i)/(7*ms)"
    return group


def clockwork(delay: int = 4) -> tuple[NeuronGroup, NeuronGroup, Synapses, Network]:
    """A neuron that spikes in step 0 and 5, and two that count what arrives."""
    sender = NeuronGroup(1, "x : 1", threshold="timestep(t, dt) % 5 == 0", name="sender")
    counter = NeuronGroup(2, "n : 1\nfactor : 1", name="counter")
    counter.factor = 1
    wires = Synapses(sender, counter, on_pre="n_post += factor", delay=delay * ms, name="wires")
    wires.connect()
    return sender, counter, wires, Network(sender, counter, wires)


# Groups that are gone


def twice_in_one_script() -> list[list[Any]]:
    found = []
    for rate in (1.2, 1.5):
        start_scope()
        cells = NeuronGroup(
            2, "dv/dt = (drive - v)/(5*ms) : 1\ndrive : 1", threshold="v > 1", reset="v = 0",
            method="exact",
        )  # fmt: skip
        last = NeuronGroup(2, "n : 1", threshold="n > 3", reset="n = 0")  # nobody looks at it
        wires = Synapses(cells, last, on_pre="n_post += 1")
        wires.connect()
        cells.drive = rate
        spikes = SpikeMonitor(cells)
        run(20 * ms)
        found.append([spikes.i[:].tolist(), last.n[:].tolist(), float(spikes.t[-1] / ms)])
    return found


def test_magic_runs_one_after_another() -> None:
    set_device("runtime")
    theirs = twice_in_one_script()
    use()
    assert twice_in_one_script() == theirs
    set_device(**OURS)
    assert twice_in_one_script() == theirs


@pytest.mark.parametrize("options", [RUNTIME, OURS])
def test_a_magic_run_leaves_out_what_has_lost_its_source(options: dict[str, Any]) -> None:
    set_device(**options)
    start_scope()
    defaultclock.dt = 1 * ms

    def watched() -> SpikeMonitor:
        return SpikeMonitor(rising(name="unseen"), name="watch")

    cells, spikes = rising(), watched()
    with catch_logs() as logs:
        run(20 * ms)
    assert any("'watch' has been included in the network but not" in text for _, _, text in logs)
    assert spikes.num_spikes == 0
    assert cells.v[0] > 0


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("magic", [False, True])
def test_views_outlive_their_group(magic: bool, batch_size: int | None) -> None:
    use(batch_size=batch_size)

    def simulate() -> list[Any]:
        group = rising()
        if magic:
            run(3 * ms)
        else:
            Network(group).run(3 * ms)
        return [group.v, group.rate]

    v, rate = simulate()
    gc.collect()
    shape = (2,) if batch_size is None else (batch_size, 2)
    np.testing.assert_allclose(v[:], np.broadcast_to([3 / 7, 6 / 7], shape))
    np.testing.assert_allclose(v[1], np.full(shape[:-1], 6 / 7))
    np.testing.assert_allclose(rate[:] * ms, [1 / 7, 2 / 7])
    set_device(**OURS)
    np.testing.assert_allclose(v[:], np.broadcast_to([3 / 7, 6 / 7], shape))


def test_former_turns_are_freed() -> None:
    """With ``set_device`` in a loop and the magic ``run()``."""
    left = []

    def turn() -> None:
        use()
        cells = rising()
        spikes = SpikeMonitor(cells)
        trace = StateMonitor(cells, "v", record=True)
        run(5 * ms)
        kept = get_device().networks.of(magic_network)
        things = [cells, spikes, trace, kept.state, kept.captured, kept.state.memory]
        left.append([weakref.ref(thing) for thing in things])
        network = Network(rising(name="other"))
        network.run(5 * ms)
        left[-1] += [weakref.ref(network), weakref.ref(get_device().networks.of(network))]

    for _ in range(3):
        turn()
    set_device(**OURS)
    gc.collect()
    assert [[thing() for thing in turns] for turns in left] == [[None] * 8] * 3


# Arrays that were read


@pytest.mark.parametrize("batch_size", [None, 2])
def test_what_was_read_cannot_be_written_and_does_not_change(batch_size: int | None) -> None:
    use(batch_size=batch_size)
    group = rising()
    network = Network(group)
    for _ in range(2):
        found = group.v[:]
        before = found.copy()
        with pytest.raises(ValueError, match="read-only"):
            found[..., 1] = 5
        with pytest.raises(ValueError, match="read-only"):
            found += 2
        changed = np.array(group.v)
        changed += 1  # a copy, as on the runtime
        network.run(1 * ms)
        np.testing.assert_array_equal(found, before)
    np.testing.assert_allclose(group.v[:].ravel()[:2], [2 / 7, 4 / 7])


def test_in_place_operators_of_groups_work() -> None:
    use()
    group = rising()
    network = Network(group)
    for _ in range(2):
        group.v += 1
        group.v[:1] -= 1
        network.run(0 * ms)
    assert group.v[:].tolist() == [0, 2]


# Other options


@pytest.mark.parametrize(
    "other",
    [
        {}, {"backend": "cpu"}, {"precision": "float32"}, {"seed": 3},
        {"batch_size": 1}, {"batch_size": 3},
    ],
)  # fmt: skip
def test_options_change_and_values_and_spikes_stay(other: dict[str, Any]) -> None:
    use()
    _, counter, _, network = clockwork()
    counter.factor = [2, 3]
    network.run(7 * ms)
    assert counter.n[:].tolist() == [2, 3]
    set_device(**OURS | other)
    instances = other.get("batch_size")
    expected = [[4, 6]] * instances if instances else [4, 6]
    assert counter.factor[:].tolist() == [2, 3]
    network.run(3 * ms)
    assert counter.n[:].tolist() == expected


def test_instances_stay() -> None:
    use(batch_size=2)
    _, counter, _, network = clockwork()
    counter.factor = [[1, 2], [3, 4]]
    network.run(7 * ms)
    set_device(**OURS | {"batch_size": 2, "backend": "cpu"})
    assert counter.factor[:].tolist() == counter.n[:].tolist() == [[1, 2], [3, 4]]
    network.run(3 * ms)
    assert counter.n[:].tolist() == [[2, 4], [6, 8]]


def test_instances_that_differ_are_not_mixed() -> None:
    use(batch_size=2)
    _, counter, _, network = clockwork(delay=0)
    counter.factor = [[1, 2], [3, 4]]
    network.run(2 * ms)
    set_device(**OURS)
    assert counter.factor[:].tolist() == counter.n[:].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(Unsupported) as caught:
        network.run(5 * ms)
    assert str(caught.value) == (
        "'counter.factor' has other values in each of 2 instances, which cannot go on with "
        "batch_size=None; set all of it anew, or go back to batch_size=2."
    )
    assert float(network.t / ms) == 2
    with pytest.raises(Unsupported, match=r"'counter.n' has other values in each of 2 inst"):
        counter.n = "n + 1"
    with pytest.raises(Unsupported, match=r"'counter.n' has other values in each of 2 inst"):
        counter.n[0] = 1
    counter.n, counter.factor = [7, 8], 1
    network.run(5 * ms)
    assert counter.n[:].tolist() == [8, 9]


def test_spikes_in_transit_stay_in_their_instances() -> None:
    use(batch_size=2)
    _, _, _, network = clockwork()
    network.run(7 * ms)
    set_device(**OURS | {"batch_size": 3})
    with pytest.raises(Unsupported) as caught:
        network.run(1 * ms)
    assert str(caught.value) == (
        "The spikes in 'sender' are on their way in 2 instances, which a run with "
        "batch_size=3 cannot deliver; call set_device with batch_size=2, or make the network anew."
    )


@pytest.mark.parametrize(("before", "after"), [(None, 2), (2, None), (2, 3)])
def test_monitors_keep_to_their_instances(before: int | None, after: int | None) -> None:
    use(batch_size=before)
    group = rising()
    trace = StateMonitor(group, "v", record=True, name="trace")
    spikes = SpikeMonitor(group, name="spikes")
    network = Network(group, trace, spikes)
    network.run(10 * ms)
    found = trace.v.copy(), spikes.i[:].copy(), np.array(spikes.count), np.array(group.v)
    set_device(**OURS | {"batch_size": after})
    for name, monitor in (("trace", trace), ("spikes", spikes)):
        with pytest.raises(Unsupported) as caught:
            network.run(10 * ms)
        assert str(caught.value) == (
            f"'{name}' has data that was recorded with batch_size={before} and cannot go on with "
            f"batch_size={after}; make a new monitor, or set it inactive."
        )
        monitor.active = False
    now = trace.v, spikes.i[:], spikes.count, group.v
    for one, other in zip(found, now, strict=True):
        other = np.array(other)
        np.testing.assert_array_equal(np.broadcast_to(one, other.shape), other)
    network.run(10 * ms)
    assert group.v[:].shape == (2,) if after is None else (after, 2)


def test_monitors_without_data_follow() -> None:
    use(batch_size=2)
    group = rising()
    trace, spikes = StateMonitor(group, "v", record=True), SpikeMonitor(group)
    network = Network(group, trace, spikes)
    for batch_size in (2, 3, None):
        set_device(**OURS | {"batch_size": batch_size})
        network.run(0 * ms)
    network.run(10 * ms)
    assert trace.v.shape == (2, 10)
    assert spikes.i[:].tolist() == [1, 0, 1]
    assert spikes.count[:].tolist() == [1, 2]
    assert list(spikes.spike_trains()) == [0, 1]


def test_reinit_keeps_the_options() -> None:
    use(batch_size=5, seed=3)
    before = get_device().options
    device.reinit()
    device.activate()
    assert get_device().options == before
    set_device("eprop_cuda")
    assert get_device().options.batch_size is None


# Changes with spikes in transit


def changed(change: str) -> Network:
    use()
    _, counter, wires, network = clockwork()
    more = Synapses(wires.source, counter, on_pre="n_post += 1", delay=4 * ms, name="more")
    more.connect()
    if change == "added":
        more.active = more.pre.active = False
    network.add(more)
    network.run(7 * ms)
    if change == "added":
        more.active = more.pre.active = True
    elif change == "removed":
        network.remove(more)
    elif change == "dt":
        defaultclock.dt = 0.7 * ms
    return network


WAY_OUT = "change it before the first run, or run without input until they have arrived."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("added", f"The pathway 'more_pre' was added or made active while spikes are on their way "
         f"to its targets; {WAY_OUT}"),
        ("removed", f"The pathway 'more_pre' was removed or made inactive while spikes are on "
         f"their way to its targets; {WAY_OUT}"),
        ("dt", f"The dt of 'network' was changed from 0.001 s to 0.0007 s while spikes are on "
         f"their way to their targets, and Brian2 loses or shifts some of them unless a step is "
         f"cut into equal ones; {WAY_OUT}"),
    ],
)  # fmt: skip
def test_refusals_with_spikes_in_transit(change: str, message: str) -> None:
    network = changed(change)
    with pytest.raises(Unsupported) as caught:
        network.run(1 * ms)
    assert str(caught.value).replace(network.name, "network") == message


def test_time_set_back_with_spikes_in_transit() -> None:
    network = changed("nothing")
    network.t_ = 0.0
    with pytest.raises(Unsupported, match=r"^The time of '.*' was changed while spikes are on th"):
        network.run(1 * ms)


def exchanged(options: dict[str, Any], delay: int) -> list[float]:
    """A sender and its synapses give way to others of their names while a spike is in transit."""
    set_device(**options)
    start_scope()
    defaultclock.dt = 1 * ms
    sender, counter, wires, network = clockwork()
    network.run(7 * ms)
    network.remove(sender, wires)
    other = NeuronGroup(1, "x : 1", threshold="timestep(t, dt) == 8", name=sender.name)
    others = Synapses(other, counter, on_pre="n_post += 10", delay=delay * ms, name=wires.name)
    others.connect()
    network.add(other, others)
    found = []
    for steps in (3, 10):
        network.run(steps * ms)
        found.append(counter.n[0])
    return found


@pytest.mark.parametrize("delay", [4, 3, 6])
def test_what_a_group_has_sent_goes_with_it_when_another_one_takes_its_name(delay: int) -> None:
    """Whatever the delays of the others: nothing of theirs is on its way."""
    assert exchanged(OURS, delay) == exchanged(RUNTIME, delay) == [1, 11]


SENT = Events("cells", 2, Access.PER_INSTANCE, Slots(3))


def sent_in(*steps: list[int]) -> Sent:
    """The spikes of one instance in each of some steps."""
    index = np.zeros((1, len(steps), SENT.size), np.int32)
    for k, neurons in enumerate(steps):
        index[0, k, : len(neurons)] = neurons
    return Sent(np.array([[len(neurons) for neurons in steps]], np.int32), index)


def put(sent: dict[str, Sent], step: int) -> list[list[int]]:
    """What is in transit to a step, in the three steps before it."""
    program = Program("net", 1e-3, (), (), (SENT,))
    memory = ReferenceBackend(Precision.FLOAT64).memory(1)
    memory.reserve(program, 1)
    put_transit(memory, SimpleNamespace(program=program), sent, step)  # type: ignore[arg-type]
    steps = np.arange(step - 3, step)
    counts, index = (memory.read_slots(f"cells:{part}", steps)[0] for part in ("count", "index"))
    return [neurons[:n].tolist() for n, neurons in zip(counts[:, 0], index, strict=True)]


def test_of_a_longer_or_shorter_past_the_last_steps_are_put_in_transit() -> None:
    assert put({"cells": sent_in([0, 1], [0], [], [1], [0, 1])}, 7) == [[], [1], [0, 1]]
    assert put({"cells": sent_in([1], [0])}, 7) == [[], [1], [0]]
    assert put({}, 7) == [[], [], []]


def grown(options: dict[str, Any], *pauses: int) -> list[float]:
    """Synapses that are added when nothing is in transit, and when something is."""
    set_device(**options)
    start_scope()
    defaultclock.dt = 1 * ms
    _, counter, wires, network = clockwork(delay=2)
    for pause in pauses:
        network.run(pause * ms)
        wires.connect(i=0, j=1)
        network.run(0 * ms)
    network.run(20 * ms)
    return counter.n[:].tolist()


@pytest.mark.parametrize("pauses", [(3,), (4, 4), (9,), (13, 5), (1,), (2,), (6,), (1, 1, 4, 1, 3)])
def test_a_synapse_hears_what_is_sent_since_it_was_formed(pauses: tuple[int, ...]) -> None:
    assert grown(OURS, *pauses) == grown(RUNTIME, *pauses)


def grown_with_longer_steps(options: dict[str, Any], more: int) -> list[float]:
    """A synapse of step 100 and some of step 10, which is no earlier; a spike in step 12."""
    set_device(**options)
    start_scope()
    defaultclock.dt = 0.1 * ms
    sender = NeuronGroup(1, "x : 1", threshold="abs(t - 12*ms) < 0.05*ms", name="sender")
    counter = NeuronGroup(2, "n : 1", name="counter")
    wires = Synapses(sender, counter, on_pre="n_post += 1", delay=2 * ms, name="wires")
    wires.connect(i=0, j=0)
    network = Network(sender, counter, wires)
    network.run(10 * ms)
    wires.connect(i=0, j=1)
    network.run(0 * ms)
    defaultclock.dt = 1 * ms
    for _ in range(more):
        wires.connect(i=0, j=0)
    network.run(10 * ms)
    return counter.n[:].tolist()


@pytest.mark.parametrize("more", [0, 1])
def test_a_synapse_hears_what_is_sent_later_in_longer_steps(more: int) -> None:
    assert grown_with_longer_steps(OURS, more) == [1 + more, 1]
    assert grown_with_longer_steps(RUNTIME, more) == [1 + more, 1]


def test_a_restored_synapse_is_as_young_as_it_was() -> None:
    use()
    _, _, wires, network = clockwork()
    network.run(5 * ms)
    network.store("before")
    wires.connect(i=0, j=1)
    network.run(3 * ms)  # the spike of step 5 is in transit, and the new synapse hears it
    network.store("after")
    network.restore("before")
    network.restore("after")
    captured = get_device().capture_program(network, {}, set())
    assert captured.tables["wires_pre:formed"].tolist() == [0, 0, 5]


# Store and restore


def test_restore_to_before_the_first_run() -> None:
    use(batch_size=2)
    group = rising()
    trace, spikes = StateMonitor(group, "v", record=True), SpikeMonitor(group)
    network = Network(group, trace, spikes)
    network.store()
    found = []
    for _ in range(2):
        network.run(10 * ms)
        found.append((trace.v.tolist(), spikes.i[:].tolist(), spikes.count[:].tolist()))
        network.restore()
    assert found[0] == found[1]
    assert trace.v.shape == (2, 2, 0)
    assert not spikes.count[:].any()


def test_restore_of_another_batch_size() -> None:
    use(batch_size=2)
    network = Network(rising())
    network.store()
    use()
    with pytest.raises(Unsupported) as caught:
        network.restore()
    assert str(caught.value) == (
        f"The stored state of '{network.name}' is one with batch_size=2, which cannot be restored "
        "with batch_size=None; call set_device with batch_size=2 first."
    )


@pytest.mark.parametrize("other", ["fewer", "more", "variables"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_restore_of_other_groups(other: str, batch_size: int | None, tmp_path: Path) -> None:
    use(batch_size=batch_size)
    path = str(tmp_path / "state")
    Network(rising(), rising(3, "other"), name="net").store(filename=path)
    group = rising()
    changed = {
        "fewer": lambda: rising(2, "other"),
        "more": lambda: rising(4, "other"),
        "variables": lambda: NeuronGroup(3, "v : 1", name="other"),
    }
    network = Network(group, changed[other](), name="net")
    group.v = 0.5
    had, what = {"fewer": (2, "i"), "more": (4, "i"), "variables": (0, "rate")}[other]
    message = rf"'net' has 3 values of 'other\.{what}', and the network has {had}; restore it into"
    with pytest.raises(ValueError, match=message):
        network.restore(filename=path)
    assert (group.v[:] == 0.5).all()


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "another"])
def test_restore_of_a_damaged_file(damage: str, tmp_path: Path) -> None:
    use()
    group = rising()
    network, path = Network(group), tmp_path / "state"
    network.store(filename=str(path))
    whole = path.read_bytes()
    network.run(3 * ms)
    before = np.array(group.v[:])
    contents = {"cut": whole[: len(whole) // 2], "empty": b"", "garbage": b"\x93NUMPY"}
    path.write_bytes(contents.get(damage, pickle.dumps([1, 2])))
    with pytest.raises(
        ValueError, match=r"is no file that store\(\) has written, or it is damaged"
    ):
        network.restore(filename=str(path))
    np.testing.assert_array_equal(group.v[:], before)
    path.write_bytes(whole)
    with pytest.raises(KeyError, match="has no stored state 'other'; it has 'default'"):
        network.restore("other", filename=str(path))
    network.restore(filename=str(path))
    assert not np.array_equal(group.v[:], before)


@pytest.mark.parametrize("part", ["batch_size", "values", "transit", "growth"])
def test_restore_of_what_another_version_stored(part: str, tmp_path: Path) -> None:
    use()
    network, path = Network(rising()), tmp_path / "state"
    network.store(filename=str(path))
    states = pickle.loads(path.read_bytes())
    del states["default"]["_random_generator_state"]["eprop_cuda"].__dict__[part]
    path.write_bytes(pickle.dumps(states))
    with pytest.raises(ValueError, match="is not whole, or was stored by another version of brian"):
        network.restore(filename=str(path))


# Objects of another device


def test_set_device_after_the_groups() -> None:
    set_device("runtime")
    network = Network(rising())
    use()
    for start in (lambda: network.run(1 * ms), lambda: get_device().capture(network)):
        with pytest.raises(Unsupported) as caught:
            start()
        assert str(caught.value) == (
            "'g' was made before set_device('eprop_cuda') and belongs to another device; call "
            "set_device first, then make all groups, synapses and monitors."
        )


def test_to_the_runtime_and_back() -> None:
    use()
    group = rising()
    network = Network(group)
    network.run(2 * ms)
    set_device("runtime")
    set_device(**OURS)
    network.run(2 * ms)
    np.testing.assert_allclose(group.v[:], [4 / 7, 1 / 7 * 0])


# Threads


def test_networks_in_two_threads() -> None:
    theirs = [run_on("runtime", Spec(seed=seed, runs=(5, 8, 12))) for seed in range(4)]
    use()
    from models import build, input_spikes, run_objects, source

    specs = [Spec(seed=seed, runs=(5, 8, 12)) for seed in range(4)]
    networks = []
    for spec in specs:
        start_scope()
        inputs = source("eprop_cuda", input_spikes(spec.seed, spec.steps))
        networks.append(build(spec, inputs))
    results: dict[int, Any] = {}

    def simulate(k: int) -> None:
        try:
            results[k] = run_objects(networks[k], specs[k])
        except BaseException as error:
            results[k] = error

    threads = [threading.Thread(target=simulate, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        if isinstance(results[k], BaseException):
            raise results[k]
        assert_same(results[k], theirs[k])


def test_steps_do_not_depend_on_what_another_network_makes_of_their_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use()
    group = rising()
    monitor = StateMonitor(group, "v", record=True)
    network = Network(group, monitor)
    network.run(1 * ms)
    set_interval = Clock.set_interval

    def and_another_thread(clock: Clock, start: Any, end: Any) -> None:
        set_interval(clock, start, end)
        clock.variables["timestep"].set_value(7)
        clock._i_end = 1000

    monkeypatch.setattr(Clock, "set_interval", and_another_thread)
    network.run(2 * ms)
    assert np.array_equal(np.round(monitor.t / ms), [0, 1, 2])


def test_one_network_runs_once_at_a_time() -> None:
    use()
    network = Network(rising(), name="whole")
    caught = []

    def report(*progress: Any) -> None:
        with pytest.raises(Unsupported) as error:
            network.run(1 * ms)
        caught.append(str(error.value))

    network.run(5 * ms, report=report)
    assert set(caught) == {
        "'whole' is running already, in another thread or in a function that this run calls; wait "
        "until that run is over."
    }
    network.run(1 * ms)
