"""Where a run is cut: at network operations, or around every object to time it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from brian2.utils.logger import get_logger

from brian2eprop.device.capture.captured import Captured, Operation
from brian2eprop.device.memory.state import Part

logger = get_logger(__name__)


class Cuts:
    """The steps that are not run as a whole, and their parts.

    Parameters
    ----------
    captured : Captured
        The network.
    timed : bool
        Whether every step is cut around every object.
    """

    def __init__(self, captured: Captured, timed: bool) -> None:
        self.captured = captured
        owners = captured.owners
        ends = [n for n in range(1, len(owners)) if owners[n - 1] != owners[n]]
        self.timed = timed
        self._ends = ends if timed else []

    def is_cut(self, step: int) -> bool:
        """Whether a step is run in parts."""
        return self.timed or self.next_from(step) == step

    def next_from(self, step: int) -> float:
        """The first step from one on in which an operation is due; infinite if there is none."""
        return min((self._due(found, step) for found in self.captured.operations), default=np.inf)

    def _due(self, found: Operation, step: int) -> float:
        row = self.captured.grid.clocks[found.operation.clock]
        return row.program_step(row.steps_before(step))

    def parts(self, step: int) -> Iterator[tuple[Part, frozenset[str], Any]]:
        """The parts of a step in order.

        Parameters
        ----------
        step : int
            The step.

        Yields
        ------
        part : Part
            The phases.
        names : frozenset of str
            The objects that are done after them.
        operation : brian2 NetworkOperation or None
            What is called then.
        """
        order, owners = self.captured.order, self.captured.owners
        due = [o for o in self.captured.operations if self._due(o, step) == step]
        stops = sorted(
            [*((end, 0, None) for end in self._ends), *((o.phases, 1, o.operation) for o in due)],
            key=lambda stop: stop[:2],
        )
        first = 0
        for end, _, operation in stops:
            done = order.index(owners[end - 1]) + 1 if operation is None else (
                order.index(operation.name)
            )  # fmt: skip
            yield Part(first, end), frozenset(order[:done]), operation
            first = end
        yield Part(first, len(owners)), frozenset(order), None

    def name_of(self, part: Part, operation: Any) -> str | None:
        """The object that a part is of, where every step is cut around every object."""
        if operation is not None:
            return str(operation.name)
        return self.captured.owners[part.first] if part.first < part.end else None


def warn_of_operations(captured: Captured) -> None:
    """Say what it costs to cut runs at the network operations, if there are some."""
    names = ", ".join(repr(found.operation.name) for found in captured.operations)
    if names:
        logger.warn(
            f"The network operations {names} are Python: the run is cut whenever one is due, which "
            "costs a call of the kernel, and the values that it reads or writes are copied. Give "
            "it a long dt, or use run_regularly.",
            name_suffix="network_operation",
        )


def warn_of_profile() -> None:
    """Say what it costs to time every object."""
    logger.warn(
        "profile=True has eprop_cuda run every object by a kernel of its own, step by step, with a "
        "call for each: the times tell objects apart, and add up to far more than a run takes "
        "without it.",
        name_suffix="profile",
    )
