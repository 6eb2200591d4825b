"""What others asked of such systems, for what the learning rules answer for."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, mV, set_device

import brian2eprop as b2e

Form = Literal["adjoint", "forward"]
FORMS = ("adjoint", "forward")
STEPS, N_IN = 50, 7

# Two programs add the same terms in another order: a few hundred roundings of 1e-16.
TOLERANCE = 1e-10


def triangle(distance: Any, width: Any) -> Any:
    return 0.3 / width * np.maximum(0, 1 - np.abs(distance) / width)


def connect(name: str, source: Any, target: Any, on_pre: str, weights: Any) -> Synapses:
    synapses = Synapses(source, target, "w : 1", on_pre=on_pre, name=name)
    synapses.connect()
    synapses.w = weights.ravel()
    return synapses


@pytest.fixture(autouse=True)
def device() -> None:
    set_device("eprop_cuda", backend="cpu", precision="float64")
    defaultclock.dt = 1 * ms


def found_by(groups: list[Any], trained: Synapses, rule: b2e.EProp, sent: Any, target: Any) -> Any:
    readout = next(g for g in groups if g.name == "readout")
    trainer = b2e.Trainer(
        Network(*groups),
        output=readout.y,
        loss=b2e.MeanSquaredError(),
        rule=rule,
        parameters=[trained.w],
        optimiser=b2e.SGD(0.1),
    )
    (found,) = trainer.gradients(b2e.Spikes.from_dense(sent[None]), target[None]).values()
    return found


def assert_close(found: Any, expected: Any) -> None:
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected.ravel(), atol=TOLERANCE * np.abs(expected).max())


def data(seed: int, n_out: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    return rng, rng.random((STEPS, N_IN)) < 0.35, rng.normal(0, 1, (STEPS, n_out))


@pytest.mark.parametrize("form", FORMS)
def test_neurons_that_resonate_at_a_frequency_written_with_pi(form: Form) -> None:
    rng, sent, target = data(21, 3)
    n, w_in, w_out = 5, rng.normal(0.3, 0.4, (N_IN, 5)), rng.normal(0, 0.6, (5, 3))
    f = rng.uniform(4, 25, n)
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        n,
        """dp/dt = -p/(25*ms) + 2*pi*f*q : 1
           dq/dt = -q/(25*ms) - 2*pi*f*p : 1
           f : Hz""",
        threshold="p > 0.7",
        reset="p -= 0.7",
        method="euler",
    )
    hidden.f = f * Hz
    readout = NeuronGroup(3, "dy/dt = -y/(12*ms) : 1", method="exact", name="readout")
    s_in = connect("s_in", inputs, hidden, "q_post += w", w_in)
    s_out = connect("s_out", hidden, readout, "y_post += w", w_out)
    groups = [inputs, hidden, readout, s_in, s_out]
    found = found_by(groups, s_in, b2e.EProp(form=form), sent, target)

    turn, keep, leak = 2 * np.pi * f * 1e-3, 1 - 1 / 25, np.exp(-1 / 12)
    p, q, y = np.zeros(n), np.zeros(n), np.zeros(3)
    dp, dq, filtered, expected = (np.zeros((N_IN, n)) for _ in range(4))
    for step in range(STEPS):
        p, q, dp, dq = (
            keep * p + turn * q,
            keep * q - turn * p,
            keep * dp + turn * dq,
            (keep * dq - turn * dp),
        )
        z = p > 0.7
        y, filtered = leak * y + z @ w_out, leak * filtered + triangle(p - 0.7, 0.7) * dp
        q, dq, p = q + sent[step] @ w_in, dq + sent[step][:, None], p - 0.7 * z
        expected += filtered * (w_out @ (y - target[step])) / STEPS
    assert_close(found, expected)


@pytest.mark.parametrize("width", [25 * mV, "25*mV", "v_th - E_L", 0.025])
def test_width_of_a_pseudo_derivative_in_millivolts(width: Any) -> None:
    n, (rng, sent, target) = 4, data(22, 4)
    E_L, v_th = -65 * mV, -40 * mV
    w_in = rng.normal(6, 6, (N_IN, n))
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        n,
        "dv/dt = (E_L - v)/(15*ms) : volt",
        threshold="v > v_th",
        reset="v = E_L",
        method="exact",
        namespace={"E_L": E_L, "v_th": v_th},
    )
    hidden.v = E_L
    readout = NeuronGroup(n, "dy/dt = -y/(12*ms) : 1", method="exact", name="readout")
    s_in = connect("s_in", inputs, hidden, "v_post += w*mV", w_in)
    s_out = Synapses(hidden, readout, "w : 1", on_pre="y_post += w", name="s_out")
    s_out.connect(j="i")
    s_out.w = 1
    rule = b2e.EProp(surrogate=b2e.Triangular(width=width))
    found = found_by([inputs, hidden, readout, s_in, s_out], s_in, rule, sent, target)

    above, y = np.zeros(n), np.zeros(n)  # above rest, in mV
    trace, filtered, expected = (np.zeros((N_IN, n)) for _ in range(3))
    for step in range(STEPS):
        above, trace = np.exp(-1 / 15) * above, np.exp(-1 / 15) * trace
        z = above > 25
        y = np.exp(-1 / 12) * y + z
        filtered = np.exp(-1 / 12) * filtered + triangle(above - 25, 25) * trace
        above, trace = (above + sent[step] @ w_in) * ~z, (trace + sent[step][:, None]) * ~z
        expected += filtered * (y - target[step]) / STEPS
    assert_close(found, expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("threshold", ["v > th", "v/th > 1", "th < v", "0.5*v - 0.5*th > 0"])
def test_a_normalised_threshold_learns_as_the_plain_one(threshold: str, form: Form) -> None:
    n, (rng, sent, target) = 5, data(23, 2)
    w_in, w_out = rng.normal(0.2, 0.4, (N_IN, n)), rng.normal(0, 0.5, (n, 2))
    th = rng.uniform(0.5, 1.1, n)
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        n, "dv/dt = -v/(18*ms) : 1\nth : 1", threshold=threshold, reset="v -= th", method="exact"
    )
    hidden.th = th
    readout = NeuronGroup(2, "dy/dt = -y/(12*ms) : 1", method="exact", name="readout")
    s_in = connect("s_in", inputs, hidden, "v_post += w", w_in)
    s_out = connect("s_out", hidden, readout, "y_post += w", w_out)
    groups = [inputs, hidden, readout, s_in, s_out]
    found = found_by(groups, s_in, b2e.EProp(form=form), sent, target)

    v, y, trace = np.zeros(n), np.zeros(2), np.zeros((N_IN, 1))
    filtered, expected = np.zeros((N_IN, n)), np.zeros((N_IN, n))
    for step in range(STEPS):
        v, trace = np.exp(-1 / 18) * v, np.exp(-1 / 18) * trace
        z = v > th
        y = np.exp(-1 / 12) * y + z @ w_out
        filtered = np.exp(-1 / 12) * filtered + triangle(v - th, th) * trace
        v, trace = v + sent[step] @ w_in - th * z, trace + sent[step][:, None]
        expected += filtered * (w_out @ (y - target[step])) / STEPS
    assert_close(found, expected)


@pytest.mark.parametrize("form", FORMS)
def test_spikes_that_gains_of_source_and_target_scale(form: Form) -> None:
    n, (rng, sent, target) = 4, data(24, 2)
    w_in, w_rec, w_out = (rng.normal(0.3, 0.4, shape) for shape in ((N_IN, n), (n, n), (n, 2)))
    gain = rng.uniform(0.4, 1.6, n)
    scale = np.outer(gain, gain)
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        n, "dv/dt = -v/(18*ms) : 1\ng : 1", threshold="v > 0.8", reset="v -= 0.8", method="exact"
    )
    hidden.g = gain
    readout = NeuronGroup(2, "dy/dt = -y/(12*ms) : 1", method="exact", name="readout")
    s_in = connect("s_in", inputs, hidden, "v_post += w", w_in)
    s_rec = connect("s_rec", hidden, hidden, "v_post += g_pre*w*g_post", w_rec)
    s_out = connect("s_out", hidden, readout, "y_post += w", w_out)
    groups = [inputs, hidden, readout, s_in, s_rec, s_out]
    found = found_by(groups, s_rec, b2e.EProp(form=form), sent, target)

    v, y = np.zeros(n), np.zeros(2)
    trace, filtered, expected = (np.zeros((n, n)) for _ in range(3))
    for step in range(STEPS):
        v, trace = np.exp(-1 / 18) * v, np.exp(-1 / 18) * trace
        z = v > 0.8
        y = np.exp(-1 / 12) * y + z @ w_out
        filtered = np.exp(-1 / 12) * filtered + triangle(v - 0.8, 0.8) * trace
        v = v + sent[step] @ w_in + z @ (w_rec * scale) - 0.8 * z
        trace = trace + z[:, None] * scale
        expected += filtered * (w_out @ (y - target[step])) / STEPS
    assert_close(found, expected)


@pytest.mark.parametrize("form", FORMS)
def test_random_feedback_is_of_each_population_s_own(form: Form) -> None:
    rng, sent, target = data(25, 3)
    lif: dict[str, Any] = {
        "model": "dv/dt = -v/(18*ms) : 1",
        "threshold": "v > 0.7",
        "reset": "v -= 0.7",
        "method": "exact",
    }
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    twins = [NeuronGroup(6, name=name, **lif) for name in ("first", "second")]
    readout = NeuronGroup(3, "dy/dt = -y/(12*ms) : 1", method="exact", name="readout")
    w_in, w_out = rng.normal(0.3, 0.3, (N_IN, 6)), rng.normal(0, 0.4, (6, 3))
    into = [connect(f"in_{g.name}", inputs, g, "v_post += w", w_in) for g in twins]
    out = [connect(f"out_{g.name}", g, readout, "y_post += w", w_out) for g in twins]
    groups = [inputs, *twins, readout, *into, *out]
    trainer = b2e.Trainer(
        Network(*groups),
        output=readout.y,
        loss=b2e.MeanSquaredError(),
        rule=b2e.EProp(feedback="random", form=form),
        parameters=[s.w for s in into],
        optimiser=b2e.SGD(0.1),
        seed=3,
    )
    first, second = trainer.gradients(b2e.Spikes.from_dense(sent[None]), target[None]).values()
    assert np.abs(first).max() > 0
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.9


@pytest.mark.parametrize("form", FORMS)
def test_a_sample_s_gradient_is_the_same_whatever_ran_before(form: Form) -> None:
    rng, sent, target = data(26, 2)
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        4,
        "dv/dt = -v/(18*ms) : 1 (unless refractory)\nda/dt = -a/(90*ms) : 1",
        threshold="v > 0.7 + 0.2*a",
        reset="v -= 0.7; a += 1",
        refractory=2 * ms,
        method="exact",
    )
    readout = NeuronGroup(2, "dy/dt = -y/(12*ms) : 1", method="exact", name="readout")
    s_in = connect("s_in", inputs, hidden, "v_post += w", rng.normal(0.4, 0.4, (N_IN, 4)))
    s_out = connect("s_out", hidden, readout, "y_post += w", rng.normal(0, 0.5, (4, 2)))
    s_in.delay, s_out.delay = 6 * ms, 5 * ms
    trainer = b2e.Trainer(
        Network(inputs, hidden, readout, s_in, s_out),
        output=readout.y,
        loss=b2e.MeanSquaredError(),
        rule=b2e.EProp(form=form),
        parameters=[s_in.w, s_out.w],
        optimiser=b2e.SGD(0.0),
    )
    loud = np.ones_like(sent)
    one, other = (b2e.Spikes.from_dense(dense[None]) for dense in (sent, loud))
    first = trainer.gradients(one, target[None])
    trainer.gradients(other, target[None])
    trainer.evaluate(other, target[None])
    again = trainer.gradients(one, target[None])
    for name, expected in first.items():
        assert np.abs(expected).max() > 0
        np.testing.assert_array_equal(again[name], expected)
