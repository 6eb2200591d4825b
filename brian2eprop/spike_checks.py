"""What spike data must be: each fault is one sentence that says what to do."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2.units import second
from brian2.units.fundamentalunits import have_same_dimensions, is_dimensionless

Integers = npt.NDArray[np.int64]

MAX_NEURONS = 2**31 - 1


def as_size(name: str, value: Any) -> int:
    """The value as a non-negative int."""
    try:
        size = operator.index(value)
    except TypeError:
        size = -1
    if size < 0:
        raise ValueError(f"Spikes: {name} is {value!r}; give a whole number that is not negative.")
    return size


def as_population(name: str, value: Any) -> int:
    """The value as a number of neurons, whose indices are int32."""
    size = as_size(name, value)
    if size > MAX_NEURONS:
        raise ValueError(
            f"Spikes: {name} is {size}, but there can be at most {MAX_NEURONS} neurons (their "
            "indices have 32 bits); give several inputs instead."
        )
    return size


def as_shape(shape: Any) -> tuple[int, int, int]:
    """The value as ``(n_samples, n_steps, n_neurons)``."""
    if np.shape(shape) != (3,):
        raise ValueError(f"Spikes: shape is {shape!r}; give (n_samples, n_steps, n_neurons).")
    n_samples, n_steps = (as_size("an entry of shape", size) for size in shape[:2])
    n_neurons = as_population("an entry of shape", shape[2])
    if n_samples * (n_steps + 1) * max(n_neurons, 1) >= 2**63:
        raise ValueError(
            f"Spikes: shape is {tuple(shape)}, more places than 64 bits can count; give fewer "
            "samples, steps or neurons."
        )
    return n_samples, n_steps, n_neurons


def as_integers(name: str, values: npt.ArrayLike, ndim: int) -> Integers:
    """The values as an int64 array, refused where they are not whole numbers."""
    found = np.asarray(values)
    if found.ndim != ndim:
        raise ValueError(f"Spikes: {name} has {found.ndim} dimensions; give {ndim}.")
    if found.dtype.kind == "i":
        return found.astype(np.int64, copy=False)
    if found.size == 0:
        return found.astype(np.int64)
    whole = found.dtype.kind in "uf" and bool((found == np.floor(found)).all())
    # The limit itself is the first number that int64 does not hold.
    if not whole or not (np.abs(found) < 2.0**63).all():
        raise ValueError(
            f"Spikes: {name} holds values that are no whole numbers (or NaN); give integers."
        )
    return found.astype(np.int64)


def check_range(name: str, values: Integers, size: Any) -> None:
    """Refuse values outside ``0 .. size - 1``."""
    limit = as_size(f"the size for {name}", size)
    bad = (values < 0) | (values >= limit)
    if bad.any():
        where = int(np.argmax(bad))
        raise ValueError(
            f"Spikes: {name} has the value {values[where]} at position {where}, outside "
            f"0 .. {limit - 1}; remove that spike or enlarge the size."
        )


def check_start(start: Integers, n_steps: int, n_spikes: int) -> None:
    """Refuse a ``start`` that does not rise sample after sample from 0 to the number of spikes."""
    if start.shape[1] != n_steps + 1:
        raise ValueError(
            f"Spikes: start has {start.shape[1]} columns but n_steps is {n_steps}; "
            "give n_steps + 1 columns."
        )
    flat = start.ravel()
    joined = bool((start[1:, 0] == start[:-1, -1]).all())
    whole = flat.size == 0 or (flat[0] == 0 and flat[-1] == n_spikes)
    if not (joined and whole and (np.diff(flat) >= 0).all()):
        raise ValueError(
            "Spikes: start does not rise from 0 to the number of spikes "
            f"({n_spikes}), sample after sample; use Spikes.from_events to have it built."
        )


def check_ascending(start: Integers, index: Integers) -> None:
    """Refuse indices that do not rise within a step."""
    rises = np.concatenate([[True], np.diff(index) > 0])
    rises[start[start < index.size]] = True
    if index.size and not rises.all():
        raise ValueError(
            f"Spikes: index is not ascending within a step at position {int(np.argmin(rises))}; "
            "sort it, or use Spikes.from_events, which sorts."
        )


def as_binary(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """The values as bools, refused where they are neither 0 nor 1."""
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"Spikes.from_dense: the array holds {values.dtype}; give bools, or zeros and ones."
        )
    spikes: npt.NDArray[np.bool_] = np.not_equal(values, 0)
    if values.dtype.kind != "b" and not np.array_equal(spikes, values):
        bad = values[(values != 0) & (values != 1)][0]
        raise ValueError(
            f"Spikes.from_dense: the array holds the value {bad}; give only zeros and ones "
            "(an encoder such as brian2eprop.encoding.latency turns values into spikes)."
        )
    return spikes


def repeated(event: int, n_steps: int, n_neurons: int) -> str:
    """The sentence for a neuron that spikes twice in a step."""
    row, neuron = divmod(event, n_neurons)
    sample, step = divmod(row, n_steps)
    return (
        f"Spikes: neuron {neuron} spikes more than once in step {step} of sample {sample}; remove "
        "the repetition, use a smaller dt, or merge spikes with Spikes.from_times(..., merge=True)."
    )


def as_seconds(name: str, value: Any) -> npt.NDArray[np.float64]:
    """The value in seconds, refused where it is no time."""
    if not (is_dimensionless(value) or have_same_dimensions(value, second)):
        raise ValueError(
            f"Spikes.from_times: {name} has the unit of {value!r}, which is no time; "
            "give seconds, as a Quantity or as plain numbers."
        )
    return np.asarray(value, dtype=np.float64)


def as_positive_seconds(name: str, value: Any) -> float:
    """The value as one number of seconds above zero."""
    seconds = as_seconds(name, value)
    if seconds.ndim != 0 or not np.isfinite(seconds) or seconds <= 0:
        raise ValueError(f"Spikes.from_times: {name} is {value!r}; give one time above zero.")
    return float(seconds)


def whole_steps(duration: float, dt: float) -> int:
    """The number of steps of a duration, refused where it is not whole."""
    steps = round(duration / dt)
    # What rounding does to two decimal numbers and their quotient is far below this.
    if steps < 1 or abs(duration / dt - steps) > 1e-6 * steps:
        raise ValueError(
            f"Spikes.from_times: duration is {duration:g} s, no multiple of dt = {dt:g} s; give a "
            "whole number of steps."
        )
    return steps


def to_steps(sample: int, times: Any, n_steps: int, dt: float) -> Integers:
    """The steps of one sample's times, refused where these are no valid spike times."""
    seconds = as_seconds(f"times of sample {sample}", times)
    fault = _time_fault(seconds)
    if fault:
        raise ValueError(f"Spikes.from_times: the times of sample {sample} {fault}.")
    # The small shift keeps a time that is a multiple of dt, up to rounding, in its own step.
    steps: Integers = np.floor(seconds / dt + 1e-3).astype(np.int64)
    if steps.size and steps[-1] >= n_steps:
        raise ValueError(
            f"Spikes.from_times: sample {sample} has a spike at {seconds[-1]} s, after the "
            f"duration of {n_steps * dt} s; remove it or give a longer duration."
        )
    return steps


def _time_fault(seconds: npt.NDArray[np.float64]) -> str | None:
    if seconds.ndim != 1:
        return f"have {seconds.ndim} dimensions; give one"
    if not np.isfinite(seconds).all():
        return "hold NaN or infinity; remove these spikes"
    if (seconds < 0).any():
        return f"hold the negative time {seconds.min()} s; let the first sample step be t = 0"
    if (np.diff(seconds) < 0).any():
        return "are not sorted; sort times and neurons together (numpy.argsort)"
    return None
