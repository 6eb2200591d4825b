"""C++ sources become shared libraries, cached by content."""

from __future__ import annotations

import ctypes
import errno
import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


class CompileError(RuntimeError):
    """A source could not be compiled."""


def cache_directory() -> Path:
    """Where compiled libraries are kept: ``$BRIAN2EPROP_CACHE``, or the user's cache folder.

    Raises
    ------
    CompileError
        If the user has no folder of their own.
    """
    named = os.environ.get("BRIAN2EPROP_CACHE")
    if named:
        return Path(named)
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise CompileError(
            f"There is no folder for compiled networks ({error}). Set BRIAN2EPROP_CACHE to a "
            "folder that can be written."
        ) from error
    return Path(base) / "brian2eprop"


def shared_library(source: str, flags: Sequence[str]) -> ctypes.CDLL:
    """Compile a source, or take it from the cache.

    Parameters
    ----------
    source : str
        C++ source without ``//`` in string literals; comments are no part of its identity.
    flags : sequence of str
        Options for g++ besides those for a shared library.

    Returns
    -------
    ctypes.CDLL
        The loaded library.

    Raises
    ------
    CompileError
        If there is no compiler, it fails, or the library cannot be stored or loaded.
    """
    path = cache_directory() / f"{content_key(source, flags)}.so"
    try:
        if not _intact(path):
            _build(source, flags, path)
    except OSError as error:
        raise CompileError(
            f"The compiled network cannot be stored in {path.parent} ({error}). Free some "
            "space, or set BRIAN2EPROP_CACHE to a folder that can be written."
        ) from error
    return _load(path)


def content_key(source: str, flags: Sequence[str]) -> str:
    """Identity of a library: source without comments, options, compiler and processor.

    Parameters
    ----------
    source : str
        C++ source.
    flags : sequence of str
        Options for the compiler.

    Returns
    -------
    str
        A name for the library's file.

    Raises
    ------
    CompileError
        If there is no compiler.
    """
    code = re.sub(r"[ \t]*//.*", "", source)
    parts = [code, *flags, compiler_version(), _processor()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def compiler() -> list[str]:
    """The C++ compiler as the beginning of a command: ``$CXX``, or g++.

    Raises
    ------
    CompileError
        If there is none.
    """
    name, *options = shlex.split(os.environ.get("CXX", "")) or ["g++"]
    found = shutil.which(name)
    if found is None:
        raise CompileError(
            f"The C++ compiler '{name}' was not found. Install g++ (Debian and Ubuntu: 'apt "
            "install g++'; Fedora: 'dnf install gcc-c++'), or set CXX to the one to use."
        )
    return [found, *options]


def compiler_version() -> str:
    """What the compiler, with its options, says of itself."""
    return _version(*compiler())


@functools.cache
def _version(*command: str) -> str:
    return " ".join(command[1:]) + _run([*command, "--version"], None).stdout


@functools.cache
def _processor() -> str:
    """What decides over the instructions that -march=native takes."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return "".join(sorted({line for line in lines if line.startswith(("flags", "Features"))}))


def _run(command: Sequence[str], folder: str | None) -> subprocess.CompletedProcess[str]:
    """Run the compiler, with its temporary files in a folder of ours and messages in English."""
    environment = {**os.environ, "LC_ALL": "C"} | ({"TMPDIR": folder} if folder else {})
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, check=False
        )
    except OSError as error:
        raise CompileError(
            f"The C++ compiler '{command[0]}' cannot be run ({error}). Reinstall it, or set CXX to "
            "another."
        ) from error


def _build(source: str, flags: Sequence[str], path: Path) -> None:
    """Compile next to the final place and rename, so that no half-written library is seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        written = Path(folder) / "source.cpp"
        built = Path(folder) / "library.so"
        written.write_text(source, encoding="utf-8")
        options = [*flags, "-shared", "-fPIC", "-o", str(built), str(written)]
        _check(_run([*compiler(), *options], folder))
        with built.open("ab") as file:
            file.write(_digest(built.read_bytes()))
        os.replace(built, path)


def _check(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode == 0:
        return
    if os.strerror(errno.ENOSPC) in done.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    # The signal ends g++ itself, or the program that g++ has called, which it reports.
    if done.returncode < 0 or "signal terminated program" in done.stderr:
        by = f" by signal {-done.returncode}" if done.returncode < 0 else ""
        raise CompileError(
            f"The C++ compiler was killed{by}, perhaps for lack of memory. Close other programs "
            "and run again; nothing was left behind."
        )
    raise CompileError(
        f"The C++ compiler failed:\n{done.stderr.strip()[-4000:]}\nIf CXX or the options it was "
        "given are not to blame, please report this with the script that led to it."
    )


def _digest(library: bytes) -> bytes:
    return hashlib.sha256(library).digest()


def _intact(path: Path) -> bool:
    """Whether a library is there and ends with the digest of what comes before.

    The loader does not check: a damaged library could end the process.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return False
    size = hashlib.sha256().digest_size
    return content[-size:] == _digest(content[:-size])


def _load(path: Path) -> ctypes.CDLL:
    # How long a thread that waits spins before it sleeps: long enough for the next loop of the
    # same step, not so long that it takes the processor from whatever else runs. Read when the
    # first library loads OpenMP.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise CompileError(
            f"The compiled network cannot be loaded ({error}). If {path.parent} lies where "
            "programs may not run ('noexec'), set BRIAN2EPROP_CACHE to another folder; if a "
            "library is missing, reinstall the compiler."
        ) from error
