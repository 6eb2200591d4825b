"""A small network that learns classes, for tests of what is around a training."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e

N_IN, N_CLASSES, N_SAMPLES, N_STEPS = 6, 3, 18, 20
_RNG = np.random.default_rng(4)
LABELS = _RNG.integers(N_CLASSES, size=N_SAMPLES)
_CHANCE = np.where(np.arange(N_IN) % N_CLASSES == LABELS[:, None], 0.5, 0.15)
SPIKES = b2e.Spikes.from_dense(_RNG.random((N_SAMPLES, N_STEPS, N_IN)) < _CHANCE[:, None])


class Classes:
    """Hidden neurons and a readout; the same from one time to the next."""

    def __init__(
        self, backend: str = "cpu", precision: str = "float64", seed: int = 1, optimiser: Any = None
    ) -> None:
        set_device("eprop_cuda", backend=backend, precision=precision)
        defaultclock.dt = 1 * ms
        source = b2e.SpikeSource(N_IN, name="source")
        hidden = NeuronGroup(
            8, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v -= 1", method="exact",
            name="hidden",
        )  # fmt: skip
        out = NeuronGroup(N_CLASSES, "dy/dt = -y/(15*ms) : 1", method="exact", name="readout")
        w_in = Synapses(source, hidden, "w : 1", on_pre="v_post += w", name="w_in")
        w_out = Synapses(hidden, out, "w : 1", on_pre="y_post += w", name="w_out")
        for synapses in (w_in, w_out):
            synapses.connect()
            synapses.w = np.random.default_rng(len(synapses)).normal(0.3, 0.4, len(synapses))
        self.views = {"w_in_w": w_in.w, "w_out_w": w_out.w}
        self.trainer = b2e.Trainer(
            Network(source, hidden, out, w_in, w_out), output=out.y, loss=b2e.CrossEntropy(),
            rule=b2e.EProp(), parameters=list(self.views.values()), seed=seed,
            optimiser=optimiser or b2e.Adam(b2e.ExponentialDecay(0.02, 5, 0.8)),
        )  # fmt: skip

    def fit(self, epochs: int, *data: Any, **options: Any) -> Any:
        given = data or (SPIKES, LABELS)
        size = {"batch_size": 5} if len(given) == 2 else {}
        chosen = {"verbose": False} | size | options
        return self.trainer.fit(*given, epochs=epochs, **chosen)

    def values(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: np.array(view[:]) for name, view in self.views.items()}


def assert_same(one: Classes, other: Classes) -> None:
    """Every bit of the parameters, and all that was measured."""
    for name, values in one.values().items():
        np.testing.assert_array_equal(values, other.values()[name])
    assert json.dumps(one.trainer.history) == json.dumps(other.trainer.history)  # NaN is NaN
    assert one.trainer.epoch == other.trainer.epoch


class At(b2e.Callback):
    """Does something after one batch."""

    def __init__(self, epoch: int, batch: int, action: Any) -> None:
        self.when, self.action = (epoch, batch), action
        self.seen: list[tuple[int, int]] = []

    def on_batch_end(self, trainer: Any, batch: int, values: Any) -> None:
        self.seen.append((trainer.epoch + 1, batch))
        if self.seen[-1] == self.when:
            self.action(trainer)
