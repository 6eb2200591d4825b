"""A value of a variable for every sample, step and neuron, beside spikes or without any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, mV, nA, set_device

import brian2eprop as b2e

N, N_OUT, STEPS, BATCH = 4, 2, 30, 3
RULES = [b2e.EProp(), b2e.EProp(form="forward"), b2e.SurrogateBPTT()]
RNG = np.random.default_rng(10)
CURRENT = RNG.normal(1, 1, (BATCH, STEPS, N))
SLOPE = RNG.uniform(0.02, 0.2, (BATCH, STEPS, N_OUT))
PATHS = RNG.normal(0, 1, (BATCH, STEPS, N_OUT))
INPUT = {"hidden_drive": CURRENT, "readout_k": SLOPE}
W = np.random.default_rng(1).normal(0, 0.5, (N, N_OUT))
W_IN = np.random.default_rng(2).uniform(0.1, 0.3, N)


class Case:
    """A current into spiking neurons; a leak of the outputs that is an input as well."""

    def __init__(self, rule: Any = None, backend: str = "cpu", spikes: bool = False) -> None:
        set_device("eprop_cuda", backend=backend, precision="float64")
        defaultclock.dt = 1 * ms
        hidden = NeuronGroup(
            N, "dv/dt = (drive - v)/(20*ms) : 1\ndrive : 1", threshold="v > 0.6",
            reset="v -= 0.6", method="euler", name="hidden",
        )  # fmt: skip
        readout = NeuronGroup(
            N_OUT, "dy/dt = (b - k*y)/ms : 1\nb : 1\nk : 1", method="euler", name="readout"
        )
        w_out = Synapses(hidden, readout, "w : 1", on_pre="y_post += w", name="w_out")
        w_out.connect()
        w_out.w, readout.b, readout.k = W.ravel(), [0.02, -0.01], 0.5
        hidden.drive = 0.3
        objects = [hidden, readout, w_out]
        if spikes:
            source = b2e.SpikeSource(N, name="source")
            w_in = Synapses(source, hidden, "w : 1", on_pre="v_post += w", name="w_in")
            w_in.connect(j="i")
            w_in.w = W_IN
            objects += [source, w_in]
        self.readout = readout
        self.trainer = b2e.Trainer(
            Network(objects), output=readout.y, loss=b2e.MeanSquaredError(),
            rule=rule or b2e.EProp(), parameters=[w_out.w, readout.b], optimiser=b2e.SGD(0.1),
        )  # fmt: skip


def outputs(
    current: Any = CURRENT, slope: Any = SLOPE, spikes: Any = None, b: Any = (0.02, -0.01)
) -> tuple[Any, Any]:
    """The outputs and the hidden spikes, both (samples, steps, neurons)."""
    v, y = np.zeros((BATCH, N)), np.zeros((BATCH, N_OUT))
    ys, zs = [], []
    for t in range(STEPS):
        v = v + (current[:, t] - v) / 20
        y = y + np.asarray(b) - slope[:, t] * y
        z = v > 0.6
        y = y + z @ W
        if spikes is not None:
            v = v + spikes[:, t] * W_IN
        v = v - 0.6 * z
        ys.append(y), zs.append(z)
    return np.stack(ys, 1), np.stack(zs, 1)


def exact_gradients() -> dict[str, Any]:
    """The hidden spikes depend on no parameter: the outputs are linear in both."""
    y, z = outputs()
    error = (y - PATHS) / STEPS
    by_w, by_b = np.zeros((BATCH, N, N_OUT)), np.zeros((BATCH, N_OUT))
    w, b = np.zeros((N, N_OUT)), np.zeros(N_OUT)
    for t in range(STEPS):
        by_w = by_w * (1 - SLOPE[:, t])[:, None] + z[:, t][:, :, None]
        by_b = by_b * (1 - SLOPE[:, t]) + 1
        w += (by_w * error[:, t][:, None]).sum(0)
        b += (by_b * error[:, t]).sum(0)
    return {"w_out_w": w.ravel() / BATCH, "readout_b": b / BATCH}


@pytest.mark.parametrize("backend", ["cpu", "emulated", "reference"])
@pytest.mark.parametrize("size", [BATCH, 2])
def test_outputs_follow_the_current(backend: str, size: int) -> None:
    found = Case(backend=backend).trainer.predict(INPUT, size)
    np.testing.assert_allclose(found, outputs()[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("size", [BATCH, 2])
def test_gradients_are_those_of_the_current(rule: Any, size: int) -> None:
    found = Case(rule).trainer.gradients(INPUT, PATHS, size)
    for name, wanted in exact_gradients().items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("backend", ["emulated", "reference"])
def test_gradients_on_every_backend(backend: str) -> None:
    found = Case(backend=backend).trainer.gradients(INPUT, PATHS)
    for name, wanted in exact_gradients().items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-10, atol=1e-14)


def test_current_beside_spikes() -> None:
    spikes = RNG.random((BATCH, STEPS, N)) < 0.2
    given = {"source": b2e.Spikes.from_dense(spikes), **INPUT}
    found = Case(spikes=True).trainer.predict(given)
    wanted = outputs(spikes=spikes)[0]
    assert np.abs(wanted - outputs()[0]).max() > 0.1
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


def test_what_is_not_given_has_the_network_s_value() -> None:
    case = Case()
    wanted = {
        ("hidden_drive",): outputs(slope=np.full_like(SLOPE, 0.5))[0],
        ("readout_k",): outputs(np.full_like(CURRENT, 0.3))[0],
        ("hidden_drive", "readout_k"): outputs()[0],
    }
    for names in [*wanted, ("hidden_drive",)]:  # back to the first one again
        found = case.trainer.predict({name: INPUT[name] for name in names})
        np.testing.assert_allclose(found, wanted[names], rtol=1e-12, atol=1e-14)


def test_fit_trains_on_the_current() -> None:
    case = Case()
    wanted = np.array([0.02, -0.01]) - 0.1 * exact_gradients()["readout_b"]
    case.trainer.fit(INPUT, PATHS, validation_data=(INPUT, PATHS), verbose=False)
    np.testing.assert_allclose(case.readout.b[:], wanted, rtol=1e-10)


def test_a_sample_may_end_earlier() -> None:
    found = Case().trainer.predict(INPUT, lengths=[STEPS, 7, 12])
    np.testing.assert_allclose(found[1, :7], outputs()[0][1, :7], rtol=1e-12)
    assert np.isnan(found[1, 7:]).all()


@pytest.mark.parametrize("rule", [*RULES, b2e.EventProp()], ids=repr)
def test_a_padding_may_divide_by_the_input(rule: Any) -> None:
    set_device("eprop_cuda", backend="cpu", precision="float64")
    defaultclock.dt = 1 * ms
    neuron = NeuronGroup(
        1, "dy/dt = (b - y)/tau : 1\nb : 1\ntau : second", method="euler", name="neuron"
    )
    neuron.tau = 10 * ms
    trainer = b2e.Trainer(
        Network(neuron), output=neuron.y, loss=b2e.MeanSquaredError(), rule=rule,
        parameters=[neuron.b], optimiser=b2e.SGD(0.1),
    )  # fmt: skip
    taus = np.full((3, 5, 1), 10) * ms
    found = trainer.gradients({"neuron_tau": taus}, np.ones((3, 5, 1)), batch_size=2)
    share = 1 - 0.9 ** np.arange(1, 6)
    np.testing.assert_allclose(found["neuron_b"], -share.mean(), rtol=1e-12)


def test_other_inputs_within_fit_are_refused() -> None:
    case = Case()

    class Look(b2e.Callback):
        def on_batch_end(self, trainer: Any, batch: int, metrics: Any) -> None:
            trainer.predict({"readout_k": SLOPE})

    with pytest.raises(ValueError, match="Within fit, samples must have analogue input for"):
        case.trainer.fit(INPUT, PATHS, callbacks=[Look()], verbose=False)
    with pytest.raises(ValueError, match=r"validation_data for readout\.k; give the same"):
        case.trainer.fit(INPUT, PATHS, validation_data=({"readout_k": SLOPE}, PATHS), verbose=False)


BAD = {
    "name": ({"hidden_current": CURRENT}, "'hidden_current', but the network has no SpikeSource"),
    "trained": ({"readout_b": PATHS}, "'readout_b', but it is trained; give input for a"),
    "state": ({"hidden_v": CURRENT}, "'hidden_v', but it is changed by the run; give"),
    "shape": ({"hidden_drive": CURRENT[0]}, r"shape \(30, 4\); give an array of shape \(samples"),
    "size": ({"hidden_drive": PATHS}, r"shape \(3, 30, 2\); give an array of shape \(samples, st"),
    "unit": ({"hidden_drive": CURRENT * mV}, "'hidden_drive' has the unit V; give values with no"),
    "nan": ({"hidden_drive": CURRENT * [[[1]], [[np.nan]], [[1]]]}, "of sample 1 is not finite"),
    "steps": ({**INPUT, "readout_k": SLOPE[:, :9]}, "The inputs differ in .samples, steps."),
    "none": ({}, "Spikes are given for nothing but the network's SpikeSources are none"),
    "spikes": (b2e.Spikes.from_dense(CURRENT > 1), "give a dictionary with an array for a variab"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused(what: str) -> None:
    given, sentence = BAD[what]
    with pytest.raises(ValueError, match=sentence):
        Case().trainer.predict(given)


def test_strings_are_refused() -> None:
    with pytest.raises(TypeError, match="'hidden_drive' holds no real numbers; give an array"):
        Case().trainer.predict({"hidden_drive": np.full((3, 30, 4), "a")})


def test_units_are_taken() -> None:
    set_device("eprop_cuda", backend="cpu", precision="float64")
    defaultclock.dt = 1 * ms
    neuron = NeuronGroup(
        2, "dy/dt = (I*b/nA - y)/(10*ms) : 1\nI : amp\nb : 1", method="euler", name="neuron",
    )  # fmt: skip
    neuron.b = 1
    trainer = b2e.Trainer(
        Network(neuron), output=neuron.y, loss=b2e.MeanSquaredError(), rule=b2e.EProp(),
        parameters=[neuron.b], optimiser=b2e.SGD(0.1),
    )  # fmt: skip
    found = trainer.predict({"neuron_I": np.full((1, 1, 2), [2.0, 5.0]) * nA})
    np.testing.assert_allclose(found[0, 0], [0.2, 0.5], rtol=1e-12)


def test_arrays_that_are_filled_again_may_be_given() -> None:
    case, rows = Case(), [slice(k, k + 1) for k in range(BATCH)]
    kept = {name: np.empty_like(values[:1]) for name, values in INPUT.items()}

    def refilled() -> Any:
        path = np.empty_like(PATHS[:1])
        for row in rows:
            path[:] = PATHS[row]
            for name, values in INPUT.items():
                kept[name][:] = values[row]
            yield kept, path

    wanted = case.trainer.evaluate(INPUT, PATHS, batch_size=1)
    assert case.trainer.evaluate(refilled) == wanted
