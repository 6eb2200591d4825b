"""Bodies are parsed once, and know what they read."""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e
from brian2eprop.device.program import Body, Index, Ref
from brian2eprop.device.program.assignments import assignments


def test_a_trainer_parses_each_body_once() -> None:
    set_device("eprop_cuda", backend="cpu", precision="float64")
    defaultclock.dt = 1 * ms
    inputs = b2e.SpikeSource(3, name="inputs")
    hidden = NeuronGroup(
        4,
        "dv/dt = -v/(20*ms) : 1 (unless refractory)",
        threshold="v > 0.5",
        reset="v = 0",
        refractory=2 * ms,
        method="exact",
        name="hidden",
    )
    readout = NeuronGroup(2, "dy/dt = -y/(20*ms) : 1", method="exact", name="readout")
    pathways = []
    for source, target, variable in ((inputs, hidden, "v"), (hidden, readout, "y")):
        synapses = Synapses(source, target, "w : 1", on_pre=f"{variable}_post += w")
        synapses.connect()
        synapses.w = 0.3
        pathways.append(synapses)
    network = Network(inputs, hidden, readout, *pathways, SpikeMonitor(hidden))
    assignments.cache_clear()
    trainer = b2e.Trainer(
        network,
        output=readout.y,
        loss=b2e.CrossEntropy(),
        rule=b2e.EProp(),
        parameters=[synapses.w for synapses in pathways],
        optimiser=b2e.Adam(),
    )
    trainer.predict(b2e.Spikes.from_dense(np.ones((1, 5, 3))))
    found = assignments.cache_info()
    assert found.misses == found.currsize > 10


@pytest.mark.parametrize(
    ("code", "guards", "read"),
    [
        ("v = 1\nx = v", {}, set()),
        ("v = 1", {"v": "free"}, {"free"}),
        ("v = 1\nx = v", {"v": "free"}, {"free", "v"}),
        ("x = v\nv = 1", {}, {"v"}),
        ("v += 1", {}, set()),
        ("v += 1\nx = v", {}, {"v"}),
        ("v *= 2", {}, {"v"}),
        ("v = 1\nv *= 2", {}, set()),
        ("v = 1\nv *= 2", {"v": "free"}, {"free", "v"}),
        ("free = True\nv = 1", {"v": "free"}, {"free"}),
    ],
)
def test_a_body_reads_what_its_outcome_depends_on(
    code: str, guards: dict[str, str], read: set[str]
) -> None:
    """Where a guard does not hold a name keeps its value."""
    refs = {name: Ref(name, Index.ELEMENT) for name in ("v", "x", "free")}
    assert Body(code, refs, guards=guards).read == read
