"""Ctrl-C during a training: finish the update in hand, then stop."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

NOTICE = "\nCtrl-C: the update in hand is finished, then the training ends with its parameters.\n"


class Interruption:
    """While active, the first Ctrl-C only sets :attr:`requested`; a second one interrupts.

    So no update of the parameters is cut in two. Outside the main thread, where Python
    delivers no signals, it does nothing, nor where Ctrl-C does nothing or what a user has set.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None
        self._notice: _Notice | None = None

    def __enter__(self) -> Interruption:
        here = threading.current_thread() is threading.main_thread()
        if here and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._note)
            self._notice = _Notice()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._notice is not None:
            self._notice.close()
            signal.signal(signal.SIGINT, self._previous)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


class _Notice:
    """Says at once that Ctrl-C was understood.

    Python's handler has to wait until a kernel returns, which may take a minute; a pipe that
    the operating system's handler writes to, and a thread that reads it, have not.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        """Give the signals back."""
        signal.set_wakeup_fd(self._before)
        os.close(self._writer)  # which ends the thread

    def _watch(self) -> None:
        told = False
        while received := os.read(self._reader, 64):
            if signal.SIGINT in received and not told:
                told = True
                with contextlib.suppress(OSError, ValueError):  # nobody to tell
                    sys.stderr.write(NOTICE)
                    sys.stderr.flush()
        os.close(self._reader)
