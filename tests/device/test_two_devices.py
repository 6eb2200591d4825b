"""Objects of another device are read and set as ever, whichever device is the current one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    set_device,
)
from brian2.core.base import BrianObjectException

from brian2eprop.errors import Unsupported


def build() -> dict[str, Any]:
    defaultclock.dt = 1 * ms
    group = NeuronGroup(
        3,
        "dv/dt = (2 - v)/(5*ms) : 1\ntwice = 2*v : 1\nb : 1",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
    )
    links = Synapses(group, group, "w : 1", on_pre="v_post += w")
    links.connect(condition="i != j")
    links.w = "0.01*i"
    spikes, trace = SpikeMonitor(group), StateMonitor(group, "v", record=True)
    network = Network(group, links, spikes, trace)
    network.run(20 * ms)
    return {"group": group, "links": links, "spikes": spikes, "trace": trace, "network": network}


@pytest.mark.parametrize("options", [{}, {"batch_size": 2}])
def test_what_the_runtime_made_is_read_and_set_afterwards(options: dict[str, Any]) -> None:
    set_device("runtime")
    plain = build()
    wanted = {"i": np.array(plain["spikes"].i), "v": np.array(plain["trace"].v)}
    set_device("eprop_cuda", backend="cpu", precision="float64", **options)
    fused = build()
    assert len(wanted["i"]) > 3
    np.testing.assert_array_equal(np.array(plain["spikes"].i[:]), wanted["i"])
    np.testing.assert_array_equal(np.array(plain["trace"].v), wanted["v"])
    ours = np.array(fused["trace"].v)
    np.testing.assert_allclose(ours, np.broadcast_to(wanted["v"], ours.shape), rtol=1e-12)
    np.testing.assert_allclose(plain["group"].twice[:], 2 * np.array(plain["group"].v[:]))
    plain["group"].b = [1, 2, 3]
    plain["group"].b[1] = 5
    plain["links"].w *= 2
    assert plain["group"].b[:].tolist() == [1, 5, 3]
    assert plain["links"].w[:].tolist() == [0.02 * i for i in plain["links"].i[:]]


def test_another_device_does_not_take_one_instance_for_all() -> None:
    set_device("eprop_cuda", backend="reference", batch_size=2)
    group = NeuronGroup(2, "dv/dt = -v/(5*ms) : 1\nb : 1\nc : 1", method="exact", name="cells")
    group.v = [[1, 2], [3, 4]]
    group.c = [[5, 6], [5, 6]]
    network = Network(group)
    set_device("runtime")
    calls: list[Any] = [lambda: group.v[:], lambda: setattr(group, "v", 0), lambda: network.run(ms)]
    for call in calls:
        with pytest.raises((Unsupported, BrianObjectException)) as caught:
            call()
        causes = [str(caught.value), str(caught.value.__cause__)]
        assert any("'cells.v' has other values in each of 2 instances" in c for c in causes)
    group.b = 7
    assert group.b[:].tolist() == [7, 7]
    assert group.c[:].tolist() == [5, 6]
    set_device("eprop_cuda", backend="reference", batch_size=2)
    assert group.v[:].tolist() == [[1, 2], [3, 4]]
