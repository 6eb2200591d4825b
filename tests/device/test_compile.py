"""Compilation: what is cached, and what happens where it goes wrong."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from brian2eprop.device import cache as storage
from brian2eprop.device.backends import patience
from brian2eprop.device.backends.compile import library_file, shared_library
from brian2eprop.device.backends.cpu import default_workers
from brian2eprop.device.cache import content_key
from brian2eprop.device.codegen.source import CODE_OF_FOREIGN
from brian2eprop.errors import CompileError

FLAGS = ("-O0",)
ANSWER = 'extern "C" int answer() { return 42; }\n'
# The compiler says what it is, and then does what a test wants.
VERSION = '[ "$1" = --version ] && echo "fake 1.0" && exit\n'
# The path after -o.
RESULT = 'while [ "$1" != -o ]; do shift; done; result=$2\n'

Fake = Callable[[str], None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that does not exist yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BRIAN2EPROP_CACHE", str(folder))
    return folder


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Makes a shell script the compiler."""

    def make(script: str) -> None:
        path = tmp_path / "compiler"
        path.write_text(f"#!/bin/sh\n{VERSION}{script}")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))

    return make


def compile_answer() -> int:
    answer: int = shared_library(ANSWER, FLAGS).answer()
    return answer


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


# The cache


def test_a_library_is_compiled_once(cache: Path, fake: Fake, tmp_path: Path) -> None:
    fake(f'echo >> "{tmp_path}/calls"\nexec g++ "$@"')
    assert compile_answer() == compile_answer() == 42
    assert (tmp_path / "calls").read_text() == "\n"
    assert files(cache) == [library_file(ANSWER, FLAGS)]


def test_the_compilers_own_temporary_files_go_with_the_rest(
    cache: Path, fake: Fake, tmp_path: Path
) -> None:
    fake(f'touch "$TMPDIR/left"; echo "$TMPDIR" > "{tmp_path}/where"\nexec g++ "$@"')
    compile_answer()
    assert Path((tmp_path / "where").read_text().strip()).parent == cache
    assert len(files(cache)) == 1


def test_comments_are_no_reason_to_compile(cache: Path) -> None:
    first = library_file(ANSWER, FLAGS)
    assert library_file(ANSWER.replace("\n", " // hidden v\n"), FLAGS) == first
    assert files(cache) == [first]


@pytest.mark.parametrize(
    ("source", "flags", "compiler"),
    [
        (f"// hidden\n{ANSWER}".replace(" }", " } // other"), FLAGS, "g++"),
        (ANSWER.replace("42", "43"), FLAGS, "g++"),
        (ANSWER, ("-O1",), "g++"),
        (ANSWER, FLAGS, "g++ -m64"),
    ],
)
def test_all_else_is_a_reason(
    cache: Path, monkeypatch: pytest.MonkeyPatch, source: str, flags: Sequence[str], compiler: str
) -> None:
    first = library_file(ANSWER, FLAGS)
    monkeypatch.setenv("CXX", compiler)
    library_file(source, flags)
    assert len(files(cache)) == 2 and first in files(cache)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('return text("a // b");', 'return text("a // c");'),
        (r'return text("\" // b");', r'return text("\" // c");'),
        ('return text(R"x(" // b)x");', 'return text(R"x(" // c)x");'),
        ("/* // */ return 1;", "/* // */ return 2;"),
        ("return '\"' + 1; // b", "return '\"' + 2; // b"),
    ],
)
def test_two_slashes_are_not_always_a_comment(one: str, other: str) -> None:
    assert content_key(one) != content_key(other)


def test_comments_after_literals_are_no_part_of_the_source() -> None:
    codes = ("""f("a", '"', 1'000);""", "return g;", r'h(R"(x)", "\\");')
    for code in codes:
        assert content_key(f"{code} // one") == content_key(f"{code} // it's another")


@pytest.mark.parametrize("named", ['"{}/own.h"', "<{}/own.h>", "<own.h>"])
def test_a_file_that_is_included_is_part_of_the_source(
    cache: Path, tmp_path: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = tmp_path / "own.h"
    monkeypatch.setenv("CXX", f"g++ -I{tmp_path}")
    answer = ANSWER.replace("42", "number")
    source = f"{CODE_OF_FOREIGN}f\n#include {named.format(tmp_path)}\n{answer}"
    found = []
    for number in (42, 43, 42):
        header.write_text(f"const int number = {number};")
        found.append(library_file(source, FLAGS))
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize(
    ("named", "workers"),
    [
        ("3", 3),
        (" 2 ", 2),
        ("100000", 1024),
        ("9" * 30, 1024),
        *((x, None) for x in ("0", "-3", "²", "abc", "")),
    ],
)
def test_how_many_threads_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, named: str, workers: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", named)
    assert default_workers() == (workers or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "text"])
def test_a_damaged_library_is_built_again(cache: Path, tmp_path: Path, damage: str) -> None:
    # In another process, and under another name: the loader keeps what it has once loaded.
    stored = build_elsewhere(tmp_path / "elsewhere")
    whole = stored.read_bytes()
    cache.mkdir(0o700)
    (cache / stored.name).write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "changed": whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
            "empty": b"",
            "text": b"no library",
        }[damage]
    )
    assert compile_answer() == 42
    assert (cache / stored.name).read_bytes() == whole


def build_elsewhere(folder: Path) -> Path:
    """The library as another process stores it."""
    process = run_python(f"shared_library({ANSWER!r}, {FLAGS!r})", folder)
    assert process.communicate(timeout=60)[1] == ""
    (path,) = files(folder)
    return path


def run_python(code: str, cache: Path) -> subprocess.Popen[str]:
    code = f"from brian2eprop.device.backends.compile import shared_library\n{code}"
    environment = {**os.environ, "BRIAN2EPROP_CACHE": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_two_processes_compile_one_source_at_once(cache: Path, fake: Fake, tmp_path: Path) -> None:
    # Each compiler waits until the other has begun.
    fake(
        f'touch "{tmp_path}/began$$"\n'
        f'while [ "$(ls "{tmp_path}" | grep -c began)" -lt 2 ]; do sleep 0.05; done\n'
        'exec g++ "$@"'
    )
    code = f"assert shared_library({ANSWER!r}, {FLAGS!r}).answer() == 42"
    both = [run_python(code, cache) for _ in range(2)]
    for process in both:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    assert len(files(cache)) == 1


# Faults of the compiler


def test_no_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(CompileError, match=r"'no-such-compiler' was not found\. Install g\+\+"):
        compile_answer()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CompileError, match=r"'g\+\+' was not found.*apt install g\+\+.*or set CXX"):
        compile_answer()
    assert not cache.exists()


def test_a_compiler_that_is_no_program(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(CompileError, match=r"broken' cannot be run \(.*\)\. Reinstall it, or set"):
        compile_answer()


@pytest.mark.parametrize("script", ["true", f'{RESULT}: > "$result"', f'{RESULT}echo > "$result"'])
def test_a_compiler_that_writes_no_library(cache: Path, fake: Fake, script: str) -> None:
    fake(script)
    message = (
        f"The C++ compiler '{os.environ['CXX']}' ended without an error, but has written no "
        "library. Set CXX to a C++ compiler, e.g. 'g++'."
    )
    with pytest.raises(CompileError, match=f"^{re.escape(message)}$"):
        compile_answer()
    assert files(cache) == []


def test_a_command_with_an_open_quote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "'g++ -m64")
    message = (
        "CXX names no command (No closing quotation): 'g++ -m64. Set it to the C++ compiler and "
        "its options as in a shell, e.g. 'g++ -m64'."
    )
    with pytest.raises(CompileError, match=f"^{re.escape(message)}$"):
        compile_answer()


def test_options_in_cxx(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "g++ -DNUMBER=7")
    source = 'extern "C" int answer() { return NUMBER; }'
    assert shared_library(source, FLAGS).answer() == 7


def test_a_source_that_is_wrong(cache: Path) -> None:
    with pytest.raises(CompileError, match=r"(?s)The C\+\+ compiler failed:.*nonsense.*report"):
        shared_library("nonsense", FLAGS)
    assert files(cache) == []


def test_a_compiler_that_is_killed(cache: Path, fake: Fake) -> None:
    fake(f'{RESULT}printf half > "$result"; kill -9 $$')
    with pytest.raises(
        CompileError, match=r"killed by signal 9, perhaps for lack of memory.*again"
    ):
        compile_answer()
    assert files(cache) == []


def test_a_part_of_the_compiler_that_is_killed(cache: Path, fake: Fake) -> None:
    fake('echo "g++: fatal error: Killed signal terminated program cc1plus" >&2; exit 1')
    with pytest.raises(CompileError, match=r"was killed, perhaps for lack of memory.*run again"):
        compile_answer()
    assert files(cache) == []


@pytest.mark.parametrize("everyone", [True, False], ids=["process group", "python only"])
def test_an_interruption_leaves_nothing(
    cache: Path, fake: Fake, tmp_path: Path, everyone: bool
) -> None:
    began = tmp_path / "began"
    fake(f'{RESULT}printf half > "$result"; touch "{began}"; exec sleep 60')
    process = run_python(f"shared_library({ANSWER!r}, {FLAGS!r})", cache)
    wait_for(began, process)
    if everyone:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert files(cache) == []


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


# What takes long


def test_a_long_compilation_is_announced(
    cache: Path, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The compiler waits until something was said.
    heard = tmp_path / "heard"
    fake(f'while [ ! -e "{heard}" ]; do sleep 0.01; done\nexec g++ "$@"')
    monkeypatch.setattr(patience, "SECONDS", 0.01)
    said: list[str] = []

    def hear(text: str, **_: str) -> None:
        said.append(text)
        heard.touch()

    monkeypatch.setattr(patience.logger, "info", hear)
    shared_library(ANSWER, FLAGS, "program 'network'")
    shared_library(ANSWER, FLAGS, "program 'network'")
    assert said == ["Compiling program 'network'; it is kept for the next time."]


def test_a_short_compilation_is_not(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SECONDS", 0.5)
    said: list[str] = []
    monkeypatch.setattr(patience.logger, "info", lambda text, **_: said.append(text))
    with patience.announced("nothing"):
        pass
    time.sleep(0.6)
    assert said == []


# Faults of the cache


FULL = r"cannot be stored in .*No space left on device.*Free some space, or set BRIAN2EPROP_CACHE"


@pytest.mark.parametrize("call", ["replace", "mkdir", "fsync"])
def test_a_full_disk(cache: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    cache.mkdir(0o700)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(storage.os, call, full)
        with pytest.raises(CompileError, match=FULL):
            compile_answer()
    assert files(cache) == []


def test_a_disk_that_fills_up_while_compiling(cache: Path, fake: Fake) -> None:
    fake(f'{RESULT}printf half > "$result"; echo "ld: No space left on device" >&2; exit 1')
    with pytest.raises(CompileError, match=FULL):
        compile_answer()
    assert files(cache) == []


IN_TMPFS = """
mount -t tmpfs -o size=12k,mode=700 tmpfs "$BRIAN2EPROP_CACHE" || exit 99
"$0" -c "$1"; status=$?
[ -z "$(ls "$BRIAN2EPROP_CACHE")" ] || exit 98
exit $status
"""


def test_a_disk_that_is_really_full(cache: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare to mount a small disk with")
    cache.mkdir(0o700)
    code = (
        "from brian2eprop.device.backends.compile import shared_library\n"
        f"shared_library({ANSWER!r}, {FLAGS!r})"
    )
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", IN_TMPFS, sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare:" in done.stderr or done.returncode == 99:
        pytest.skip(f"no small disk: {done.stderr}")
    assert done.returncode == 1, "the compilation succeeded, or left files"
    last = done.stderr.strip().splitlines()[-1]
    assert "cannot be stored in" in last
    assert "Free some space, or set BRIAN2EPROP_CACHE" in last


def test_a_library_that_cannot_be_loaded(cache: Path) -> None:
    source = 'extern "C" int missing(); extern "C" int answer() { return missing(); }'
    with pytest.raises(CompileError, match=r"cannot be loaded \(.*missing.*'noexec'.*BRIAN2EPROP"):
        shared_library(source, (*FLAGS, "-Wl,-z,now")).answer()
