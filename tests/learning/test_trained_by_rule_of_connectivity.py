"""Synapses that are kept as a rule are trained as those that are listed one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, seed, set_device

import brian2eprop as b2e
from brian2eprop.device.expansion.recipe import recipe_of

N = 8


def model(listed: dict[str, Any] | None = None) -> tuple[b2e.Trainer, Synapses, Synapses]:
    """A trainer; synapses from the inputs and to the readout by a rule, or as they are listed."""
    set_device("eprop_cuda", backend="cpu", precision="float64")
    defaultclock.dt = 1 * ms
    seed(3)
    inputs = b2e.SpikeSource(6, name="inputs")
    cells = "dv/dt = -v/(10*ms) : 1"
    hidden = NeuronGroup(
        N, cells, threshold="v > 0.5", reset="v -= 0.5", method="exact", name="hidden"
    )
    readout = NeuronGroup(2, cells, method="exact", name="readout")
    made = []
    for source, target, name, n in ((inputs, hidden, "w_in", 4), (hidden, readout, "w_out", 1)):
        synapses = Synapses(source, target, "w : 1", on_pre="v_post += w", name=name)
        if listed is None:
            b2e.connect_fixed_outdegree(synapses, n)
            synapses.w = "0.45 + 0.1*randn()"
            synapses.delay = "int(3*rand())*ms"
        else:
            i, j, w, delay = listed[name]
            synapses.connect(i=i, j=j)
            synapses.w, synapses.delay = w, delay
        made.append(synapses)
    trainer = b2e.Trainer(
        Network(inputs, hidden, readout, *made),
        output=readout.v,
        loss=b2e.CrossEntropy(),
        rule=b2e.SurrogateBPTT(),
        parameters=[each.w for each in made],
        optimiser=b2e.SGD(0.1),
    )
    return trainer, *made


@pytest.mark.parametrize("steps", [0, 2])
def test_gradients_are_those_of_the_listed_synapses(steps: int) -> None:
    """At first, and after some updates; the listed ones stand in another order."""
    rng = np.random.default_rng(1)
    spikes, labels = b2e.Spikes.from_dense(rng.random((4, 25, 6)) < 0.3), rng.integers(0, 2, 4)

    def found(trainer: b2e.Trainer) -> dict[str, Any]:
        if steps:
            trainer.fit(spikes, labels, epochs=steps, batch_size=4, shuffle=False, verbose=False)
        return trainer.gradients(spikes, labels)

    *_, w_in, w_out = model()
    orders, listed = {}, {}
    for each in (w_in, w_out):
        order = orders[each.name] = rng.permutation(len(each))
        values = each.i[:], each.j[:], each.w[:], each.delay[:]
        listed[each.name] = tuple(array[order] for array in values)
    trainer, *made = model()
    assert all(recipe_of(each) is not None for each in made)
    ours, theirs = found(trainer), found(model(listed)[0])
    for name, order in orders.items():
        assert np.count_nonzero(ours[f"{name}_w"]) > len(order) // 2
        np.testing.assert_allclose(ours[f"{name}_w"][order], theirs[f"{name}_w"], rtol=1e-9)
