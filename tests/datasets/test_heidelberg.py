"""SHD and SSC from small files of their form, whole and damaged."""

import hashlib
import io
import os
import sys
import zipfile

import numpy as np
import pytest
from brian2 import ms, second

from brian2eprop import DatasetError
from brian2eprop.datasets import heidelberg, shd, spike_hdf5, ssc
from tests.datasets.server import Site, serving

h5py = pytest.importorskip("h5py")

TIMES = [[0.0, 0.25, 0.5], [], [0.125, 0.125, 1.25], [0.0005]]
UNITS = [[0, 699, 3], [], [7, 7, 8], [5]]
LABELS = [3, 19, 0, 11]
SPEAKERS = [4, 5, 4, 6]


def write(path, times=TIMES, units=UNITS, labels=LABELS, speakers=SPEAKERS, times_type=np.float16):
    with h5py.File(path, "w") as file:
        for name, rows, kind in (("times", times, times_type), ("units", units, np.uint16)):
            column = file.create_dataset(
                f"spikes/{name}", (len(rows),), h5py.special_dtype(vlen=kind)
            )
            for number, row in enumerate(rows):
                column[number] = np.array(row, kind)
        file["labels"] = np.array(labels, np.uint16)
        file["extra/speaker"] = np.array(speakers, np.uint16)
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "shd_test.h5")
    return tmp_path


def events(spikes):
    return np.argwhere(spikes.to_dense()).tolist()


def test_spikes_and_labels(folder):
    spikes, labels = shd("test", folder=folder)
    assert (spikes.n_steps, spikes.n_neurons) == (1400, 700)
    assert events(spikes) == [
        [0, 0, 0], [0, 250, 699], [0, 500, 3], [2, 125, 7], [2, 1250, 8], [3, 0, 5],
    ]  # fmt: skip
    assert labels.tolist() == LABELS and labels.dtype == np.int64


def test_another_grid(folder):
    spikes, _ = shd("test", dt=250 * ms, duration=1.5 * second, folder=folder)
    assert (spikes.n_steps, events(spikes)[1:4]) == (6, [[0, 1, 699], [0, 2, 3], [2, 0, 7]])


@pytest.mark.parametrize("at_once", [1, 2, 512])
@pytest.mark.parametrize(
    "samples", [slice(None), slice(3, 0, -2), [2, 2, 0], [], [False, True] * 2]
)
def test_some_of_the_samples(folder, samples, at_once, monkeypatch):
    monkeypatch.setattr(spike_hdf5, "AT_ONCE", at_once)
    whole, _ = shd("test", folder=folder)
    spikes, labels = shd("test", samples=samples, folder=folder)
    chosen = np.arange(4)[np.array(samples, bool) if samples == [False, True] * 2 else samples] if (
        not isinstance(samples, list) or samples
    ) else np.arange(0)  # fmt: skip
    assert np.array_equal(labels, np.array(LABELS)[chosen])
    assert np.array_equal(spikes.to_dense(), whole.to_dense()[chosen])


def test_speakers(folder):
    whole, _ = shd("test", folder=folder)
    spikes, labels = shd("test", speakers=[4], samples=slice(1, None), folder=folder)
    assert labels.tolist() == [0]
    assert np.array_equal(spikes.to_dense(), whole.to_dense()[2:3])
    with pytest.raises(
        ValueError, match=r"no samples of the speakers \[9\]; it has those of \[4, 5"
    ):
        shd("test", speakers=[4, 9], folder=folder)


def test_spikes_after_the_end(folder):
    with pytest.raises(
        DatasetError, match=r"spike at 1.25 s, after the duration of 1 s; .*cut=True"
    ):
        shd("test", duration=1.0, folder=folder)
    spikes, _ = shd("test", duration=1.0, cut=True, folder=folder)
    assert [event[:2] for event in events(spikes)] == [[0, 0], [0, 250], [0, 500], [2, 125], [3, 0]]
    # A spike at the very end is after it.
    assert len(events(shd("test", duration=0.5, cut=True, folder=folder)[0])) == 4


def test_ssc_has_a_third_part_and_more_words(tmp_path):
    write(tmp_path / "ssc_valid.h5", labels=[34, 0, 1, 2])
    assert ssc("valid", folder=tmp_path)[1].tolist() == [34, 0, 1, 2]
    with pytest.raises(ValueError, match=r"shd: split is 'valid'; give one of train, test"):
        shd("valid", folder=tmp_path)


def packed(content, name="shd_train.h5"):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return archive.getvalue()


def test_a_file_that_is_not_there_is_downloaded_and_unpacked(tmp_path, monkeypatch):
    archive = packed(write(tmp_path / "made.h5").read_bytes())
    with serving(Site({"shd_train.h5.zip": archive}, cuts=[900])) as site:
        monkeypatch.setattr(heidelberg, "BASES", (site.base,))
        with pytest.raises(DatasetError, match=r"instead of f3252aeb598ac776c1b526422d90eecb"):
            shd("train", folder=tmp_path)
        monkeypatch.setitem(heidelberg.SUMS, "shd_train", hashlib.md5(archive).hexdigest())
        assert shd("train", folder=tmp_path)[1].tolist() == LABELS
        asked = len(site.asked)
        assert shd("train", folder=tmp_path)[1].tolist() == LABELS
        assert len(site.asked) == asked
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "made.h5", "shd_train.h5", "shd_train.h5.zip.lock",
    ]  # fmt: skip


@pytest.mark.parametrize("archive", [b"no zip at all", packed(b"?", "other.h5")])
def test_an_archive_of_something_else(tmp_path, archive):
    (tmp_path / "shd_train.h5.zip").write_bytes(archive)
    with pytest.raises(DatasetError, match=r"does not hold shd_train.h5 .*remove it to have it"):
        shd("train", folder=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["shd_train.h5.zip"]


def test_the_disk_is_full_while_unpacking(tmp_path, monkeypatch):
    (tmp_path / "shd_train.h5.zip").write_bytes(packed(bytes(5000)))
    (tmp_path / f"shd_train.h5.{os.getpid()}.part").symlink_to("/dev/full")
    with pytest.raises(
        DatasetError, match=r"cannot be written: No space left on device. Make room"
    ):
        shd("train", folder=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["shd_train.h5.zip"]


DAMAGED = {
    "label": ({"labels": [3, 20, 0, 1]}, "has labels outside 0 .. 19"),
    "fewer labels": ({"labels": [1, 2]}, "times of 4 and units of 4 samples for 2 labels"),
    "fewer units": ({"units": UNITS[:3]}, "times of 4 and units of 3 samples for 4 labels"),
    "unit": ({"units": [[700, 1, 2], *UNITS[1:]]}, "neuron.* 700 .*outside 0 .. 699"),
    "lengths": ({"units": [[1], *UNITS[1:]]}, "sample 0 of these has 3 times for 1 neurons"),
    "negative": ({"times": [[-0.5, 0, 1], *TIMES[1:]]}, "negative time -0.5"),
    "nan": ({"times": [[0, np.nan, 1], *TIMES[1:]]}, "NaN or infinity|spike at nan"),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("cut", [False, True])
def test_damaged_samples(tmp_path, kind, cut):
    changed, sentence = DAMAGED[kind]
    write(tmp_path / "shd_test.h5", **changed)
    with pytest.raises(DatasetError, match=sentence):
        shd("test", cut=cut, folder=tmp_path)


def test_unsorted_times_are_sorted(tmp_path):
    write(tmp_path / "shd_test.h5", times=[[0.5, 0, 0.25], *TIMES[1:]])
    assert events(shd("test", folder=tmp_path)[0])[:3] == [[0, 0, 699], [0, 250, 3], [0, 500, 0]]


def test_files_that_are_no_such_files(folder, tmp_path):
    path = tmp_path / "shd_test.h5"
    whole = path.read_bytes()
    for content in (b"", b"garbage" * 1000, whole[: len(whole) // 2], whole[:600]):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"is damaged: .*Download it again"):
            shd("test", folder=folder)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DatasetError, match=r"is no regular file"):
        shd("test", folder=folder)


def test_a_file_does_not_make_us_read_another_one(folder, tmp_path):
    write(tmp_path / "secret.h5")
    with h5py.File(tmp_path / "shd_test.h5", "a") as file:
        del file["labels"]
        file["labels"] = h5py.ExternalLink("secret.h5", "labels")
    with pytest.raises(DatasetError, match=r"has no labels; give a file of SHD or SSC"):
        shd("test", folder=folder)
    (tmp_path / "raw").write_bytes(bytes(8))
    with h5py.File(tmp_path / "shd_test.h5", "a") as file:
        del file["labels"]
        file.create_dataset("labels", (4,), "u2", external=[(str(tmp_path / "raw"), 0, 8)])
    with pytest.raises(DatasetError, match=r"has no list labels"):
        shd("test", folder=folder)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("labels", np.zeros(4), "labels holds float64"),
        ("labels", np.zeros((4, 1), int), "has no list labels"),
        ("spikes/units", np.zeros(4, int), "spikes/units is no list of arrays"),
        ("spikes", 3, "has no spikes/times"),
    ],
)
def test_other_datasets(folder, tmp_path, name, value, sentence):
    with h5py.File(tmp_path / "shd_test.h5", "a") as file:
        del file[name]
        file[name] = value
    with pytest.raises(DatasetError, match=sentence):
        shd("test", folder=folder)


def test_more_samples_than_there_can_be(folder, tmp_path):
    with h5py.File(tmp_path / "shd_test.h5", "a") as file:
        del file["labels"]
        file.create_dataset("labels", (2**40,), "u2", chunks=(1024,))
    with pytest.raises(DatasetError, match=r"labels holds 1099511627776, too much to be believed"):
        shd("test", folder=folder)


def test_without_h5py(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"Run pip install h5py, or pip install '\.\[data\]'"):
        shd("test", folder=folder)
