"""IDX files, the format of MNIST: arrays of bytes."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from brian2eprop.datasets.files import reading
from brian2eprop.errors import DatasetError

# No file of these data sets has more: what a header claims is not to fill the memory.
MOST_BYTES = 1 << 30
UNSIGNED_BYTES = 0x08


def read_idx(path: Path, rank: int) -> npt.NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, gzipped or not.

    Parameters
    ----------
    path : Path
        The file: two zero bytes, the type, the number of axes, the length of each as a
        big-endian 32-bit number, the bytes in C order.
    rank : int
        Number of axes that are expected.

    Returns
    -------
    array of uint8
        Of the shape that the file says.

    Raises
    ------
    DatasetError
        If it is no such file, or not a whole one.
    """
    with reading(path) as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            return _parsed(path, gzip.open(file) if zipped else file, rank)
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetError(f"{path} is damaged: {error}. Download it again.") from error


def _parsed(path: Path, file: gzip.GzipFile | BinaryIO, rank: int) -> npt.NDArray[np.uint8]:
    stream = cast(BinaryIO, file)
    head = stream.read(4 + 4 * rank)
    if len(head) < 4 + 4 * rank or head[:4] != bytes((0, 0, UNSIGNED_BYTES, rank)):
        raise DatasetError(
            f"{path} does not begin as an IDX file of unsigned bytes with {rank} axes does; give "
            "the file as it was published."
        )
    shape = [int(size) for size in np.frombuffer(head, ">u4", rank, offset=4)]
    size = prod(shape)
    if size > MOST_BYTES:
        raise DatasetError(f"{path} says that it holds {shape}, too much to be believed.")
    content = stream.read(size + 1)
    if len(content) != size:
        found = "more" if len(content) > size else f"{len(content)} bytes"
        raise DatasetError(
            f"{path} should hold {size} bytes for the shape {shape} but holds {found}; download "
            "it again."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)
