"""The reference in Brian2 equations against central differences of a smoothed network.

E-prop is the exact gradient of this network: the neurons' spikes towards each other and towards
their own reset are those of the real run, frozen; towards the readout and the adaptation a spike
is ``z + S(g) - S(g0)``, with ``g`` the distance to the threshold, ``g0`` that of the real run and
``S' = psi``. Its loss is differenced with nothing but NumPy. ``S`` is piecewise quadratic with a
curvature of at most ``gamma/width**2``, so that a difference with step ``h = 1e-6`` is off by a
few ``h * gamma``, and by rounding of ``1e-16 / h``: well below the ``1e-6`` asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from brian2 import defaultclock, get_device, prefs
from brian2.devices.device import previous_devices

from tests.oracles.eprop_in_brian2 import gradients
from tests.oracles.networks import Bools, Floats, Goal, Gradients, Hidden, Model, Pathway

INPUTS, NEURONS, OUTPUTS, STEPS = 4, 6, 3, 60
STEP = 1e-6
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Run:
    """What the smoothed network did: leading axis of perturbations, then steps."""

    distance: Floats
    spikes: Floats
    readout: Floats
    counts: Floats


def smoothed(hidden: Hidden, distance: Floats) -> Floats:
    """The integral of the triangle ``gamma/width * max(0, 1 - |g/width|)``."""
    width = hidden.v_th if hidden.width is None else hidden.width
    x = np.clip(distance / width, -1.0, 1.0)
    return hidden.gamma * (x - np.sign(x) * x**2 / 2)


def simulate(model: Model, weights: Iterable[Floats], sent: Bools, known: Run | None) -> Run:
    """Run copies of the network with their own weights; ``known`` is the run to freeze."""
    w_in, w_rec, w_out, bias = weights
    copies = max(len(w_in), len(w_rec), len(w_out), len(bias))
    hidden = model.hidden
    alpha, rho = np.exp(-model.dt / hidden.tau_m), np.exp(-model.dt / hidden.tau_a)
    kappa = np.exp(-model.dt / model.tau_out)
    beta = np.zeros(NEURONS) if hidden.beta is None else hidden.beta
    feedback = w_out if model.feedback is None else model.feedback[None]
    v, a, current = (np.zeros((copies, NEURONS)) for _ in range(3))
    y, wait = np.zeros((copies, OUTPUTS)), np.zeros(NEURONS, int)
    distances, real, extra, outputs = [], [], [], []
    for t in range(len(sent)):
        free = wait <= 0
        moving = free if hidden.halts else np.ones(NEURONS, bool)
        v, current = integrate(model, alpha, v, current, moving)
        a, y = rho * a, kappa * y + (1 - kappa) * bias
        g = v - hidden.v_th - beta * a
        z = (g[0] > 0) & free if known is None else known.spikes[0, t] > 0
        g0 = g if known is None else known.distance[:, t]
        change = np.where(free, smoothed(hidden, g) - smoothed(hidden, g0), 0.0)
        distances.append(g)
        real.append(z.astype(float))
        extra.append(change)
        wait = np.where(z, -1 if hidden.refractory is None else hidden.refractory, wait) - 1
        if hidden.halts:
            moving = free & ~z
        arriving = late(sent, t, model.w_in.delay) @ w_in
        arriving = arriving + late(real, t, model.w_rec.delay) @ w_rec
        if hidden.tau_syn is None:
            v = v + np.where(moving, arriving, 0.0)
        else:
            current = current + arriving
        y = y + late(real, t, model.w_out.delay) @ w_out
        y = y + (late(extra, t, model.w_out.delay)[:, None] @ feedback)[:, 0]
        v = np.where(z, 0.0, v) if hidden.hard_reset else v - hidden.v_th * z
        a = a + z + change
        outputs.append(y)
    stack = [np.stack(x, axis=1) for x in (distances, [z[None] for z in real], outputs)]
    counts = np.broadcast_to(np.sum(real, axis=0) + np.sum(extra, axis=0), (copies, NEURONS))
    return Run(stack[0], stack[1], stack[2], counts)


def integrate(
    model: Model, alpha: Floats, v: Floats, current: Floats, moving: Bools
) -> tuple[Floats, Floats]:
    """The exact solution of the membrane, and of the current, over one step."""
    tau = model.hidden.tau_syn
    if tau is None:
        return np.where(moving, alpha * v, v), current
    decay = np.exp(-model.dt / tau)
    gain = (decay - alpha) * tau / (tau - model.hidden.tau_m)
    return np.where(moving, alpha * v + gain * current, v), decay * current


def late(history: Sequence[Floats] | Bools, t: int, delay: int) -> Floats:
    """What was sent ``delay`` steps ago."""
    return np.asarray(history[t - delay], float) if t >= delay else 0.0 * np.asarray(history[0])


def losses(readout: Floats, goal: Goal) -> Floats:
    """Loss of each copy."""
    y = readout[:, goal.start : goal.stop]
    if goal.values is not None:
        error = y - goal.values[goal.start : goal.stop]
        return np.asarray((error**2).sum(axis=(1, 2)) / 2 / (goal.stop - goal.start))
    right = np.exp(y[:, :, goal.label]) / np.exp(y).sum(axis=2)
    return -np.asarray(np.log(right).mean(axis=1))


def regulariser(run: Run, goal: Goal) -> Floats:
    """The rates' term of each copy's loss."""
    rates = run.counts / run.readout.shape[1]
    return np.asarray(goal.strength / 2 * ((rates - goal.rate) ** 2).sum(axis=1))


def differences(model: Model, sent: Bools, goal: Goal) -> tuple[dict[str, Floats], Run]:
    """Central differences of the loss for each weight and bias, and the run frozen for them."""
    whole = {
        "w_in": model.w_in.weights,
        "w_rec": model.w_rec.weights,
        "w_out": model.w_out.weights,
        "bias": model.bias,
    }
    known = simulate(model, [w[None] for w in whole.values()], sent, None)
    found = {}
    for name, values in whole.items():
        bump = STEP * np.eye(values.size).reshape(values.size, *values.shape)
        sides = []
        for sign in (1, -1):
            moved = {k: (w + sign * bump if k == name else w[None]) for k, w in whole.items()}
            run = simulate(model, moved.values(), sent, known)
            sides.append(losses(run.readout, goal) + regulariser(run, goal))
        found[name] = ((sides[0] - sides[1]) / (2 * STEP)).reshape(values.shape)
    return found, known


def network(hidden: Hidden, delays: tuple[int, int, int], *, random: bool = False) -> Model:
    """A random network whose neurons spike now and then."""
    rng = np.random.default_rng(7)
    others = ~np.eye(NEURONS, dtype=bool)
    drive = 1.0 if hidden.tau_syn is None else 4.0
    return Model(
        w_in=Pathway(drive * rng.normal(0.35, 0.5, (INPUTS, NEURONS)), delays[0]),
        w_rec=Pathway(drive * rng.normal(0, 0.4, (NEURONS, NEURONS)) * others, delays[1], others),
        w_out=Pathway(rng.normal(0, 0.5, (NEURONS, OUTPUTS)), delays[2]),
        hidden=hidden,
        bias=rng.normal(0, 0.5, OUTPUTS),
        feedback=rng.normal(0, 0.5, (NEURONS, OUTPUTS)) if random else None,
    )


SAME = np.full(NEURONS, 0.02)
SPREAD = np.linspace(0.008, 0.03, NEURONS)
ADAPTING = np.array([0.0, 0.1, 0.2, 0.4, 0.6, 0.8])
LABEL = Goal(20, STEPS, label=1)
WAVE = Goal(5, 50, values=np.sin(np.arange(STEPS)[:, None] / 9 + np.arange(OUTPUTS)))
RATES = replace(LABEL, strength=20.0, rate=0.1)
CASES = {
    "lif": (network(Hidden(SAME), (1, 1, 1)), LABEL),
    "no delay": (network(Hidden(SAME), (0, 0, 0)), LABEL),
    "alif": (network(Hidden(SAME, beta=ADAPTING), (1, 1, 1)), LABEL),
    "rates": (network(Hidden(SPREAD, beta=ADAPTING, refractory=2), (1, 2, 1)), RATES),
    "current": (network(Hidden(SPREAD, tau_syn=0.005), (1, 2, 1)), LABEL),
    "adapting current": (network(Hidden(SPREAD, tau_syn=0.005, beta=ADAPTING), (2, 3, 4)), WAVE),
    "spread": (network(Hidden(SPREAD, beta=ADAPTING, width=0.7), (1, 1, 1)), WAVE),
    "delays": (network(Hidden(SPREAD, beta=ADAPTING), (7, 5, 3), random=True), LABEL),
    "late readout": (network(Hidden(SPREAD), (3, 4, 7)), WAVE),
    "refractory": (network(Hidden(SPREAD, beta=ADAPTING, refractory=4), (1, 2, 1)), LABEL),
    "refractory current": (network(Hidden(SPREAD, tau_syn=0.005, refractory=3), (1, 1, 2)), WAVE),
    "moving": (network(Hidden(SAME, refractory=3, frozen=False), (2, 1, 1), random=True), WAVE),
    "hard reset": (network(Hidden(SPREAD, beta=ADAPTING, hard_reset=True), (1, 1, 1)), LABEL),
    "hard refractory": (network(Hidden(SAME, refractory=2, hard_reset=True), (1, 3, 2)), LABEL),
}


WEIGHTS = ("w_in", "w_rec", "w_out", "bias")


@dataclass(frozen=True)
class Case:
    """A network, what Brian2 found for it, and what differences gave."""

    model: Model
    goal: Goal
    found: Gradients
    expected: dict[str, Floats]
    run: Run


@pytest.fixture(scope="module", params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request: pytest.FixtureRequest) -> Case:
    model, goal = CASES[request.param]
    sent = np.random.default_rng(3).random((STEPS, INPUTS)) < 0.25
    return Case(model, goal, gradients(model, sent, goal), *differences(model, sent, goal))


def test_network_runs_as_in_numpy(case: Case) -> None:
    assert case.found.spikes.sum() > 2 * NEURONS
    np.testing.assert_array_equal(case.found.spikes, case.run.spikes[0] > 0)
    np.testing.assert_allclose(case.found.readout, case.run.readout[0], rtol=0, atol=1e-12)
    assert case.found.loss == pytest.approx(losses(case.run.readout, case.goal)[0], rel=1e-12)


@pytest.mark.parametrize("name", WEIGHTS)
def test_gradient_is_the_slope_of_the_loss(case: Case, name: str) -> None:
    expected = case.expected[name]
    if name == "w_rec":
        expected = expected * case.model.w_rec.mask
    largest = np.abs(expected).max()
    assert largest > 1e-4
    np.testing.assert_allclose(
        getattr(case.found, name), expected, rtol=0, atol=TOLERANCE * largest
    )


def test_device_and_preferences_are_left_as_they_were() -> None:
    def outside() -> tuple[object, ...]:
        return (get_device(), len(previous_devices), prefs.codegen.target, float(defaultclock.dt))

    before = outside()
    model, goal = CASES["lif"]
    gradients(replace(model, dt=0.0005), np.ones((STEPS, INPUTS), bool), goal)
    assert outside() == before
