"""What users of a trainer do, against NumPy: order, callbacks, what is not finite, data, threads.

The network is softmax regression in time: a leaky readout behind one layer of synapses, whose
training a few lines of NumPy repeat.
"""

import logging
import threading
from dataclasses import dataclass

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    Quantity,
    StateMonitor,
    Synapses,
    mA,
    ms,
    mV,
    second,
    set_device,
    start_scope,
    volt,
)

import brian2eprop as b2e

N_IN, N_OUT, STEPS, RATE = 6, 3, 30, 0.4
DECAY = np.exp(-1 / 12)
DENSE = [(i, j) for i in range(N_IN) for j in range(N_OUT)]
PAIRS = {
    "dense": DENSE,
    "dense, by column": sorted(DENSE, key=lambda pair: pair[::-1]),
    "dense, backwards": DENSE[::-1],
    "sparse, by column": sorted(DENSE[::2], key=lambda pair: pair[::-1]),
    "sparse, shuffled": [DENSE[k] for k in np.random.default_rng(1).permutation(18)[:11]],
    "repeated": [(0, 1), (4, 2), (0, 1), (0, 0), (4, 2), (3, 1)],
}


@dataclass
class Case:
    """A network with its trainer; built anew under another seed it has other weights."""

    pairs: list
    optimiser: object = None
    seed: int = 0
    loss: object = None
    rule: object = None
    regularisers: tuple = ()
    name: str = "readout"
    bias: str = "b"
    tau: float = 12e-3
    on_pre: str = "y_post += w"
    delay: float = 0
    start: float = 0

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.inputs = b2e.SpikeSource(N_IN, name="inputs")
        self.readout = NeuronGroup(
            N_OUT,
            f"dy/dt = ({self.bias} - y)/tau : 1\n{self.bias} : 1",
            method="exact",
            namespace={"tau": self.tau * second},
            name=self.name,
        )
        self.w = Synapses(
            self.inputs, self.readout, "w : 1", on_pre=self.on_pre, delay=self.delay * ms, name="w"
        )
        self.readout.y = self.start
        i, j = np.transpose(self.pairs)
        self.w.connect(i=i, j=j)
        self.w.w = rng.normal(0, 0.5, len(i))
        self.network = Network(self.inputs, self.readout, self.w)
        self.trainer = b2e.Trainer(
            self.network,
            output=self.readout.y,
            loss=self.loss or b2e.CrossEntropy(),
            rule=self.rule or b2e.EProp(),
            parameters=[self.w.w, getattr(self.readout, self.bias)],
            optimiser=self.optimiser or b2e.SGD(RATE),
            regularisers=self.regularisers,
            seed=2,
        )


@pytest.fixture(autouse=True)
def device():
    set_device("eprop_cuda", backend="cpu", precision="float64")


@pytest.fixture
def data():
    rng = np.random.default_rng(21)
    x = rng.random((10, STEPS, N_IN)) < 0.3
    return b2e.Spikes.from_dense(x), rng.integers(0, N_OUT, 10)


def outputs(x, matrix, bias):
    """The readout at the end of every step, with the traces of weights and biases."""
    trace, ramp, y = np.zeros(N_IN), 0.0, []
    traces = []
    for row in x:
        trace, ramp = trace * DECAY + row, ramp * DECAY + 1 - DECAY
        traces.append((trace, ramp))
        y.append(trace @ matrix + ramp * bias)
    return np.array(y), traces


def gradients(spikes, labels, matrix, bias):
    """Mean loss, and its gradients by the matrix and the biases."""
    loss, d_matrix, d_bias = 0.0, np.zeros_like(matrix), np.zeros_like(bias)
    for x, label in zip(spikes.to_dense(), labels, strict=True):
        y, traces = outputs(x, matrix, bias)
        p = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
        loss -= np.log(p[:, label]).mean()
        for (trace, ramp), error in zip(traces, p - np.eye(N_OUT)[label], strict=True):
            d_matrix += np.outer(trace, error) / STEPS
            d_bias += ramp * error / STEPS
    n = len(labels)
    return loss / n, d_matrix / n, d_bias / n


def in_matrix(pairs, values):
    matrix = np.zeros((N_IN, N_OUT))
    np.add.at(matrix, tuple(np.transpose(pairs)), values)
    return matrix


# The order of Brian2


@pytest.mark.parametrize("kind", PAIRS)
def test_values_and_gradients_belong_to_the_synapses_that_brian2_shows(kind, data):
    case, pairs = Case(PAIRS[kind]), PAIRS[kind]
    start = np.array(case.w.w[:])
    _, expected, of_bias = gradients(*data, in_matrix(pairs, start), np.zeros(N_OUT))
    found = case.trainer.gradients(*data, batch_size=4)
    np.testing.assert_allclose(found["w_w"], expected[tuple(np.transpose(pairs))], rtol=1e-9)
    np.testing.assert_allclose(found["readout_b"], of_bias, rtol=1e-9)
    np.testing.assert_array_equal(case.trainer.parameter_values()["w_w"], start)
    given = np.arange(float(len(pairs)))
    case.trainer.set_parameter_values({"w_w": given})
    np.testing.assert_array_equal(case.w.w[:], given)
    np.testing.assert_array_equal(case.trainer.parameter_values()["w_w"], given)


@pytest.mark.parametrize("kind", PAIRS)
def test_checkpoints_are_in_the_order_of_brian2(kind, data, tmp_path):
    case = Case(PAIRS[kind], b2e.Adam(0.1))
    case.trainer.fit(*data, verbose=False)
    values = np.array(case.w.w[:])
    _, gradient, _ = gradients(
        *data, in_matrix(case.pairs, Case(PAIRS[kind]).w.w[:]), np.zeros(N_OUT)
    )
    case.trainer.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as archive:
        np.testing.assert_array_equal(archive["array.w.w"], values)
        np.testing.assert_array_equal(archive["pairs.w"], np.transpose(case.pairs))
        # After one update Adam's first moment is a tenth of the gradient.
        np.testing.assert_allclose(
            archive["array.adam:m:w.w"], 0.1 * gradient[tuple(np.transpose(case.pairs))], rtol=1e-9
        )


def test_two_parameters_of_one_name():
    start_scope()
    inputs = b2e.SpikeSource(2, name="inputs")
    readout = NeuronGroup(2, "dy/dt = -y/(9*ms) : 1", method="exact", name="readout")
    one = Synapses(inputs, readout, "w_z : 1", on_pre="y_post += w_z", name="a")
    two = Synapses(inputs, readout, "z : 1", on_pre="y_post += z", name="a_w")
    one.connect(), two.connect()
    with pytest.raises((ValueError, NotImplementedError), match="would both be called 'a_w_z'"):
        b2e.Trainer(
            Network(inputs, readout, one, two),
            output=readout.y,
            loss=b2e.CrossEntropy(),
            rule=b2e.EProp(),
            parameters=[one.w_z, two.z],
            optimiser=b2e.SGD(0.1),
        )


@pytest.mark.parametrize(("group", "variable"), [("adam", "rate"), ("adam_m", "w_w"), ("nan", "v")])
def test_names_that_an_optimiser_could_have(group, variable, data):
    found = []
    for name, bias in (("readout", "b"), (group, variable)):
        case = Case(DENSE, b2e.Adam(0.1), name=name, bias=bias)
        case.trainer.fit(*data, epochs=2, batch_size=5, verbose=False)
        found.append(case.trainer.parameter_values())
    np.testing.assert_allclose(found[0]["w_w"], found[1]["w_w"], rtol=1e-9)
    np.testing.assert_allclose(found[0]["readout_b"], found[1][f"{group}_{variable}"], rtol=1e-9)


# Callbacks


class Does(b2e.Callback):
    """Does something after every batch, and keeps what it gives."""

    def __init__(self, action):
        self.action, self.found = action, []

    def on_batch_end(self, trainer, batch, values):
        self.found.append(self.action(trainer))


def clip_variable(case):
    return lambda trainer: setattr(case.w, "w", np.clip(case.w.w[:], -0.2, 0.3))


def clip_by_expression(case):
    return lambda trainer: setattr(case.w, "w", "clip(w, -0.2, 0.3)")


def clip_some(case):
    def clip(trainer):
        high = np.flatnonzero(case.w.w[:] > 0.3)
        case.w.w[high] = 0.3
        case.w.w["w < -0.2"] = -0.2

    return clip


def clip_parameters(case):
    def clip(trainer):
        values = trainer.parameter_values()
        trainer.set_parameter_values({"w_w": np.clip(values["w_w"], -0.2, 0.3)})

    return clip


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize("way", [clip_variable, clip_by_expression, clip_some, clip_parameters])
@pytest.mark.parametrize("kind", ["dense", "sparse, shuffled"])
def test_what_a_callback_sets_counts_from_the_next_update(kind, way, batch_size, data):
    set_device("eprop_cuda", backend="cpu", precision="float64", batch_size=batch_size)
    case = Case(PAIRS[kind])
    at = tuple(np.transpose(case.pairs))
    w, bias = np.array(case.w.w[:]), np.zeros(N_OUT)
    for _ in range(3):
        for first in (0, 5):
            rows = slice(first, first + 5)
            _, d, d_bias = gradients(data[0][rows], data[1][rows], in_matrix(case.pairs, w), bias)
            w, bias = np.clip(w - RATE * d[at], -0.2, 0.3), bias - RATE * d_bias
    clipping = Does(way(case))
    case.trainer.fit(*data, 3, 5, shuffle=False, callbacks=[clipping], verbose=False)
    np.testing.assert_allclose(np.array(case.w.w[:]), w, rtol=1e-9)
    np.testing.assert_allclose(np.array(case.readout.b[:]), bias, rtol=1e-9)


def test_a_callback_sees_the_update_before(data):
    case = Case(PAIRS["sparse, shuffled"])
    looking = Does(
        lambda trainer: (np.array(case.w.w[:]), case.w.w[0], trainer.parameter_values()["w_w"])
    )
    start = np.array(case.w.w[:])
    case.trainer.fit(*data, 2, 5, shuffle=False, callbacks=[looking], verbose=False)
    at, w, bias = tuple(np.transpose(case.pairs)), start, np.zeros(N_OUT)
    for k, (seen, one, known) in enumerate(looking.found):
        rows = slice(5 * (k % 2), 5 * (k % 2) + 5)
        _, d, d_bias = gradients(data[0][rows], data[1][rows], in_matrix(case.pairs, w), bias)
        w, bias = w - RATE * d[at], bias - RATE * d_bias
        np.testing.assert_allclose(seen, w, rtol=1e-9)
        assert one == seen[0]
        np.testing.assert_array_equal(known, seen)


def test_a_run_within_a_callback_has_the_weights_of_now(data):
    case = Case(DENSE)
    case.inputs.spikes = data[0][[0]]
    monitor = StateMonitor(case.readout, "y", record=True, when="end")
    case.network.add(monitor)
    case.network.store()
    case.trainer.fit(*data, verbose=False)  # the network itself has run before
    case.network.run(1 * ms)

    def run(trainer):
        matrix, bias = in_matrix(DENSE, np.array(case.w.w[:])), np.array(case.readout.b[:])
        case.network.restore()
        matrix, bias = matrix + 0.1, bias - 0.2
        trainer.set_parameter_values({"w_w": matrix.ravel(), "readout_b": bias})
        case.network.run(STEPS * ms)
        return monitor.y[:].T.copy(), outputs(data[0].to_dense()[0], matrix, bias)[0]

    running = Does(run)
    case.trainer.fit(*data, 2, 5, callbacks=[running], verbose=False)
    for found, expected in running.found:
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert not np.allclose(running.found[0][0], running.found[-1][0])


def test_a_variable_that_is_not_trained_can_be_set_too(data):
    case = Case(DENSE)
    trainer = b2e.Trainer(
        case.network,
        output=case.readout.y,
        loss=b2e.CrossEntropy(),
        rule=b2e.EProp(),
        parameters=[case.readout.b],
        optimiser=b2e.SGD(RATE),
    )
    new = np.linspace(-1, 1, 18)
    setting = Does(lambda trainer: setattr(case.w, "w", new))
    history = trainer.fit(*data, 2, 10, shuffle=False, callbacks=[setting], verbose=False)
    _, _, d_bias = gradients(*data, in_matrix(DENSE, Case(DENSE).w.w[:]), np.zeros(N_OUT))
    loss, _, _ = gradients(*data, in_matrix(DENSE, new), -RATE * d_bias)
    assert history["loss"][1] == pytest.approx(loss, rel=1e-9)


def test_validation_judges_what_the_last_callback_set(data):
    case = Case(DENSE)
    setting = Does(lambda trainer: setattr(case.w, "w", 0.1))
    history = case.trainer.fit(
        *data, batch_size=5, validation_data=data, callbacks=[setting], verbose=False
    )
    loss, _, _ = gradients(*data, np.full((N_IN, N_OUT), 0.1), np.array(case.readout.b[:]))
    assert history["val_loss"] == [pytest.approx(loss, rel=1e-9)]


def test_who_does_not_look_pays_nothing(data, monkeypatch):
    from brian2eprop.device.device import EpropDevice

    written, original = [], EpropDevice.write_array

    def write_array(self, captured, name, values):
        written.append(name)
        original(self, captured, name, values)

    monkeypatch.setattr(EpropDevice, "write_array", write_array)
    Case(DENSE).trainer.fit(*data, 3, 5, callbacks=[Does(lambda trainer: None)], verbose=False)
    assert sorted(written) == ["readout.b", "w.w"]  # at the end, once


def test_an_error_in_a_callback_keeps_what_was_set(data):
    case = Case(DENSE)

    def fail(trainer):
        case.w.w = 0.25
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        case.trainer.fit(*data, callbacks=[Does(fail)], verbose=False)
    np.testing.assert_array_equal(case.w.w[:], np.full(18, 0.25))
    case.w.w = 0.5  # nobody overwrites it any more
    np.testing.assert_array_equal(case.trainer.parameter_values()["w_w"], np.full(18, 0.5))


# What is not finite


CALLS = {
    "fit": lambda trainer, data, path: trainer.fit(*data, verbose=False),
    "evaluate": lambda trainer, data, path: trainer.evaluate(*data),
    "predict": lambda trainer, data, path: trainer.predict(data[0]),
    "gradients": lambda trainer, data, path: trainer.gradients(*data),
    "save": lambda trainer, data, path: trainer.save(path),
}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("call", CALLS)
def test_a_parameter_that_is_not_finite_is_refused(call, bad, data, tmp_path):
    case = Case(DENSE)
    path = tmp_path / "run.npz"
    case.trainer.save(path)
    before = path.read_bytes()
    case.w.w[4] = bad
    with pytest.raises(ValueError) as caught:
        CALLS[call](case.trainer, data, path)
    assert str(caught.value) == (
        "Trainer: 'w.w' holds values that are not finite, before any training; set it to finite "
        "values."
    )
    assert path.read_bytes() == before
    assert case.trainer.parameter_values()["w_w"][4] in (bad, pytest.approx(bad, nan_ok=True))
    case.trainer.load(path)  # the way out
    CALLS[call](case.trainer, data, path)


def test_a_state_that_could_not_be_loaded_is_not_saved(data, tmp_path):
    case = Case(DENSE, b2e.Adam(0.1))
    case.trainer.fit(*data, verbose=False)
    case.trainer.save(tmp_path / "run.npz")
    before = (tmp_path / "run.npz").read_bytes()
    store = case.trainer._engine.store
    store.write("adam:v:w.w", np.full(18, np.inf))  # what the square of 1e200 is
    with pytest.raises(ValueError) as caught:
        case.trainer.save(tmp_path / "run.npz")
    assert str(caught.value) == (
        "save: 'adam:v:w.w' of the training's state holds values that are not finite, so that the "
        "file could not be loaded; load an earlier checkpoint and lower the learning rate."
    )
    assert (tmp_path / "run.npz").read_bytes() == before


SIX = "give an array of shape (6,)."
BAD_VALUES = [
    ({"w_w": np.full(6, np.nan)}, "are not all finite in float32; give finite numbers."),
    ({"w_w": np.full(6, 1e39)}, "are not all finite in float32; give finite numbers."),
    ({"w_w": 1.0}, f"have the shape (); {SIX}"),
    ({"w_w": np.ones(7)}, f"have the shape (7,); {SIX}"),
    ({"w_w": np.ones((6, 1))}, f"have the shape (6, 1); {SIX}"),
    ({"w_w": np.ones(6, complex)}, "are no real numbers; give an array of 6 real numbers."),
    ({"w_w": list("abcdef")}, "are no real numbers; give an array of 6 real numbers."),
    ({"w_w": None}, "are no real numbers; give an array of 6 real numbers."),
    ({"w_w": [[1, 2], [3]]}, "are no real numbers; give an array of 6 real numbers."),
    (
        {"w_w": np.ones(6) * mV},
        "have the unit V; give values in no unit, or plain numbers in SI units.",
    ),
]


@pytest.mark.parametrize(("values", "sentence"), BAD_VALUES)
def test_values_that_no_parameter_has(values, sentence):
    set_device("eprop_cuda", backend="cpu", precision="float32")
    case = Case(PAIRS["repeated"])
    before = np.array(case.w.w[:])
    with pytest.raises(ValueError) as caught:
        case.trainer.set_parameter_values({"readout_b": np.ones(3), **values})
    assert str(caught.value) == f"Trainer: the values of 'w_w' {sentence}"
    np.testing.assert_array_equal(case.w.w[:], before)
    np.testing.assert_array_equal(case.readout.b[:], 0)


def test_what_is_no_parameter():
    trainer = Case(DENSE).trainer
    with pytest.raises(ValueError) as caught:
        trainer.set_parameter_values({"readout_y": np.zeros(3)})
    assert str(caught.value) == "Trainer: 'readout_y' is no parameter; choose of w_w, readout_b."
    with pytest.raises(TypeError, match="the parameters' values are of type list; give a dictiona"):
        trainer.set_parameter_values([1.0])
    trainer.set_parameter_values({"readout_b": [1, 2, 3]})
    np.testing.assert_array_equal(trainer.parameter_values()["readout_b"], [1.0, 2.0, 3.0])


def unstable(scale):
    """A hidden layer that one division by zero makes NaN, where scale is zero."""
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    hidden = NeuronGroup(
        4,
        "dv/dt = -v/s/ms : 1\ns : 1",
        threshold="v > 1",
        reset="v -= 1",
        method="euler",
        name="hidden",
    )
    readout = NeuronGroup(N_OUT, "dy/dt = -y/(12*ms) : 1", method="exact", name="readout")
    w = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w", name="w")
    u = Synapses(hidden, readout, "w : 1", on_pre="y_post += w", name="u")
    w.connect(), u.connect()
    w.w, u.w, hidden.s = 0.7, 0.1, 20.0
    hidden.s[1] = scale
    trainer = b2e.Trainer(
        Network(inputs, hidden, readout, w, u),
        output=readout.y,
        loss=b2e.CrossEntropy(),
        rule=b2e.EProp(),
        parameters=[u.w],
        optimiser=b2e.SGD(0.1),
    )
    return trainer, u


WARNING = (
    "Trainer: the state 'hidden.v' became NaN in 10 of 10 samples; results with it mean nothing. "
    "Look for a division by zero, a time constant of zero, or a method that is not stable with "
    "this dt."
)


@pytest.mark.parametrize("call", ["evaluate", "predict", "gradients"])
@pytest.mark.parametrize("scale", [0.0, 20.0])
def test_states_that_become_nan_are_told_once(call, scale, data, tmp_path, caplog):
    trainer, _ = unstable(scale)
    with caplog.at_level(logging.WARNING, "brian2eprop"):
        logging.getLogger("brian2eprop").propagate = True
        CALLS[call](trainer, data, tmp_path)
    told = [record.getMessage() for record in caplog.records if "NaN" in record.getMessage()]
    assert [message.split(" [")[0] for message in told] == ([] if scale else [WARNING])


def test_fit_stops_at_a_state_that_became_nan(data):
    trainer, u = unstable(0.0)
    before = np.array(u.w[:])
    with pytest.raises(FloatingPointError) as caught:
        trainer.fit(*data, batch_size=4, verbose=False)
    assert str(caught.value) == (
        "Training stopped in epoch 1, batch 1: the state 'hidden.v' became NaN in 4 of 4 samples. "
        "The parameters of the update before are kept; look for a division by zero, a time "
        "constant of zero, or activity that explodes."
    )
    np.testing.assert_array_equal(u.w[:], before)


# The state at the start, and the network later


def test_spikes_on_their_way_when_the_trainer_is_made(data):
    inputs = b2e.SpikeSource(2, b2e.Spikes.from_dense(np.ones((1, 4, 2))), name="inputs")
    readout = NeuronGroup(2, "dy/dt = -y/(9*ms) : 1", method="exact", name="readout")
    slow = Synapses(inputs, readout, "w : 1", on_pre="y_post += w", delay=5 * ms, name="slow")
    slow.connect()
    network = Network(inputs, readout, slow)

    def make():
        return b2e.Trainer(
            network,
            output=readout.y,
            loss=b2e.CrossEntropy(),
            rule=b2e.EProp(),
            parameters=[slow.w],
            optimiser=b2e.SGD(0.1),
        )

    make()  # nothing has run
    for duration in (4, 4):  # the last spike, of step 3, arrives in step 8
        network.run(duration * ms)
        with pytest.raises(ValueError) as caught:
            make()
        assert str(caught.value) == (
            "Trainer: spikes are on their way through slow_pre, but every sample starts without "
            "any; make the Trainer before the network runs, or run without input until they have "
            "arrived."
        )
    network.run(1 * ms)
    make()


def test_synapses_that_come_later(data):
    case = Case(PAIRS["repeated"])
    case.w.connect(i=5, j=0)
    for call in CALLS.values():
        with pytest.raises(ValueError) as caught:
            call(case.trainer, data, "run.npz")
        assert str(caught.value) == (
            "Trainer: 'w' has 7 synapses by now, but 6 when the Trainer was made; make a new "
            "Trainer after connect()."
        )


def test_synapses_without_synapses():
    inputs = b2e.SpikeSource(2, name="inputs")
    readout = NeuronGroup(2, "dy/dt = -y/(9*ms) : 1", method="exact", name="readout")
    w = Synapses(inputs, readout, "w : 1", on_pre="y_post += w", name="w")
    w.connect(False)
    with pytest.raises(ValueError) as caught:
        b2e.Trainer(
            Network(inputs, readout, w),
            output=readout.y,
            loss=b2e.CrossEntropy(),
            rule=b2e.EProp(),
            parameters=[w.w],
            optimiser=b2e.SGD(0.1),
        )
    assert str(caught.value) == (
        "Trainer: the parameter 'w.w' belongs to Synapses without synapses; call w.connect(...) "
        "before the Trainer is made."
    )


# Threads


def test_threads_wait_for_each_other(data):
    case = Case(DENSE)
    parts = [data[0][:4], data[0][4:], data[0][[7]]]
    expected = [case.trainer.predict(part) for part in parts]
    wrong = []

    def predict(part, answer):
        for _ in range(40):
            if not np.array_equal(case.trainer.predict(part, batch_size=3), answer):
                wrong.append(part)

    threads = [
        threading.Thread(target=predict, args=pair) for pair in zip(parts, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_two_trainers_in_two_threads(data):
    """Each thread trains its own network, and its callback sees its own weights."""
    cases = [Case(DENSE, seed=seed) for seed in (0, 1)]
    seen = [Does(lambda trainer, case=case: np.array(case.w.w[:])) for case in cases]
    both = threading.Barrier(2)

    def train(case, looking):
        both.wait()
        case.trainer.fit(*data, 20, 5, shuffle=False, callbacks=[looking], verbose=False)

    threads = [threading.Thread(target=train, args=pair) for pair in zip(cases, seen, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, looking in enumerate(seen):
        alone = Case(DENSE, seed=seed)
        expected = Does(lambda trainer, case=alone: np.array(case.w.w[:]))
        alone.trainer.fit(*data, 20, 5, shuffle=False, callbacks=[expected], verbose=False)
        np.testing.assert_allclose(looking.found, expected.found, rtol=1e-12)


def test_a_training_within_a_training(data):
    """The inner one begins with the weights of now, and the outer one goes on with its own."""
    case = Case(DENSE)
    inner = b2e.Trainer(
        case.network,
        output=case.readout.y,
        loss=b2e.CrossEntropy(),
        rule=b2e.EProp(),
        parameters=[case.w.w],
        optimiser=b2e.SGD(RATE),
    )
    looking = Does(lambda trainer: (np.array(case.w.w[:]), trainer.parameter_values()["w_w"]))
    nested = Does(
        lambda trainer: inner.fit(*data, 1, 10, None, False, callbacks=[looking], verbose=False)
    )
    case.trainer.fit(*data, 2, 10, shuffle=False, callbacks=[nested], verbose=False)
    w, bias = in_matrix(DENSE, Case(DENSE).w.w[:]), np.zeros(N_OUT)
    for _ in range(2):
        _, d, d_bias = gradients(*data, w, bias)
        w, bias = w - RATE * d, bias - RATE * d_bias
        w = w - RATE * gradients(*data, w, bias)[1]
    for seen, known in looking.found:
        np.testing.assert_array_equal(seen, known)
    np.testing.assert_allclose(case.w.w[:], w.ravel(), rtol=1e-9)


def test_another_thread_during_a_training(data):
    case, said = Case(DENSE), []

    def other():
        for call in (case.trainer.predict, case.trainer.parameter_values):
            try:
                call(*data[:1] if call == case.trainer.predict else ())
            except RuntimeError as error:
                said.append(str(error))

    def ask(trainer):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        trainer.predict(data[0])  # the thread that trains may

    case.trainer.fit(*data, callbacks=[Does(ask)], verbose=False)
    assert (
        said
        == [
            "Trainer: another thread is in fit; wait until it has ended, or give every thread a "
            "network and a Trainer of its own."
        ]
        * 2
    )
    other()
    assert len(said) == 2


# Checkpoints


OPTIMISERS = [
    (lambda: b2e.Adam(0.05, 0.8, 0.99, 1e-6), lambda: b2e.Adam()),
    (lambda: b2e.SGD(0.3, momentum=0.7), lambda: b2e.SGD(0.1)),
    (lambda: b2e.SGD(0.3), lambda: b2e.SGD(0.1, momentum=0.9)),
]


@pytest.mark.parametrize(("made", "other"), OPTIMISERS)
def test_going_on_as_if_the_training_had_not_been_cut(made, other, data, tmp_path):
    """Also with a learning rate changed by hand, in a trainer whose optimiser has other numbers."""
    whole = Case(PAIRS["sparse, shuffled"], made())
    whole.trainer.fit(*data, 2, 4, verbose=False)
    whole.trainer.optimiser.learning_rate *= 0.5
    whole.trainer.save(tmp_path / "run.npz")
    whole.trainer.fit(*data, 3, 4, verbose=False)
    again = Case(PAIRS["sparse, shuffled"], other(), seed=9)
    again.trainer.fit(*data, 1, 4, verbose=False)
    again.trainer.load(tmp_path / "run.npz")
    half = made()
    half.learning_rate *= 0.5
    assert again.trainer.optimiser == half
    again.trainer.fit(*data, 3, 4, verbose=False)
    np.testing.assert_array_equal(again.w.w[:], whole.w.w[:])
    np.testing.assert_array_equal(again.readout.b[:], whole.readout.b[:])
    assert again.trainer.history == whole.trainer.history
    assert again.trainer._engine.store.arrays.keys() == whole.trainer._engine.store.arrays.keys()


FOREIGN = [
    (
        {"tau": 9e-3},
        "network.readout_stateupdater.tau is 0.012 in the file but 0.009 here",
        "Make network and Trainer",
    ),
    (
        {"on_pre": "y_post += 2*w"},
        "network.w_pre.code is y_post += w in the file but y_post += 2 * w here",
        "Make network and Trainer",
    ),
    (
        {"delay": 2},
        "network.w_pre.delay is 0 in the file but 2 here",
        "Make network and Trainer",
    ),
    ({"pairs": DENSE[::-1]}, "it was saved with other synapses of 'w'", "Connect"),
    ({"pairs": [*DENSE[1:], DENSE[1]]}, "it was saved with other synapses of 'w'", "Connect"),
    (
        {"start": 0.25},
        "it was saved with other values of 'readout.y', which is not trained",
        "Set it as it was",
    ),
    (
        {"optimiser": b2e.SGD(0.1)},
        "optimiser is Adam() in the file but SGD() here",
        "Make network and Trainer",
    ),
    (
        {"loss": b2e.CrossEntropy((5 * ms, 20 * ms))},
        "loss.window is None in the file but [{'value': 0.005, 'unit': 'second'}, "
        "{'value': 0.02, 'unit': 'second'}] here",
        "Make network and Trainer",
    ),
    (
        {"rule": b2e.EProp(form="forward")},
        "rule.form is adjoint in the file but forward here",
        "Make network and Trainer",
    ),
    (
        {"regularisers": [b2e.FiringRate(5 * Hz)]},
        "regularisers is [] in the file but [{'is': 'FiringRate', 'target': {'value': 5.0, 'unit': "
        "'second ** -1'}, 'strength': 1.0}] here",
        "Make network and Trainer",
    ),
]


@pytest.mark.parametrize(("change", "fault", "remedy"), FOREIGN)
def test_a_checkpoint_of_another_training(change, fault, remedy, data, tmp_path):
    path = tmp_path / "run.npz"
    Case(DENSE, b2e.Adam(0.1)).trainer.save(path)
    start_scope()
    case = Case(**{"pairs": DENSE, "optimiser": b2e.Adam(0.1), "seed": 5} | change)
    before = np.array(case.w.w[:])
    with pytest.raises(b2e.CheckpointError) as caught:
        case.trainer.load(path)
    assert str(caught.value).startswith(
        f"The checkpoint '{path}': {fault}; nothing was loaded. {remedy}"
    )
    np.testing.assert_array_equal(case.w.w[:], before)


@pytest.mark.parametrize("way", ["save", "load"])
def test_paths_that_are_none(way):
    trainer = Case(DENSE).trainer
    for path, error in (("", ValueError), (None, TypeError), (3, TypeError), (b"x", TypeError)):
        with pytest.raises(error) as caught:
            getattr(trainer, way)(path)
        assert str(caught.value) == (
            f"{way}: the path is {path!r}; give the name of a file, such as 'run.npz'."
        )


# Labels


LABEL_SENTENCES = [
    (list("abcabcabca"), "CrossEntropy: the labels are strings; give whole numbers, such as"),
    ([None] * 10, "CrossEntropy: the labels are objects; give whole numbers, such as"),
    ([0j] * 10, "CrossEntropy: the labels are complex numbers; give whole numbers, such as"),
    ([[0, 1]] * 9 + [[0]], "CrossEntropy: the labels differ in shape; give whole numbers, such as"),
    (np.ones(10) * mV, "The labels have the unit V; give labels with no unit."),
    ([1, 1 * mV] * 5, "Some labels have a unit and some have none; give all no unit."),
    (3, "There are 10 samples of spikes but 0 labels; give one label a sample."),
    ("ab", "There are 10 samples of spikes but 2 labels; give one label a sample."),
]


@pytest.mark.parametrize(("labels", "sentence"), LABEL_SENTENCES)
def test_labels_that_are_no_classes(labels, sentence, data):
    with pytest.raises(ValueError) as caught:
        Case(DENSE).trainer.evaluate(data[0], labels)
    assert str(caught.value).startswith(sentence)


def test_labels_of_any_kind_of_numbers(data):
    case = Case(DENSE)
    expected, _, _ = gradients(*data, in_matrix(DENSE, case.w.w[:]), np.zeros(N_OUT))
    kinds = [np.int8, np.uint64, np.float32, object]
    for labels in [*(data[1].astype(kind) for kind in kinds), tuple(data[1].tolist())]:
        found = case.trainer.evaluate(data[0], labels)
        assert found.loss == pytest.approx(expected, rel=1e-12)
        y = np.array([outputs(x, in_matrix(DENSE, case.w.w[:]), 0)[0] for x in data[0].to_dense()])
        p = (np.exp(y) / np.exp(y).sum(axis=2, keepdims=True)).mean(axis=1)
        assert found.accuracy == pytest.approx((p.argmax(axis=1) == data[1]).mean())


def in_volts():
    inputs = b2e.SpikeSource(N_IN, name="inputs")
    readout = NeuronGroup(2, "dy/dt = -y/(12*ms) : volt", method="exact", name="readout")
    w = Synapses(inputs, readout, "w : volt", on_pre="y_post += w", name="w")
    w.connect()
    w.w = "(i + j)*mV"
    return b2e.Trainer(
        Network(inputs, readout, w),
        output=readout.y,
        loss=b2e.MeanSquaredError(),
        rule=b2e.EProp(),
        parameters=[w.w],
        optimiser=b2e.SGD(0.1),
    )


def test_targets_have_the_unit_of_the_output(data):
    trainer, target = in_volts(), np.linspace(-5, 5, 20).reshape(10, 2)
    matrix = np.add.outer(np.arange(N_IN), np.arange(2)) * 1e-3
    y = np.array([outputs(x, matrix, 0)[0] for x in data[0].to_dense()])
    expected = ((y - 1e-3 * target[:, None]) ** 2).sum(axis=2).mean() / 2
    for labels in (target * mV, 1e-3 * target * volt, [[v * mV for v in row] for row in target]):
        assert trainer.evaluate(data[0], labels).loss == pytest.approx(expected, rel=1e-9)
    wanted = "give labels with the unit V, that of the output 'readout.y'."
    for labels, has in ((target * mA, "the unit A"), (target, "no unit")):
        with pytest.raises(ValueError) as caught:
            trainer.evaluate(data[0], labels)
        assert str(caught.value) == f"The labels have {has}; {wanted}"
    with pytest.raises(
        ValueError, match=r"^MeanSquaredError: the labels are complex numbers; give"
    ):
        trainer.evaluate(data[0], Quantity(target * (1 + 1j), dim=volt.dim))
    values = {"w_w": np.arange(12.0) * mV}
    trainer.set_parameter_values(values)
    np.testing.assert_allclose(trainer.parameter_values()["w_w"], np.arange(12) * 1e-3)


# Arguments


ARGUMENTS = [
    ({"regularisers": b2e.FiringRate()}, "regularisers is of type FiringRate; give a list, such"),
    ({"regularisers": [3]}, r"regularisers holds 3; give a list of such as FiringRate\(10\*Hz\)"),
    ({"optimizer": b2e.SGD()}, "Trainer has no argument 'optimizer'; it is called optimiser here"),
    ({"lr": 0.1}, r"Trainer has no argument 'lr'; the optimiser has it: optimiser=Adam\(1e-3\)"),
    (
        {"metrics": ["accuracy"]},
        "Trainer has no argument 'metrics'; give metrics to fit or evaluate.",
    ),
    ({"nonsense": 1}, "Trainer has no argument 'nonsense'; it takes network, output, loss, rule"),
    ({"parameters": 3}, r"parameters is 3; give a list of variables, such as \[synapses.w\]"),
]


@pytest.mark.parametrize(("change", "sentence"), ARGUMENTS)
def test_arguments_of_a_trainer(change, sentence):
    case = Case(DENSE)
    arguments = {
        "output": case.readout.y,
        "loss": b2e.CrossEntropy(),
        "rule": b2e.EProp(),
        "parameters": [case.w.w],
        "optimiser": b2e.SGD(0.1),
    }
    with pytest.raises(TypeError, match=sentence):
        b2e.Trainer(case.network, **arguments | change)


SPIKES = b2e.Spikes.from_dense(np.zeros((2, 4, N_IN)))
FIT_ARGUMENTS = [
    ({"validation_data": SPIKES}, "validation_data is a Spikes; give a pair"),
    ({"validation_data": (SPIKES,)}, "validation_data is a tuple of 1; give a pair"),
    ({"validation_data": (SPIKES, [0], 1)}, "validation_data is a tuple of 3; give a pair"),
    ({"validation_split": 0.1}, "Trainer.fit has no argument 'validation_split'; split the data"),
    ({"optimizer": 1}, "Trainer.fit has no argument 'optimizer'; give optimiser to the Trainer"),
    ({"callbacks": [3]}, r"fit: callbacks holds 3; give a list of such as EarlyStopping\('val_los"),
]


@pytest.mark.parametrize(("change", "sentence"), FIT_ARGUMENTS)
def test_arguments_of_fit(change, sentence, data):
    with pytest.raises(TypeError, match=sentence):
        Case(DENSE).trainer.fit(*data, verbose=False, **change)


def test_a_validation_pair_may_be_a_list(data):
    history = Case(DENSE).trainer.fit(*data, validation_data=list(data), verbose=False)
    assert len(history["val_loss"]) == 1


LATE = [
    (b2e.EarlyStopping("val_loss"), ValueError, "there is no 'val_loss' to monitor, only loss, ac"),
    (b2e.ModelCheckpoint("no/run.npz"), FileNotFoundError, "no folder 'no' to save into; make it"),
]


@pytest.mark.parametrize(("callback", "error", "sentence"), LATE)
def test_what_cannot_work_is_refused_before_the_first_epoch(callback, error, sentence, data):
    case = Case(DENSE)
    before = np.array(case.w.w[:])
    with pytest.raises(error, match=sentence):
        case.trainer.fit(*data, callbacks=[callback], verbose=False)
    np.testing.assert_array_equal(case.w.w[:], before)


def test_objects_say_what_they_were_made_with():
    trainer = Case(DENSE, b2e.SGD(0.5)).trainer
    assert repr(trainer) == (
        "<Trainer of w_w, readout_b: CrossEntropy(window=None), EProp(feedback='symmetric', "
        "surrogate=Triangular(gamma=0.3, width=None), form='adjoint', feedback_scale=None, "
        "detach=None, chunk=256, update_every=None), "
        "SGD(learning_rate=0.5, momentum=0.0, nesterov=False); 0 epochs>"
    )


def test_the_history_of_a_first_epoch_that_was_cut(data):
    def interrupt(trainer):
        raise KeyboardInterrupt

    case = Case(DENSE)
    cut = {"callbacks": [Does(interrupt)], "verbose": False}
    lists = {"loss": [], "accuracy": [], "rates": []}
    assert case.trainer.fit(*data, **cut) == lists
    # All batches were met: the epoch that was cut is ended by the next fit.
    ended = case.trainer.fit(*data, validation_data=data, **cut)
    assert {name: len(values) for name, values in ended.items()} == dict.fromkeys(
        (*lists, "val_loss", "val_accuracy"), 1
    )


# Batches


@pytest.mark.parametrize("batch_size", [3, 1, 7, 200])
def test_a_short_batch_is_a_whole_update(batch_size, data):
    case = Case(DENSE)
    w, bias, losses = in_matrix(DENSE, case.w.w[:]), np.zeros(N_OUT), []
    for first in range(0, 10, batch_size):
        rows = slice(first, first + batch_size)
        loss, d, d_bias = gradients(data[0][rows], data[1][rows], w, bias)
        losses += [loss] * len(data[1][rows])
        w, bias = w - RATE * d, bias - RATE * d_bias
    history = case.trainer.fit(*data, batch_size=batch_size, shuffle=False, verbose=False)
    np.testing.assert_allclose(case.w.w[:], w.ravel(), rtol=1e-9)
    np.testing.assert_allclose(case.readout.b[:], bias, rtol=1e-9)
    assert history["loss"][0] == pytest.approx(np.mean(losses), rel=1e-9)
