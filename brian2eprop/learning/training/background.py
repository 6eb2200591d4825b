"""What is prepared in another thread while the last of it is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

# How many are ready at most, and how often a waiting thread looks whether it is still needed.
_READY, _LOOK_S = 2, 0.05


def prepared[T](source: Iterator[T], gone: Callable[[], bool]) -> Generator[T]:
    """What an iterator gives, in its order, fetched by a thread of its own.

    Parameters
    ----------
    source : iterator
        What is fetched; an exception in it is raised here.
    gone : callable
        Whether nobody waits any more: then a KeyboardInterrupt is raised instead of waiting.

    Yields
    ------
    object
        The next one.
    """
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(_READY)
    closed = threading.Event()
    thread = threading.Thread(target=_fetch, args=(source, ready, closed), daemon=True)
    thread.start()
    try:
        while True:
            kind, found = _next(ready, gone)
            if kind == "end":
                return
            if kind == "error":
                raise found
            yield found
    finally:
        closed.set()
        # A source that never answers is left behind.
        thread.join(timeout=1.0)


def _fetch(
    source: Iterator[Any], ready: queue.Queue[tuple[str, Any]], closed: threading.Event
) -> None:
    try:
        for found in source:
            if not _put(ready, ("item", found), closed):
                return
        _put(ready, ("end", None), closed)
    except BaseException as error:
        _put(ready, ("error", error), closed)


def _put(
    ready: queue.Queue[tuple[str, Any]], found: tuple[str, Any], closed: threading.Event
) -> bool:
    """Whether somebody will take it."""
    while not closed.is_set():
        try:
            ready.put(found, timeout=_LOOK_S)
        except queue.Full:
            continue
        return True
    return False


def _next(ready: queue.Queue[tuple[str, Any]], gone: Callable[[], bool]) -> tuple[str, Any]:
    while True:
        try:
            return ready.get(timeout=_LOOK_S)
        except queue.Empty:
            if gone():
                raise KeyboardInterrupt from None
