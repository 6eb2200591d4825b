"""Networks of the oracles in Brian2, with a Trainer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import brian2
import numpy as np
from brian2 import NeuronGroup, defaultclock, ms, set_device

import brian2eprop as b2e
from tests.oracles.systems import INPUTS, OUTPUT, READOUT, Floats, Population, System, is_time


def _text(formula: str) -> str:
    return re.sub(r"\b(tau\w*)\b", r"(\1/ms)", formula)


def group_of(name: str, population: Population, dt: float) -> NeuronGroup:
    """The neurons in Brian2."""
    numbers = {**population.own, **population.fixed}
    flags = dict.fromkeys(population.frozen, " (unless refractory)")
    lines = [
        f"d{x}/dt = ({_text(f)})/ms : 1{flags.get(x, '')}" for x, f in population.flows.items()
    ]
    lines += [f"{x} : {'second' if is_time(x) else 1} (constant)" for x in numbers]
    spiking: dict[str, Any] = {}
    if population.threshold:
        spiking = {
            "threshold": _text(population.threshold),
            "reset": "; ".join(f"{x} = {_text(text)}" for x, text in population.reset),
        }
    if population.refractory:
        spiking["refractory"] = population.refractory * dt * ms
    group = NeuronGroup(
        population.size, "\n".join(lines), method=population.method, name=name, **spiking
    )
    for x, values in numbers.items():
        setattr(group, x, values * ms if is_time(x) else values)
    return group


def trainer_of(
    system: System, rule: Any, backend: str, precision: str = "float64", longest: float = 0.0
) -> b2e.Trainer:
    """The system with a rule; with ``longest`` (ms) all delays are trained too."""
    set_device("eprop_cuda", backend=backend, precision=precision)
    defaultclock.dt = system.dt * ms
    groups = {INPUTS: b2e.SpikeSource(system.sent.shape[1], name=INPUTS)}
    for name, population in system.populations.items():
        groups[name] = group_of(name, population, system.dt)
    made = {}
    for name, given in system.synapses.items():
        together = given.together and not longest
        synapses = brian2.Synapses(
            groups[given.source],
            groups[given.target],
            "w : 1",
            on_pre=f"{given.variable}_post += {given.adds}",
            name=name,
            **({"delay": given.delays[0] * system.dt * ms} if together else {}),
        )
        synapses.connect(i=given.i, j=given.j)
        if not together:
            synapses.delay = given.delays * system.dt * ms
        synapses.w = given.weights
        made[name] = synapses
    delays = {s.delay: b2e.Clip(0 * ms, longest * ms) for s in made.values()} if longest else {}
    own = [
        getattr(groups[group], x) for group, found in system.populations.items() for x in found.own
    ]
    return b2e.Trainer(
        brian2.Network(*groups.values(), *made.values()),
        output=getattr(groups[READOUT], OUTPUT),
        loss=b2e.MeanSquaredError(),
        rule=rule,
        parameters=[*(synapses.w for synapses in made.values()), *own, *delays],
        constraints=delays,
        optimiser=b2e.SGD(0.1),
    )


def by_key(system: System, gradients: Mapping[str, Any]) -> dict[str, Floats]:
    """A trainer's gradients by the oracles' keys, in their units."""
    found = {}
    for key in system.parameters:
        owner, _, name = key.partition(".")
        values = np.asarray(gradients[f"{owner}_{name or 'w'}"])
        found[key] = values * 1e-3 if is_time(name) else values
    return found


def gradients(system: System, rule: Any, backend: str) -> dict[str, Floats]:
    """What the package says."""
    trainer = trainer_of(system, rule, backend)
    samples = b2e.Spikes.from_dense(system.sent[None])
    return by_key(system, trainer.gradients(samples, system.target[None]))
