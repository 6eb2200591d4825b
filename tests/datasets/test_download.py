"""Downloads from a server that breaks off, lies, or is not there."""

import hashlib
import os
import threading

import numpy as np
import pytest

from brian2eprop import DatasetError
from brian2eprop.datasets.download import Resource, fetch
from brian2eprop.datasets.files import data_folder
from tests.datasets.server import Site, serving

CONTENT = np.random.default_rng(0).bytes(1_000_003)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def site():
    with serving(Site({"a.bin": CONTENT})) as found:
        yield found


def resource(site, *more, md5=MD5):
    return Resource("a.bin", (site.base, *more), md5)


def test_a_file_is_downloaded_once(site, tmp_path, capfd):
    path = fetch(resource(site), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "a.bin"
    assert path.read_bytes() == CONTENT
    assert fetch(resource(site), path.parent) == path
    assert site.asked == [None]
    assert "a.bin" in capfd.readouterr().err
    assert not path.with_name("a.bin.part").exists()


@pytest.mark.parametrize("says_length", [True, False])
def test_a_download_that_was_cut_goes_on_where_it_was(site, tmp_path, says_length):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    site.says_length = says_length
    site.cuts = [300_000] if says_length else []
    assert fetch(resource(site), tmp_path, progress=False).read_bytes() == CONTENT
    assert site.asked == ["bytes=1000-", "bytes=301000-"][: 1 + says_length]


def test_what_has_arrived_stays_for_the_next_call(site, tmp_path):
    site.cuts = [100_000, 10, 10]
    with pytest.raises(
        DatasetError, match=r"broke off after 100020 of 1000003 bytes. Call again t"
    ):
        fetch(resource(site), tmp_path, progress=False)
    assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:100_020]
    assert fetch(resource(site), tmp_path, progress=False).read_bytes() == CONTENT
    assert site.asked[-1] == "bytes=100020-"


def test_a_server_that_always_begins_at_the_beginning(site, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(b"x" * 5000)
    site.ranges = False
    assert fetch(resource(site), tmp_path, progress=False).read_bytes() == CONTENT


def test_a_part_that_is_whole_already(site, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert fetch(resource(site), tmp_path, progress=False).read_bytes() == CONTENT


@pytest.mark.parametrize("rest", [b"?" * 2000, CONTENT + b"more"])
def test_a_part_of_something_else_is_thrown_away(site, tmp_path, rest):
    (tmp_path / "a.bin.part").write_bytes(rest)
    assert fetch(resource(site), tmp_path, progress=False).read_bytes() == CONTENT


def test_another_checksum_is_refused(site, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:500])
    with pytest.raises(DatasetError, match=f"a file with the checksum {MD5} instead of {'0' * 32}"):
        fetch(resource(site, md5="0" * 32), tmp_path, progress=False)
    # What was gone on with may have been at fault; what was downloaded in one go is not.
    assert site.asked == ["bytes=500-", None]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin.lock"]


def test_a_cut_answer_of_unknown_length_is_not_taken_for_whole(site, tmp_path):
    site.says_length, site.cuts = False, [7, 8]
    assert fetch(resource(site), tmp_path, progress=False).read_bytes() == CONTENT


def test_the_next_address_is_asked_where_one_fails(site, tmp_path):
    path = fetch(Resource("a.bin", (site.base + "no/", site.base), MD5), tmp_path, progress=False)
    assert path.read_bytes() == CONTENT


def test_addresses_that_do_not_answer(site, tmp_path):
    nowhere = "http://127.0.0.1:1/"
    with pytest.raises(
        DatasetError, match=r"a.bin could not be downloaded: .*404.*; .*:1/a.bin can"
    ):
        fetch(Resource("a.bin", (site.base + "no/", nowhere), MD5), tmp_path, progress=False)
    assert not (tmp_path / "a.bin").exists()


def test_a_full_disk(site, tmp_path):
    (tmp_path / "a.bin.part").symlink_to("/dev/full")
    with pytest.raises(
        DatasetError,
        match=r"cannot be written: No space left on device. Make room for it, or give a folder",
    ):
        fetch(resource(site), tmp_path, progress=False)


def test_a_folder_that_is_none(site, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"cannot be written: (Not a directory|File exists)"):
        fetch(resource(site), tmp_path / "file", progress=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(site, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DatasetError, match=r"cannot be written: Permission denied"):
        fetch(resource(site), tmp_path, progress=False)
    tmp_path.chmod(0o700)


def test_several_that_ask_at_once_get_one_whole_file(site, tmp_path):
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.append(fetch(resource(site), tmp_path, False).read_bytes())
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 6
    assert site.asked == [None]


def test_where_data_sets_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("BRIAN2EPROP_DATA", raising=False)
    assert data_folder(None, "shd") == tmp_path / "brian2eprop" / "datasets" / "shd"
    monkeypatch.setenv("BRIAN2EPROP_DATA", str(tmp_path / "data"))
    assert data_folder(None, "shd") == tmp_path / "data" / "shd"
    assert data_folder(tmp_path / "mine", "shd") == tmp_path / "mine"
