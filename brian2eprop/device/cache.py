"""Compiled code is kept in a folder, named by what it was made from and by what it is.

A file is whole and our own, or it is made anew: its name holds the digest of its contents, which
no loader checks, and nobody else may have been able to write it, since it will be executed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from brian2eprop.errors import CompileError

# Folders in which something is being made; those of killed processes are left behind.
_WORKSHOP = "compiling-"
_ABANDONED_SECONDS = 24 * 3600

# What may hold two slashes: a literal, a comment of another kind, and a comment that they begin.
_TOKEN = re.compile(
    r"""R"(?P<end>[^()\\\s]{0,16})\(.*?\)(?P=end)"|"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])*'"""
    r"|/\*.*?\*/|(?P<comment>[ \t]*//[^\n]*)",
    re.DOTALL,
)

# Writes the compiled code of a source; gets a folder for whatever it needs meanwhile.
Make = Callable[[Path], bytes]


def cache_directory() -> Path:
    """Where compiled code is kept: ``$BRIAN2EPROP_CACHE``, or the user's cache folder.

    Returns
    -------
    Path
        An absolute path; ``~`` is the user's home, and a relative one starts at the working
        directory.

    Raises
    ------
    CompileError
        If the user has no folder of their own.
    """
    try:
        named = os.environ.get("BRIAN2EPROP_CACHE")
        if named:
            return Path(named).expanduser().absolute()
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise CompileError(
            f"There is no folder for compiled networks ({error}). Set BRIAN2EPROP_CACHE to a "
            "folder that can be written."
        ) from error
    return Path(base).absolute() / "brian2eprop"


def content_key(source: str, *parts: str) -> str:
    """Identity of compiled code: its source without comments, and what else decides over it.

    Parameters
    ----------
    source : str
        C++ or CUDA source.
    *parts : str
        The rest: options, the compiler's version, what it compiles for.

    Returns
    -------
    str
        The beginning of a file's name.
    """
    return text_key(_TOKEN.sub(lambda found: "" if found["comment"] else found[0], source), *parts)


def text_key(*parts: str) -> str:
    """Identity of what is made of texts, to the letter.

    Parameters
    ----------
    *parts : str
        The texts, and what else decides over it.

    Returns
    -------
    str
        The beginning of a file's name.
    """
    return _digest("\0".join(parts).encode())


def cached(key: str, suffix: str, make: Make) -> Path:
    """The file with some compiled code, made if it is not in the cache.

    Parameters
    ----------
    key : str
        Its identity.
    suffix : str
        End of the file's name, e.g. ``".so"``.
    make : callable
        Gives the compiled code; see :data:`Make`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    CompileError
        If the file cannot be made or stored, or if the folder is not the user's own.
    """
    folder = cache_directory()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(folder)
        found = (path for path in sorted(folder.glob(f"{key}-*{suffix}")) if _intact(path))
        return next(found, None) or _store(folder, key, suffix, make)
    except OSError as error:
        raise CompileError(
            f"The compiled network cannot be stored in {folder} ({error}). Free some space, or "
            "set BRIAN2EPROP_CACHE to a folder that can be written."
        ) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _check_folder(folder: Path) -> None:
    state = folder.stat()
    if not _trusted_owner(state):
        raise CompileError(
            f"The folder {folder} for compiled networks belongs to another user, whose code would "
            "be run from it. Set BRIAN2EPROP_CACHE to a folder of your own."
        )
    if _others_write(state):
        raise CompileError(
            f"The folder {folder} for compiled networks can be written by other users, whose code "
            f"would be run from it. Run 'chmod go-w {folder}' if it is yours alone, or set "
            "BRIAN2EPROP_CACHE to a folder of your own."
        )


def _trusted_owner(state: os.stat_result) -> bool:
    return state.st_uid in (0, os.geteuid())


def _others_write(state: os.stat_result) -> bool:
    return bool(state.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _intact(path: Path) -> bool:
    """Whether a file is a plain one, written by nobody else, with the contents it is named for."""
    with suppress(OSError), open(path, "rb", opener=_open_plainly) as file:
        state = os.fstat(file.fileno())
        ours = stat.S_ISREG(state.st_mode) and _trusted_owner(state) and not _others_write(state)
        return ours and path.stem.endswith(f"-{_digest(file.read())}")
    return False


def _open_plainly(path: str, flags: int) -> int:
    # Neither a link is followed nor a fifo waited for.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _store(folder: Path, key: str, suffix: str, make: Make) -> Path:
    """Make the file in a folder beside it and rename, so that no half-written one is seen."""
    _remove_abandoned(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=_WORKSHOP) as name:
        workshop = Path(name)
        content = make(workshop)
        written = workshop / f"stored{suffix}"
        _write(written, content)
        path = folder / f"{key}-{_digest(content)}{suffix}"
        if path.is_dir() and not path.is_symlink():
            raise CompileError(
                f"There is a folder where a compiled network is to be stored: {path}. Remove it."
            )
        os.replace(written, path)
    return path


def _write(path: Path, content: bytes) -> None:
    """Write a new file onto the disk, for this user alone."""
    with open(path, "xb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove_abandoned(folder: Path) -> None:
    for left in folder.glob(f"{_WORKSHOP}*"):
        with suppress(OSError):  # another process removes it too
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
