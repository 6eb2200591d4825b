"""Checkpoints: what is written comes back, and damage or a full disk loses nothing."""

import errno
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brian2eprop import archives
from brian2eprop.errors import CheckpointError
from brian2eprop.learning.settings import settings
from brian2eprop.learning.training.checkpoint import Checkpoint, Form, State, write
from brian2eprop.learning.training.connectivity import digests
from brian2eprop.learning.training.optimisers import Adam
from brian2eprop.learning.training.reading import opened
from brian2eprop.whole import write_whole

NAMES = {"net_w": np.float32, "adam:v:net_w": np.float32, "adam:rate": np.float64}


def sample(seed=0, size=3, **change):
    rng = np.random.default_rng(seed)
    arrays = {
        "net_w": rng.normal(size=size).astype(np.float32),
        "adam:v:net_w": np.ones(size, np.float32),
        "adam:rate": np.ones(1),
    }
    pairs = {"net": np.array([[0, 1, 1], [2, 0, 1]], np.int32)}
    state = {
        "iteration": 12,
        "epoch": 3,
        "history": {"loss": [3.0, 0.1, float("nan")], "rates": [{"hidden": 1.5}] * 3},
        "rng": rng.bit_generator.state,
        "settings": {"optimiser": settings(Adam(0.25, 0.5))},
        "connectivity": digests(pairs),
        "values": {"net.tau": "a hash"},
    }
    return Checkpoint(arrays, State(**state | change), pairs)


def layout(size=3):
    shapes = {"net_w": (size,), "adam:v:net_w": (size,), "adam:rate": (1,)}
    return {
        name: Form(shapes[name], np.dtype(dtype), squares=name == "adam:v:net_w")
        for name, dtype in NAMES.items()
    }


def read(path, size=3):
    """What a file holds, all of it checked."""
    with opened(path) as file:
        expected = sample()
        file.check(expected.state.settings, expected.state.connectivity, expected.state.values)
        optimiser = file.optimiser(Adam())
        return SimpleNamespace(
            arrays=file.arrays(layout(size)),
            state=file.state,
            optimiser=optimiser,
            rng=file.generator(),
            frozen=file.frozen(["net_w"]),
            position=file.position(),
        )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.npz"


def test_round_trip(path):
    write(path, sample())
    found, expected = read(path), sample()
    assert (found.state.iteration, found.state.epoch) == (12, 3)
    assert json.dumps(found.state.history) == json.dumps(expected.state.history)
    assert found.arrays.keys() == expected.arrays.keys()
    for name, values in expected.arrays.items():
        assert found.arrays[name].dtype == values.dtype
        np.testing.assert_array_equal(found.arrays[name], values)
    assert found.optimiser == Adam(0.25, 0.5)
    same = np.random.default_rng(0)
    same.normal(size=3)
    np.testing.assert_array_equal(found.rng.random(5), same.random(5))
    assert [entry.name for entry in path.parent.iterdir()] == ["run.npz"]


def test_the_connectivity_can_be_read_with_numpy_alone(path):
    write(path, sample())
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive["pairs.net"], [[0, 1, 1], [2, 0, 1]])


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
    with pytest.raises(
        OSError, match=r"could not be written \(No such file or directory\); choose"
    ):
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
        assert found.state.iteration == expected.state.iteration
        assert found.state.epoch == expected.state.epoch
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


def as_text(state):
    return np.frombuffer(json.dumps(state).encode(), np.uint8)


FOREIGN = [
    {"weights": np.ones(3)},
    {"state": np.array("no json")},
    {"state": as_text([1])},
    {"state": np.frombuffer(b"[" * 100_000, np.uint8)},
    {"state": as_text({"format": "another"})},
    {"state": as_text({"format": "brian2eprop checkpoint", "version": 6})},
]


@pytest.mark.parametrize("members", FOREIGN)
def test_a_foreign_archive(path, members):
    np.savez(path, **members)
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(path)


IMPOSSIBLE = [
    {"iteration": -1},
    {"iteration": 1e30},
    {"iteration": 10**30},
    {"iteration": True},
    {"epoch": 1.5},
    {"history": "abc"},
    {"history": {"loss": "abc"}},
    {"history": {"loss": ["abc"]}},
    {"history": {"loss": [0.0] * 4}},
    {"history": {"rates": [{"hidden": "x"}]}},
    {"settings": 3},
    {"settings": {}},
    {"settings": {"optimiser": {"is": "Adam", "learning_rate": -1.0}}},
    {"connectivity": 3},
    {"values": 3},
    {"position": 3},
    {"frozen": 3},
    {"frozen": ["net_w"]},
    {"frozen": ["nobody's"]},
]


@pytest.mark.parametrize("change", IMPOSSIBLE)
def test_a_state_that_cannot_be(path, change):
    write(path, sample())
    members = dict(np.load(path))
    good = json.loads(members["state"].tobytes())
    np.savez(path, **members | {"state": as_text(good)})
    read(path)
    np.savez(path, **members | {"state": as_text(good | change)})
    with pytest.raises(CheckpointError, match="nothing was loaded"):
        read(path)


def test_another_version(path):
    np.savez(path, state=as_text({"format": "brian2eprop checkpoint", "version": 1}))
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(caught.value) == (
        f"The checkpoint '{path}' has version 1 of the format, but this brian2eprop reads "
        "version 6; install the version that wrote it."
    )


LOAD_INTO = "nothing was loaded. Load it into the network and optimiser it was saved from."
EARLIER = "nothing was loaded. Load an earlier checkpoint."
MISMATCHED = [
    ({"net_w": None}, f"array 'net_w' is in this task but not in the file; {LOAD_INTO}"),
    ({"x": np.ones(1)}, f"array 'x' is in the file but not in this task; {LOAD_INTO}"),
    (
        {"net_w": np.ones(4)},
        f"array 'net_w' has the shape (4,) but (3,) is needed; {LOAD_INTO}",
    ),
    (
        {"net_w": np.array([1, np.nan, 2])},
        f"array 'net_w' holds values that are no finite numbers; {EARLIER}",
    ),
    (
        {"net_w": np.array([1, 1e300, 2])},  # infinite in single precision
        f"array 'net_w' holds values that are no finite numbers; {EARLIER}",
    ),
    (
        {"net_w": np.array(["a", "b", "c"])},
        f"array 'net_w' holds values that are no finite numbers; {EARLIER}",
    ),
    (
        {"adam:v:net_w": np.array([0, -1e-9, 1])},
        f"array 'adam:v:net_w' holds an average of squares that is negative; {EARLIER}",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), MISMATCHED)
def test_another_task(path, change, sentence):
    good = sample()
    arrays = {n: values for n, values in (good.arrays | change).items() if values is not None}
    write(path, Checkpoint(arrays, good.state, good.pairs))
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(caught.value) == f"The checkpoint '{path}': {sentence}"


def test_other_synapses(path):
    other = {"net": np.array([[0, 1, 1], [2, 1, 0]], np.int32)}
    write(path, sample(connectivity=digests(other)))
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(caught.value) == (
        f"The checkpoint '{path}': it was saved with other synapses of 'net'; nothing was "
        "loaded. Connect them as they were, for example with the same seed."
    )


@pytest.mark.parametrize("state", [{}, {"bit_generator": "PCG64"}, {"bit_generator": "MT19937"}])
def test_no_state_of_a_generator(path, state):
    write(path, sample(rng=state))
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(caught.value) == (
        f"The checkpoint '{path}': it holds no valid state of the random generator; {EARLIER}"
    )


def test_a_bomb_is_not_unpacked(path):
    write(path, sample())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("array.zeros.npy", bytes(2**24))
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="array 'zeros' is in the file but not in this task"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_state_of_any_size_is_not_read(path, monkeypatch):
    write(path, sample())
    monkeypatch.setattr(archives, "MAX_STATE_BYTES", 100)
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"save: the history of 3 epochs takes .* new Trainer"):
        write(path, sample())
    assert path.read_bytes() == before


def test_a_header_is_not_believed(path):
    """A file that says it holds 8 TB, and one that holds more than it says."""
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }"
    for count, content in ((2**40, bytes(24)), (3, bytes(2**20))):
        write(path, sample())
        members = dict(np.load(path))
        del members["array.net_w"]
        np.savez(path, **members)
        text = (header % count).ljust(117).encode() + b"\n"
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            start = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
            archive.writestr("array.net_w.npy", start + content)
        tracemalloc.start()
        with pytest.raises(CheckpointError, match="nothing was loaded"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
        tracemalloc.stop()


# Where files lie


def test_links_stay_links(tmp_path):
    (tmp_path / "runs").mkdir()
    link = tmp_path / "link.npz"
    link.symlink_to(tmp_path / "runs" / "run.npz")
    for seed in (0, 1):  # a link to nothing, then to a file
        write(link, sample(seed))
        assert link.is_symlink() and (tmp_path / "runs" / "run.npz").is_file()
    np.testing.assert_array_equal(read(link).arrays["net_w"], sample(1).arrays["net_w"])
    assert [entry.name for entry in (tmp_path / "runs").iterdir()] == ["run.npz"]


def test_what_is_no_file_stays_what_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=r"'.*pipe' could not be written \(it is no regular file\)"):
        write(pipe, sample())
    assert pipe.is_fifo()
    with pytest.raises(CheckpointError, match="pipe' is no regular file"):
        read(pipe)
    with pytest.raises(OSError, match=r"could not be written \(it is a folder\); choose"):
        write(tmp_path, sample())


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write("~/run.npz", sample())
    assert (tmp_path / "run.npz").is_file()
    assert read("~/run.npz").state.epoch == 3


KILLED = """
import os, signal, sys
from brian2eprop.whole import write_whole
write_whole(sys.argv[1], lambda file: (file.write(b'half'), os.kill(os.getpid(), signal.SIGKILL)))
"""


def test_what_killed_saves_leave_is_removed_by_the_next(path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=Path.cwd(), check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(path.parent.iterdir())) == 1
    (path.parent / ".run.npz.notes.tmp").write_text("mine")
    write(path, sample())
    assert sorted(e.name for e in path.parent.iterdir()) == [".run.npz.notes.tmp", "run.npz"]


def test_a_save_of_another_process_is_left_alone(path):
    def meanwhile(file):
        write(path, sample())
        file.write(b"second")

    write_whole(path, meanwhile)
    assert path.read_bytes() == b"second"
