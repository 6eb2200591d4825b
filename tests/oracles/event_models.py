"""Spiking networks for the event-exact oracle and, in the same words, for Brian2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import brian2
import numpy as np
from brian2 import NeuronGroup, defaultclock, ms, set_device

import brian2eprop as b2e
from tests.oracles import event_exact as exact

N_IN, N_HIDDEN, N_OUT = 4, 3, 2


@dataclass(frozen=True)
class Neurons:
    """Equations by ms, as ``flows``; times of the oracle are ms, of Brian2 seconds.

    ``into`` is the variable that takes the input, ``among`` that which takes the recurrent
    spikes; ``adds`` is what a spike adds to them, ``tau`` a parameter of every neuron.
    """

    flows: Mapping[str, str]
    threshold: tuple[str, str] = ("v > 1", "v - 1")
    reset: tuple[tuple[str, str], ...] = (("v", "0*v"),)
    into: str = "I"
    among: str = "I"
    adds: str = "w"
    method: str = "exponential_euler"
    drive: float = 1.0
    own: Mapping[str, float] = field(default_factory=lambda: {"tau": 10.0})

    @property
    def equations(self) -> str:
        """Brian2's equations."""
        lines = [
            f"d{x}/dt = ({text.replace('tau', '(tau/ms)')})/ms : 1"
            for x, text in self.flows.items()
        ]
        return "\n".join([*lines, *(f"{name} : second (constant)" for name in self.own)])


LIF = {"v": "(I - v)/tau", "I": "-I/5"}
ALIF = {**LIF, "a": "-a/40"}
MODELS = {
    "LIF, hard reset": Neurons(LIF, method="exact"),
    "LIF, relative reset": Neurons(LIF, reset=(("v", "v - 1"),), method="exact"),
    "LIF, partial reset": Neurons(LIF, reset=(("v", "0.3*v"), ("I", "0.5*I"))),
    "ALIF": Neurons(
        ALIF, ("v > 1 + 0.3*a", "v - 1 - 0.3*a"), (("v", "0*v"), ("a", "a + 1")), method="exact"
    ),
    "ALIF, relative to its threshold": Neurons(
        ALIF,
        ("v > 1 + 0.3*a", "v - 1 - 0.3*a"),
        (("v", "v - 1 - 0.3*a"), ("a", "a + 1")),
        method="exact",
    ),
    "ALIF, adaptation scaled": Neurons(
        ALIF, ("v/(1 + 0.3*a) > 1", "v/(1 + 0.3*a) - 1"), (("v", "v - 1"), ("a", "0.8*a + 0.5"))
    ),
    "adaptation current": Neurons(
        {"v": "(I - v - a)/tau", "I": "-I/5", "a": "(0.3*v - a)/30"},
        reset=(("v", "0*v"), ("a", "a + 0.2")),
        method="exponential_euler",
    ),
    "two synaptic time constants": Neurons(
        {"v": "(I + J - v)/tau", "I": "-I/5", "J": "-J/8"}, among="J", method="exact"
    ),
    "alpha synapse": Neurons(
        {"v": "(I - v)/tau", "I": "(h - I)/4", "h": "-h/4"}, into="h", among="h"
    ),
    "conductance": Neurons({"v": "(-v + I*(3 - v))/tau", "I": "-I/5"}, drive=0.6),
    "saturating synapse": Neurons(LIF, adds="w*(3 - I)", method="exact", drive=0.6),
    "jumps to a reversal potential": Neurons(
        {"v": "(-v + I*(3 - v))/tau", "I": "-I/5"}, adds="w*exp(-0.3*I)*(2 - v)", drive=0.4
    ),
    "quadratic": Neurons(
        {"v": "(v*(v - 0.6) + I)/tau", "I": "-I/5"},
        ("v > 1.5", "v - 1.5"),
        method="euler",
        drive=0.8,
    ),
    "exponential": Neurons(
        {"v": "(-v + 0.2*exp((v - 1)/0.2) + I)/tau", "I": "-I/5"},
        ("v > 1.6", "v - 1.6"),
        method="euler",
    ),
    "saturating": Neurons(
        {"v": "(tanh(I) - v)/tau", "I": "-I/5"}, ("v > 0.5", "v - 0.5"), method="euler"
    ),
}


def network(neurons: Neurons, seed: int, duration: float = 15.0, grid: float = 0.1) -> exact.Net:
    """A recurrent network with a readout, its input spikes on a grid."""
    rng = np.random.default_rng(seed)

    def synapses(
        source: str, target: str, variable: str, shape: tuple[int, int], mean: float, delay: float
    ) -> exact.Synapses:
        weights = neurons.drive * rng.normal(mean, 0.4 * abs(mean), shape)
        adds = "w" if target == "readout" else neurons.adds
        return exact.Synapses(source, target, variable, weights, np.full(shape, delay), adds)

    own = {name: value * rng.uniform(0.8, 1.2, N_HIDDEN) for name, value in neurons.own.items()}
    steps = round(duration / grid)
    times = grid * rng.integers(1, 2 * steps // 3, 9)
    inputs = sorted(zip(times.tolist(), rng.integers(0, N_IN, 9).tolist(), strict=True))
    return exact.Net(
        {
            "hidden": exact.Population(
                N_HIDDEN, neurons.flows, own, neurons.threshold[1], neurons.reset
            ),
            "readout": exact.Population(N_OUT, {"y": "(J - y)/10", "J": "-J/4"}),
        },
        {
            "w_in": synapses("inputs", "hidden", neurons.into, (N_IN, N_HIDDEN), 2.2, 0.3),
            "w_rec": synapses("hidden", "hidden", neurons.among, (N_HIDDEN, N_HIDDEN), 0.2, 2.0),
            "w_out": synapses("hidden", "readout", "J", (N_HIDDEN, N_OUT), 1.0, 1.0),
        },
        tuple(inputs),
        ("readout", "y"),
        0.3,
        duration,
    )


def with_mixed_delays(net: exact.Net, rng: np.random.Generator) -> exact.Net:
    """The network with a delay of its own for every synapse, on the grid of 0.1 ms."""
    mixed = {
        name: replace(found, delays=0.1 * rng.integers(1, 30, found.delays.shape))
        for name, found in net.synapses.items()
    }
    return replace(net, synapses=mixed)


def judged_by_spikes(net: exact.Net, alpha: float = 0.05) -> exact.Net:
    """The network with a loss of the hidden neurons' first spikes.

    Some neurons get less input, so that they first spike when others have done so.
    """
    found = dict(net.synapses)
    share, drive = np.array([0.35, 0.5, 1.0]), 0.6 * np.abs(found["w_rec"].weights).max()
    found["w_in"] = replace(found["w_in"], weights=found["w_in"].weights * share)
    found["w_rec"] = replace(found["w_rec"], weights=found["w_rec"].weights + drive)
    first = exact.FirstSpikes("hidden", 1, 3.0, alpha, 12.0, net.duration)
    return replace(net, first=first, synapses=found)


def trainer_of(
    neurons: Neurons,
    net: exact.Net,
    rule: Any,
    backend: str,
    dt: float,
    precision: str = "float64",
    per_synapse: bool = False,
    longest: float | None = None,
) -> b2e.Trainer:
    """The network in Brian2, on a grid of ``dt`` ms.

    With ``longest`` (ms) every synapse has its own delay, and all of these are trained too.
    """
    per_synapse = per_synapse or longest is not None
    set_device("eprop_cuda", backend=backend, precision=precision)
    defaultclock.dt = dt * ms
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        N_HIDDEN,
        neurons.equations,
        threshold=neurons.threshold[0],
        reset="; ".join(f"{x} = {text}" for x, text in neurons.reset),
        method=neurons.method,
        name="hidden",
    )
    for name, values in net.populations["hidden"].own.items():
        setattr(hidden, name, values * ms)
    readout = NeuronGroup(
        N_OUT, "dy/dt = (J - y)/(10*ms) : 1\ndJ/dt = -J/(4*ms) : 1", method="exact", name="readout"
    )
    groups = {"inputs": inputs, "hidden": hidden, "readout": readout}
    made = []
    for name, found in net.synapses.items():
        synapses = brian2.Synapses(
            groups[found.source],
            groups[found.target],
            "w : 1",
            on_pre=f"{found.variable}_post += {in_on_pre(found)}",
            name=name,
            **({} if per_synapse else {"delay": found.delays[0, 0] * ms}),
        )
        synapses.connect()
        synapses.w = found.weights.ravel()
        if per_synapse:
            synapses.delay = found.delays.ravel() * ms
        made.append(synapses)
    delays = {}
    if longest is not None:
        delays = {synapses.delay: b2e.Clip(0 * ms, longest * ms) for synapses in made}
    output, loss = readout.y, b2e.MeanSquaredError()
    if (first := net.first) is not None:
        output = hidden
        loss = b2e.FirstSpikeTime(tau=first.tau * ms, alpha=first.alpha, tau_late=first.late * ms)
    return b2e.Trainer(
        brian2.Network(inputs, hidden, readout, *made),
        output=output,
        loss=loss,
        rule=rule,
        parameters=[
            *(synapses.w for synapses in made),
            *(getattr(hidden, n) for n in neurons.own),
            *delays,
        ],
        constraints=delays,
        optimiser=b2e.SGD(1.0),
    )


def in_on_pre(synapses: exact.Synapses) -> str:
    """What a spike adds, in Brian2's words."""
    return re.sub(r"\b[vIh]\b", r"\g<0>_post", synapses.adds)


def samples(net: exact.Net, dt: float) -> tuple[b2e.Spikes, Any]:
    """The input, and the goal at every step; a step's spikes arrive at its end."""
    steps = round(net.duration / dt)
    sent = np.zeros((1, steps, N_IN), np.int64)
    for time, neuron in net.inputs:
        sent[0, round(time / dt) - 1, neuron] = 1
    labels = np.full((1, steps, N_OUT), net.goal) if net.first is None else [net.first.label]
    return b2e.Spikes.from_dense(sent > 0), labels


def by_key(net: exact.Net, gradients: Mapping[str, Any]) -> dict[str, Any]:
    """The gradients by the oracle's keys, in its units."""
    found = {
        name: gradients[f"{name}_w"].reshape(s.weights.shape) for name, s in net.synapses.items()
    }
    found |= {
        f"{name}.delay": 1e-3 * gradients[f"{name}_delay"].reshape(s.delays.shape)
        for name, s in net.synapses.items()
        if f"{name}_delay" in gradients
    }
    own = net.populations["hidden"].own
    return found | {f"hidden.{name}": gradients[f"hidden_{name}"] * 1e-3 for name in own}
