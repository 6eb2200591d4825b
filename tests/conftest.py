"""Fixtures of all tests: a clean Brian2, and the backends."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import brian2
import pytest
from brian2 import BrianLogger, defaultclock, ms, prefs, set_device
from hypothesis import settings

import brian2eprop  # noqa: F401 (registers the device)
from brian2eprop.device.backends import registry

BACKENDS = tuple(registry.BACKENDS)

settings.register_profile("long")

# A shell has what it runs in the background ignore Ctrl-C, and so would what tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    _keep_what_is_alive()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Name of a backend; tests of it are skipped where it cannot run."""
    name: str = request.param
    if name == "cuda":
        device, reason = registry.find_gpu()
        if device is None:
            pytest.skip(f"no GPU: {reason}")
    return name


@pytest.fixture(autouse=True)
def clean_brian() -> Iterator[None]:
    """Brian2 as it is after its import, before and after each test."""
    _clean()
    yield
    _clean()
    _keep_what_is_alive()


def _keep_what_is_alive() -> None:
    """Let no later collection look through modules and caches: Brian2 asks for one in every run."""
    gc.collect()
    gc.freeze()


def _clean() -> None:
    set_device("runtime")
    brian2.start_scope()
    prefs.codegen.target = "numpy"
    defaultclock.dt = 1 * ms
    BrianLogger.suppress_name("resolution_conflict")
