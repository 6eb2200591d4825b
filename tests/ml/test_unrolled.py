"""A converted network spikes as it does on Brian2's runtime, where each synapse is made."""

from __future__ import annotations

from functools import cache
from itertools import product

import brian2 as b
import numpy as np
import pytest

from brian2eprop import ml
from tests.conftest import BACKENDS
from tests.ml.plain import branched_network, residual_network
from tests.samples import sampled

NETWORKS = {residual_network: "image conv add pool", branched_network: "conv late max mean all_1"}


@cache
def spikes(network, device, algorithm, timesteps, **options):
    b.set_device(device, **options)
    b.start_scope()
    rng = np.random.default_rng(7)
    layers = network(rng)
    x = rng.normal(size=(2, 6, 5, 2))
    snn = ml.convert(layers, x, algorithm=algorithm, timesteps=timesteps)
    monitors = {name: b.SpikeMonitor(snn.network[name]) for name in NETWORKS[network].split()}
    snn.network.add(*monitors.values())
    snn.network.store()
    answers = snn.predict(x)
    each = answers.values() if isinstance(answers, dict) else [answers]
    answers = np.concatenate([values.reshape(len(x), -1) for values in each], axis=-1)
    found = {
        name: sorted(zip(np.round(monitor.t / b.ms).astype(int), monitor.i[:], strict=True))
        for name, monitor in monitors.items()
    }
    return answers, found


# An interpreter compiles nothing; of the others, one case of each network runs each time.
OFTEN = {(residual_network, ("few-spike", 8)), (branched_network, ("rate", 20))}


@pytest.mark.parametrize(
    ("network", "code", "backend"),
    sampled(
        product(NETWORKS, [("rate", 20), ("signed-rate", 20), ("few-spike", 8)], BACKENDS),
        lambda case: case[2] == "reference" or case[:2] in OFTEN,
    ),
    indirect=["backend"],
)
def test_spike_for_spike(backend, network, code):
    ours = {"backend": backend, "precision": "float64"}
    expected, there = spikes(network, "runtime", *code)
    answers, here = spikes(network, "eprop_cuda", *code, **ours)
    assert here == there
    assert all(len(there[name]) > 5 for name in there)
    np.testing.assert_allclose(answers, expected, rtol=1e-10, atol=1e-12)
