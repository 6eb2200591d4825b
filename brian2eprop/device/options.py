"""The options of ``set_device('eprop_cuda', ...)``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

import numpy as np

from brian2eprop.device.backends import registry
from brian2eprop.device.codegen.parts import Layout
from brian2eprop.device.program import Precision
from brian2eprop.device.standalone import check_when


@dataclass(frozen=True)
class Options:
    """What the user asked of the device.

    Parameters
    ----------
    batch_size : int, optional
        Number of instances; None is one, without an instance axis.
    backend : str
        A name that :func:`brian2eprop.device.backends.registry.create` takes.
    precision : Precision
        Precision of the floating point arrays.
    seed : int, optional
        Seed of the random numbers.
    layout : Layout
        How the instances of a run are spread over the machine.
    """

    batch_size: int | None = None
    backend: str = registry.AUTO
    precision: Precision = Precision.FLOAT32
    seed: int | None = None
    layout: Layout = Layout.PER_INSTANCE

    @property
    def instances(self) -> int:
        """Number of instances."""
        return 1 if self.batch_size is None else self.batch_size


LAYOUTS = {layout.value: layout for layout in (Layout.PER_INSTANCE, Layout.TEAM)}

# Steps are int64 in Brian2, and doubles where they are times dt.
MOST_STEPS = 2**53

# What scripts give to Brian2's other devices; it changes nothing here.
OF_OTHER_DEVICES = frozenset(
    {
        "additional_source_files",
        "clean",
        "compile",
        "debug",
        "directory",
        "disable_asserts",
        "profile",
        "results_directory",
        "run",
        "run_args",
        "with_output",
    }
)


def read_options(
    batch_size: Any, backend: Any, precision: Any, seed: Any, layout: Any, **others: Any
) -> Options:
    """Check the options.

    Parameters
    ----------
    batch_size, backend, precision, seed, layout
        As given to ``set_device``.
    **others
        What else was given.

    Returns
    -------
    Options
        The options.

    Raises
    ------
    ValueError
        If a value is none that the option takes, or there is no such option.
    Unsupported
        If something is to run later, or with other values (``run=False``, ``run_args``).
    """
    _check_names(others)
    check_when(others)
    if batch_size is not None and not _whole(batch_size, 1):
        raise _refusal("batch_size", batch_size, "None or a positive whole number")
    if backend not in registry.names():
        raise _refusal("backend", backend, f"one of {', '.join(map(repr, registry.names()))}")
    if seed is not None and not _whole(seed, 0):
        raise _refusal("seed", seed, "None or a whole number that is not negative")
    names = [choice.value for choice in Precision]
    if precision not in names:
        raise _refusal("precision", precision, f"one of {', '.join(map(repr, names))}")
    if layout not in LAYOUTS:
        raise _refusal("layout", layout, f"one of {', '.join(map(repr, LAYOUTS))}")
    return Options(batch_size, backend, Precision(precision), seed, LAYOUTS[layout])


def _check_names(others: Iterable[str]) -> None:
    own = [option.name for option in fields(Options)]
    for name in sorted(set(others) - OF_OTHER_DEVICES):
        close = get_close_matches(name, own, 1)
        raise ValueError(
            f"set_device('eprop_cuda'): there is no option '{name}'; "
            + (f"did you mean '{close[0]}'?" if close else f"its options are {', '.join(own)}.")
        )


def _whole(value: Any, least: int) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= least)


def _refusal(name: str, value: Any, wanted: str) -> ValueError:
    return ValueError(f"set_device('eprop_cuda'): {name} is {value!r}; give {wanted}.")


def check_duration(duration: Any, clock: Any) -> None:
    """Refuse to run for what is no length of time.

    Parameters
    ----------
    duration : Quantity
        How long to run.
    clock : brian2 Clock
        The clock whose steps are counted.

    Raises
    ------
    ValueError
        If it is negative, not finite, or more steps than can be counted.
    """
    if not (np.isfinite(float(duration)) and duration >= 0):
        raise ValueError(
            f"run: duration is {float(duration):g} s; give a finite time that is not negative."
        )
    if float(duration) / clock.dt_ > MOST_STEPS:
        raise ValueError(
            f"run: duration is {float(duration):g} s, which is too many steps of {clock.dt} to be "
            "counted; give a shorter time."
        )
