"""Files of data sets: where they are kept, and that they are files at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from brian2eprop.errors import DatasetError


def data_folder(folder: str | os.PathLike[str] | None, name: str) -> Path:
    """The folder of a data set: the given one, or one of that name in the cache.

    The cache is ``$BRIAN2EPROP_DATA``, or ``brian2eprop/datasets`` in the user's cache folder.
    """
    try:
        if folder is not None:
            return Path(folder).expanduser().absolute()
        named = os.environ.get("BRIAN2EPROP_DATA")
        if named:
            return Path(named).expanduser().absolute() / name
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise DatasetError(
            f"There is no folder for data sets ({error}); give a folder, or set BRIAN2EPROP_DATA."
        ) from error
    return Path(base).absolute() / "brian2eprop" / "datasets" / name


def check_regular(path: Path) -> int:
    """The size of a file, refused where it is none: a folder, a pipe, a device."""
    try:
        found = path.stat()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(found.st_mode):
        raise DatasetError(f"{path} is no regular file; give the data set's own file.")
    return found.st_size


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """The file, open; what the system says against it becomes a sentence."""
    check_regular(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        yield file


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says against writing a file becomes a sentence."""
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be written: {error.strerror or error}. Make room for it, or give a "
            "folder that can be written."
        ) from error
