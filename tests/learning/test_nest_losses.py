"""Losses during training against those that NEST publishes for its e-prop models.

NEST's test suite holds two tasks to the losses that the original TensorFlow implementation of
Bellec et al. 2020 (in single precision) reached in five updates: the generation of a pattern,
and the accumulation of evidence. Here the same tasks are Brian2 equations. What differs is
where a step is cut. There, with z the spikes and x the input of a step,

    v(t) = alpha v(t-1) + gain (W_in x(t) + W_rec z(t-1)) - v_th z(t-1)
    a(t) = rho a(t-1) + z(t-1);  z(t) = [v(t) >= v_th + beta a(t), not refractory]
    y(t) = kappa y(t-1) + (1 - kappa) W_out z(t)

In Brian2's schedule spikes and resets come after the decay of their step, and so they decay
once more before the next threshold: what they add is divided by alpha (or rho), and the input
of a step, empty in the first, comes one step earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, second, set_device

import brian2eprop as b2e

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Form = Literal["adjoint", "forward", "chunked"]

UPDATES = 5
RATE = 10 * Hz
C_REG = 300.0
TAU_A = 2 * second
DT = 1 * ms
# The published losses are sums and products of single precision numbers, given to 1e-12; two
# implementations in double precision agree with them to 2e-7.
TOLERANCE = 1e-6

PATTERN_LOSSES = (
    101.964363098144,
    103.466735839843,
    103.340606689453,
    103.680244445800,
    104.412780761718,
)
EVIDENCE_LOSSES = (
    0.741152524948,
    0.740388214588,
    0.665785133838,
    0.663644134998,
    0.729429066181,
)


@dataclass(frozen=True)
class Neurons:
    """Constants of the spiking neurons; ``gain`` scales what a spike adds to ``v``."""

    v_th: float
    tau_m: Any
    beta: Floats
    gain: float
    refractory: Any = False


@dataclass(frozen=True)
class Weights:
    """Weights of shape (sources, targets), and the feedback of shape (neurons, outputs)."""

    w_in: Floats
    w_rec: Floats
    w_out: Floats
    feedback: Floats


def decay(tau: Any) -> float:
    return float(np.exp(-float(DT) / float(tau)))


def draw_weights(rng: np.random.RandomState, n_in: int, n_rec: int) -> tuple[Floats, Floats]:
    return rng.randn(n_in, n_rec) / np.sqrt(n_in), rng.randn(n_rec, n_rec) / np.sqrt(n_rec)


def spiking_group(neurons: Neurons) -> NeuronGroup:
    group = NeuronGroup(
        len(neurons.beta),
        """dv/dt = -v/tau_m : 1
           da/dt = -a/tau_a : 1
           beta : 1 (constant)""",
        threshold="v > v_th + beta*a",
        reset="v -= v_th/alpha; a += 1/rho",
        refractory=neurons.refractory,
        method="exact",
        name="hidden",
        namespace={
            "v_th": neurons.v_th,
            "tau_m": neurons.tau_m,
            "tau_a": TAU_A,
            "alpha": decay(neurons.tau_m),
            "rho": decay(TAU_A),
        },
    )
    group.beta = neurons.beta
    return group


def connect(name: str, source: Any, target: Any, effect: str, gain: float, w: Floats) -> Synapses:
    synapses = Synapses(
        source, target, "w : 1", on_pre=f"{effect} += gain*w", name=name, namespace={"gain": gain}
    )
    synapses.connect(condition="i != j" if source is target else None)
    synapses.w = w[np.asarray(synapses.i), np.asarray(synapses.j)]
    return synapses


def make_trainer(neurons: Neurons, weights: Weights, form: Form, **learning: Any) -> b2e.Trainer:
    set_device("eprop_cuda", backend="cpu", precision="float64")
    defaultclock.dt = DT
    inputs = b2e.SpikeSource(len(weights.w_in), name="inputs")
    hidden = spiking_group(neurons)
    readout = NeuronGroup(
        weights.w_out.shape[1],
        "dy/dt = -y/tau_m : 1",
        method="exact",
        name="readout",
        namespace={"tau_m": neurons.tau_m},
    )
    left = decay(neurons.tau_m)
    scale = neurons.gain / left
    synapses = [
        connect("w_in", inputs, hidden, "v_post", scale, weights.w_in),
        connect("w_rec", hidden, hidden, "v_post", scale, weights.w_rec),
        connect("w_out", hidden, readout, "y_post", 1 - left, weights.w_out),
    ]
    return b2e.Trainer(
        Network(inputs, hidden, readout, *synapses),
        output=readout.y,
        rule=b2e.EProp(feedback={"w_out": weights.feedback}, form=form, chunk=70),
        parameters=[pathway.w for pathway in synapses],
        **learning,
    )


def losses_of(trainer: b2e.Trainer, inputs: Bools, labels: Any) -> Floats:
    """Losses before each update, with one sample an update, its input one step earlier."""
    assert not inputs[:, 0].any()
    earlier = np.roll(inputs, -1, axis=1)
    found = [
        trainer.fit(
            b2e.Spikes.from_dense(earlier[n : n + 1]),
            labels[n : n + 1],
            batch_size=1,
            verbose=False,
        )["loss"]
        for n in range(UPDATES)
    ]
    return np.concatenate(found)


# Pattern generation


def sines(rng: np.random.RandomState, steps: int) -> Floats:
    amplitudes = rng.uniform(0.5, 2, 4)
    phases = rng.uniform(0, 2 * np.pi, 4)
    cycles = steps // np.array([1000, 500, 333, 200])
    angles = np.linspace(phases, phases + 2 * np.pi * cycles, steps)
    curve = np.sin(angles) @ amplitudes
    curve -= curve[0]
    return np.asarray(curve / np.abs(curve).max())


@pytest.mark.parametrize("form", ["adjoint", "forward", "chunked"])
def test_pattern_generation(form: Form) -> None:
    """The published loss and gradient are sums over 1000 steps; these are means."""
    steps, size, tau = 1000, 100, 30 * ms
    rng = np.random.RandomState(1)
    weights = Weights(
        *draw_weights(rng, size, size),
        w_out=rng.randn(size, 1) / np.sqrt(size),
        feedback=rng.randn(size, 1) / np.sqrt(size),
    )
    sample = rng.rand(steps, size) < 0.05
    sample[0] = False
    trainer = make_trainer(
        Neurons(v_th=0.03, tau_m=tau, beta=np.zeros(size), gain=1 - decay(tau)),
        weights,
        form,
        loss=b2e.MeanSquaredError(),
        optimiser=b2e.SGD(1e-4 * steps),
        regularisers=[b2e.FiringRate(RATE, C_REG / steps)],
    )
    target = sines(rng, steps)[:, None]
    found = losses_of(trainer, np.stack([sample] * UPDATES), np.stack([target] * UPDATES))
    np.testing.assert_allclose(found * steps, PATTERN_LOSSES, rtol=TOLERANCE)


# Evidence accumulation


def evidence(rng: np.random.RandomState) -> tuple[Bools, int]:
    """One trial: seven cues left or right, a pause, and the recall in the last 150 steps."""
    share = np.array([0.3, 0.7], np.float32)
    first = rng.choice([0, 1], 1)[0]
    cues = rng.choice([0, 1], 7, p=[share[first], share[1 - first]])
    chance = np.zeros((2250, 40))
    for number, cue in enumerate(cues):
        start = 50 + 150 * number
        chance[start : start + 100, 10 * cue : 10 * cue + 10] = 0.04
    chance[-150:, 20:30] = 0.04
    chance[:, 30:] = 0.01
    spikes = rng.random_sample(chance.shape) < chance
    spikes[0] = False
    return spikes, int(cues.sum() > 3)


@pytest.mark.parametrize("form", ["adjoint", "forward", "chunked"])
def test_evidence_accumulation(form: Form) -> None:
    """The published loss and gradient, regulariser included, are means over the window."""
    size, window, tau, limit = 100, 150, 20 * ms, np.sqrt(3 / 51)
    rng = np.random.RandomState(1)
    weights = Weights(
        *draw_weights(rng, 40, size),
        w_out=rng.uniform(-limit, limit, (size, 2)),
        feedback=rng.randn(size, 2),
    )
    beta = 1.7 * (1 - decay(TAU_A)) / (1 - decay(tau))
    trainer = make_trainer(
        Neurons(
            v_th=0.6,
            tau_m=tau,
            beta=np.repeat([0.0, beta], size // 2),
            gain=1.0,
            refractory=5 * ms,
        ),
        weights,
        form,
        loss=b2e.CrossEntropy(window=(2.1 * second, 2.25 * second)),
        optimiser=b2e.Adam(5e-3),
        regularisers=[b2e.FiringRate(RATE, C_REG / window)],
    )
    inputs, labels = zip(*(evidence(rng) for _ in range(UPDATES)), strict=True)
    found = losses_of(trainer, np.stack(inputs), labels)
    np.testing.assert_allclose(found, EVIDENCE_LOSSES, rtol=TOLERANCE)
