"""Downloads that go on where they were cut, and are believed after their checksum only."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from brian2eprop.datasets.files import writing
from brian2eprop.errors import DatasetError

CHUNK = 1 << 18
# A connection that gives nothing for so many seconds is given up.
PATIENCE = 30
# How often one address is asked again after it broke off.
ATTEMPTS = 3


@dataclass(frozen=True)
class Resource:
    """A file that can be downloaded.

    Parameters
    ----------
    name : str
        Name of the file.
    bases : tuple of str
        Addresses of folders that have it, with a slash at the end, the preferred one first.
    md5 : str
        Its checksum, as published with the data set: it tells a broken file, not a forged one.
    """

    name: str
    bases: tuple[str, ...]
    md5: str


class _Broken(Exception):
    """Why an address did not give the file."""


def fetch(resource: Resource, folder: Path, progress: bool = True) -> Path:
    """The file in the folder, downloaded if it is not there.

    What has arrived of it lies beside it as ``<name>.part``, and is gone on with by the next
    call; the file gets its name when all of it is there and its checksum is right. Several
    processes may ask for it at once.

    Parameters
    ----------
    resource : Resource
        What to download.
    folder : Path
        Where to.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Path
        The whole file.

    Raises
    ------
    DatasetError
        If no address gives the file, what they give has another checksum, or it cannot be
        written.
    """
    target = folder / resource.name
    if target.exists():
        return target
    part = folder / f"{resource.name}.part"
    with writing(part):
        folder.mkdir(parents=True, exist_ok=True)
    with _alone_with(folder / f"{resource.name}.lock"):
        if not target.exists():
            _from_any(resource, part, progress)
            with writing(target):
                part.replace(target)
    return target


def _from_any(resource: Resource, part: Path, progress: bool) -> None:
    """Fill the part from the first address that can."""
    reasons = []
    for base in resource.bases:
        address = base + resource.name
        for _ in range(ATTEMPTS):
            in_one_go = False
            try:
                in_one_go = _append(address, part, progress)
                _check(address, part, resource.md5)
                return
            except _Broken as reason:
                reasons.append(str(reason))
                if in_one_go:
                    break
    raise DatasetError(
        f"{resource.name} could not be downloaded: {'; '.join(dict.fromkeys(reasons))}. Call again "
        f"to go on, or put the file into {part.parent} yourself."
    )


def _append(address: str, part: Path, progress: bool) -> bool:
    """Download what is missing in the part; whether that was surely all of it, in one go."""
    in_one_go = False
    with writing(part), part.open("ab") as file:
        # Where a file opened for appending begins is not said until it is asked for its end.
        begun = file.seek(0, 2)
        for first, total, pieces in _pieces(address, begun):
            if first != begun:
                file.truncate(0)
            bar = tqdm(
                desc=part.stem, initial=first, total=total, unit="B", unit_scale=True,
                disable=not progress,
            )  # fmt: skip
            with bar:
                for piece in pieces:
                    file.write(piece)
                    bar.update(len(piece))
            size = file.seek(0, 2)
            if total is not None and size < total:
                raise _Broken(f"{address} broke off after {size} of {total} bytes")
            in_one_go = first == 0 and total is not None
    return in_one_go


def _pieces(address: str, begun: int) -> Iterator[tuple[int, int | None, Iterator[bytes]]]:
    """Once: where the answer begins, how long the whole file is, and what there is to read.

    Nothing at all if the file has no bytes beyond those that are there.
    """
    request = urllib.request.Request(address, headers={"User-Agent": "brian2eprop"})
    if begun:
        request.add_header("Range", f"bytes={begun}-")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            first, total = _extent(answer.status, answer.headers, begun)
            yield first, total, _read(address, answer)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise _Broken(f"{address} answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _Broken(f"{address} cannot be reached ({error.reason})") from error


def _extent(status: int, headers: http.client.HTTPMessage, begun: int) -> tuple[int, int | None]:
    """The first byte of an answer, and the size of the whole file if it is said."""
    said = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
    if status == 206 and said and int(said[1]) == begun:
        return begun, int(said[2])
    length = headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _read(address: str, answer: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while piece := answer.read(CHUNK):
            yield piece
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"{address} broke off ({error})") from error


def _check(address: str, part: Path, md5: str) -> None:
    """Throw a part away that has another checksum."""
    with writing(part):
        with part.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        if found.hexdigest() != md5:
            part.unlink()
            raise _Broken(
                f"{address} gave a file with the checksum {found.hexdigest()} instead of {md5}"
            )


@contextmanager
def _alone_with(path: Path) -> Iterator[BinaryIO]:
    """Wait until no other process has this lock."""
    with writing(path):
        lock = path.open("ab")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
