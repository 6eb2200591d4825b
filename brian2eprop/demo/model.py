"""The demonstration's network, as a user would write it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms

import brian2eprop as b2e
from brian2eprop.demo.data import Part

N_CLASSES = 10
LEARNING_RATE = 1e-2


@dataclass(frozen=True)
class Classifier:
    """The network's parts, and what trains it."""

    inputs: Any
    hidden: Any
    readout: Any
    network: Network
    trainer: b2e.Trainer


def build(n_inputs: int, n_hidden: int, n_steps: int, form: Any, seed: int) -> Classifier:
    """Neurons with an adaptive threshold, recurrently connected, and a leaky readout."""
    defaultclock.dt = 1 * ms
    inputs = b2e.SpikeSource(n_inputs, name="inputs")
    hidden = NeuronGroup(
        n_hidden,
        """dv/dt = -v/tau_m : 1 (unless refractory)
           da/dt = -a/tau_a : 1""",
        threshold="v > v_th + beta*a",
        reset="v -= v_th; a += 1",
        refractory=2 * ms,
        method="exact",
        name="hidden",
        namespace={"tau_m": 20 * ms, "tau_a": 100 * ms, "v_th": 1.0, "beta": 0.2},
    )
    readout = NeuronGroup(
        N_CLASSES,
        """dy/dt = (b - y)/tau_out : 1
           b : 1""",
        method="exact",
        name="readout",
        namespace={"tau_out": 30 * ms},
    )
    w_in = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w", name="w_in")
    w_rec = Synapses(hidden, hidden, "w : 1", on_pre="v_post += w", delay=1 * ms, name="w_rec")
    w_out = Synapses(hidden, readout, "w : 1", on_pre="y_post += w", name="w_out")
    w_in.connect()
    w_rec.connect(condition="i != j")
    w_out.connect()
    rng = np.random.default_rng(seed)
    for synapses, scale in ((w_in, 2 / n_inputs**0.5), (w_rec, 0.5 / n_hidden**0.5)):
        synapses.w = rng.normal(0, scale, len(synapses))
    w_out.w = rng.normal(0, n_hidden**-0.5, len(w_out))
    network = Network(inputs, hidden, readout, w_in, w_rec, w_out)
    trainer = b2e.Trainer(
        network,
        output=readout.y,
        loss=b2e.CrossEntropy(window=(15 * ms, n_steps * ms)),
        rule=b2e.EProp(form=form),
        parameters=[w_in.w, w_rec.w, w_out.w, readout.b],
        optimiser=b2e.Adam(LEARNING_RATE),
        regularisers=[b2e.FiringRate(20 * Hz, strength=1.0)],
        seed=seed,
    )
    return Classifier(inputs, hidden, readout, network, trainer)


def schedule(epochs: int) -> b2e.LearningRateSchedule:
    """The learning rate goes from its start to nothing along half a cosine."""

    def rate(epoch: int) -> float:
        return LEARNING_RATE * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2

    return b2e.LearningRateSchedule(rate)


def fit(
    classifier: Classifier, train: Part, validation: Part, epochs: int, report: b2e.Callback
) -> dict[str, Any]:
    """Train; returns the history."""
    return classifier.trainer.fit(
        train.spikes,
        train.labels,
        epochs=epochs,
        batch_size=32,
        validation_data=(validation.spikes, validation.labels),
        callbacks=[schedule(epochs), report],
        verbose=False,
    )
