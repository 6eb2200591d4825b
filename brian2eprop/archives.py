"""Archives of arrays without pickled objects: written whole or not at all, and believed nothing.

A NumPy archive with arrays, and JSON text under ``state``, which says what it is.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brian2eprop.errors import CheckpointError
from brian2eprop.whole import write_whole

STATE = "state"

# What is read before anything of it is known to be true.
MAX_STATE_BYTES = 64 * 2**20
MAX_HEADER_BYTES = 2**16

Values = npt.NDArray[Any]

_UNREADABLE = (
    AttributeError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Format:
    """What tells files of one kind from others.

    Parameters
    ----------
    what : str
        What such a file is, in sentences.
    marker : str
        What its state says that it is.
    version : int
        The version that is written and read.
    writer : str
        What writes such files.
    """

    what: str
    marker: str
    version: int
    writer: str


def check_path(owner: str, path: Any) -> str:
    """The path as text, refused where it names no file.

    Raises
    ------
    TypeError, ValueError
        If it is no path, or empty.
    """
    sentence = f"{owner}: the path is {path!r}; give the name of a file, such as 'run.npz'."
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(sentence)
    if not os.fspath(path):
        raise ValueError(sentence)
    return os.fspath(path)


def state_text(kind: Format, state: Mapping[str, Any]) -> bytes:
    """The state of an archive of that kind as text."""
    return json.dumps({"format": kind.marker, "version": kind.version, **state}).encode()


def write(path: str | os.PathLike[str], text: bytes, members: Mapping[str, Values]) -> None:
    """Write an archive; an earlier file is replaced only by a complete one.

    Parameters
    ----------
    path : path
        The file. ``~`` is the home folder, and a link stays one.
    text : bytes
        Its state, of at most ``MAX_STATE_BYTES``.
    members : mapping of str to array
        Its arrays.

    Raises
    ------
    OSError
        If it cannot be written; an earlier file of that name is then as it was.
    """
    every = {**members, STATE: np.frombuffer(text, np.uint8)}
    write_whole(path, lambda file: np.savez(file, allow_pickle=False, **every))


@contextmanager
def opened(path: str | os.PathLike[str], kind: Format) -> Iterator[Archive]:
    """An archive to be read; what is wrong with it is said in one way.

    Parameters
    ----------
    path : path
        The file.
    kind : Format
        What it is to be.

    Yields
    ------
    Archive
        Its contents.

    Raises
    ------
    CheckpointError
        If the file is damaged, or another kind of file.
    OSError
        If it cannot be opened.
    """
    try:
        place = Path(path).expanduser()
        if place.exists() and not place.is_file():
            raise ValueError("no regular file")
        file = place.open("rb")
    except (OSError, RuntimeError) as error:
        number, why = getattr(error, "errno", None), getattr(error, "strerror", None) or error
        raise type(error)(*filter(None, (number, f"'{path}' cannot be read ({why})"))) from error
    except ValueError as error:
        raise CheckpointError(
            f"'{path}' is no regular file; nothing was loaded. Use a file that {kind.writer} wrote."
        ) from error
    try:
        with file, zipfile.ZipFile(file) as archive:
            yield Archive(str(path), archive, kind)
    except CheckpointError:
        raise
    except (*_UNREADABLE, OSError) as error:
        raise CheckpointError(
            f"The file '{path}' is damaged or is no {kind.what} of brian2eprop "
            f"({type(error).__name__}); nothing was loaded. Use a file that {kind.writer} wrote."
        ) from error


class Archive:
    """An open archive, which is believed nothing: what is read is bounded by what must be.

    Parameters
    ----------
    path : str
        The file, for the sentences.
    archive : ZipFile
        Its members.
    kind : Format
        What it is to be.

    Attributes
    ----------
    names : set of str
        Names of its arrays.
    state : dict
        What it says beside them.
    """

    def __init__(self, path: str, archive: zipfile.ZipFile, kind: Format) -> None:
        self.path = path
        self._archive = archive
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if len(set(names)) < len(names):
            raise ValueError("names")
        self.names = set(names) - {STATE}
        self.state = self._read_state(kind)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array."""
        with self._archive.open(f"{name}.npy") as file:
            return _header(file)[0]

    def member(self, name: str, most: int) -> Values:
        """An array of at most so many bytes, read only.

        Raises
        ------
        ValueError
            If it is larger, cut off, or has objects in it.
        """
        with self._archive.open(f"{name}.npy") as file:
            found, order, dtype = _header(file)
            size = int(np.prod(found)) * dtype.itemsize
            if dtype.hasobject or size > most:
                raise ValueError("size")
            data = file.read(size + 1)
        if len(data) != size:
            raise ValueError("length")
        return np.frombuffer(data, dtype).reshape(found, order="F" if order else "C")

    def _read_state(self, kind: Format) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.member(STATE, MAX_STATE_BYTES).tobytes().decode())
        if state.get("format") != kind.marker:
            raise ValueError("format")
        if state.get("version") != kind.version:
            raise CheckpointError(
                f"The {kind.what} '{self.path}' has version {state.get('version')} of the format, "
                f"but this brian2eprop reads version {kind.version}; install the version that "
                "wrote it."
            )
        return state


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(file)]
    return read(file, max_header_size=MAX_HEADER_BYTES)
