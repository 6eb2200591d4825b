"""MNIST and Fashion-MNIST: 60,000 training and 10,000 test images of 28 by 28 pixels."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.datasets.download import Resource, fetch
from brian2eprop.datasets.files import data_folder
from brian2eprop.datasets.idx import read_idx
from brian2eprop.errors import DatasetError
from brian2eprop.spikes import Spikes

Labels = npt.NDArray[np.int64]
Encoder = Callable[[npt.NDArray[np.float64]], Spikes]

N_CLASSES = 10
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
MNIST_BASES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
MNIST_SUMS = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
FASHION_BASES = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
FASHION_SUMS = {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}


def mnist(
    split: str,
    encoder: Encoder,
    samples: Any = slice(None),
    folder: str | os.PathLike[str] | None = None,
) -> tuple[Spikes, Labels]:
    """Handwritten digits (LeCun, Cortes and Burges, 1998).

    Parameters
    ----------
    split : {'train', 'test'}
        Which part.
    encoder : callable
        Turns images, an array of shape (samples, 28, 28) with values in [0, 1], into Spikes, as
        those of ``brian2eprop.encoding`` do.
    samples : slice, or array of int or bool
        Which images; all unless given.
    folder : path, optional
        Where the IDX files are, gzipped or not, or else are downloaded to; a folder in the cache
        (``$BRIAN2EPROP_DATA``) unless given.

    Returns
    -------
    Spikes
        What the encoder makes of the images.
    array of int, shape (samples,)
        The labels, 0 to 9.

    Raises
    ------
    DatasetError
        If a file cannot be had, or is not what it should be.
    ValueError
        If there is no such split, or the encoder gives another number of samples.

    Examples
    --------
    >>> from brian2eprop.encoding import latency
    >>> spikes, labels = mnist("test", lambda images: latency(images, n_steps=40))  # doctest: +SKIP
    """
    return _images("mnist", split, encoder, samples, folder, MNIST_BASES, MNIST_SUMS)


def fashion_mnist(
    split: str,
    encoder: Encoder,
    samples: Any = slice(None),
    folder: str | os.PathLike[str] | None = None,
) -> tuple[Spikes, Labels]:
    """Pictures of clothes (Xiao, Rasul and Vollgraf, https://arxiv.org/abs/1708.07747).

    Everything is as in :func:`mnist`; the labels are those of t-shirt, trouser, pullover, dress,
    coat, sandal, shirt, sneaker, bag and ankle boot, in this order.

    Parameters
    ----------
    split, encoder, samples, folder
        As in :func:`mnist`.

    Returns
    -------
    Spikes, array of int
        As in :func:`mnist`.

    Raises
    ------
    DatasetError, ValueError
        As in :func:`mnist`.

    Examples
    --------
    >>> from brian2eprop.encoding import latency
    >>> data = fashion_mnist("test", lambda images: latency(images, 40))  # doctest: +SKIP
    """
    return _images(
        "fashion_mnist", split, encoder, samples, folder, FASHION_BASES, FASHION_SUMS
    )  # fmt: skip


def _images(
    name: str,
    split: str,
    encoder: Encoder,
    samples: Any,
    folder: str | os.PathLike[str] | None,
    bases: tuple[str, ...],
    sums: dict[str, str],
) -> tuple[Spikes, Labels]:
    if split not in FILES:
        raise ValueError(f"{name}: split is {split!r}; give 'train' or 'test'.")
    where = data_folder(folder, name)
    paths = [_file(file, where, bases, sums) for file in FILES[split]]
    images, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if len(images) != len(labels) or (labels >= N_CLASSES).any():
        raise DatasetError(
            f"{paths[1]} holds {len(labels)} labels up to {max(labels, default=0)} for "
            f"{len(images)} images of {N_CLASSES} classes; give the files as they were published."
        )
    chosen = images[samples]
    spikes = encoder(chosen / 255)
    if len(spikes) != len(chosen):
        raise ValueError(
            f"{name}: the encoder made {len(spikes)} samples of {len(chosen)} images; let it make "
            "one of each."
        )
    return spikes, labels[samples].astype(np.int64)


def _file(name: str, folder: Path, bases: tuple[str, ...], sums: dict[str, str]) -> Path:
    """The file as it is in the folder, unpacked or not, or downloaded."""
    unpacked = folder / name
    if unpacked.exists():
        return unpacked
    return fetch(Resource(f"{name}.gz", bases, sums[name]), folder)
