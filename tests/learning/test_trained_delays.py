"""Delays that are trained: where they are kept, what bounds them, and that they are learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    mV,
    second,
    set_device,
)
from scipy.linalg import expm

import brian2eprop as b2e
from tests.conftest import BACKENDS
from tests.samples import sampled

N_IN, N_HIDDEN, STEPS, DT = 4, 5, 120, 0.3
LONGEST = 8 * ms
NEURONS = "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1"
READOUT = "dy/dt = (J - y)/(10*ms) : 1\ndJ/dt = -J/(5*ms) : 1"


class Model:
    """A recurrent network whose synapses lie in no order, each with a delay of its own."""

    def __init__(self, inputs: Any, out: str = "J", when: str = "synapses") -> None:
        rng = np.random.default_rng(3)
        neurons = {"threshold": "v > 1", "reset": "v = 0", "method": "exact"}
        self.hidden = NeuronGroup(N_HIDDEN, NEURONS, name="hidden", **neurons)
        self.readout = NeuronGroup(2, READOUT, method="exact", name="readout")

        def synapses(source: Any, target: Any, variable: str, name: str, scale: float) -> Synapses:
            found = Synapses(source, target, "w : 1", on_pre=f"{variable}_post += w", name=name)
            pairs = np.argwhere(rng.random((len(source), len(target))) < 0.8)
            i, j = rng.permutation(pairs).T
            found.connect(i=i, j=j)
            found.w = rng.uniform(0.5 * scale, scale, len(i))
            found.delay = rng.uniform(0, 6, len(i)) * ms
            found.pre.when = when
            return found

        self.w_in = synapses(inputs, self.hidden, "I", "w_in", 4.0)
        self.w_rec = synapses(self.hidden, self.hidden, "I", "w_rec", 0.5)
        self.w_out = synapses(self.hidden, self.readout, out, "w_out", 1.0)
        self.synapses = (self.w_in, self.w_rec, self.w_out)
        self.network = Network(inputs, self.hidden, self.readout, *self.synapses)

    @property
    def delays(self) -> list[np.ndarray]:
        return [np.array(synapses.delay[:]) for synapses in self.synapses]


def made(
    backend: str = "reference",
    precision: str = "float64",
    rule: Any = None,
    constraints: Any = None,
    weights: bool = False,
    **more: Any,
) -> tuple[Model, b2e.Trainer]:
    set_device("eprop_cuda", backend=backend, precision=precision)
    defaultclock.dt = DT * ms
    model = Model(b2e.SpikeSource(N_IN, name="inputs"), **more)
    delays = {synapses.delay: b2e.Clip(0 * ms, LONGEST) for synapses in model.synapses}
    return model, b2e.Trainer(
        model.network,
        output=model.readout.y,
        loss=b2e.MeanSquaredError(),
        rule=rule or b2e.EventProp(),
        parameters=[*delays, *([model.w_in.w] if weights else [])],
        constraints=delays if constraints is None else constraints(model),
        learning_rates=dict.fromkeys(delays, 1e-4),
        optimiser=b2e.Adam(1e-3),
        seed=1,
    )


def spikes() -> b2e.Spikes:
    sent = np.random.default_rng(5).random((3, STEPS, N_IN)) < 0.04
    return b2e.Spikes.from_dense(sent)


GOAL = np.full((3, STEPS, 2), 0.2)


def in_runtime(delays: list[np.ndarray], sample: int, when: str) -> np.ndarray:
    """The readout of a sample, by Brian2's own device."""
    set_device("runtime")
    defaultclock.dt = DT * ms
    step, neuron = np.nonzero(spikes()[sample].to_dense()[0])
    model = Model(SpikeGeneratorGroup(N_IN, neuron, step * DT * ms, name="inputs"), when=when)
    for synapses, values in zip(model.synapses, delays, strict=True):
        synapses.delay = values * second
    monitor = StateMonitor(model.readout, "y", record=True)
    model.network.add(monitor)
    model.network.run((STEPS + 1) * DT * ms)
    found: np.ndarray = np.array(monitor.y)[:, 1:].T
    return found


@pytest.mark.parametrize("backend", sampled(BACKENDS, "reference".__ne__), indirect=True)
@pytest.mark.parametrize("precision", sampled(["float64", "float32"], "float64".__eq__))
def test_what_is_learned_is_in_the_network(backend: str, precision: str) -> None:
    """Brian2's own device, given the delays after fit, answers as the Trainer does."""
    model, trainer = made(backend, precision)
    before = model.delays
    trainer.fit(spikes(), GOAL, epochs=3, batch_size=2, verbose=False)
    after = model.delays
    for was, now in zip(before, after, strict=True):
        assert np.abs(now - was).max() > 2e-4
        assert (now >= 0).all()
        assert (now <= float(LONGEST) + 1e-9).all()
    found = trainer.predict(spikes())
    for sample in range(3):
        expected = in_runtime(after, sample, "synapses")
        np.testing.assert_allclose(found[sample], expected, atol=1e-4 * np.abs(expected).max())


def test_who_hears_spikes_late_does_so_with_trained_delays() -> None:
    model, trainer = made(when="before_thresholds")
    found, delays = trainer.predict(spikes()), model.delays
    expected = in_runtime(delays, 1, "before_thresholds")
    np.testing.assert_allclose(found[1], expected, rtol=1e-9, atol=1e-12)
    assert np.abs(found[1] - in_runtime(delays, 1, "synapses")).max() > 1e-3


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_longest_delay_is_reached(precision: str) -> None:
    """Also where it is rounded up to a step."""
    assert float(LONGEST / ms) / DT % 1 > 0.5
    model, trainer = made("cpu", precision)
    for synapses in model.synapses:
        synapses.delay = LONGEST
    found, delays = trainer.predict(spikes()), model.delays
    expected = in_runtime(delays, 0, "synapses")
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found[0], expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_delays_are_rounded_as_brian2_rounds_them(backend: str, precision: str) -> None:
    """Also those that lie half-way between two steps, as far as numbers tell."""
    model, trainer = made(backend, precision)
    size = len(model.w_in)
    near = (
        (np.arange(size) % 20 + 0.5)
        * DT
        * 1e-3
        * np.random.default_rng(2).choice([1 - 1e-7, 1, 1 + 1e-7], size)
    )
    values = near.astype(precision).astype(float)
    model.w_in.delay = values * second
    trainer.predict(spikes())
    steps = trainer._engine.store.read("w_in_pre:delay")
    order = trainer._parameters.captured.orders["w_in.delay"]
    brian = (values / defaultclock.dt_ + 0.5).astype(int)
    assert np.unique(brian).size > 10
    np.testing.assert_array_equal(steps, brian[order])


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_gradients_are_those_of_the_step_of_arrival(backend: str, precision: str) -> None:
    """To rounding: by the adjoint of a readout, written in NumPy, where each spike arrives."""
    set_device("eprop_cuda", backend=backend, precision=precision)
    defaultclock.dt = DT * ms
    rng = np.random.default_rng(4)
    inputs = b2e.SpikeSource(N_IN)
    readout = NeuronGroup(1, READOUT, method="exact")
    synapses = Synapses(inputs, readout, "w : 1", on_pre="J_post += w")
    synapses.connect()
    synapses.w, steps = rng.uniform(0.5, 1.5, N_IN), np.array([0, 3, 7, 11])
    synapses.delay = steps * DT * ms
    trainer = b2e.Trainer(
        Network(inputs, readout, synapses),
        output=readout.y,
        loss=b2e.MeanSquaredError(),
        rule=b2e.EventProp(),
        parameters=[synapses.w, synapses.delay],
        constraints={synapses.delay: b2e.Clip(0 * ms, LONGEST)},
        optimiser=b2e.Adam(1e-4),
    )
    found = trainer.gradients(spikes()[:1], GOAL[:1, :, :1])
    sent = spikes()[0].to_dense()[0]
    flow = np.array([[-1 / 10, 1 / 10], [0, -1 / 5]])  # of y and J, by ms
    step = expm(flow * DT)
    arrived = np.zeros((STEPS, N_IN))
    for neuron, delay in enumerate(steps):
        arrived[delay:, neuron] = sent[: STEPS - delay, neuron]
    state, answer = np.zeros(2), []
    for now in arrived @ np.asarray(synapses.w):
        state = step @ state + [0, now]
        answer.append(state[0])
    adjoint, weight, delay = np.zeros(2), np.zeros(N_IN), np.zeros(N_IN)
    for n in reversed(range(STEPS)):
        adjoint = step.T @ adjoint + [answer[n] - 0.2, 0]
        weight += arrived[n] * adjoint[1]
        delay -= arrived[n] * np.asarray(synapses.w) * (adjoint @ flow[:, 1])
    by_weight, by_delay = found.values()
    scale = by_weight @ weight / (weight @ weight)  # how the loss is a mean is not the question
    tolerance = {"rtol": 1e-9 if precision == "float64" else 1e-4}
    np.testing.assert_allclose(by_weight, scale * weight, **tolerance)
    np.testing.assert_allclose(by_delay, 1e3 * scale * delay, **tolerance)


def test_delays_of_a_teacher_are_found() -> None:
    """From other delays, to those that made the goal, but for what a step cannot tell apart."""
    set_device("eprop_cuda", backend="cpu")
    defaultclock.dt = 0.1 * ms
    rng = np.random.default_rng(9)
    inputs = b2e.SpikeSource(6)
    readout = NeuronGroup(2, READOUT, method="exact")
    synapses = Synapses(inputs, readout, "w : 1", on_pre="J_post += w")
    synapses.connect()
    synapses.w = rng.uniform(0.5, 1.5, 12)
    teacher = rng.uniform(1, 7, 12)
    synapses.delay = teacher * ms
    trainer = b2e.Trainer(
        Network(inputs, readout, synapses),
        output=readout.y,
        loss=b2e.MeanSquaredError(),
        rule=b2e.EventProp(),
        parameters=[synapses.delay],
        constraints={synapses.delay: b2e.Clip(0 * ms, LONGEST)},
        optimiser=b2e.Adam(1e-4),
        seed=1,
    )
    sent = b2e.Spikes.from_dense(rng.random((8, 300, 6)) < 0.01)
    goal = trainer.predict(sent)
    synapses.delay = np.clip(teacher + rng.uniform(-2, 2, 12), 0, 8) * ms
    assert np.abs(np.asarray(synapses.delay) * 1e3 - teacher).max() > 1
    history = trainer.fit(sent, goal, epochs=150, batch_size=8, verbose=False)
    assert history["loss"][-1] < 1e-2 * history["loss"][0]
    assert np.abs(np.asarray(synapses.delay) * 1e3 - teacher).max() < 0.2


def test_a_checkpoint_holds_delays(tmp_path: Path) -> None:
    """A training that goes on from a file ends where one that was not cut does."""
    data = {"batch_size": 2, "verbose": False}
    model, trainer = made("cpu", weights=True)
    trainer.fit(spikes(), GOAL, epochs=2, **data)
    trainer.save(tmp_path / "two.npz")
    saved = model.delays
    trainer.fit(spikes(), GOAL, epochs=2, **data)
    other, resumed = made("cpu", weights=True)
    resumed.load(tmp_path / "two.npz")
    for found, expected in zip(other.delays, saved, strict=True):
        np.testing.assert_array_equal(found, expected)
    resumed.fit(spikes(), GOAL, epochs=2, **data)
    for found, expected, was in zip(other.delays, model.delays, saved, strict=True):
        np.testing.assert_array_equal(found, expected)
        assert (found != was).any()


def test_what_a_user_sets_counts() -> None:
    """Between two calls, and within fit."""
    model, trainer = made("cpu")
    first = trainer.predict(spikes())
    model.w_in.delay = 5 * ms
    assert np.abs(trainer.predict(spikes()) - first).max() > 1e-3

    class Setting(b2e.Callback):
        seen: list[float]

        def on_epoch_end(self, trainer: Any, epoch: int, logs: Any) -> None:
            self.seen = np.asarray(model.w_out.delay[:]).tolist()
            model.w_out.delay = 3 * ms

    called = Setting()
    trainer.fit(spikes(), GOAL, epochs=1, callbacks=[called], verbose=False)
    assert max(called.seen) > 3e-3
    np.testing.assert_array_equal(np.asarray(model.w_out.delay[:]), np.asarray(3 * ms))


def test_frozen_delays_stay() -> None:
    model, trainer = made("cpu", weights=True)
    delay = model.w_in.delay
    trainer.freeze(delay)
    assert "w_in_delay" not in trainer.gradients(spikes(), GOAL)
    before, weights = model.delays, np.array(model.w_in.w[:])
    trainer.fit(spikes(), GOAL, epochs=2, verbose=False)
    np.testing.assert_array_equal(model.delays[0], before[0])
    assert (model.delays[1] != before[1]).any()
    assert (model.w_in.w[:] != weights).any()


@pytest.mark.parametrize(
    "rule", [b2e.EProp(), b2e.EProp(form="adjoint"), b2e.SurrogateBPTT()], ids=repr
)
def test_other_rules_refuse_delays(rule: Any) -> None:
    with pytest.raises(
        b2e.LearningError, match=r"'w_in\.delay' is a delay, and .* does not follow"
    ):
        made(rule=rule)


@pytest.mark.parametrize(
    ("bound", "sentence"),
    [
        (None, "'w_in.delay' has no longest value.*Clip\\(0\\*ms, 20\\*ms\\)"),
        (b2e.NonNegative(), "'w_in.delay' has no longest value"),
        (b2e.Clip(0, 1), "'w_in.delay' has no longest value"),
        (b2e.Clip(0 * mV, 1 * mV), "'w_in.delay' has no longest value"),
        (b2e.Clip(-1 * ms, 8 * ms), "'w_in.delay' may become negative"),
    ],
)
def test_a_delay_needs_bounds(bound: Any, sentence: str) -> None:
    def constraints(model: Model) -> dict[Any, Any]:
        others = {s.delay: b2e.Clip(0 * ms, LONGEST) for s in model.synapses[1:]}
        return others | ({} if bound is None else {model.w_in.delay: bound})

    with pytest.raises(ValueError, match=sentence):
        made(constraints=constraints)


def test_one_delay_for_all_synapses_is_refused() -> None:
    set_device("eprop_cuda", backend="reference")
    model = Model(b2e.SpikeSource(N_IN, name="inputs"))
    together = Synapses(model.hidden, model.readout, on_pre="J_post += 1", delay=2 * ms)
    together.connect()
    model.network.add(together)
    with pytest.raises(ValueError, match="is one for all of its synapses"):
        b2e.Trainer(
            model.network,
            output=model.readout.y,
            loss=b2e.MeanSquaredError(),
            rule=b2e.EventProp(),
            parameters=[together.delay],
            constraints={together.delay: b2e.Clip(0 * ms, LONGEST)},
            optimiser=b2e.Adam(1e-3),
        )


def test_delays_beyond_their_bound_are_refused() -> None:
    """Spikes are not kept for so long: nothing may be computed with them."""
    model, trainer = made("cpu")
    values = trainer.parameter_values()
    with pytest.raises(ValueError, match=r"'w_in\.delay' holds 0\.009"):
        trainer.set_parameter_values({"w_in_delay": np.full(len(model.w_in), 9 * ms)})
    np.testing.assert_array_equal(trainer.parameter_values()["w_in_delay"], values["w_in_delay"])
    model.w_in.delay[:] = 9 * ms
    for call in (trainer.evaluate, trainer.gradients, trainer.fit):
        with pytest.raises(ValueError, match=r"'w_in\.delay' holds 0\.009"):
            call(spikes(), GOAL)
    with pytest.raises(ValueError, match=r"'w_in\.delay' holds 0\.009"):
        trainer.predict(spikes())


def test_a_delay_at_which_the_loss_jumps_is_refused() -> None:
    with pytest.raises(b2e.LearningError, match="adds to the output 'readout_y'"):
        made(out="y")


def test_input_that_makes_the_loss_jump_has_no_trained_delay() -> None:
    set_device("eprop_cuda", backend="reference")
    inputs = b2e.SpikeSource(N_IN)
    readout = NeuronGroup(2, "dy/dt = -y/(10*ms) : 1", method="exact")
    straight = Synapses(inputs, readout, "w : 1", on_pre="y_post += w")
    straight.connect()
    made_with: dict[str, Any] = {
        "output": readout.y,
        "loss": b2e.MeanSquaredError(),
        "rule": b2e.EventProp(),
        "optimiser": b2e.Adam(1e-3),
    }
    network, bound = Network(inputs, readout, straight), b2e.Clip(0 * ms, LONGEST)
    b2e.Trainer(network, parameters=[straight.w], **made_with)
    with pytest.raises(b2e.LearningError, match="so the loss jumps"):
        b2e.Trainer(
            network,
            parameters=[straight.delay],
            constraints={straight.delay: bound},
            **made_with,
        )


def test_a_delay_that_is_not_trained_has_no_learning_rate() -> None:
    with pytest.raises(ValueError, match=r"rate 'w_in\.delay' is a delay that is not trained; add"):
        bare(learning_rates=lambda model: {model.w_in.delay: 0.1})


def test_only_eventprop_trains_delays() -> None:
    """Said before a longest value is asked for."""
    with pytest.raises(b2e.LearningError, match=r"'w_in\.delay' is a delay, and EProp .*EventProp"):
        bare(rule=b2e.EProp(), parameters=lambda model: [model.w_in.delay])


def test_a_group_as_output_is_offered_its_variables() -> None:
    with pytest.raises(TypeError, match=r"give readout\.J or readout\.y, or judge|give readout\.y"):
        bare(output=lambda model: model.readout)


def bare(**asked: Any) -> b2e.Trainer:
    """A trainer of weights, unless something else is asked for."""
    set_device("eprop_cuda", backend="reference")
    model = Model(b2e.SpikeSource(N_IN, name="inputs"))
    settings = {
        "output": model.readout.y,
        "loss": b2e.MeanSquaredError(),
        "rule": b2e.EventProp(),
        "parameters": [model.w_in.w],
        "optimiser": b2e.Adam(1e-3),
    }
    made = {name: value(model) if callable(value) else value for name, value in asked.items()}
    return b2e.Trainer(model.network, **settings | made)  # type: ignore[arg-type]
