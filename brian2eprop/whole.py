"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write_whole(path: str | os.PathLike[str], write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file: to another place beside it, which is renamed at the end.

    Parameters
    ----------
    path : path
        The file; an earlier one is replaced only by a complete one. ``~`` is the home
        folder, and a link stays one.
    write : callable
        Writes the contents into an open file.

    Raises
    ------
    OSError
        If it cannot be written; an earlier file of that name is then as it was.
    """
    try:
        target = _regular(Path(path))
        _remove_leftovers(target)
        temporary = target.with_name(f"{_prefix(target)}{uuid.uuid4().hex}.tmp")
        try:
            _write(temporary, write)
            temporary.replace(target)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "free space or choose another place" if full else "choose another place"
        kept = ". An earlier file of that name was kept" if _is_file(path) else ""
        sentence = f"The file '{path}' could not be written ({error.strerror or error}); "
        arguments = (sentence + remedy + kept,)
        raise OSError(*([error.errno] if error.errno else []), *arguments) from error


def _is_file(path: str | os.PathLike[str]) -> bool:
    with contextlib.suppress(OSError, RuntimeError):
        return Path(path).expanduser().is_file()
    return False


def _regular(path: Path) -> Path:
    """Where the links of a path lead to, refused where that is there and is no file."""
    try:
        target = path.expanduser().resolve()
    except RuntimeError as error:  # links in a circle, before Python 3.13; or an unknown user
        raise OSError(None, str(error)) from error
    if target.exists() and not target.is_file():
        raise OSError(None, f"it is {'a folder' if target.is_dir() else 'no regular file'}")
    return target


def _write(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    with path.open("xb") as file:
        # Held until the file is closed, or its process has died: so a leftover is known.
        fcntl.flock(file, fcntl.LOCK_EX)
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _prefix(target: Path) -> str:
    return f".{target.name[:100]}."


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes have left beside the file."""
    ours = re.compile(re.escape(_prefix(target)) + r"[0-9a-f]{32}\.tmp")
    for found in target.parent.iterdir():
        if ours.fullmatch(found.name):
            with contextlib.suppress(OSError), found.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.unlink()
