"""Ctrl-C: answered at once, obeyed after the update in hand, and left as it was found."""

import hashlib
import os
import signal
import sys
import threading

import pytest

from brian2eprop.learning.training.interrupt import NOTICE, Interruption


class Events(list):
    """A stream that keeps what is written, in the order in which things happen."""

    def write(self, text):
        self.append(text)

    def flush(self):
        """Nothing waits."""


def test_the_answer_does_not_wait_for_the_call_in_hand(monkeypatch):
    events = Events()
    monkeypatch.setattr(sys, "stderr", events)
    with Interruption() as interruption:
        press = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        press.start()
        while NOTICE not in events:  # each call holds the main thread, but not its lock
            hashlib.pbkdf2_hmac("sha256", b"a long", b"call", 1_000_000)
            if interruption.requested:
                events.append("handled")
        press.join()
    assert events == [NOTICE, "handled"]


def test_one_answer_and_an_interrupt(capfd):
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_signals_are_given_back():
    handler = signal.getsignal(signal.SIGINT)
    before = threading.active_count()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    try:
        for _ in range(3):
            with Interruption():
                assert signal.getsignal(signal.SIGINT) != handler
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        assert signal.set_wakeup_fd(-1) == writer
        os.close(reader), os.close(writer)
    for thread in threading.enumerate():
        if thread.daemon:
            thread.join(5)
    assert threading.active_count() <= before


def test_another_thread_leaves_signals_alone():
    found = []

    def enter():
        handler = signal.getsignal(signal.SIGINT)
        with Interruption() as interruption:
            found.append((interruption.requested, signal.getsignal(signal.SIGINT) is handler))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(False, True)]
