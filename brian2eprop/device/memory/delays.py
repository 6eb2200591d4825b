"""The delays of a pathway that still matter where they were changed between two runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brian2eprop.device.capture.pathways import EVER, Delays
from brian2eprop.device.memory.transit import Transit, in_finer


def delays_that_matter(
    transit: Transit, name: str, events: str, now: Delays, step: int, dt: float
) -> tuple[Delays, ...]:
    """The delays of a pathway that still matter: those of what is on its way, and the present.

    As in Brian2's queue, a delay that is changed holds for what is sent from then on.

    Parameters
    ----------
    transit : Transit
        What the last run has left.
    name : str
        Name of the pathway.
    events : str
        The event buffer that it reads.
    now : Delays
        Its delays now.
    step : int
        The first step, in those of the source's clock, whose spikes the present delays hold for.
    dt : float
        That clock's dt in seconds.

    Returns
    -------
    tuple of Delays
        The oldest first, the present ones last.
    """
    path, sent = transit.pathways.get(name), transit.sent.get(events)
    if path is None or path.events != events or sent is None:
        return (now,)
    *older, last = (_in_finer(each, *transit.in_steps_of(dt, events)) for each in path.delays)
    if now.agrees_with(last):
        now = replace(now, since=last.since)
    else:
        older.append(last)
        now = replace(now, since=step)
    # Those in between stay: where they begin, the earlier ones end.
    while older and [*older[1:], now][0].since + older[0].longest <= step:
        del older[0]
    return (*older, now)


def _in_finer(delays: Delays, ratio: int, late: int) -> Delays:
    if ratio == 1:
        return delays
    steps = in_finer(delays.known, ratio, late).astype(np.int32).tobytes()
    # A step in which a spike was sent is as long ago as the spike.
    since = delays.since if delays.since == EVER else delays.since * ratio + (ratio - 1) * late
    return Delays(delays.size, steps, since)
