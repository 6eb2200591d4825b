import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brian2eprop.device.backends import registry
from brian2eprop.device.backends.base import Call
from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.program import (
    Access,
    Array,
    At,
    Body,
    Clear,
    Dense,
    Detect,
    Direction,
    DType,
    Events,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Over,
    Precision,
    Program,
    Propagate,
    Reduce,
    Reduction,
    Ref,
    Side,
    Slots,
    Sparse,
    Stream,
    Sweep,
)
from brian2eprop.device.program.verify import ProgramError
from brian2eprop.spikes import SpikeStream

DT = 1e-3
OWN = Access.PER_INSTANCE


def real(name, size, access=OWN, slots=None):
    return Array(name, DType.REAL, size, access, slots)


def element(name, offset=0, via=None):
    return Ref(name, Index.ELEMENT, offset, via)


def program(arrays, *phases, direction=Direction.FORWARD, over=Over.INSTANCES, **parts):
    return Program("test", DT, tuple(arrays), (Sweep(direction, phases, over),), **parts)


def memory_of(backend, network, instances=1, n_steps=1, precision=Precision.FLOAT64, **values):
    memory = registry.create(backend, precision).memory(instances)
    memory.reserve(network, n_steps)
    for name, value in values.items():
        memory.write(name, value)
    return memory


def run(backend, network, memory, first_step=0, n_steps=1, streams=None):
    kernel = registry.create(backend, memory.precision).compile(network)
    kernel.run(memory, Call(first_step, n_steps, streams or {}))


def stream_of(trains):
    """Spikes from lists: instance, step, neurons."""
    counts = [[len(neurons) for neurons in train] for train in trains]
    ends = np.cumsum([count for train in counts for count in train])
    bounds = np.concatenate([[0], ends]).astype(np.int64)
    n_steps = len(trains[0])
    start = np.array([bounds[b * n_steps : (b + 1) * n_steps + 1] for b in range(len(trains))])
    neurons = [neuron for train in trains for step in train for neuron in step]
    return SpikeStream(start, np.array(neurons, np.int32))


# Access


def test_every_instance_has_its_own_state(backend):
    network = program([real("v", 2)], ForEach("go", 2, Body("v = 2*v + 1", {"v": element("v")})))
    memory = memory_of(backend, network, 2, v=[[0, 1], [2, 3]])
    run(backend, network, memory, n_steps=2)
    np.testing.assert_array_equal(memory.read("v"), [[3, 7], [11, 15]])


def test_scratch_keeps_what_the_previous_instance_left():
    body = Body("s += 1\nv = s", {"s": element("s"), "v": element("v")})
    network = program([real("s", 1, Access.SCRATCH), real("v", 1)], ForEach("go", 1, body))
    memory = memory_of("reference", network, 3)
    run("reference", network, memory)
    np.testing.assert_array_equal(memory.read("v"), [[1], [2], [3]])


def test_what_all_instances_add_is_added_to_what_was_there(backend):
    body = Body("g += v", {"g": element("g"), "v": element("v")})
    network = program([real("v", 2), real("g", 2, Access.SHARED)], ForEach("go", 2, body))
    memory = memory_of(backend, network, 3, v=[[1, 2], [3, 4], [5, 6]], g=99)
    for times in (1, 2):
        run(backend, network, memory)
        np.testing.assert_array_equal(memory.read("g"), [99 + 9 * times, 99 + 12 * times])


def test_a_kernel_forgets_what_an_earlier_run_of_it_added(backend):
    body = Body("g += v", {"g": element("g"), "v": element("v")})
    network = program([real("v", 2), real("g", 2, Access.SHARED)], ForEach("go", 2, body))
    memory = memory_of(backend, network, 3, v=[[1, 2], [3, 4], [5, 6]])
    kernel = registry.create(backend, memory.precision).compile(network)
    for times in (1, 2, 3):
        kernel.run(memory, Call(n_steps=1))
        np.testing.assert_array_equal(memory.read("g"), [9 * times, 12 * times])


def test_a_sweep_over_what_is_shared_runs_once_whatever_the_instances(backend):
    body = Body("w -= rate*g", {"w": element("w"), "g": element("g")}, {"rate": 0.5})
    arrays = [real("w", 2, Access.SHARED), real("g", 2, Access.SHARED)]
    phase = ForEach("update", 2, body)
    update = program(arrays, phase, direction=Direction.ONCE, over=Over.SHARED)
    memory = memory_of(backend, update, 4, w=[1, 2], g=[2, 4])
    run(backend, update, memory, n_steps=0)
    np.testing.assert_array_equal(memory.read("w"), [0, 0])
    np.testing.assert_array_equal(memory.read("g"), [2, 4])


# Time


def test_the_directions_of_sweeps(backend):
    body = Body("v = 10*v + step", {"v": element("v")})
    phase = ForEach("go", 1, body)
    for direction, expected in [
        (Direction.ONCE, 3),
        (Direction.FORWARD, 345),
        (Direction.BACKWARD, 543),
    ]:
        network = program([real("v", 1)], phase, direction=direction)
        memory = memory_of(backend, network)
        run(backend, network, memory, first_step=3, n_steps=3)
        assert memory.read("v") == expected


def test_time_is_double_in_single_precision(backend):
    body = Body("last = t", {"last": element("last")})
    network = program([Array("last", DType.DOUBLE, 1, OWN)], ForEach("go", 1, body))
    memory = memory_of(backend, network, precision=Precision.FLOAT32)
    run(backend, network, memory, first_step=123456789)
    assert memory.read("last") == 123456789 * DT


@given(
    history=st.integers(0, 4),
    kept=st.booleans(),
    calls=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_slots_hold_what_was_written_that_many_steps_ago(history, kept, calls, data):
    delay = data.draw(st.integers(0, history))
    write = Body("v = step + 1", {"v": element("v")})
    look = Body("seen = v_before", {"v_before": element("v", -delay), "seen": element("seen")})
    arrays = [real("v", 1, slots=Slots(history, kept)), real("seen", 1, slots=Slots(kept=True))]
    network = program(arrays, ForEach("write", 1, write), ForEach("look", 1, look))
    memory = memory_of("reference", network, n_steps=max(calls))
    first = 0
    for n_steps in calls:
        run("reference", network, memory, first, n_steps)
        slots = memory.read("seen")[0]
        for step in range(first, first + n_steps):
            assert slots[step % len(slots), 0] == max(step + 1 - delay, 0)
        first += n_steps


@given(
    delay=st.integers(0, 5),
    spare=st.integers(0, 2),
    kept=st.booleans(),
    n_instances=st.integers(1, 3),
    calls=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_events_arrive_after_their_delay_across_calls(delay, spare, kept, n_instances, calls, data):
    n, total = 3, sum(calls)
    neurons = st.lists(st.integers(0, n - 1), unique=True).map(sorted)
    train = st.lists(neurons, min_size=total, max_size=total)
    trains = data.draw(st.lists(train, min_size=n_instances, max_size=n_instances))
    arrived = Ref("arrived", Index.TARGET)
    network = program(
        [real("arrived", n)],
        Feed("feed", "source", "spikes"),
        # A digit for each step makes the order visible.
        ForEach("shift", n, Body("a = 2*a", {"a": element("arrived")})),
        Propagate("send", "spikes", "one", Body("a += w", {"a": arrived}, {"w": 1}), delay),
        events=(Events("spikes", n, OWN, Slots(delay + spare, kept)),),
        connectivities=(Sparse("one", n, n, n),),
        streams=(Stream("source", n),),
    )
    memory = memory_of(
        "reference",
        network,
        n_instances,
        max(calls),
        **{"one:row": range(n + 1), "one:target": [2, 0, 1]},
    )
    first = 0
    for n_steps in calls:
        run("reference", network, memory, first, n_steps, {"source": stream_of(trains)})
        first += n_steps
    expected = np.zeros((n_instances, n))
    for b, train in enumerate(trains):
        for step, spiking in enumerate(train):
            for neuron in spiking:
                if step + delay < total:
                    expected[b, [2, 0, 1][neuron]] += 2.0 ** (total - 1 - step - delay)
    np.testing.assert_array_equal(memory.read("arrived"), expected)


def test_a_backward_sweep_meets_kept_events_and_later_steps(backend):
    feed = Feed("feed", "source", "spikes")
    count = Body("v = 10*v + step", {"v": element("v")})
    back = ForEachEvent("back", "spikes", count)
    later = Body("a = a_later + 1", {"a": element("a"), "a_later": element("a", 1)})
    network = Program(
        "test",
        DT,
        (real("v", 2), real("a", 1, slots=Slots(1))),
        (
            Sweep(Direction.FORWARD, (feed,)),
            Sweep(Direction.BACKWARD, (back, ForEach("later", 1, later))),
        ),
        events=(Events("spikes", 2, OWN, Slots(kept=True)),),
        streams=(Stream("source", 2),),
    )
    memory = memory_of(backend, network, n_steps=4)
    run(backend, network, memory, 0, 4, {"source": stream_of([[[0], [0, 1], [], [1]]])})
    np.testing.assert_array_equal(memory.read("v"), [[10, 31]])
    np.testing.assert_array_equal(memory.read("a")[0, 0], [4])


# Phases


def test_detect_keeps_ascending_events_and_marks_the_elements(backend):
    body = Body(
        "_cond = v > theta",
        {
            "v": element("v"),
            "free": element("free"),
            "last": element("last"),
        },
        {"theta": 1.0},
    )
    network = program(
        [real("v", 4), Array("free", DType.BOOL, 4, OWN), Array("last", DType.DOUBLE, 4, OWN)],
        Detect("threshold", 4, "spikes", body, ("free", "last")),
        ForEachEvent("reset", "spikes", Body("v -= 10", {"v": element("v")})),
        events=(Events("spikes", 4, OWN, Slots()),),
    )
    memory = memory_of(backend, network, v=[0, 2, 1, 3], free=True, last=-1)
    run(backend, network, memory, first_step=5)
    assert memory.read("spikes:count") == 2
    np.testing.assert_array_equal(memory.read("spikes:index")[0, 0, :2], [1, 3])
    np.testing.assert_array_equal(memory.read("v"), [[0, -8, 1, -7]])
    np.testing.assert_array_equal(memory.read("free"), [[True, False, True, False]])
    np.testing.assert_array_equal(memory.read("last"), [[-1, 5 * DT, -1, 5 * DT]])


def test_a_condition_without_elements_holds_for_all_or_none(backend):
    network = program(
        [],
        Detect("threshold", 3, "spikes", Body("_cond = step > 0")),
        events=(Events("spikes", 3, OWN, Slots()),),
    )
    memory = memory_of(backend, network)
    for step, expected in [(0, 0), (1, 3)]:
        run(backend, network, memory, first_step=step)
        assert memory.read("spikes:count") == expected


def test_a_condition_that_no_element_can_meet_in_some_steps(backend):
    body = Body("_cond = v > 1 and step > 0 and step < 2", {"v": element("v")})
    network = program(
        [real("v", 4)],
        Detect("threshold", 4, "spikes", body),
        ForEachEvent("reset", "spikes", Body("v -= 10", {"v": element("v")})),
        events=(Events("spikes", 4, OWN, Slots()),),
    )
    memory = memory_of(backend, network, v=[0, 22, 1, 3])
    for step, count, left in [(0, 0, 22), (1, 2, 12), (2, 0, 12)]:
        run(backend, network, memory, first_step=step)
        assert memory.read("spikes:count") == count
        assert memory.read("v")[0, 1] == left


def test_steps_outside_of_a_stream_have_no_spikes(backend):
    network = program(
        [],
        Feed("feed", "source", "spikes"),
        events=(Events("spikes", 2, OWN, Slots()),),
        streams=(Stream("source", 2),),
    )
    memory = memory_of(backend, network)
    stream = stream_of([[[0, 1], [1]]])
    stream = SpikeStream(stream.start, stream.index, first_step=10)
    for step, expected in [(8, 0), (9, 0), (10, 2), (11, 1), (12, 0)]:
        run(backend, network, memory, step, 1, {"source": stream})
        assert memory.read("spikes:count") == expected


def pairs_of(kind, diagonal, n_source, n_target):
    if kind is Sparse:
        return [(i, j) for i in range(n_source) for j in range(n_target) if (i * j + i) % 3 != 1]
    return [(i, j) for i in range(n_source) for j in range(n_target) if diagonal or i != j]


KINDS = [
    (Dense, True, 3, 4),
    (Dense, False, 4, 4),
    (Sparse, True, 4, 3),
]


def synaptic(backend, kind, diagonal, n_source, n_target, *phases, arrays=()):
    pairs = pairs_of(kind, diagonal, n_source, n_target)
    last = len(pairs) if kind is Sparse else diagonal
    connectivity = kind("syn", n_source, n_target, last)
    network = program(
        [real("v", n_target), real("w", len(pairs), Access.SHARED), *arrays],
        *phases,
        events=(Events("spikes", n_source, OWN, Slots()),),
        connectivities=(connectivity,),
        streams=tuple(Stream("source", n_source) for phase in phases if isinstance(phase, Feed)),
    )
    values = {"w": np.arange(1, len(pairs) + 1)}
    if kind is Sparse:
        sources = np.array([i for i, _ in pairs])
        values["syn:row"] = [np.sum(sources < i) for i in range(n_source + 1)]
        values["syn:target"] = [j for _, j in pairs]
    return network, memory_of(backend, network, **values), pairs


@pytest.mark.parametrize(("kind", "diagonal", "n_source", "n_target"), KINDS)
def test_propagate_reaches_the_targets_of_events(backend, kind, diagonal, n_source, n_target):
    body = Body("v += w", {"v": Ref("v", Index.TARGET), "w": Ref("w", Index.SYNAPSE)})
    phases = (Feed("feed", "source", "spikes"), Propagate("send", "spikes", "syn", body))
    network, memory, pairs = synaptic(backend, kind, diagonal, n_source, n_target, *phases)
    run(backend, network, memory, streams={"source": stream_of([[[0, 2]]])})
    expected = np.zeros(n_target)
    for synapse, (i, j) in enumerate(pairs):
        if i in (0, 2):
            expected[j] += synapse + 1
    np.testing.assert_array_equal(memory.read("v")[0], expected)


@pytest.mark.parametrize(("kind", "diagonal", "n_source", "n_target"), KINDS)
def test_for_each_synapse_meets_sources_targets_and_synapses(
    backend, kind, diagonal, n_source, n_target
):
    n_synapses = len(pairs_of(kind, diagonal, n_source, n_target))
    body = Body(
        "x = 100*a + 10*b + w",
        {
            "a": Ref("a", Index.SOURCE),
            "b": Ref("b", Index.TARGET),
            "w": Ref("w", Index.SYNAPSE),
            "x": Ref("x", Index.SYNAPSE),
        },
    )
    arrays = (real("a", n_source), real("b", n_target), real("x", n_synapses))
    phase = ForEachSynapse("all", "syn", body)
    network, memory, pairs = synaptic(
        backend, kind, diagonal, n_source, n_target, phase, arrays=arrays
    )
    memory.write("a", np.arange(n_source) + 1)
    memory.write("b", np.arange(n_target) + 2)
    run(backend, network, memory)
    expected = [100 * (i + 1) + 10 * (j + 2) + s + 1 for s, (i, j) in enumerate(pairs)]
    np.testing.assert_array_equal(memory.read("x")[0], expected)


def test_repeated_targets_are_met_one_after_the_other(backend):
    body = Body("v = 2*v + w", {"v": Ref("v", Index.TARGET), "w": Ref("w", Index.SYNAPSE)})
    network = program(
        [real("v", 2), real("w", 4, Access.SHARED)],
        Feed("feed", "source", "spikes"),
        Propagate("send", "spikes", "syn", body),
        events=(Events("spikes", 2, OWN, Slots()),),
        connectivities=(Sparse("syn", 2, 2, 4, repeats=True),),
        streams=(Stream("source", 2),),
    )
    memory = memory_of(
        backend, network, w=[1, 2, 3, 4], **{"syn:row": [0, 3, 4], "syn:target": [1, 1, 0, 1]}
    )
    run(backend, network, memory, streams={"source": stream_of([[[0, 1]]])})
    np.testing.assert_array_equal(memory.read("v"), [[3, 2 * (2 * 1 + 2) + 4]])


@pytest.mark.parametrize("late", [0, "late"])
def test_a_loop_in_reverse_undoes_what_it_did(backend, late):
    """The inverses of maps that do not commute: repeated synapses, rows, delays of their own."""
    refs = {"v": Ref("v", Index.TARGET), "w": Ref("w", Index.SYNAPSE)}
    there = Propagate("send", "spikes", "syn", Body("v = 2*v + w", refs), late)
    back = Propagate("undo", "spikes", "syn", Body("v = (v - w)/2", refs), late, reverse=True)
    network = program(
        [real("v", 3), real("w", 6, Access.SHARED), Array("late", DType.INT, 6, Access.SHARED)],
        Feed("feed", "source", "spikes"),
        there,
        back,
        events=(Events("spikes", 3, OWN, Slots(2)),),
        connectivities=(Sparse("syn", 3, 3, 6, repeats=True),),
        streams=(Stream("source", 3),),
    )
    tables = {"syn:row": [0, 3, 4, 6], "syn:target": [1, 1, 0, 1, 0, 1]}
    memory = memory_of(
        backend,
        network,
        n_steps=3,
        w=[1, 2, 3, 4, 5, 6],
        v=[7, 8, 9],
        late=[2, 0, 1, 2, 0, 1],
        **tables,
    )
    run(backend, network, memory, 0, 3, {"source": stream_of([[[0, 1], [2], [0, 1, 2]]])})
    np.testing.assert_array_equal(memory.read("v"), [[7, 8, 9]])


@pytest.mark.parametrize("diagonal", [True, False])
def test_all_synapses_in_reverse(backend, diagonal):
    """One after the other, where a row reads what it writes, and along rows."""
    body = "v_post = 2*v_post + v_pre"
    refs = {"v_post": Ref("v", Index.TARGET), "v_pre": Ref("v", Index.SOURCE)}
    network = program(
        [real("v", 3)],
        ForEachSynapse("all", "syn", Body(body, refs), reverse=True),
        connectivities=(Dense("syn", 3, 3, diagonal=diagonal),),
    )
    memory = memory_of(backend, network, v=[1, 2, 3])
    run(backend, network, memory)
    expected = [1, 2, 3]
    for i in (2, 1, 0):
        for j in (2, 1, 0):
            if diagonal or i != j:
                expected[j] = 2 * expected[j] + expected[i]
    np.testing.assert_array_equal(memory.read("v")[0], expected)


def test_a_recurrent_synapse_reads_what_an_earlier_one_wrote(backend):
    body = Body(
        "v_post += v_pre", {"v_post": Ref("v", Index.TARGET), "v_pre": Ref("v", Index.SOURCE)}
    )
    network = program(
        [real("v", 3)],
        ForEachSynapse("all", "syn", body),
        connectivities=(Dense("syn", 3, 3),),
    )
    memory = memory_of(backend, network, v=[1, 1, 1])
    run(backend, network, memory)
    expected = [1, 1, 1]
    for i in range(3):
        for j in range(3):
            expected[j] += expected[i]
    np.testing.assert_array_equal(memory.read("v")[0], expected)


def test_older_events_come_first_where_each_synapse_has_its_delay(backend):
    refs = {"v": Ref("v", Index.TARGET), "w": Ref("w", Index.SYNAPSE)}
    network = program(
        [real("v", 1), real("w", 3, Access.SHARED), Array("late", DType.INT, 3, Access.SHARED)],
        Feed("feed", "source", "spikes"),
        Propagate("send", "spikes", "syn", Body("v = 10*v + w", refs), "late"),
        events=(Events("spikes", 3, OWN, Slots(2)),),
        connectivities=(Dense("syn", 3, 1),),
        streams=(Stream("source", 3),),
    )
    memory = memory_of(backend, network, n_steps=3, w=[1, 2, 3], late=[1, 2, 0])
    run(backend, network, memory, 0, 3, {"source": stream_of([[[1], [0], [2]]])})
    np.testing.assert_array_equal(memory.read("v"), [[213]])


@pytest.mark.parametrize("delay", [0, 2, "late"])
def test_what_is_taken_where_the_event_was_sent_is_as_old_as_the_event(backend, delay):
    seen = Body("x += y", {"x": Ref("x", Index.TARGET), "y": Ref("y", Index.SOURCE, At.SENT)})
    network = program(
        [
            real("y", 2, slots=Slots(2)),
            real("x", 2),
            Array("late", DType.INT, 4, Access.SHARED),
        ],
        ForEach("mark", 2, Body("y = 10**step", {"y": element("y")})),
        Feed("feed", "source", "spikes"),
        Propagate("send", "spikes", "syn", seen, delay),
        events=(Events("spikes", 2, OWN, Slots(2)),),
        connectivities=(Dense("syn", 2, 2),),
        streams=(Stream("source", 2),),
    )
    memory = memory_of(backend, network, n_steps=4, late=[0, 1, 2, 0])
    run(backend, network, memory, 0, 4, {"source": stream_of([[[0], [0, 1], [], [1]]])})
    expected = {0: [1 + 10 + 10 + 1000] * 2, 2: [1 + 10 + 10] * 2, "late": [21, 1021]}[delay]
    np.testing.assert_array_equal(memory.read("x")[0], expected)


@pytest.mark.parametrize("side", Side)
def test_a_row_sees_what_its_earlier_synapses_added_to_its_neuron(backend, side):
    body = Body("fixed += moving", {"fixed": Ref("v", side.fixed), "moving": Ref("v", side.moving)})
    network = program(
        [real("v", 5)],
        ForEachSynapse("all", "syn", body, side),
        connectivities=(Dense("syn", 5, 5),),
    )
    memory = memory_of(backend, network, v=[1, 2, 3, 4, 5])
    run(backend, network, memory)
    expected = [1, 2, 3, 4, 5]
    for row in range(5):
        for other in range(5):
            expected[row] += expected[other]
    np.testing.assert_array_equal(memory.read("v")[0], expected)


def test_an_index_array_maps_elements(backend):
    body = Body("v = 10*x + 1", {"x": element("x", via="which"), "v": element("v")})
    network = program(
        [real("v", 4), real("x", 2), Array("which", DType.INT, 4, Access.SHARED)],
        ForEach("look", 4, body),
    )
    memory = memory_of(backend, network, x=[1, 2], which=[1, 0, 1, 1])
    run(backend, network, memory)
    np.testing.assert_array_equal(memory.read("v"), [[21, 11, 21, 21]])


def test_a_scalar_is_element_zero(backend):
    body = Body("x += first", {"first": Ref("v", Index.SCALAR), "x": element("x")})
    network = program([real("v", 3), real("x", 2)], ForEach("add", 2, body))
    memory = memory_of(backend, network, v=[1, 2, 4], x=[8, 16])
    run(backend, network, memory)
    np.testing.assert_array_equal(memory.read("x"), [[9, 17]])


def test_two_names_of_one_element_do_not_see_each_others_new_value(backend):
    body = Body(
        "v = 5\nx = same", {name: element("v") for name in ("v", "same")} | {"x": element("x")}
    )
    network = program([real("v", 2), real("x", 2)], ForEach("go", 2, body))
    memory = memory_of(backend, network, v=3)
    run(backend, network, memory)
    np.testing.assert_array_equal(memory.read("v"), [[5, 5]])
    np.testing.assert_array_equal(memory.read("x"), [[3, 3]])


def test_a_guarded_name_keeps_its_value_for_later_lines_as_well(backend):
    refs = {name: element(name) for name in ("v", "x", "free")}
    network = program(
        [real("v", 2), real("x", 2), Array("free", DType.BOOL, 2, OWN)],
        ForEach("go", 2, Body("v += 1\nx = v", refs, guards={"v": "free"})),
    )
    memory = memory_of(backend, network, v=3, free=[True, False])
    run(backend, network, memory)
    np.testing.assert_array_equal(memory.read("v"), [[4, 3]])
    np.testing.assert_array_equal(memory.read("x"), [[4, 3]])


def test_a_guard_written_in_the_body_holds_from_its_line_on(backend):
    refs = {name: element(name) for name in ("v", "free")}
    network = program(
        [real("v", 1), Array("free", DType.BOOL, 1, OWN)],
        ForEach("go", 1, Body("v += 1\nfree = True\nv += 10", refs, guards={"v": "free"})),
    )
    memory = memory_of(backend, network)
    run(backend, network, memory)
    np.testing.assert_array_equal(memory.read("v"), [[10]])


@pytest.mark.parametrize(("operation", "expected"), [(Reduction.SUM, -2.0), (Reduction.MAX, 6.0)])
def test_reduce_replaces_its_result(backend, operation, expected):
    body = Body("_value = 2*v", {"v": element("v")})
    network = program([real("v", 3), real("m", 1)], Reduce("all", 3, operation, body, "m"))
    memory = memory_of(backend, network, v=[3, -5, 1], m=50)
    run(backend, network, memory)
    np.testing.assert_array_equal(memory.read("m"), [[expected]])


def test_the_maximum_of_negative_values_is_negative(backend):
    body = Body("_value = v", {"v": element("v")})
    network = program([real("v", 2), real("m", 1)], Reduce("all", 2, Reduction.MAX, body, "m"))
    memory = memory_of(backend, network, v=[-3, -5])
    run(backend, network, memory)
    assert memory.read("m") == -3


def test_clear_empties_every_slot_of_the_instance_in_hand():
    keep = Body("v = s", {"v": element("v"), "s": element("s", -1)})
    fill = Body("s = 7", {"s": element("s")})
    network = program(
        [real("s", 1, Access.SCRATCH, Slots(2)), real("v", 1)],
        Clear("clear", ("s",)),
        ForEach("keep", 1, keep),
        ForEach("fill", 1, fill),
        direction=Direction.ONCE,
    )
    memory = memory_of("reference", network, 2, s=9)
    run("reference", network, memory, first_step=4)
    np.testing.assert_array_equal(memory.read("v"), [[0], [0]])
    np.testing.assert_array_equal(memory.read("s")[0, :, 0], [0, 7, 0])


# What is refused


def test_a_stream_that_is_not_given_is_named():
    network = program(
        [],
        Feed("feed", "source", "spikes"),
        events=(Events("spikes", 2, OWN, Slots()),),
        streams=(Stream("source", 2),),
    )
    memory = memory_of("reference", network, 2)
    with pytest.raises(
        ValueError,
        match=r"^The input stream 'source' of program 'test' has no spikes; "
        r"give them in streams\['source'\]\.$",
    ):
        run("reference", network, memory)
    with pytest.raises(
        ValueError,
        match=r"^The spikes of input stream 'source' are for 1 instances, the memory is for 2; "
        r"give one row of start for each instance\.$",
    ):
        run("reference", network, memory, streams={"source": stream_of([[[0]]])})


def test_programs_are_verified():
    network = program([], ForEach("go", 1, Body("u = v")))
    with pytest.raises(ProgramError, match="phase 'go': 'v' has no value"):
        ReferenceBackend(Precision.FLOAT64).compile(network)


def by_target(*before):
    """A loop over the targets' rows of a sparse connectivity, after phases over what is shared."""
    body = Body(
        "x += w*y",
        {"x": Ref("x", Index.TARGET), "y": Ref("y", Index.SOURCE), "w": Ref("w", Index.SYNAPSE)},
    )
    sweep = Sweep(Direction.ONCE, (ForEachSynapse("pull", "syn", body, Side.TARGET),))
    first = [Sweep(Direction.ONCE, tuple(before), Over.SHARED)] if before else []
    return Program(
        "test",
        DT,
        (
            real("x", 3),
            real("y", 2),
            real("w", 4, Access.SHARED),
            Array("next", DType.INT, 4, Access.SHARED),
        ),
        (sweep, *first),
        connectivities=(Sparse("syn", 2, 3, 4),),
    )


def pulled(targets):
    """What the loop adds, from the targets of the synapses 0, 0, 1, 1."""
    expected = np.zeros(3)
    for synapse, (source, target) in enumerate(zip([0, 0, 1, 1], targets, strict=True)):
        expected[target] += (synapse + 1) * [10, 20][source]
    return expected


def test_tables_by_target_follow_those_by_source_when_these_are_written(backend):
    network = by_target()
    memory = memory_of(backend, network, w=[1, 2, 3, 4], y=[10, 20], **{"syn:row": [0, 2, 4]})
    kernel = registry.create(backend, memory.precision).compile(network)
    for targets in ([0, 1, 0, 2], [1, 2, 1, 2], [0, 2, 0, 1]):
        memory.write("syn:target", targets)
        memory.write("x", 0)
        kernel.run(memory)
        np.testing.assert_array_equal(memory.read("x")[0], pulled(targets))


def test_tables_by_target_follow_those_that_another_memory_has_written(backend):
    network = by_target()
    store = memory_of(backend, network, w=[1, 2, 3, 4], y=[10, 20], **{"syn:row": [0, 2, 4]})
    memory = registry.create(backend, store.precision).memory(1)
    memory.share(store, store.arrays)
    kernel = registry.create(backend, store.precision).compile(network)
    for targets in ([0, 1, 0, 2], [1, 2, 1, 2]):
        store.write("syn:target", targets)
        store.write("x", 0)
        kernel.run(memory)
        np.testing.assert_array_equal(memory.read("x")[0], pulled(targets))


def test_a_phase_may_write_the_tables_of_a_connectivity(backend):
    rewire = ForEach(
        "rewire", 4, Body("t_ = n", {"t_": element("syn:target"), "n": element("next")})
    )
    network = by_target(rewire)
    memory = memory_of(backend, network, w=[1, 2, 3, 4], y=[10, 20], **{"syn:row": [0, 2, 4]})
    kernel = registry.create(backend, memory.precision).compile(network)
    memory.write("syn:target", [0, 1, 0, 2])
    memory.write("next", [1, 2, 0, 1])
    for targets in ([0, 1, 0, 2], [1, 2, 0, 1]):  # the first run goes by the old ones
        memory.write("x", 0)
        kernel.run(memory)
        np.testing.assert_array_equal(memory.read("x")[0], pulled(targets))
