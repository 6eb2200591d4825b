"""Scripts that are run on Brian2's own device and on eprop_cuda, and compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from brian2 import defaultclock, ms, set_device, start_scope

Found = dict[str, np.ndarray]
# From the drive of each neuron, with a leading axis where there are instances, what a run gave.
Script = Callable[[np.ndarray], Found]

INSTANCES = 3


def drives(n: int, instances: int | None = None, seed: int = 0) -> np.ndarray:
    """A drive above threshold for each neuron, in each instance."""
    shape = (n,) if instances is None else (instances, n)
    return np.random.default_rng(seed).uniform(1.05, 1.9, shape)


def on_device(script: Script, drive: np.ndarray, device: str, **options: Any) -> Found:
    """What a script gives on a device."""
    set_device(device, **options)
    start_scope()
    defaultclock.dt = 0.1 * ms
    return script(drive)


def check_alike(
    script: Script, backend: str, n: int, batch: bool, tolerance: float = 1e-11
) -> Found:
    """The same on both devices, instance by instance; gives what the last one gave."""
    drive = drives(n, INSTANCES if batch else None)
    size = len(drive) if batch else None
    ours = on_device(
        script, drive, "eprop_cuda", backend=backend, precision="float64", batch_size=size
    )
    for instance, own in enumerate(drive if batch else drive[None]):
        theirs = on_device(script, own, "runtime")
        mine = {name: values[instance] for name, values in ours.items()} if batch else ours
        assert_alike(mine, theirs, tolerance)
    return theirs


def assert_alike(ours: Found, theirs: Found, tolerance: float) -> None:
    """Equal integers, and reals that are equal to rounding."""
    assert ours.keys() == theirs.keys()
    for name, wanted in theirs.items():
        if wanted.dtype.kind in "ib":
            np.testing.assert_array_equal(ours[name], wanted, name)
        else:
            scale = np.abs(wanted).max(initial=1e-30)
            np.testing.assert_allclose(
                ours[name], wanted, rtol=tolerance, atol=tolerance * scale, err_msg=name
            )
