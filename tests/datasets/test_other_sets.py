"""Yin-Yang, spoken digits and event cameras."""

import os
import subprocess
import sys
import wave
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brian2eprop import DatasetError
from brian2eprop.datasets import dvs_gesture, fsdd, nmnist, yin_yang, yin_yang_points
from brian2eprop.encoding import inner_ear

REAL = Path(os.environ.get("BRIAN2EPROP_TEST_DATA", "/nowhere")) / "fsdd"


def yin_yang_class(x, y):
    """By the picture: a disc of radius 1/2, two half-discs of radius 1/4, two dots of 1/10."""
    left, right = (
        ((x - 0.25) ** 2 + (y - 0.5) ** 2) ** 0.5,
        ((x - 0.75) ** 2 + (y - 0.5) ** 2) ** 0.5,
    )
    if min(left, right) <= 0.1:
        return 2
    if left <= 0.25:
        return 0
    if right <= 0.25:
        return 1
    return 0 if y > 0.5 else 1


def test_yin_yang_points():
    points, labels = yin_yang_points(6000, seed=0)
    x, y = points[:, 0], points[:, 1]
    assert np.array_equal(points[:, 2:], 1 - points[:, :2])
    assert ((x - 0.5) ** 2 + (y - 0.5) ** 2 <= 0.25).all()
    assert labels.tolist() == [yin_yang_class(*point) for point in points[:, :2]]
    # A third each, within five standard deviations.
    assert np.abs(np.bincount(labels) - 2000).max() < 5 * (6000 * 2 / 9) ** 0.5
    # Even within a class: dots are two discs of the same area.
    dots = x[labels == 2] < 0.5
    assert abs(dots.mean() - 0.5) < 5 * 0.5 / dots.size**0.5


def test_yin_yang_is_a_function_of_the_seed():
    (a, la), (b, lb), (c, _) = (yin_yang_points(50, seed) for seed in (1, 1, 2))
    assert np.array_equal(a, b) and np.array_equal(la, lb) and not np.array_equal(a, c)


def test_yin_yang_spikes():
    spikes, labels = yin_yang(40, n_steps=101, seed=3, bias_step=7)
    points, expected = yin_yang_points(40, seed=3)
    steps = spikes.to_dense().argmax(axis=1)
    assert np.abs(steps[:, :4] - 100 * points).max() <= 0.5
    assert (steps[:, 4] == 7).all() and spikes.index.size == 200
    assert np.array_equal(labels, expected)
    assert yin_yang(4, 10, 0, bias_step=None)[0].n_neurons == 4
    assert len(yin_yang(0, 10, 0)[0]) == 0


def write_wave(path, samples, rate=8000, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(np.asarray(samples, "<i2").tobytes())


@pytest.fixture
def recordings(tmp_path):
    for digit in (0, 7):
        for speaker in ("ann", "bob", "eve"):
            write_wave(tmp_path / f"{digit}_{speaker}_3.wav", np.arange(200) * (digit + 1))
    (tmp_path / "notes.wav").write_bytes(b"not one of them")
    return tmp_path


def test_spoken_digits(recordings):
    found = fsdd(recordings)
    assert (len(found), found.labels.tolist()) == (6, [0, 0, 0, 7, 7, 7])
    assert found.speakers == ("ann", "bob", "eve") * 2
    assert np.array_equal(found.sounds[4], np.arange(200) * 8)
    assert fsdd(recordings, speakers=["eve"]).speakers == ("eve", "eve")


def test_a_speaker_independent_split(recordings):
    train, validation, test = fsdd(recordings).split(["bob"], ["eve"])
    assert [set(part.speakers) for part in (train, validation, test)] == [{"ann"}, {"bob"}, {"eve"}]
    assert [part.labels.tolist() for part in (train, validation, test)] == [[0, 7]] * 3
    with pytest.raises(ValueError, match=r"a speaker is in two groups"):
        fsdd(recordings).split(["bob"], ["bob", "eve"])
    with pytest.raises(ValueError, match=r"no recordings of tom; there are those of ann, bob, eve"):
        fsdd(recordings).split(["tom"])
    with pytest.raises(ValueError, match=r"speakers is 'bob'; give a list of names, as \['bob'\]"):
        fsdd(recordings, "bob")


def test_spoken_digits_as_spikes(recordings):
    found = fsdd(recordings, ["ann"])
    spikes, labels = found.spikes(0.03, 0.001, n_channels=10, seed=4)
    expected = inner_ear(found.sounds, 8000, 0.03, 0.001, 10, 4)
    assert np.array_equal(spikes.to_dense(), expected.to_dense())
    assert labels.tolist() == [0, 7]


def archive(**changed):
    return {
        "pcm": np.arange(10, dtype=np.int16), "offsets": np.array([0, 4, 10], np.uint32),
        "label": np.array([5, 6], np.uint8), "speaker": np.array([1, 0], np.uint8),
        "speakers": np.array(["ann", "bob"]), "index": np.zeros(2), "rate": np.array(8000),
    } | changed  # fmt: skip


def test_spoken_digits_in_one_archive(tmp_path):
    np.savez(tmp_path / "fsdd_8khz_int16.npz", **archive())
    found = fsdd(tmp_path)
    assert [s.tolist() for s in found.sounds] == [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9]]
    assert found.labels.tolist() == [5, 6] and found.speakers == ("bob", "ann")


@pytest.mark.parametrize(
    "changed",
    [
        {"offsets": np.array([0, 4, 11])}, {"offsets": np.array([0, 10])}, {"rate": np.array(9)},
        {"speaker": np.array([2, 0])}, {"speaker": np.array([-1, 0])}, {"pcm": np.zeros(10)},
        {"offsets": np.array([0, 12, 10])}, {"speakers": np.array([None, 3], object)},
        {"label": np.array([5, 10])},
    ],
)  # fmt: skip
def test_archives_that_do_not_fit(tmp_path, changed):
    np.savez(tmp_path / "fsdd_8khz_int16.npz", **archive(**changed))
    with pytest.raises(DatasetError, match=r"is no such archive: "):
        fsdd(tmp_path)


def test_garbage_recordings(tmp_path):
    path = tmp_path / "1_ann_0.wav"
    write_wave(path, np.arange(500))
    whole = path.read_bytes()
    for content, sentence in (
        (b"", "is no whole WAVE file"),
        (b"RIFFgarbage", "is no whole WAVE file"),
        (whole[:60], "should hold 500 samples but holds 8"),
    ):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=sentence):
            fsdd(tmp_path)
    write_wave(path, np.arange(500), rate=16_000)
    with pytest.raises(
        DatasetError, match=r"1 channels of 16 bits at 16000 Hz; give recordings of"
    ):
        fsdd(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DatasetError, match=r"is no regular file"):
        fsdd(tmp_path)
    path.unlink()
    with pytest.raises(DatasetError, match=r"has no recordings <digit>_<speaker>_<number>.wav"):
        fsdd(tmp_path)
    (tmp_path / "fsdd_8khz_int16.npz").write_bytes(b"PK\3\4 and more")
    with pytest.raises(DatasetError, match=r"is no such archive"):
        fsdd(tmp_path)


@pytest.mark.skipif(not REAL.exists(), reason="BRIAN2EPROP_TEST_DATA names no folder with fsdd")
def test_the_real_recordings():
    train, test = fsdd(REAL).split(["theo"])
    assert (len(train), len(test)) == (2500, 500)
    assert np.bincount(train.labels).tolist() == [250] * 10
    assert sum(map(len, train.sounds + test.sounds)) / 8000 == pytest.approx(1312, abs=1)


EVENT = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])


@pytest.fixture
def camera(monkeypatch):
    """A tonic that holds two recordings; gives what it was asked for."""
    asked = []
    recordings = [
        (np.array([(1, 2, 0, 1), (33, 30, 2500, 0)], EVENT), 4),
        (np.array([(0, 0, 300, 0)], EVENT), np.int64(9)),
    ]

    def opened(kind):
        def open_(save_to, train):
            asked.append((kind, save_to, train))
            return recordings

        return open_

    datasets = SimpleNamespace(NMNIST=opened("NMNIST"), DVSGesture=opened("DVSGesture"))
    monkeypatch.setitem(sys.modules, "tonic", SimpleNamespace(datasets=datasets))
    return SimpleNamespace(asked=asked, recordings=recordings)


def test_nmnist(camera, tmp_path):
    spikes, labels = nmnist("train", duration=0.003, folder=tmp_path)
    assert camera.asked == [("NMNIST", str(tmp_path), True)]
    assert spikes.n_neurons == 2312 and labels.tolist() == [4, 9]
    assert np.argwhere(spikes.to_dense()).tolist() == [
        [0, 0, 34 * 34 + 2 * 34 + 1], [0, 2, 30 * 34 + 33], [1, 0, 0],
    ]  # fmt: skip
    only, labels = nmnist("test", samples=[1], folder=tmp_path)
    assert len(only) == 1 and labels.tolist() == [9] and camera.asked[-1][2] is False


def test_gestures_pooled_and_cut(camera, tmp_path):
    spikes, _ = dvs_gesture("test", 0.002, cut=True, pool=4, folder=tmp_path)
    assert spikes.n_neurons == 2 * 32 * 32
    assert np.argwhere(spikes.to_dense()).tolist() == [[0, 0, 32 * 32], [1, 0, 0]]
    with pytest.raises(DatasetError, match=r"spike at 0.0025 s, after the duration of 0.002 s"):
        dvs_gesture("test", 0.002, folder=tmp_path)


def test_events_that_are_none(camera, tmp_path):
    camera.recordings[1] = (np.array([(34, 0, 300, 0)], EVENT), 1)
    with pytest.raises(DatasetError, match=r"sample 1 has an event with x outside 0 .. 33"):
        nmnist("train", folder=tmp_path)
    camera.recordings[1] = (np.zeros((3, 4)), 1)
    with pytest.raises(DatasetError, match=r"tonic gives no events with t, x, y and p"):
        nmnist("train", folder=tmp_path)


def test_cameras_asked_wrongly(camera, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"nmnist: split is 'valid'; give 'train' or 'test'"):
        nmnist("valid", folder=tmp_path)
    with pytest.raises(ValueError, match=r"pool is 3; give a number that divides 128"):
        dvs_gesture("train", 1, pool=3, folder=tmp_path)
    monkeypatch.setitem(sys.modules, "tonic", None)
    with pytest.raises(ImportError, match=r"nmnist is read by tonic. Run pip install tonic"):
        nmnist("train", folder=tmp_path)


def test_data_sets_are_imported_when_they_are_asked_for():
    code = (
        "import sys, brian2eprop as b; late = 'brian2eprop.datasets' not in sys.modules; "
        "b.datasets.yin_yang(1, 9, 0); print(late, 'h5py' in sys.modules, 'tonic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stdout.split() == ["True", "False", "False"]
