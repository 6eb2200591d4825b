"""Checkpoints: what is written comes back, and damage or a full disk loses nothing."""

import errno
import json
import pickle
import resource
import signal

import numpy as np
import pytest

from brian2eprop.learning.training.checkpoint import (
    Checkpoint,
    CheckpointError,
    check_arrays,
    generator,
    read,
    write,
)


def sample(seed=0, size=3):
    rng = np.random.default_rng(seed)
    return Checkpoint(
        arrays={"net_w": rng.normal(size=size).astype(np.float32), "adam_rate": np.ones(1)},
        iteration=12,
        epoch=3,
        history={"loss": [3.0, 0.1, float("nan")], "rates": [{"hidden": 1.5}] * 3},
        rng=rng.bit_generator.state,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.npz"


def test_round_trip(path):
    write(path, sample())
    found, expected = read(path), sample()
    assert (found.iteration, found.epoch) == (12, 3)
    assert json.dumps(found.history) == json.dumps(expected.history)
    assert found.arrays.keys() == expected.arrays.keys()
    for name, values in expected.arrays.items():
        assert found.arrays[name].dtype == values.dtype
        np.testing.assert_array_equal(found.arrays[name], values)
    same = np.random.default_rng(0)
    same.normal(size=3)
    np.testing.assert_array_equal(generator(path, found.rng).random(5), same.random(5))
    assert [entry.name for entry in path.parent.iterdir()] == ["run.npz"]


def test_an_array_named_like_a_keyword_of_savez(path):
    arrays = {name: np.arange(2.0) for name in ("file", "state", "allow_pickle")}
    write(path, Checkpoint(arrays, 0, 0, {}, {}))
    assert read(path).arrays.keys() == arrays.keys()


def test_a_full_disk_keeps_the_file_there_was(path):
    write(path, sample())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(
            OSError, match=r"run.npz' could not be written \(File too large\); free"
        ):
            write(path, sample(1, size=100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    np.testing.assert_array_equal(read(path).arrays["net_w"], sample().arrays["net_w"])
    assert [entry.name for entry in path.parent.iterdir()] == ["run.npz"]


def test_an_interrupted_rename_keeps_the_file_there_was(path, monkeypatch):
    write(path, sample())

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(
        OSError, match=r"No space left on device.*earlier file of that name was kept"
    ):
        write(path, sample(1))
    np.testing.assert_array_equal(read(path).arrays["net_w"], sample().arrays["net_w"])


def test_who_reads_the_old_file_is_not_disturbed(path):
    write(path, sample())
    expected = path.read_bytes()
    with path.open("rb") as reader:
        write(path, sample(1))
        assert reader.read() == expected
    assert path.read_bytes() != expected


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match=r"could not be written \(No such file or directory\); free"):
        write(tmp_path / "no" / "run.npz", sample())
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "run.npz")


DAMAGED = r"run.npz' is damaged or is no checkpoint of brian2eprop .*; nothing was loaded. Use"


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -200])
def test_a_file_cut_short(path, cut):
    write(path, sample())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(path)


def test_every_flipped_byte_is_noticed_or_harmless(path):
    write(path, sample())
    whole = path.read_bytes()
    expected = read(path)
    for place in range(0, len(whole), 37):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            found = read(path)
        except CheckpointError:
            continue
        assert (found.iteration, found.epoch) == (expected.iteration, expected.epoch)
        for name in found.arrays.keys() & expected.arrays.keys():
            np.testing.assert_array_equal(found.arrays[name], expected.arrays[name])


class Trap:
    """Sets a mark when it is unpickled."""

    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


def test_nothing_is_unpickled(path):
    trap = np.empty(1, object)
    trap[0] = Trap()
    np.savez(path, state=trap, allow_pickle=True)
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(path)
    assert not Trap.sprung


FOREIGN = [
    {"weights": np.ones(3)},
    {"state": np.array("no json")},
    {"state": np.array(json.dumps([1]))},
    {"state": np.array(json.dumps({"format": "another"}))},
    {"state": np.array(json.dumps({"format": "brian2eprop checkpoint", "version": 1}))},
]


@pytest.mark.parametrize("members", FOREIGN)
def test_a_foreign_archive(path, members):
    np.savez(path, **members)
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(path)


@pytest.mark.parametrize("change", [{"iteration": -1}, {"epoch": 1.5}, {"history": 3}])
def test_a_state_that_cannot_be(path, change):
    good = {"format": "brian2eprop checkpoint", "version": 1, "iteration": 0, "epoch": 0}
    good |= {"history": {}, "rng": {}}
    np.savez(path, state=np.array(json.dumps(good)))
    read(path)
    np.savez(path, state=np.array(json.dumps(good | change)))
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(path)


def test_another_version(path):
    np.savez(path, state=np.array(json.dumps({"format": "brian2eprop checkpoint", "version": 2})))
    with pytest.raises(
        CheckpointError, match=r"has version 2 of the format, .* reads version 1; in"
    ):
        read(path)


MISMATCHED = [
    ({}, "array 'w' is in this task but not in the file; nothing was loaded. Load it into"),
    ({"w": np.ones(2), "x": np.ones(1)}, "array 'x' is in the file but not in this task; nothing"),
    ({"w": np.ones(3)}, r"array 'w' has the shape \(3,\) but \(2,\) is needed; nothing was loaded"),
    ({"w": np.array([1, np.nan])}, "array 'w' holds values that are no finite numbers; nothing"),
    ({"w": np.array(["a", "b"])}, "array 'w' holds values that are no finite numbers; nothing"),
]


@pytest.mark.parametrize(("found", "sentence"), MISMATCHED)
def test_another_task(found, sentence):
    check_arrays("run.npz", {"w": np.zeros(2)}, {"w": np.zeros(2)})
    with pytest.raises(CheckpointError, match="The checkpoint 'run.npz': " + sentence):
        check_arrays("run.npz", found, {"w": np.zeros(2)})


@pytest.mark.parametrize("state", [{}, {"bit_generator": "PCG64"}, {"bit_generator": "MT19937"}])
def test_no_state_of_a_generator(state):
    with pytest.raises(
        CheckpointError, match=r"'run.npz' holds no valid state of the random gener"
    ):
        generator("run.npz", state)
