"""Says what takes its time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from brian2.utils.logger import get_logger

logger = get_logger(__name__)

# Who waits longer than this wants to know what for.
SECONDS = 1.0


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Log one line if the block takes more than about a second.

    Parameters
    ----------
    what : str
        What the block compiles.
    """
    text = f"Compiling {what}; it is kept for the next time."
    timer = threading.Timer(SECONDS, logger.info, [text], {"name_suffix": "compiling"})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
