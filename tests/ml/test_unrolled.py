"""A converted network spikes as it does on Brian2's runtime, where each synapse is made."""

from __future__ import annotations

from functools import cache

import brian2 as b
import numpy as np
import pytest

from brian2eprop import ml
from tests.ml.plain import residual_network


@cache
def spikes(device, algorithm, timesteps, **options):
    b.set_device(device, **options)
    b.start_scope()
    rng = np.random.default_rng(7)
    layers = residual_network(rng)
    x = rng.normal(size=(2, 6, 5, 2))
    snn = ml.convert(layers, x, algorithm=algorithm, timesteps=timesteps)
    monitors = {
        name: b.SpikeMonitor(snn.network[name]) for name in ("image", "conv", "add", "pool")
    }
    snn.network.add(*monitors.values())
    snn.network.store()
    answers = snn.predict(x)
    found = {
        name: sorted(zip(np.round(monitor.t / b.ms).astype(int), monitor.i[:], strict=True))
        for name, monitor in monitors.items()
    }
    return answers, found


@pytest.mark.parametrize(("algorithm", "timesteps"), [("rate", 20), ("few-spike", 8)])
def test_spike_for_spike(backend, algorithm, timesteps):
    expected, there = spikes("runtime", algorithm, timesteps)
    answers, here = spikes("eprop_cuda", algorithm, timesteps, backend=backend, precision="float64")
    assert here == there
    assert all(len(there[name]) > 5 for name in there)
    np.testing.assert_allclose(answers, expected, rtol=1e-10, atol=1e-12)
