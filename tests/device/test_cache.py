"""What is taken from the folder of compiled code, and what is not."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brian2eprop.device import cache as storage
from brian2eprop.device.cache import cache_directory, cached, content_key
from brian2eprop.errors import CompileError

KEY = content_key("source", "flag")
CODE = b"compiled code"
NAME = f"{KEY}-{hashlib.sha256(CODE).hexdigest()[:32]}.so"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that does not exist yet."""
    path = tmp_path / "cache"
    monkeypatch.setenv("BRIAN2EPROP_CACHE", str(path))
    return path


@pytest.fixture
def umask() -> Iterator[None]:
    """A user whose new files everybody may write."""
    before = os.umask(0)
    yield
    os.umask(before)


class Maker:
    """Makes the code, and counts how often."""

    calls = 0

    def __call__(self, folder: Path) -> bytes:
        (folder / "of the compiler").touch()
        self.calls += 1
        return CODE


def get(maker: Callable[[Path], bytes] | None = None) -> Path:
    return cached(KEY, ".so", maker or Maker())


def refusal(message: str) -> pytest.RaisesExc[CompileError]:
    return pytest.raises(CompileError, match=f"^{re.escape(message)}$")


def owned_by(monkeypatch: pytest.MonkeyPatch, user: int) -> None:
    """Make another user of this process, whose files are then another's."""
    monkeypatch.setattr(storage.os, "geteuid", lambda: user)


# What is stored


def test_code_is_made_once(folder: Path) -> None:
    maker = Maker()
    assert get(maker) == get(maker) == folder / NAME
    assert maker.calls == 1
    assert (folder / NAME).read_bytes() == CODE
    assert os.listdir(folder) == [NAME]


@pytest.mark.usefixtures("umask")
def test_the_folder_and_the_file_are_the_users_alone(folder: Path) -> None:
    path = get()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_code_is_on_the_disk_before_it_has_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        call = getattr(os, name)
        monkeypatch.setattr(
            storage.os, name, lambda *given, name=name, call=call: done.append(name) or call(*given)
        )
    get()
    assert done == ["fsync", "replace"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage.os, call, fail)
    with refusal(
        f"The compiled network cannot be stored in {folder} ([Errno 28] No space left on device). "
        "Free some space, or set BRIAN2EPROP_CACHE to a folder that can be written."
    ):
        get()
    assert os.listdir(folder) == []


def test_a_maker_that_fails_leaves_nothing(folder: Path) -> None:
    def fail(workshop: Path) -> bytes:
        (workshop / "half").touch()
        raise CompileError("no")

    with refusal("no"):
        get(fail)
    assert os.listdir(folder) == []


def test_what_killed_processes_left_is_removed_after_a_day(folder: Path) -> None:
    folder.mkdir(0o700)
    now = 1e9
    for name, age in [("compiling-old", 90000), ("compiling-new", 80000), ("mine", 90000)]:
        (folder / name).mkdir()
        (folder / name / "source.cpp").touch()
        os.utime(folder / name, (now - age, now - age))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage.time, "time", lambda: now)
        get()
    assert sorted(os.listdir(folder)) == sorted([NAME, "compiling-new", "mine"])


# What is not taken


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path)


def dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


def link(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.write_bytes(CODE)
    path.symlink_to(elsewhere)


def damaged(path: Path) -> None:
    path.write_bytes(CODE[:-1])


def writable_by_the_group(path: Path) -> None:
    path.write_bytes(CODE)
    path.chmod(0o660)


def writable_by_all(path: Path) -> None:
    path.write_bytes(CODE)
    path.chmod(0o606)


@pytest.mark.parametrize(
    "plant", [fifo, loop, dangling, link, damaged, writable_by_the_group, writable_by_all]
)
def test_what_stands_in_the_codes_place_is_replaced(
    folder: Path, plant: Callable[[Path], None]
) -> None:
    folder.mkdir(0o700)
    plant(folder / NAME)
    maker = Maker()
    path = get(maker)
    assert maker.calls == 1
    assert not path.is_symlink() and path.read_bytes() == CODE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(folder) == [NAME]


def test_a_folder_in_the_codes_place(folder: Path) -> None:
    (folder / NAME).mkdir(parents=True)
    folder.chmod(0o700)
    with refusal(
        f"There is a folder where a compiled network is to be stored: {folder / NAME}. Remove it."
    ):
        get()


def test_a_file_of_another_user_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted, real = get().stat(), os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        if fields[stat.ST_INO] == planted.st_ino:
            fields[stat.ST_UID] = os.geteuid() + 1
        return os.stat_result(fields)

    monkeypatch.setattr(storage.os, "fstat", fstat)
    maker = Maker()
    assert get(maker).stat().st_ino != planted.st_ino
    assert maker.calls == 1


def test_what_root_has_stored_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can store as root")
    get()
    owned_by(monkeypatch, 1000)
    maker = Maker()
    get(maker)
    assert maker.calls == 0


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_can_write_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with refusal(
        f"The folder {folder} for compiled networks can be written by other users, whose code "
        f"would be run from it. Run 'chmod go-w {folder}' if it is yours alone, or set "
        "BRIAN2EPROP_CACHE to a folder of your own."
    ):
        get()
    assert os.listdir(folder) == []


def test_a_folder_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(0o700)
    if os.geteuid() == 0:
        os.chown(folder, 1000, 1000)
    else:
        owned_by(monkeypatch, os.geteuid() + 1)
    with refusal(
        f"The folder {folder} for compiled networks belongs to another user, whose code would be "
        "run from it. Set BRIAN2EPROP_CACHE to a folder of your own."
    ):
        get()
    assert os.listdir(folder) == []


# Where it is


def test_the_folder_is_named_as_in_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for named in ("~/here", "here", str(tmp_path / "here")):
        monkeypatch.setenv("BRIAN2EPROP_CACHE", named)
        assert cache_directory() == tmp_path / "here"
    monkeypatch.delenv("BRIAN2EPROP_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_directory() == tmp_path / ".cache" / "brian2eprop"


def test_a_user_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIAN2EPROP_CACHE", "~no-such-user/cache")
    with refusal(
        "There is no folder for compiled networks (Could not determine home directory.). Set "
        "BRIAN2EPROP_CACHE to a folder that can be written."
    ):
        cache_directory()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("BRIAN2EPROP_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(storage.Path, "home", homeless)
    with refusal(
        "There is no folder for compiled networks (Could not determine home directory.). Set "
        "BRIAN2EPROP_CACHE to a folder that can be written."
    ):
        cache_directory()


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("BRIAN2EPROP_CACHE", str(blocked / "cache"))
    with refusal(
        f"The compiled network cannot be stored in {blocked}/cache ([Errno 20] Not a directory: "
        f"'{blocked}/cache'). Free some space, or set BRIAN2EPROP_CACHE to a folder that can be "
        "written."
    ):
        get()
