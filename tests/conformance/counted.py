"""A plugin of pytest that counts how the tests of Brian2's suites end."""

from __future__ import annotations

from collections import Counter
from typing import Any

COUNTED: Counter[str] = Counter()

# Brian2's plugin skips a test that raises a NotImplementedError, as every refusal of ours is one.
_REFUSALS = ("Unsupported", "NotImplementedError")


def pytest_runtest_logreport(report: Any) -> None:
    """Count a test once: as passed, refused, skipped (by itself) or failed."""
    if report.failed:
        COUNTED["failed"] += 1
    elif report.skipped:
        reason = str(report.longrepr[-1]) if isinstance(report.longrepr, tuple) else ""
        COUNTED["refused" if any(word in reason for word in _REFUSALS) else "skipped"] += 1
    elif report.when == "call":
        COUNTED["passed"] += 1
