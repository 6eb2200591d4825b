"""E-prop's gradients against e-prop written as plain Brian2 equations, and its forms."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, second, set_device

import brian2eprop as b2e
from tests.oracles.eprop_in_brian2 import gradients as oracle
from tests.oracles.networks import Bools, Goal, Model, Pathway
from tests.oracles.test_eprop_in_brian2 import CASES, INPUTS, STEPS
from tests.samples import sampled

# Two forms of one sum, or two programs, add the same terms in another order: a few hundred
# operations of rounding 1e-16 each, relative to the largest gradient.
TOLERANCE = 1e-10

FORMS = ("adjoint", "forward", "chunked")
NAMES = {"w_in": "w_in_w", "w_rec": "w_rec_w", "w_out": "w_out_w", "bias": "readout_b"}


def hidden_group(model: Model) -> NeuronGroup:
    hidden = model.hidden
    drive = "-v" if hidden.tau_syn is None else "(I - v)"
    frozen = "(unless refractory)" if hidden.halts else ""
    current = "" if hidden.tau_syn is None else "dI/dt = -I/tau_syn : 1"
    group = NeuronGroup(
        len(hidden.tau_m),
        f"""dv/dt = {drive}/tau_m : 1 {frozen}
            da/dt = -a/tau_a : 1
            {current}
            beta : 1 (constant)
            tau_m : second (constant)""",
        threshold="v > v_th + beta*a",
        reset=("v = 0" if hidden.hard_reset else "v -= v_th") + "; a += 1",
        refractory=False if hidden.refractory is None else hidden.refractory * model.dt * second,
        method="exact",
        name="hidden",
        namespace={
            "v_th": hidden.v_th,
            "tau_a": hidden.tau_a * second,
            "tau_syn": (hidden.tau_syn or 1.0) * second,
        },
    )
    group.tau_m = hidden.tau_m * second
    group.beta = 0.0 if hidden.beta is None else hidden.beta
    return group


def connect(name: str, source: Any, target: Any, variable: str, pathway: Pathway) -> Synapses:
    synapses = Synapses(
        source,
        target,
        "w : 1",
        on_pre=f"{variable}_post += w",
        delay=pathway.delay * defaultclock.dt,
        name=name,
    )
    i, j = np.nonzero(pathway.mask)
    synapses.connect(i=i, j=j)
    synapses.w = pathway.weights[i, j]
    return synapses


def trainer_of(
    model: Model, goal: Goal, form: str, backend: str, precision: str, rewiring: Any = None
) -> b2e.Trainer:
    set_device("eprop_cuda", backend=backend, precision=precision)
    defaultclock.dt = model.dt * second
    inputs = b2e.SpikeSource(model.w_in.weights.shape[0], name="inputs")
    hidden = hidden_group(model)
    readout = NeuronGroup(
        len(model.bias),
        "dy/dt = (b - y)/tau_out : 1\nb : 1 (constant)",
        method="exact",
        name="readout",
        namespace={"tau_out": model.tau_out * second},
    )
    readout.b = model.bias
    taker = "v" if model.hidden.tau_syn is None else "I"
    w_in = connect("w_in", inputs, hidden, taker, model.w_in)
    w_rec = connect("w_rec", hidden, hidden, taker, model.w_rec)
    w_out = connect("w_out", hidden, readout, "y", model.w_out)
    window = (goal.start * model.dt * second, goal.stop * model.dt * second)
    loss = b2e.CrossEntropy if goal.values is None else b2e.MeanSquaredError
    regularisers = [b2e.FiringRate(goal.rate / model.dt * Hz, goal.strength)]
    return b2e.Trainer(
        Network(inputs, hidden, readout, w_in, w_rec, w_out),
        output=readout.y,
        loss=loss(window=window),
        rule=b2e.EProp(
            feedback="symmetric" if model.feedback is None else {"w_out": model.feedback},
            surrogate=b2e.Triangular(model.hidden.gamma, model.hidden.width),
            form=form,
            chunk=7,
        ),
        parameters=[w_in.w, w_rec.w, w_out.w, readout.b],
        optimiser=b2e.SGD(1.0),
        regularisers=regularisers if goal.strength else (),
        rewiring={} if rewiring is None else {w_rec: rewiring},
        seed=5,
    )


def labels_of(goal: Goal) -> Any:
    return [goal.label] if goal.values is None else goal.values[None]


def random_spikes(seed: int, samples: int = 1) -> Bools:
    return np.random.default_rng(seed).random((samples, STEPS, INPUTS)) < 0.25


def relative(found: Any, expected: Any) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize(
    ("case", "form"),
    sampled(
        product(CASES, FORMS),
        lambda case: case[1] != "chunked" or case[0] in ("delays", "rates", "hard refractory"),
    ),
)
def test_equals_eprop_as_brian2_equations(case: str, form: str) -> None:
    model, goal = CASES[case]
    sent = random_spikes(3)
    trainer = trainer_of(model, goal, form, "cpu", "float64")
    found = trainer.gradients(b2e.Spikes.from_dense(sent), labels_of(goal))
    expected = oracle(model, sent[0], goal)
    for name, array in NAMES.items():
        reference = getattr(expected, name)
        if name != "bias":
            reference = reference[getattr(model, name).mask]
        assert np.abs(reference).max() > 0
        assert relative(found[array], reference) < TOLERANCE, name


@pytest.mark.parametrize("case", ["alif", "delays", "refractory current", "hard refractory"])
def test_forms_agree_on_every_backend(case: str, backend: str) -> None:
    model, goal = CASES[case]
    sent = b2e.Spikes.from_dense(random_spikes(11, samples=3))
    labels = np.repeat(labels_of(goal), 3, axis=0)
    found = {}
    for form in FORMS:
        trainer = trainer_of(model, goal, form, backend, "float64")
        found[form] = trainer.gradients(sent, labels, batch_size=2)
    for name in NAMES.values():
        for form in FORMS[1:]:
            assert relative(found[form][name], found["adjoint"][name]) < TOLERANCE, (form, name)


def test_single_precision_is_close(backend: str) -> None:
    model, goal = CASES["alif"]
    sent = b2e.Spikes.from_dense(random_spikes(2))
    found = [
        trainer_of(model, goal, "adjoint", backend, p).gradients(sent, labels_of(goal))
        for p in ("float32", "float64")
    ]
    for name in NAMES.values():
        # Rounding of 6e-8 a step over 60 steps.
        assert 0 < relative(found[0][name], found[1][name]) < 1e-5, name


def test_gradient_of_a_batch_is_the_mean(backend: str) -> None:
    model, goal = CASES["spread"]
    sent = b2e.Spikes.from_dense(random_spikes(4, samples=5))
    labels = np.repeat(labels_of(goal), 5, axis=0)
    trainer = trainer_of(model, goal, "adjoint", backend, "float64")
    together = trainer.gradients(sent, labels, batch_size=3)
    alone = [trainer.gradients(sent[n : n + 1], labels[n : n + 1]) for n in range(5)]
    for name in NAMES.values():
        mean = np.mean([gradient[name] for gradient in alone], axis=0)
        assert relative(together[name], mean) < TOLERANCE, name
