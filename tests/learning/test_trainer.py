"""The Trainer on a network whose training NumPy can repeat: softmax regression on spike counts.

The Program is hand-made, and so is the device, so that what is tested is the Trainer alone:
batches, padding, order, updates, metrics, values read and written, and its sentences.
"""

import gc
import os
import signal
import weakref
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import ms

from brian2eprop.device.backends.cpu import CpuBackend
from brian2eprop.device.backends.reference import ReferenceBackend
from brian2eprop.device.program import (
    Access,
    Array,
    Body,
    Clear,
    Dense,
    Direction,
    DType,
    Events,
    Feed,
    ForEach,
    ForEachEvent,
    ForEachSynapse,
    Index,
    Over,
    Precision,
    Program,
    Propagate,
    Reduce,
    Reduction,
    Ref,
    Slots,
    Stream,
    Sweep,
)
from brian2eprop.errors import CheckpointError
from brian2eprop.learning.objective.losses import CrossEntropy, MeanSquaredError
from brian2eprop.learning.objective.task import OutputRoles, Roles, TrainingPrograms
from brian2eprop.learning.training import host
from brian2eprop.learning.training.callbacks import Callback, EarlyStopping, ModelCheckpoint
from brian2eprop.learning.training.optimisers import SGD, Adam
from brian2eprop.learning.training.trainer import Trainer
from brian2eprop.spikes import Spikes

N_IN, K, STEPS, DT = 6, 3, 5, 1e-3
GRADIENTS = ("gradient_net_w", "gradient_out_b")
ONCE, FORWARD = Direction.ONCE, Direction.FORWARD
E, S, T, P, Y = Index.ELEMENT, Index.SCALAR, Index.TARGET, Index.SOURCE, Index.SYNAPSE


def real(name, size, access):
    return Array(name, DType.REAL, size, access)


def body(code, **refs):
    return Body(code, {name: Ref(*ref) for name, ref in refs.items()})


def arrays(training):
    scratch, shared, each = Access.SCRATCH, Access.SHARED, Access.PER_INSTANCE
    found = [
        *[real(name, K, scratch) for name in ("out_y", "power", "delta")],
        *[real(name, 1, scratch) for name in ("peak", "total")],
        *[real(name, K, shared) for name in ("initial_out_y", "out_b")],
        *[real(name, N_IN * K, shared) for name in ("net_w", "feedback_net")],
        Array("trial_steps", DType.INT, 1, each),
        real("x", N_IN, scratch),
        *[real(name, K, each) for name in ("target", "prediction")],
        real("loss", 1, each),
        real("spike_count_in", N_IN, each),
    ]
    gradients = [("gradient_net_w", N_IN * K), ("gradient_out_b", K)]
    summed = [real(name, size, shared) for name, size in gradients]
    return (*found, real("weight", 1, each), *summed) if training else tuple(found)


def program(training):
    spike = body("x += 1/n\nc += 1", x=("x", E), c=("spike_count_in", E), n=("trial_steps", S))
    phases = {
        ONCE: (
            Clear("clear", ("x", "spike_count_in"), ("in_spikes",)),
            ForEach(
                "start",
                K,
                body("y = a + b", y=("out_y", E), a=("initial_out_y", E), b=("out_b", E)),
            ),
        ),
        FORWARD: (
            Feed("feed", "in", "in_spikes"),
            ForEachEvent("count", "in_spikes", spike),
            Propagate(
                "add",
                "in_spikes",
                "net",
                body("y += w/n", y=("out_y", T), w=("net_w", Y), n=("trial_steps", S)),
            ),
        ),
    }
    softmax = (
        Reduce("peak", K, Reduction.MAX, body("_value = y", y=("out_y", E)), "peak"),
        ForEach("power", K, body("e = exp(y - p)", e=("power", E), y=("out_y", E), p=("peak", S))),
        Reduce("total", K, Reduction.SUM, body("_value = e", e=("power", E)), "total"),
        ForEach("predict", K, body("p = e/s", p=("prediction", E), e=("power", E), s=("total", S))),
        Reduce(
            "loss",
            K,
            Reduction.SUM,
            body("_value = -t_k*log(p)", t_k=("target", E), p=("prediction", E)),
            "loss",
        ),
    )
    gradients = (
        ForEach(
            "delta",
            K,
            body(
                "d = g*(p - t_k)",
                d=("delta", E),
                g=("weight", S),
                p=("prediction", E),
                t_k=("target", E),
            ),
        ),
        ForEachSynapse(
            "w", "net", body("q += x*d", q=("gradient_net_w", Y), x=("x", P), d=("delta", T))
        ),
        ForEach("b", K, body("q += d", q=("gradient_out_b", E), d=("delta", E))),
    )
    return Program(
        "train" if training else "evaluate",
        DT,
        arrays(training),
        (
            *([Sweep(ONCE, (Clear("zero", GRADIENTS),), Over.SHARED)] if training else []),
            Sweep(ONCE, phases[ONCE]),
            Sweep(FORWARD, phases[FORWARD]),
            Sweep(ONCE, softmax + (gradients if training else ())),
        ),
        events=(Events("in_spikes", N_IN, Access.SCRATCH, Slots()),),
        connectivities=(Dense("net", N_IN, K),),
        streams=(Stream("in", N_IN),),
    )


class SoftmaxRule:
    """Gives the hand-made Programs; feedback is twice the weights, to see it refreshed."""

    def training_program(self, model, task):
        self.task = task
        double = body("f = 2*w", f=("feedback_net", E), w=("net_w", E))
        refresh = Program(
            "refresh",
            DT,
            (real("feedback_net", N_IN * K, Access.SHARED), real("net_w", N_IN * K, Access.SHARED)),
            (Sweep(ONCE, (ForEach("double", N_IN * K, double),), Over.SHARED),),
        )
        roles = Roles(
            initial={"out_y": "initial_out_y"},
            counts={"in": "spike_count_in"},
            outputs=(
                OutputRoles(
                    "out_y",
                    "target",
                    "prediction",
                    "loss",
                    "no scale",
                    "no weight",
                    partial(task.outputs[0].loss.window_steps, dt=DT),
                ),
            ),
            steps="trial_steps",
            weight="weight",
            gradients={"net_w": "gradient_net_w", "out_b": "gradient_out_b"},
        )
        return TrainingPrograms(program(True), program(False), {}, refresh, roles)


class Device:
    """The variables of a network, and what the Trainer asks of a device."""

    def __init__(self, backend):
        self.backend = backend
        rng = np.random.default_rng(5)
        self.values = {
            "net_w": rng.normal(size=N_IN * K),
            "out_b": rng.normal(size=K),
            "out_y": np.array([0.1, -0.2, 0.3]),
        }

    def changed(self, network, captured):
        return None

    def capture(self, network, namespace, *, trained, rewirings):
        assert not rewirings
        assert "caller_sees_me" in namespace
        model = Program(
            "model",
            DT,
            (
                real("net_w", N_IN * K, Access.SHARED),
                real("out_b", K, Access.SHARED),
                real("out_y", K, Access.PER_INSTANCE),
                Array("net_flag", DType.BOOL, K, Access.SHARED),
            ),
            (),
            streams=(Stream("in", N_IN),),
        )
        return SimpleNamespace(
            program=model, tables={}, variables={}, orders={}, rounding={}, rewired={}
        )

    def array_name(self, view):
        return view.name

    def events_name(self, group):
        return group.name

    def read_array(self, captured, name):
        return self.values[name]

    def write_array(self, captured, name, values):
        self.values[name] = values

    def rewrite(self, captured, name, contents):
        raise AssertionError("nothing here is rewired")

    def lend(self, captured, names, borrower):
        return nullcontext()

    def in_transit(self, network, captured):
        return ()


def view(name):
    return SimpleNamespace(name=name, variable=None, group_name=name)


@pytest.fixture(params=[ReferenceBackend, CpuBackend])
def device(request, monkeypatch):
    device = Device(request.param(Precision.FLOAT64))
    monkeypatch.setattr(host, "get_device", lambda: device)
    return device


@pytest.fixture
def quick_device(monkeypatch):
    device = Device(CpuBackend(Precision.FLOAT64))
    monkeypatch.setattr(host, "get_device", lambda: device)
    return device


def trainer(optimiser=None, seed=3, **change):
    caller_sees_me = True  # noqa: F841
    arguments = {
        "output": view("out_y"),
        "loss": CrossEntropy(),
        "rule": SoftmaxRule(),
        "parameters": [view("net_w"), view("out_b")],
        "optimiser": optimiser or Adam(0.05),
    }
    return Trainer(SimpleNamespace(t_=0.0, objects=[]), seed=seed, **arguments | change)


@pytest.fixture
def data():
    rng = np.random.default_rng(11)
    labels = rng.integers(K, size=17)
    chance = np.where(np.arange(N_IN) % K == labels[:, None], 0.6, 0.2)
    dense = rng.random((17, STEPS, N_IN)) < chance[:, None, :]
    return Spikes.from_dense(dense), labels


class Regression:
    """Softmax regression and Adam, written out in NumPy."""

    def __init__(self, device, spikes, labels, rate=0.05):
        self.w = device.values["net_w"].reshape(N_IN, K).copy()
        self.b = device.values["out_b"].copy()
        self.start = device.values["out_y"].copy()
        self.x = spikes.to_dense().mean(axis=1)
        self.goal = np.eye(K)[labels]
        self.rate = rate
        self.moments = [np.zeros((2, *p.shape)) for p in (self.w, self.b)]
        self.t = 0

    def probabilities(self, rows):
        e = np.exp(self.x[rows] @ self.w + self.b + self.start)
        return e / e.sum(axis=1, keepdims=True)

    def losses(self, rows):
        return -np.log(self.probabilities(rows)[self.goal[rows] == 1])

    def right(self, rows):
        return self.probabilities(rows).argmax(axis=1) == self.goal[rows].argmax(axis=1)

    def update(self, rows):
        delta = (self.probabilities(rows) - self.goal[rows]) / len(rows)
        self.t += 1
        for p, g, (m, v) in zip(
            (self.w, self.b), (self.x[rows].T @ delta, delta.sum(axis=0)), self.moments, strict=True
        ):
            m[:] = 0.9 * m + 0.1 * g
            v[:] = 0.999 * v + 0.001 * g**2
            p -= (
                self.rate * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t) * m / (np.sqrt(v) + 1e-8)
            )

    def epoch(self, order, size):
        """Loss and accuracy of every sample as it was met."""
        met = []
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            met.append((self.losses(rows), self.right(rows)))
            self.update(rows)
        return [np.concatenate(values).mean() for values in zip(*met, strict=True)]

    def agrees_with(self, device):
        np.testing.assert_allclose(device.values["net_w"], self.w.ravel(), rtol=1e-9)
        np.testing.assert_allclose(device.values["out_b"], self.b, rtol=1e-9)


ALL = np.arange(17)


def test_training_is_that_of_numpy(device, data):
    oracle = Regression(device, *data)
    history = trainer().fit(*data, epochs=3, batch_size=5, shuffle=False, verbose=False)
    expected = [oracle.epoch(ALL, 5) for _ in range(3)]
    oracle.agrees_with(device)
    np.testing.assert_allclose(history["loss"], [loss for loss, _ in expected], rtol=1e-9)
    np.testing.assert_allclose(history["accuracy"], [a for _, a in expected])
    rate = data[0].to_dense().mean() / DT
    np.testing.assert_allclose([r["in"] for r in history["rates"]], [rate] * 3)


def test_evaluation_and_prediction_with_an_unfilled_batch(device, data):
    oracle = Regression(device, *data)
    found = trainer()
    metrics = found.evaluate(*data, batch_size=5)
    np.testing.assert_allclose(metrics.loss, oracle.losses(ALL).mean(), rtol=1e-12)
    assert metrics.accuracy == pytest.approx(oracle.right(ALL).mean())
    assert metrics.n_samples == 17
    prediction = found.predict(data[0], batch_size=4)
    np.testing.assert_allclose(prediction, oracle.probabilities(ALL), rtol=1e-12)


def test_validation_after_each_epoch(quick_device, data):
    spikes, labels = data
    oracle = Regression(quick_device, *data)
    history = trainer().fit(
        spikes[:10], labels[:10], 2, 5, (spikes[10:], labels[10:]), shuffle=False, verbose=False
    )
    for epoch in range(2):
        oracle.epoch(ALL[:10], 5)
        assert history["val_loss"][epoch] == pytest.approx(oracle.losses(ALL[10:]).mean())
        assert history["val_accuracy"][epoch] == pytest.approx(oracle.right(ALL[10:]).mean())
    assert set(history) == {"loss", "accuracy", "rates", "val_loss", "val_accuracy"}


def test_shuffling_follows_the_seed_and_meets_every_sample(quick_device, data):
    start = {name: values.copy() for name, values in quick_device.values.items()}
    found = []
    for seed in (3, 3, 4):
        quick_device.values = {name: values.copy() for name, values in start.items()}
        history = trainer(seed=seed).fit(*data, epochs=2, batch_size=5, verbose=False)
        found.append(history["loss"])
    assert found[0] == found[1] != found[2]
    quick_device.values = start
    oracle = Regression(quick_device, *data, rate=0.0)
    history = trainer(SGD(0.0)).fit(*data, epochs=1, batch_size=5, verbose=False)
    assert history["loss"][0] == pytest.approx(oracle.losses(ALL).mean())


def test_parameters_set_between_calls_are_seen(quick_device, data):
    found = trainer()
    found.fit(*data, epochs=1, verbose=False)
    quick_device.values["net_w"] = np.linspace(-1, 1, N_IN * K)
    oracle = Regression(quick_device, *data)
    np.testing.assert_allclose(found.predict(data[0]), oracle.probabilities(ALL), rtol=1e-12)


def test_samples_start_where_the_network_was_when_the_trainer_was_made(quick_device, data):
    quick_device.values["out_y"] = np.array([0.3, -0.1, 0.2])
    oracle, found = Regression(quick_device, *data), trainer()
    quick_device.values["out_y"] = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(found.predict(data[0]), oracle.probabilities(ALL), rtol=1e-12)


def test_what_follows_from_the_parameters_is_refreshed(quick_device, data):
    found = trainer()
    for call in (lambda: found.evaluate(*data), lambda: found.fit(*data, 2, 5, verbose=False)):
        call()
        doubled = found._engine.store.read("feedback_net")
        np.testing.assert_array_equal(doubled, 2 * quick_device.values["net_w"])


def test_samples_of_another_length(quick_device, data):
    found = trainer()
    found.fit(*data, epochs=1, verbose=False)
    longer = Spikes.from_dense(np.random.default_rng(2).random((17, 9, N_IN)) < 0.3)
    oracle = Regression(quick_device, longer, data[1])
    np.testing.assert_allclose(found.predict(longer), oracle.probabilities(ALL), rtol=1e-12)
    oracle = Regression(quick_device, *data)
    np.testing.assert_allclose(found.predict(data[0]), oracle.probabilities(ALL), rtol=1e-12)


def test_spikes_by_name_of_their_source(quick_device, data):
    found = trainer()
    named = found.predict({"in": data[0]})
    np.testing.assert_array_equal(named, found.predict(data[0]))


def test_single_precision(monkeypatch, data):
    device = Device(CpuBackend(Precision.FLOAT32))
    monkeypatch.setattr(host, "get_device", lambda: device)
    oracle = Regression(device, *data)
    trainer().fit(*data, epochs=3, batch_size=5, shuffle=False, verbose=False)
    for _ in range(3):
        oracle.epoch(ALL, 5)
    assert device.values["net_w"].dtype == np.float32
    np.testing.assert_allclose(device.values["net_w"], oracle.w.ravel(), rtol=1e-3, atol=1e-4)


# Interruptions


class At(Callback):
    """Does something after one batch."""

    def __init__(self, epoch, batch, action):
        self.when, self.action, self.ended = (epoch, batch), action, 0

    def on_batch_end(self, trainer, batch, values):
        if (trainer.epoch + 1, batch) == self.when:
            self.action(trainer)

    def on_train_end(self, trainer, history):
        self.ended += 1


def press_ctrl_c(trainer):
    os.kill(os.getpid(), signal.SIGINT)


def overflow(trainer):
    trainer._engine.store.write("out_b", np.array([0.0, np.inf, 0.0]))  # as an update might


def raise_interrupt(trainer):
    raise KeyboardInterrupt


@pytest.mark.parametrize("press", [press_ctrl_c, raise_interrupt])
def test_ctrl_c_keeps_the_last_update(quick_device, data, caplog, press):
    oracle = Regression(quick_device, *data)
    callback = At(2, 3, press)
    before = signal.getsignal(signal.SIGINT)
    history = trainer().fit(
        *data, epochs=9, batch_size=5, shuffle=False, callbacks=[callback], verbose=False
    )
    oracle.epoch(ALL, 5)
    oracle.epoch(ALL[:15], 5)
    oracle.agrees_with(quick_device)
    assert len(history["loss"]) == 1
    assert callback.ended == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_callback_can_stop_the_training(quick_device, data):
    found = trainer()
    callback = At(2, 1, lambda trainer: setattr(trainer, "stop_training", True))
    history = found.fit(*data, epochs=9, batch_size=5, callbacks=[callback], verbose=False)
    assert len(history["loss"]) == found.epoch == 1
    assert len(found.fit(*data, epochs=2, verbose=False)["loss"]) == 2
    assert len(found.history["loss"]) == found.epoch == 3


def test_an_epoch_whose_last_batch_is_the_last_one_counts(quick_device, data):
    callback = At(1, 4, press_ctrl_c)
    history = trainer().fit(*data, 9, 5, data, callbacks=[callback], verbose=False)
    assert len(history["val_loss"]) == 1


def test_an_error_in_a_callback_loses_no_update(quick_device, data):
    oracle = Regression(quick_device, *data)
    with pytest.raises(ZeroDivisionError):
        trainer().fit(
            *data,
            epochs=1,
            batch_size=5,
            shuffle=False,
            verbose=False,
            callbacks=[At(1, 2, lambda trainer: 1 / 0)],
        )
    oracle.epoch(ALL[:10], 5)
    oracle.agrees_with(quick_device)


def test_a_non_finite_gradient_stops_before_the_update(quick_device, data):
    found = trainer()
    found.fit(*data, epochs=1, batch_size=5, shuffle=False, verbose=False)
    # Finite, but a sum of two is not, and infinity minus infinity is NaN.
    largest = np.full(N_IN * K, 1.5e308)
    quick_device.values["net_w"] = largest.copy()
    sentence = "epoch 2, batch 1: the gradient of 'net_w' is not finite. .* lower the learning"
    with pytest.raises(FloatingPointError, match=sentence):
        found.fit(*data, epochs=1, verbose=False)
    np.testing.assert_array_equal(quick_device.values["net_w"], largest)


@pytest.mark.parametrize(
    ("name", "value"), [("net_w", np.inf), ("net_w", np.nan), ("out_y", np.nan)]
)
def test_values_that_are_not_finite_before_the_training(quick_device, data, name, value):
    quick_device.values[name][1] = value
    with pytest.raises(
        ValueError, match=f"'{name}' holds values that are not finite, before any .*; set"
    ):
        trainer().fit(*data, verbose=False)


def test_parameters_that_overflow_go_back_to_the_epochs_start(quick_device, data):
    oracle = Regression(quick_device, *data)
    found = trainer()
    found.fit(*data, epochs=1, batch_size=5, shuffle=False, verbose=False)
    oracle.epoch(ALL, 5)
    sentence = "epoch 2, batch 3: the parameter 'out_b' is not finite. The parameters from before"
    with pytest.raises(FloatingPointError, match=sentence):
        found.fit(
            *data,
            epochs=5,
            batch_size=5,
            shuffle=False,
            verbose=False,
            callbacks=[At(2, 2, overflow)],
        )
    oracle.agrees_with(quick_device)
    found.fit(*data, epochs=1, batch_size=5, shuffle=False, verbose=False)
    oracle.epoch(ALL, 5)
    oracle.agrees_with(quick_device)  # the optimiser's state went back as well


# Checkpoints and callbacks in a training


@pytest.mark.parametrize("optimiser", [Adam, lambda: SGD(0.1, momentum=0.9)])
def test_a_cut_training_goes_on_as_if_it_had_not_been_cut(quick_device, data, tmp_path, optimiser):
    start = {name: values.copy() for name, values in quick_device.values.items()}
    whole = trainer(optimiser())
    whole.fit(*data, epochs=4, batch_size=5, verbose=False)
    expected = {name: values.copy() for name, values in quick_device.values.items()}

    quick_device.values = {name: values.copy() for name, values in start.items()}
    first = trainer(optimiser())
    first.fit(*data, epochs=2, batch_size=5, verbose=False)
    first.save(tmp_path / "half.npz")
    quick_device.values = {name: values.copy() for name, values in start.items()}
    second = trainer(optimiser(), seed=99)
    second.load(tmp_path / "half.npz")
    np.testing.assert_array_equal(quick_device.values["net_w"], first.parameter_values()["net_w"])
    second.fit(*data, epochs=2, batch_size=5, verbose=False)
    for name, values in expected.items():
        np.testing.assert_array_equal(quick_device.values[name], values)
    assert second.history == whole.history
    assert second.epoch == 4


def test_a_checkpoint_of_another_optimiser_changes_nothing(quick_device, data, tmp_path):
    trainer(SGD(0.1)).save(tmp_path / "sgd.npz")
    found = trainer()
    found.fit(*data, epochs=1, verbose=False)
    before = {name: np.copy(values) for name, values in quick_device.values.items()}
    with pytest.raises(CheckpointError, match=r"optimiser is SGD\(\) in the file but Adam\(\)"):
        found.load(tmp_path / "sgd.npz")
    assert found.epoch == 1
    for name, values in before.items():
        np.testing.assert_array_equal(quick_device.values[name], values)


def test_checkpoints_and_early_stopping_while_training(quick_device, data, tmp_path):
    found = trainer(SGD(0.0))  # nothing improves after the first epoch
    callbacks = [EarlyStopping("loss", patience=2), ModelCheckpoint(tmp_path / "{epoch}.npz")]
    history = found.fit(*data, epochs=9, shuffle=False, callbacks=callbacks, verbose=False)
    assert len(history["loss"]) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.npz", "2.npz", "3.npz"]
    other = trainer(SGD(0.0))
    other.load(tmp_path / "2.npz")
    assert other.epoch == len(other.history["loss"]) == 2


def test_the_best_parameters_are_put_back(quick_device, data):
    found = trainer(SGD(0.1))
    best = {}

    class Spoil(Callback):
        def on_epoch_end(self, trainer, epoch, values):
            if epoch == 2:
                best.update(trainer.parameter_values())
                trainer.optimiser.learning_rate = 50.0

    stopping = EarlyStopping("val_loss", patience=1, restore_best=True)
    found.fit(*data, 9, 5, data, callbacks=[Spoil(), stopping], verbose=False)
    assert stopping.best_epoch == 2
    for name, values in best.items():
        np.testing.assert_array_equal(quick_device.values[name], values)


def test_a_progress_bar_an_epoch(quick_device, data, capsys):
    trainer().fit(*data, epochs=2, batch_size=5)
    shown = capsys.readouterr().err
    assert "Epoch 1: 100%" in shown and "Epoch 2: 100%" in shown
    assert "4/4" in shown and "loss=" in shown and "accuracy=" in shown
    trainer().fit(*data, epochs=1, verbose=False)
    assert not capsys.readouterr().err


# Sentences


def test_another_device():
    with pytest.raises(RuntimeError, match=r"not on RuntimeDevice; call set_device\('eprop_cuda'"):
        trainer()


BAD_ARGUMENTS = [
    ({"parameters": [view("other_w")]}, ValueError, "parameter 'other_w' is not used by the netw"),
    ({"parameters": [view("out_y")]}, ValueError, "parameter 'out_y' changes in a run .*; train"),
    ({"parameters": [view("net_flag")]}, ValueError, "'net_flag' is no real number; only real"),
    ({"parameters": [view("net_w")] * 2}, ValueError, "'net_w' is there more than once; name it"),
    ({"parameters": []}, ValueError, "there are no parameters; give some"),
    ({"parameters": [3.0]}, TypeError, "parameter 3.0 is no variable of a group; give one as"),
    ({"parameters": [np.ones(3)]}, TypeError, "parameter of type ndarray is no variable of a gr"),
    ({"output": view("lost_y")}, ValueError, "output 'lost_y' is not used by the network; add"),
    ({"loss": "mse"}, TypeError, r"loss is 'mse'; give one, such as CrossEntropy\(\)"),
    ({"loss": CrossEntropy}, TypeError, r"loss is the class CrossEntropy; give one, such as"),
    ({"optimiser": "adam"}, TypeError, r"optimiser is 'adam'; give one, such as Adam\(1e-3\)"),
    ({"rule": [1]}, TypeError, r"rule is of type list; give one, such as EProp\(\)"),
]


@pytest.mark.parametrize(("change", "error", "sentence"), BAD_ARGUMENTS)
def test_bad_arguments(quick_device, change, error, sentence):
    with pytest.raises(error, match=sentence):
        trainer(**change)


BAD_CALLBACKS = [
    (EarlyStopping("loss"), "callbacks is of type EarlyStopping; give a list"),
    ([EarlyStopping], "holds the class EarlyStopping; give a list of such as EarlyStopping"),
]


@pytest.mark.parametrize(("callbacks", "sentence"), BAD_CALLBACKS)
def test_bad_callbacks(quick_device, data, callbacks, sentence):
    with pytest.raises(TypeError, match=sentence):
        trainer().fit(*data, callbacks=callbacks, verbose=False)


SPIKES = Spikes.from_dense(np.zeros((2, STEPS, N_IN)))
NARROW = Spikes.from_dense(np.zeros((2, STEPS, 4)))
BAD_DATA = [
    ((SPIKES, [0]), ValueError, "are 2 samples of spikes but 1 labels; give one label a sample"),
    ((SPIKES, [0, 3]), ValueError, "label 3 is no class of an output of 3 neurons"),
    ((SPIKES, [0, np.nan]), ValueError, "Label 1 is not a finite number. Remove"),
    ((NARROW, [0, 1]), ValueError, "'in' has 6 neurons but its spikes are of 4; give spikes of 6"),
    ((SPIKES[[]], []), ValueError, "have 0 samples of 5 steps; give at least one of each"),
    (({"out": SPIKES}, [0, 1]), ValueError, "given for out but the network's SpikeSources are in"),
    ((np.zeros((2, STEPS, N_IN)), [0, 1]), TypeError, "are of type ndarray; make them with brian2"),
    (({"in": 1}, [0, 1]), TypeError, "SpikeSource 'in' are of type int; make them with brian2epr"),
    ((SPIKES, [0, 1], 0), ValueError, "epochs is 0; give a positive whole number"),
    ((SPIKES, [0, 1], "5"), TypeError, "epochs is '5'; give a positive whole number"),
    ((SPIKES, [0, 1], 1, 0), ValueError, "batch_size is 0; give a positive whole number"),
    ((SPIKES, [0, 1], 1, 2.5), TypeError, "batch_size is 2.5; give a positive whole number"),
]


@pytest.mark.parametrize(("arguments", "error", "sentence"), BAD_DATA)
def test_bad_data(quick_device, arguments, error, sentence):
    before = np.copy(quick_device.values["net_w"])
    with pytest.raises(error, match=sentence):
        trainer().fit(*arguments, verbose=False)
    np.testing.assert_array_equal(quick_device.values["net_w"], before)


def test_a_window_outside_of_the_samples(quick_device, data):
    found = trainer(loss=CrossEntropy(window=(1 * ms * STEPS, 2 * ms * STEPS)))
    with pytest.raises(ValueError, match="contains no step of a trial of 5 steps"):
        found.fit(*data, verbose=False)


def test_targets_of_another_shape(quick_device):
    with pytest.raises(ValueError, match=r"targets of shape \(samples, 5, 3\)"):
        trainer(loss=MeanSquaredError()).fit(SPIKES, np.zeros((2, 4, 3)), verbose=False)


def test_a_batch_that_does_not_fit(quick_device, data, monkeypatch):
    found = trainer()
    expected = found.predict(data[0], batch_size=4)
    room_for_four = quick_device.backend.memory

    def memory(instances):
        if instances > 4:
            raise MemoryError
        return room_for_four(instances)

    monkeypatch.setattr(quick_device.backend, "memory", memory)
    with pytest.raises(
        MemoryError, match=r"of 17 samples of 5 steps does not fit .* 'cpu'; give a"
    ):
        found.fit(*data, verbose=False)
    np.testing.assert_array_equal(found.predict(data[0], batch_size=4), expected)


def test_a_memory_is_released_before_the_next_is_asked_for(quick_device, data, monkeypatch):
    found = trainer()
    make, made = quick_device.backend.memory, []

    def memory(instances):
        gc.collect()
        assert all(earlier() is None for earlier in made)
        new = make(instances)
        made.append(weakref.ref(new))
        return new

    monkeypatch.setattr(quick_device.backend, "memory", memory)
    for size in (4, 2, 3):
        found.predict(data[0][:size], batch_size=size)
    assert len(made) == 3


def test_a_batch_size_beyond_the_samples(quick_device, data):
    oracle = Regression(quick_device, *data)
    trainer().fit(*data, epochs=2, batch_size=10**15, shuffle=False, verbose=False)
    for _ in range(2):
        oracle.epoch(ALL, 17)
    oracle.agrees_with(quick_device)


def test_states_of_many_instances(quick_device, data):
    prediction = trainer().predict(data[0])
    quick_device.values["out_y"] = np.tile(quick_device.values["out_y"], (4, 1))
    np.testing.assert_array_equal(trainer().predict(data[0]), prediction)
    quick_device.values["out_y"][2, 1] += 1
    with pytest.raises(
        ValueError, match=r"'out_y' differs between the instances .*; set it to one"
    ):
        trainer().predict(data[0])


def test_setting_an_unknown_parameter(quick_device):
    with pytest.raises(ValueError, match="'out_y' is no parameter; choose of net_w, out_b"):
        trainer().set_parameter_values({"out_y": np.zeros(3)})
