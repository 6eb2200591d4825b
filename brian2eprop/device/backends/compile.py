"""C++ sources become shared libraries, cached by content."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


class CompileError(RuntimeError):
    """A source could not be compiled."""


def cache_directory() -> Path:
    """Where compiled libraries are kept: ``$BRIAN2EPROP_CACHE``, or the user's cache folder."""
    named = os.environ.get("BRIAN2EPROP_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "brian2eprop"


def shared_library(source: str, flags: Sequence[str]) -> ctypes.CDLL:
    """Compile a source, or take it from the cache.

    Parameters
    ----------
    source : str
        C++ source; full-line comments are no part of its identity.
    flags : sequence of str
        Options for g++ besides those for a shared library.

    Raises
    ------
    CompileError
        If there is no compiler, it fails, or the library cannot be stored.
    """
    key = content_key(source, flags)
    try:
        directory = cache_directory()
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{key}.so"
        if not path.exists():
            _build(source, flags, path)
        return _load(path, source, flags)
    except OSError as error:
        raise CompileError(
            f"The compiled network cannot be stored in {cache_directory()} ({error}). Free some "
            "space, or set BRIAN2EPROP_CACHE to a folder that can be written."
        ) from error


def content_key(source: str, flags: Sequence[str]) -> str:
    """Identity of a library: source without comments, options, compiler and processor."""
    code = re.sub(r"^\s*//.*\n", "", source, flags=re.MULTILINE)
    parts = [code, *flags, compiler_version(), _processor()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def compiler() -> str:
    """The C++ compiler: ``$CXX``, or g++.

    Raises
    ------
    CompileError
        If there is none.
    """
    name = os.environ.get("CXX", "g++")
    found = shutil.which(name)
    if found is None:
        raise CompileError(
            f"The C++ compiler '{name}' was not found. Install g++ (Debian and Ubuntu: 'apt "
            "install g++'; Fedora: 'dnf install gcc-c++'), or set CXX to the one to use."
        )
    return found


@functools.cache
def _version(path: str) -> str:
    return subprocess.run([path, "--version"], capture_output=True, text=True).stdout


def compiler_version() -> str:
    """What the compiler says of itself."""
    return _version(compiler())


@functools.cache
def _processor() -> str:
    """What decides over the instructions that -march=native takes."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return "".join(sorted({line for line in lines if line.startswith(("flags", "Features"))}))


def _build(source: str, flags: Sequence[str], path: Path) -> None:
    """Compile next to the final place and rename, so that no half-written library is seen."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        written = Path(folder) / "source.cpp"
        built = Path(folder) / "library.so"
        written.write_text(source)
        command = [compiler(), *flags, "-shared", "-fPIC", "-o", str(built), str(written)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CompileError(_failure(done))
        os.replace(built, path)


def _failure(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return (
            f"The C++ compiler was killed by signal {-done.returncode}, perhaps for lack of "
            "memory. Run again; nothing was left behind."
        )
    return f"The C++ compiler failed:\n{done.stderr.strip()[-4000:]}"


def _load(path: Path, source: str, flags: Sequence[str]) -> ctypes.CDLL:
    """Load a library; one that was damaged on disk is built again."""
    # Threads that spin while they wait, OpenMP's default, take the processor from whatever
    # else runs on the machine. Read when the first library loads OpenMP.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        path.unlink(missing_ok=True)
        _build(source, flags, path)
        return ctypes.CDLL(str(path))
