"""C++ sources become shared libraries, cached by content."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from brian2eprop.device.backends.blame import complaint
from brian2eprop.device.backends.patience import announced
from brian2eprop.device.cache import cached, content_key
from brian2eprop.device.codegen.source import CODE_OF_FOREIGN
from brian2eprop.errors import CompileError

# A file that is included and may be a user's own: one that a function of the script includes, which
# options in CXX or the environment may say where to find; one in quotes; one by its whole path.
_INCLUDE = r"^[ \t]*#[ \t]*include[ \t]*"
_OWN_FILE = re.compile(
    rf"""{re.escape(CODE_OF_FOREIGN)}(?s:.*){_INCLUDE}|{_INCLUDE}(?:"|<[ \t]*/)""", re.MULTILINE
)


def shared_library(source: str, flags: Sequence[str], what: str = "a network") -> ctypes.CDLL:
    """Compile a source, or take it from the cache.

    Parameters
    ----------
    source : str
        C++ source; ``//`` comments are no part of its identity, files that it includes are.
    flags : sequence of str
        Options for g++ besides those for a shared library.
    what : str
        What is compiled, for a message where it takes long.

    Returns
    -------
    ctypes.CDLL
        The loaded library.

    Raises
    ------
    CompileError
        If there is no compiler, it fails, or the library cannot be stored or loaded.
    """
    return load(library_file(source, flags, what))


def library_file(source: str, flags: Sequence[str], what: str = "a network") -> Path:
    """The file of the library that :func:`shared_library` loads, with the same parameters."""
    key = content_key(source, *flags, compiler_version(), _processor(), _included(source, flags))

    def make(folder: Path) -> bytes:
        with announced(what):
            return _build(source, flags, folder)

    return cached(key, ".so", make)


def _included(source: str, flags: Sequence[str]) -> str:
    """The source with the files of users' own that it includes; empty if there are none."""
    if not _OWN_FILE.search(source):
        return ""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = folder / "source.cpp"
        written.write_text(source, encoding="utf-8")
        done = _run([*compiler(), *flags, "-E", "-P", str(written)], folder)
        _check(done, source)
        return done.stdout


def compiler() -> list[str]:
    """The C++ compiler as the beginning of a command: ``$CXX``, or g++.

    Raises
    ------
    CompileError
        If there is none.
    """
    name, *options = _words(os.environ.get("CXX", "")) or ["g++"]
    found = shutil.which(name)
    if found is None:
        raise CompileError(
            f"The C++ compiler '{name}' was not found. Install g++ (Debian and Ubuntu: 'apt "
            "install g++'; Fedora: 'dnf install gcc-c++'), or set CXX to the one to use."
        )
    return [found, *options]


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise CompileError(
            f"CXX names no command ({error}): {command}. Set it to the C++ compiler and its "
            "options as in a shell, e.g. 'g++ -m64'."
        ) from error


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


def _run(command: Sequence[str], folder: Path | None) -> subprocess.CompletedProcess[str]:
    """Run the compiler, with its temporary files in a folder of ours and messages in English."""
    environment = {**os.environ, "LC_ALL": "C"} | ({"TMPDIR": str(folder)} if folder else {})
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, check=False
        )
    except OSError as error:
        raise CompileError(
            f"The C++ compiler '{command[0]}' cannot be run ({error}). Reinstall it, or set CXX to "
            "another."
        ) from error


def _build(source: str, flags: Sequence[str], folder: Path) -> bytes:
    """The compiled library; the compiler's files are in the folder."""
    written, built = folder / "source.cpp", folder / "library.so"
    written.write_text(source, encoding="utf-8")
    command = [*compiler(), *flags, "-shared", "-fPIC", "-o", str(built), str(written)]
    _check(_run(command, folder), source)
    library = built.read_bytes() if built.exists() else b""
    if not library.startswith(b"\x7fELF"):
        raise CompileError(
            f"The C++ compiler '{command[0]}' ended without an error, but has written no library. "
            "Set CXX to a C++ compiler, e.g. 'g++'."
        )
    return library


def _check(done: subprocess.CompletedProcess[str], source: str) -> None:
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
    said = done.stderr.strip()
    blamed = complaint(source, said)
    if blamed:
        raise CompileError(f"{blamed}\n{said[:4000]}")
    raise CompileError(
        f"The C++ compiler failed:\n{said[-4000:]}\nIf neither CXX nor the options that it was "
        "given are to blame, please report this with the script that led to it."
    )


def load(path: Path, mode: int = ctypes.DEFAULT_MODE) -> ctypes.CDLL:
    """Load a compiled library; with RTLD_GLOBAL, those loaded later find its functions.

    Raises
    ------
    CompileError
        If it cannot be loaded.
    """
    # How long a thread that waits spins before it sleeps: long enough for the next loop of the
    # same step, not so long that it takes the processor from whatever else runs. Read when the
    # first library loads OpenMP.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    try:
        return ctypes.CDLL(str(path), mode)
    except OSError as error:
        raise CompileError(
            f"The compiled network cannot be loaded ({error}). If {path.parent} lies where "
            "programs may not run ('noexec'), set BRIAN2EPROP_CACHE to another folder; if a "
            "library is missing, reinstall the compiler."
        ) from error
