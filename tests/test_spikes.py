"""Spikes against dense arrays and plain lists, and every sentence for bad data."""

import copy
import pickle

import numpy as np
import pytest
from brian2 import ms, mV
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from brian2eprop.spikes import Spikes

dense_arrays = arrays(np.bool_, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6))


def spikes_at(spikes, sample, step):
    start = spikes.start[sample]
    return spikes.index[start[step] : start[step + 1]].tolist()


@given(dense_arrays)
def test_dense_round_trip(dense):
    spikes = Spikes.from_dense(dense)
    assert (len(spikes), spikes.n_steps, spikes.n_neurons) == dense.shape
    assert np.array_equal(spikes.to_dense(), dense)
    for sample, step in np.ndindex(dense.shape[:2]):
        assert spikes_at(spikes, sample, step) == np.flatnonzero(dense[sample, step]).tolist()


@given(dense_arrays, st.randoms(use_true_random=False))
def test_events_in_any_order(dense, random):
    events = np.argwhere(dense).tolist()
    random.shuffle(events)
    columns = np.array(events, dtype=int).reshape(-1, 3).T
    spikes = Spikes.from_events(*columns, shape=dense.shape)
    assert np.array_equal(spikes.to_dense(), dense)


@given(dense_arrays, st.data())
def test_choosing_samples(dense, data):
    spikes = Spikes.from_dense(dense)
    n = len(dense)
    which = data.draw(
        st.one_of(
            st.lists(st.integers(-n, n - 1)),
            st.slices(n),
            arrays(np.bool_, n),
        )
    )
    chosen = np.asarray(which, int) if isinstance(which, list) else which
    part = spikes[which]
    assert np.array_equal(part.to_dense(), dense[chosen])
    rebuilt = Spikes(part.n_neurons, part.n_steps, part.start, part.index)  # checks its form
    assert len(rebuilt) == len(part)


def test_one_sample_by_number():
    dense = np.random.default_rng(1).random((4, 5, 6)) < 0.3
    assert np.array_equal(Spikes.from_dense(dense)[-1].to_dense(), dense[-1:])


def test_stream_is_the_same_arrays():
    spikes = Spikes.from_dense(np.eye(3)[None])
    stream = spikes.stream()
    assert (stream.start.dtype, stream.index.dtype) == (np.int64, np.int32)
    assert stream.start is spikes.start and stream.index is spikes.index
    assert stream.first_step == 0


def test_frozen_without_freezing_the_callers_arrays():
    start, index = np.array([[0, 1, 2]]), np.array([0, 1], np.int32)
    spikes = Spikes(2, 2, start, index)
    assert start.flags.writeable and index.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        spikes.index[0] = 1


@pytest.mark.parametrize("made", [
    lambda spikes: spikes,
    lambda spikes: spikes[:1],
    lambda spikes: pickle.loads(pickle.dumps(spikes)),
    copy.deepcopy,
])  # fmt: skip
def test_nobody_can_change_what_was_checked(made):
    spikes = made(Spikes.from_dense(np.eye(2, dtype=bool)[None]))
    for values in (spikes.start, spikes.index):
        with pytest.raises(ValueError, match="WRITEABLE"):
            values.flags.writeable = True


def test_what_was_stored_is_checked_again():
    spikes = Spikes.from_dense(np.eye(2, dtype=bool)[None])
    stored = pickle.dumps(spikes).replace(spikes.index.tobytes(), np.int32([0, 7]).tobytes())
    with pytest.raises(ValueError, match="Spikes: "):
        pickle.loads(stored)


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_later_changes_of_the_callers_arrays_change_nothing(dtype):
    start, index = np.array([[0, 1, 2]], dtype), np.array([0, 1], np.int32)
    spikes = Spikes(2, 2, start, index)
    dense = spikes.to_dense()
    start[0, 1], index[0] = 1000, 77
    assert np.array_equal(spikes.to_dense(), dense)


def test_parts_of_no_spikes():
    spikes = Spikes.from_events([1], [2], [0], (3, 4, 2))
    assert spikes[[0, 2]].index.size == 0
    assert spikes[[2, 1, 1]].to_dense().sum(axis=(1, 2)).tolist() == [0, 1, 1]


def test_times_fall_on_the_grid():
    times = [[0.0, 0.3, 0.7], [0.1] * 2]
    neurons = [[2, 0, 2], [1, 0]]
    spikes = Spikes.from_times([np.array(t) * ms for t in times], neurons, 3, 1 * ms, 0.1 * ms)
    expected = np.zeros((2, 10, 3), bool)
    for sample, step, neuron in [(0, 0, 2), (0, 3, 0), (0, 7, 2), (1, 1, 1), (1, 1, 0)]:
        expected[sample, step, neuron] = True
    assert np.array_equal(spikes.to_dense(), expected)
    in_seconds = Spikes.from_times([np.array(t) * 1e-3 for t in times], neurons, 3, 1e-3, 1e-4)
    assert np.array_equal(in_seconds.to_dense(), expected)


def test_times_between_steps_belong_to_the_step_begun():
    spikes = Spikes.from_times([[1.99 * ms, 2.0 * ms]], [[0, 0]], 1, 5 * ms, 1 * ms)
    assert np.flatnonzero(spikes.to_dense()[0, :, 0]).tolist() == [1, 2]


def test_merging_times_of_one_step():
    arguments = ([[0.1, 0.2, 1.1]], [[4, 4, 4]], 5, 2.0, 1.0)
    with pytest.raises(ValueError, match="neuron 4 spikes more than once in step 0 of sample 0"):
        Spikes.from_times(*arguments)
    merged = Spikes.from_times(*arguments, merge=True)
    assert [spikes_at(merged, 0, s) for s in (0, 1)] == [[4], [4]]


def test_no_samples_and_no_spikes():
    none = Spikes.from_events([], [], [], (0, 4, 3))
    assert (len(none), none.to_dense().shape) == (0, (0, 4, 3))
    silent = Spikes.from_times([[], []], [[], []], 3, 4.0, 1.0)
    assert not silent.to_dense().any() and len(silent[[]]) == 0


BAD_DENSE = [
    (np.zeros((2, 3)), r"shape \(2, 3\); give one of shape \(samples, steps, neurons\)"),
    (
        np.full((1, 1, 1), 2),
        r"holds the value 2; give only zeros and ones \(an encoder such as "
        r"brian2eprop\.encoding\.latency turns values into spikes\)\.",
    ),
    (np.full((1, 1, 1), np.nan), "holds the value nan; give only zeros and ones"),
    (np.full((1, 1, 1), "x"), "holds <U1; give bools, or zeros and ones"),
]


@pytest.mark.parametrize(("dense", "sentence"), BAD_DENSE)
def test_bad_dense(dense, sentence):
    with pytest.raises(ValueError, match=sentence):
        Spikes.from_dense(dense)


BAD_EVENTS = [
    (([0], [0], [3]), "neurons has the value 3 at position 0, outside 0 .. 2; remove that"),
    (([0], [-1], [0]), "steps has the value -1 at position 0, outside 0 .. 1"),
    (([0, 1], [0, 0], [0, 0]), "samples has the value 1 at position 1, outside 0 .. 0"),
    (([0], [0, 1], [0]), "lengths 1, 2, 1; give one of each per spike"),
    (([0], [0.5], [0]), "steps holds values that are no whole numbers .*give integers"),
    (([0], [np.nan], [0]), r"steps holds values that are no whole numbers \(or NaN\)"),
    (([[0]], [0], [0]), "samples has 2 dimensions; give 1"),
    (([0, 0], [1, 1], [2, 2]), "neuron 2 spikes more than once in step 1 of sample 0; remove"),
]


@pytest.mark.parametrize(("events", "sentence"), BAD_EVENTS)
def test_bad_events(events, sentence):
    with pytest.raises(ValueError, match=sentence):
        Spikes.from_events(*events, shape=(1, 2, 3))


def test_bad_shape_of_events():
    with pytest.raises(ValueError, match=r"shape is \(1, 2\); give \(n_samples, n_steps, n_neu"):
        Spikes.from_events([], [], [], (1, 2))
    with pytest.raises(ValueError, match="an entry of shape is -2; give a whole number"):
        Spikes.from_events([], [], [], (1, -2, 1))
    with pytest.raises(ValueError, match="more places than 64 bits can count; give fewer"):
        Spikes.from_events([], [], [], (2**40, 2**20, 2**10))


BAD_TIMES = [
    ({"times": [[0.3, 0.1]]}, "times of sample 0 are not sorted; sort times and neurons"),
    ({"times": [[-0.1, 0.1]]}, "times of sample 0 hold the negative time -0.1 s"),
    ({"times": [[0.1, np.nan]]}, "times of sample 0 hold NaN or infinity; remove"),
    ({"times": [[0.1, 1.0]]}, "sample 0 has a spike at 1.0 s, after the duration of 1.0 s"),
    ({"times": [[[0.1, 0.2]]]}, "times of sample 0 have 2 dimensions; give one"),
    ({"times": [[0.1, 0.2] * mV]}, "times of sample 0 has the unit of .* no time; give seconds"),
    ({"times": [[0.1]]}, "sample 0 has 1 times but 2 neurons; give one neuron for each"),
    ({"times": []}, "times has 0 samples but neurons has 1; give one array of each"),
    ({"neurons": [[0, 7]]}, "neurons has the value 7 at position 1, outside 0 .. 1"),
    ({"dt": 0.0}, "dt is 0.0; give one time above zero"),
    ({"duration": np.inf}, "duration is inf; give one time above zero"),
    ({"n_neurons": 1.5}, "an entry of shape is 1.5; give a whole number"),
    ({"duration": 1.05}, "duration is 1.05 s, no multiple of dt = 0.1 s; give a whole number of"),
    ({"duration": 0.04}, "duration is 0.04 s, no multiple of dt = 0.1 s; give a whole number of"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD_TIMES)
def test_bad_times(change, sentence):
    good = {"times": [[0.1, 0.3]], "neurons": [[0, 1]], "n_neurons": 2, "duration": 1.0, "dt": 0.1}
    Spikes.from_times(**good)
    with pytest.raises(ValueError, match=sentence):
        Spikes.from_times(**good | change)


BAD_ARRAYS = [
    ({"index": [1, 0, 2]}, "index is not ascending within a step at position 1; sort it"),
    ({"index": [0, 0, 2]}, "index is not ascending within a step at position 1; sort it"),
    ({"index": [0, 1, 3]}, "neuron indices has the value 3 at position 2, outside 0 .. 2"),
    ({"start": [[0, 2]]}, r"start has 2 columns but n_steps is 2; give n_steps \+ 1"),
    ({"start": [[0, 2, 2]]}, r"start does not rise from 0 to the number of spikes \(3\)"),
    ({"start": [[0, 4, 3]]}, "start does not rise from 0"),
    ({"start": [[0, 1, 2], [1, 2, 3]]}, "start does not rise from 0"),
    ({"n_steps": -1}, "n_steps is -1; give a whole number that is not negative"),
    ({"n_neurons": 2**31}, r"n_neurons is 2147483648, but there can be at most 2147483647 neurons"),
    ({"index": np.array([0, 2**63 + 1, 0], np.uint64)}, "index holds values that are no whole num"),
    ({"index": [0.0, 1e300, 0.0]}, r"index holds values that are no whole numbers \(or NaN\)"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD_ARRAYS)
def test_bad_arrays(change, sentence):
    good = {"n_neurons": 3, "n_steps": 2, "start": [[0, 2, 3]], "index": [0, 1, 0]}
    Spikes(**good)
    with pytest.raises(ValueError, match=sentence):
        Spikes(**good | change)


@pytest.mark.parametrize("which", [3, [0, 5], [True, False], "a", [0.5], [[0, 1]], [[0], [1, 2]]])
def test_bad_choice_of_samples(which):
    with pytest.raises(IndexError, match="does not select samples of 3; give indices below 3"):
        Spikes.from_dense(np.zeros((3, 1, 1)))[which]


def test_concatenated_samples_are_those_of_the_parts():
    rng = np.random.default_rng(0)
    dense = rng.random((7, 5, 4)) < 0.3
    parts = [Spikes.from_dense(dense[cut]) for cut in (slice(0, 3), slice(3, 3), slice(3, 7))]
    whole = Spikes.concatenate(parts)
    assert np.array_equal(whole.to_dense(), dense)
    # The checks of the constructor find nothing.
    Spikes(whole.n_neurons, whole.n_steps, whole.start, whole.index)


def test_parts_of_different_forms_are_not_concatenated():
    one, other = (Spikes.from_dense(np.zeros((1, n, 2))) for n in (3, 4))
    with pytest.raises(ValueError, match=r"have \[\(2, 3\), \(2, 4\)\] as \(neurons, steps\)"):
        Spikes.concatenate([one, other])
    with pytest.raises(ValueError, match="give at least one part"):
        Spikes.concatenate([])
