"""Reports of a run's progress, and how long its calls are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from brian2.core.network import TextReport
from brian2.units import second


def report_function(report: Any) -> Callable[..., Any] | None:
    """What to call with the progress.

    Parameters
    ----------
    report : None, 'text', 'stdout', 'stderr' or callable
        As given to Brian2's ``run``.

    Returns
    -------
    callable or None
        Takes elapsed time, completed fraction, start and duration.

    Raises
    ------
    ValueError
        If it is another string.
    TypeError
        If it is of another type.
    """
    if report is None or callable(report):
        return report  # type: ignore[no-any-return]
    if report in ("text", "stdout"):
        return TextReport(sys.stdout)  # type: ignore[no-any-return]
    if report == "stderr":
        return TextReport(sys.stderr)  # type: ignore[no-any-return]
    kind = ValueError if isinstance(report, str) else TypeError
    raise kind(
        f"run: report is {report!r}; give None, 'text', 'stdout', 'stderr' or a function of "
        "(elapsed, completed, start, duration)."
    )


class Progress:
    """Reports now and then.

    Parameters
    ----------
    report : as for :func:`report_function`
        How to report.
    period : Quantity
        Time between reports.
    start, duration : Quantity
        The run's, in simulated time.
    """

    def __init__(self, report: Any, period: Any, start: Any, duration: Any) -> None:
        self.call = report_function(report)
        self.period = float(period)
        self.start, self.duration = start, duration
        self.began = self.last = time.time()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.time() - self.began

    def tell(self, completed: float) -> bool:
        """Report, and say whether anyone was told, who may have set something."""
        self.last = time.time()
        if self.call is not None:
            self.call(self.elapsed * second, completed, self.start, self.duration)
        return self.call is not None

    def tell_if_due(self, completed: float) -> bool:
        """Report if the last report is a period ago; see :meth:`tell`."""
        return time.time() - self.last > self.period and self.tell(completed)


class Pace:
    """Chooses how many steps a call runs, so that it takes about a tenth of a second."""

    SECONDS = 0.1

    def __init__(self, most: int) -> None:
        self.most = most
        self.steps = min(64, most)

    def note(self, seconds: float) -> None:
        """Learn from the duration of a call."""
        if seconds < self.SECONDS / 2:
            self.steps = min(2 * self.steps, self.most)
        elif seconds > 2 * self.SECONDS:
            self.steps = max(self.steps // 2, 1)
