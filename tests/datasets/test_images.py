"""MNIST and its format, from files made by hand, and from the real ones where there are any."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

import brian2eprop as b2e
from brian2eprop import DatasetError, Spikes
from brian2eprop.datasets import fashion_mnist, mnist, mnist_images
from brian2eprop.datasets.idx import read_idx
from brian2eprop.datasets.mnist_images import FASHION_BASES, MNIST_BASES
from tests.datasets.server import Site, serving

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
LABELS = np.array([3, 1, 4, 1, 9], np.uint8)
REAL = Path(os.environ.get("BRIAN2EPROP_TEST_DATA", "/nowhere")) / "mnist"


def idx(array):
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    """The test part: images gzipped, labels not."""
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS))
    return tmp_path


def ink(images):
    """Twice as much as half the ink, as spikes in one step."""
    assert images.dtype == np.float64
    return Spikes.from_dense(images.reshape(len(images), 1, -1) > 0.5)


@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_images_and_labels(folder, load):
    spikes, labels = load("test", ink, folder=folder)
    assert np.array_equal(spikes.to_dense()[:, 0], IMAGES.reshape(5, 784) > 127)
    assert labels.tolist() == [3, 1, 4, 1, 9] and labels.dtype == np.int64


@pytest.mark.parametrize("samples", [slice(1, 4, 2), [4, 0], LABELS == 1])
def test_some_of_the_samples(folder, samples):
    spikes, labels = mnist("test", ink, samples, folder)
    assert np.array_equal(spikes.to_dense()[:, 0], IMAGES[samples].reshape(-1, 784) > 127)
    assert np.array_equal(labels, LABELS[samples])


def test_files_that_are_not_there_are_downloaded(folder, tmp_path, monkeypatch):
    content = gzip.compress(idx(IMAGES[:3]))
    names = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
    with serving(Site({names[0]: content, names[1]: gzip.compress(idx(LABELS[:3]))})) as site:
        monkeypatch.setattr(mnist_images, "MNIST_BASES", (site.base,))
        with pytest.raises(DatasetError, match=r"instead of f68b3c2dcbeaaa9fbdd348bbdeb94873"):
            mnist("train", ink, folder=folder)
        assert not (folder / names[0]).exists()


def test_the_official_addresses():
    assert all(base.endswith("/") for base in MNIST_BASES + FASHION_BASES)


GARBAGE = {
    "nothing": (b"", "does not begin as an IDX file of unsigned bytes with 3 axes does"),
    "text": (b"<html>not found</html>", "does not begin as an IDX file"),
    "another rank": (idx(LABELS), "does not begin as an IDX file"),
    "another type": (b"\0\0\x0d\3" + idx(IMAGES)[4:], "does not begin as an IDX file"),
    "cut": (idx(IMAGES)[:-7], "should hold 3920 bytes for the shape .* but holds 3913 bytes"),
    "more": (idx(IMAGES) + b"?", "should hold 3920 bytes .* but holds more"),
    "a lie": (b"\0\0\x08\3" + b"\xff" * 12, "too much to be believed"),
    "cut gzip": (gzip.compress(idx(IMAGES))[:-60], "is damaged: .*Download it again"),
    "broken gzip": (b"\x1f\x8b" + b"?" * 50, "is damaged: .*Download it again"),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage(tmp_path, kind):
    content, sentence = GARBAGE[kind]
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=sentence):
        read_idx(path, 3)


def test_a_flipped_bit_in_a_gzip_file(tmp_path):
    content = bytearray(gzip.compress(idx(IMAGES)))
    content[-6] ^= 1
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(DatasetError, match=r"is damaged: CRC check failed"):
        read_idx(tmp_path / "images", 3)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, sentence in (
        (tmp_path / "pipe", "is no regular file"),
        (tmp_path, "is no regular file"),
        (tmp_path / "none", "cannot be read: No such file"),
    ):
        with pytest.raises(DatasetError, match=sentence):
            read_idx(path, 3)


def test_files_that_do_not_fit_together(folder):
    labels = folder / "t10k-labels-idx1-ubyte"
    for wrong in (LABELS[:4], np.array([3, 1, 4, 1, 10], np.uint8)):
        labels.write_bytes(idx(wrong))
        with pytest.raises(DatasetError, match=r"labels up to .* images of 10 classes"):
            mnist("test", ink, folder=folder)


def test_what_is_asked_wrongly(folder):
    with pytest.raises(ValueError, match=r"mnist: split is 'valid'; give 'train' or 'test'"):
        mnist("valid", ink, folder=folder)
    with pytest.raises(ValueError, match=r"made 1 samples of 5 images; let it make one of each"):
        mnist("test", lambda images: ink(images[:1]), folder=folder)


@pytest.mark.skipif(not REAL.exists(), reason="BRIAN2EPROP_TEST_DATA names no folder with mnist")
def test_the_real_files():
    spikes, labels = mnist("test", lambda x: b2e.encoding.latency(x, 40), folder=REAL)
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert (len(spikes), spikes.n_neurons) == (10_000, 784)
    assert len(mnist("train", ink, slice(59_990, None), REAL)[0]) == 10
