"""Ctrl-C waits while what belongs together is changed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait until the block is done, so that what it changes stays consistent.

    What Ctrl-C does then is what it would have done: nothing, or a handler of the user's own.
    """
    before = signal.getsignal(signal.SIGINT)
    here = threading.current_thread() is threading.main_thread()
    if not (here and callable(before)):  # nobody is told here, or something that is not Python's
        yield
        return
    came: list[Any] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    for _ in came:  # the first may set another handler
        signal.raise_signal(signal.SIGINT)
