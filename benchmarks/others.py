"""What the rules' network is, for libraries that know nothing of ours. Needs NumPy only."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from workload import Workload


class Rules:
    """The network that all rules can train: synapses add to a current.

    A step is that of the :class:`Workload`, with ``dI/dt = -I/(5 ms)``, ``dv/dt = (I - v)/tau``,
    and a reset to zero.
    """

    tau_synapse_ms = 5.0
    # The hidden neurons' current is larger than a membrane's jump by the ratio of time constants.
    scale = {"w_in": 4.0, "w_rec": 1.0, "w_out": 4.0}  # noqa: RUF012

    @staticmethod
    def parse(parser: argparse.ArgumentParser) -> tuple[Any, Workload, int]:
        """The arguments, the workload that they describe, and the number of steps to be timed."""
        parser.add_argument("--hidden", type=int, default=256)
        parser.add_argument("--steps", type=int, default=100)
        parser.add_argument("--batch", type=int, default=32)
        parser.add_argument("--repeats", type=int, default=3)
        given = parser.parse_args()
        work = Workload(hidden=given.hidden, steps=given.steps, batch=given.batch, density=8 / 700)
        return given, work, given.repeats


def weights_of(work: Workload) -> dict[str, Any]:
    """The first weights of the rules' network, shape (sources, targets)."""
    return {name: Rules.scale[name] * values for name, values in work.weights().items()}


def median_ms(step: Callable[[], Any], repeats: int) -> float:
    """Median time of a step in ms."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)
