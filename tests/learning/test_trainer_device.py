"""The Trainer on the real device, against the same network run by Brian2's own runtime."""

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
    set_device,
    start_scope,
)

from brian2eprop.device.source import SpikeSource
from brian2eprop.learning.objective.losses import CrossEntropy
from brian2eprop.learning.rules.eprop import EProp
from brian2eprop.learning.training.callbacks import Callback
from brian2eprop.learning.training.optimisers import Adam
from brian2eprop.learning.training.trainer import Trainer
from brian2eprop.spikes import Spikes

N_IN, N_HIDDEN, N_OUT, STEPS = 12, 15, 2, 25
PARAMETERS = ("w_in.w", "w_rec.w", "w_out.w", "readout.b")


class Model:
    """A small recurrent network; the synapses lie in no order."""

    def __init__(self, inputs):
        namespace = {"tau_m": 15 * ms, "tau_out": 20 * ms, "ms": ms}
        self.hidden = NeuronGroup(
            N_HIDDEN,
            "dv/dt = -v/tau_m : 1 (unless refractory)",
            threshold="v > 1",
            reset="v -= 1",
            refractory=3 * ms,
            method="exact",
            namespace=namespace,
            name="hidden",
        )
        self.readout = NeuronGroup(
            N_OUT,
            "dy/dt = (b - y)/tau_out : 1\nb : 1",
            method="exact",
            namespace=namespace,
            name="readout",
        )
        self.rng = np.random.default_rng(8)
        self.w_in = self.synapses(inputs, self.hidden, "v", "w_in", 0.7)
        self.w_rec = self.synapses(self.hidden, self.hidden, "v", "w_rec", 0.2)
        self.w_out = self.synapses(self.hidden, self.readout, "y", "w_out", 0.3)
        self.hidden.v = "0.9*i/N"
        self.network = Network(inputs, self.hidden, self.readout, self.w_in, self.w_rec, self.w_out)

    def synapses(self, source, target, variable, name, scale):
        found = Synapses(source, target, "w : 1", on_pre=f"{variable}_post += w", name=name)
        pairs = np.argwhere(self.rng.random((len(source), len(target))) < 0.6)
        i, j = self.rng.permutation(pairs).T
        found.connect(i=i, j=j)
        found.w = self.rng.normal(0.1, scale, len(i))
        return found

    def variables(self):
        for name in PARAMETERS:
            group, variable = name.split(".")
            yield name, getattr(self, group), variable

    def values(self):
        return {name: np.array(getattr(g, v)[:]) for name, g, v in self.variables()}

    def set_values(self, values):
        for name, group, variable in self.variables():
            getattr(group, variable)[:] = values[name]


def in_runtime(values, spikes):
    """Mean softmax of the readout for each sample, by Brian2's runtime."""
    set_device("runtime")
    found = []
    for sample in range(len(spikes)):
        start_scope()
        step, neuron = np.nonzero(spikes[sample].to_dense()[0])
        inputs = SpikeGeneratorGroup(N_IN, neuron, step * ms, name="inputs")
        model = Model(inputs)
        model.set_values(values)
        monitor = StateMonitor(model.readout, "y", record=True)
        model.network.add(monitor)
        model.network.run((STEPS + 1) * ms)
        power = np.exp(monitor.y[:, 1:])  # a monitor records at the start of a step
        found.append((power / power.sum(axis=0)).mean(axis=1))
    return np.array(found)


def make_trainer(model, **options):
    return Trainer(
        model.network,
        output=model.readout.y,
        loss=CrossEntropy(),
        rule=EProp(),
        parameters=[getattr(group, variable) for _, group, variable in model.variables()],
        optimiser=Adam(0.01),
        seed=2,
        **options,
    )


@pytest.fixture
def data():
    rng = np.random.default_rng(4)
    labels = rng.integers(N_OUT, size=30)
    chance = np.where(np.arange(N_IN) % N_OUT == labels[:, None], 0.3, 0.1)
    return Spikes.from_dense(rng.random((30, STEPS, N_IN)) < chance[:, None]), labels


@pytest.mark.parametrize("batch_size", [None, 4])
def test_training_reaches_the_networks_own_variables(data, batch_size):
    spikes, labels = data
    set_device("eprop_cuda", backend="cpu", precision="float64", batch_size=batch_size)
    model = Model(SpikeSource(N_IN, name="inputs"))
    trainer = make_trainer(model)
    start = model.values()
    untrained = trainer.predict(spikes[:3])
    history = trainer.fit(spikes, labels, 15, 8, validation_data=data, verbose=False)
    trained = trainer.predict(spikes[:3])
    values = model.values()
    assert history["accuracy"][-1] > 0.9 > history["accuracy"][0]
    assert history["loss"][-1] < history["loss"][0] / 2
    # What was written to the network, in Brian2's order, is what the last epoch ended with.
    assert trainer.evaluate(*data).loss == pytest.approx(history["val_loss"][-1], rel=1e-12)
    for name, before in start.items():
        assert not np.array_equal(values[name], before)
    np.testing.assert_allclose(untrained, in_runtime(start, spikes[:3]), rtol=1e-9)
    np.testing.assert_allclose(trained, in_runtime(values, spikes[:3]), rtol=1e-9)


def test_training_is_the_same_beside_runs_by_a_team(data):
    """A layout is for runs: each worker trains instances of its own."""
    spikes, labels = data
    found = []
    for layout in ("per_instance", "team"):
        set_device("eprop_cuda", backend="cpu", precision="float64", layout=layout)
        model = Model(SpikeSource(N_IN, spikes[:1], name="inputs"))
        model.network.run(10 * ms, namespace={})
        trainer = make_trainer(model)
        trainer.fit(spikes, labels, 2, 8, verbose=False)
        model.network.run(10 * ms, namespace={})
        found.append({**model.values(), "v": np.array(model.hidden.v[:])})
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-12, atol=1e-15, err_msg=name)


def test_training_starts_where_the_network_was(data):
    """Spikes of an earlier run keep neurons refractory at the start of every sample."""
    spikes, _ = data
    set_device("eprop_cuda", backend="cpu", precision="float64")
    before = Spikes.from_dense(np.ones((1, 10, N_IN)))
    model = Model(SpikeSource(N_IN, before, name="inputs"))
    model.network.run(10 * ms, namespace={})
    trainer = make_trainer(model)
    inside = trainer.predict(spikes[:1])
    model.network.run(10 * ms, namespace={})
    np.testing.assert_array_equal(trainer.predict(spikes[:1]), inside)
    shifted = np.concatenate([np.ones((1, 10, N_IN), bool), spikes[:1].to_dense()], axis=1)
    values = model.values()
    set_device("runtime")
    start_scope()
    step, neuron = np.nonzero(shifted[0])
    again = Model(SpikeGeneratorGroup(N_IN, neuron, step * ms, name="inputs"))
    again.set_values(values)
    monitor = StateMonitor(again.readout, "y", record=True)
    again.network.add(monitor)
    again.network.run((10 + STEPS + 1) * ms)
    power = np.exp(monitor.y[:, 11:])
    np.testing.assert_allclose(inside[0], (power / power.sum(axis=0)).mean(axis=1), rtol=1e-9)


def test_a_wrong_device():
    model = Model(SpikeGeneratorGroup(N_IN, [], [] * ms, name="inputs"))
    with pytest.raises(RuntimeError, match=r"not on RuntimeDevice; call set_device\('eprop_cuda'"):
        make_trainer(model)


def test_states_that_differ_between_instances():
    set_device("eprop_cuda", backend="cpu", batch_size=3)
    model = Model(SpikeSource(N_IN, name="inputs"))
    model.hidden.v = np.arange(3.0)[:, None] * np.ones(N_HIDDEN)
    with pytest.raises(ValueError, match=r"'hidden\.v' differs between the instances of the batch"):
        make_trainer(model)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda: set_device("runtime"), "Brian2's device"),
        (
            lambda: set_device("eprop_cuda", backend="reference", precision="float64"),
            "the backend, then 'cpu',",
        ),
        (
            lambda: set_device("eprop_cuda", backend="cpu", precision="float32"),
            "the precision, then float64,",
        ),
        (lambda: setattr(defaultclock, "dt", 0.5 * ms), "the network's dt"),
    ],
)
def test_a_trainer_does_not_go_on_with_settings_that_have_changed(change, what):
    set_device("eprop_cuda", backend="cpu", precision="float64")
    model = Model(SpikeSource(N_IN, name="inputs"))
    trainer = make_trainer(model)
    change()
    with pytest.raises(ValueError) as caught:
        trainer.parameter_values()
    assert str(caught.value) == (
        f"Trainer: {what} has been changed since the Trainer was made; make a new Trainer, or "
        "change it back."
    )


def _inactive(found):
    found.active = False


CHANGES = {
    "w_rec_pre": lambda model: setattr(model.w_rec, "delay", 2 * ms),
    "w_in_pre": lambda model: _inactive(model.w_in),
    "hidden_stateupdater": lambda model: model.hidden.namespace.update(tau_m=14 * ms),
    "readout_stateupdater": lambda model: _inactive(model.readout.state_updater),
    "hidden_spike_resetter": lambda model: _inactive(model.hidden.resetter["spike"]),
    "hidden_spike_thresholder": lambda model: (
        model.hidden.events.update(spike="v > 1.1")
        or setattr(model.hidden.thresholder["spike"], "abstract_code", "_cond = v > 1.1")
    ),
    "more_stateupdater": lambda model: model.network.add(
        NeuronGroup(1, "dx/dt = -x/ms : 1", method="exact", name="more", namespace={"ms": ms})
    ),
    "w_out_pre": lambda model: model.network.remove(model.w_out),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("call", ["fit", "evaluate"])
def test_a_trainer_does_not_go_on_with_a_network_that_has_changed(data, what, call):
    spikes, labels = data
    set_device("eprop_cuda", backend="reference", precision="float64")
    model = Model(SpikeSource(N_IN, name="inputs"))
    trainer = make_trainer(model)
    CHANGES[what](model)
    before = model.values()
    with pytest.raises(ValueError, match=rf"'{what}' is not what it was when the Trainer was mad"):
        getattr(trainer, call)(spikes, labels)
    for name, values in model.values().items():
        np.testing.assert_array_equal(values, before[name])


class Told(Callback):
    """Is told of batches."""

    def on_batch_end(self, trainer, batch, values):
        """Does nothing."""


@pytest.mark.parametrize(("callbacks", "updates"), [([], 3), ([Callback()], 3), ([Told()], 1)])
def test_a_network_is_looked_at_where_somebody_was_told(data, callbacks, updates):
    """What changes it unseen in the middle of an epoch is refused at its end, else at once."""
    spikes, labels = data[0][:3], data[1][:3]
    set_device("eprop_cuda", backend="reference", precision="float64")
    model = Model(SpikeSource(N_IN, name="inputs"))
    seen = []

    def rate(update):
        seen.append(update)
        CHANGES["w_rec_pre"](model)
        return 1e-3

    trainer = make_trainer(model)
    trainer.optimiser.learning_rate = rate
    with pytest.raises(ValueError, match="'w_rec_pre' is not what it was"):
        trainer.fit(spikes, labels, batch_size=1, callbacks=callbacks, verbose=False)
    assert len(seen) == updates


def test_a_trainer_goes_on_after_what_changes_nothing(data):
    spikes, labels = data
    set_device("eprop_cuda", backend="reference", precision="float64")
    inputs = SpikeSource(N_IN, Spikes.from_dense(np.ones((1, STEPS, N_IN), bool)), name="inputs")
    model = Model(inputs)
    trainer = make_trainer(model)
    for _ in range(2):
        model.w_in.w = 0.1
        model.network.run(2 * ms)
        trainer.evaluate(spikes, labels)
        delay = model.w_rec.delay
        model.w_rec.delay = 5 * ms
        model.w_rec.delay = 0 * ms
        trainer.evaluate(spikes, labels)
    assert delay[:].sum() == 0


def test_a_threshold_that_is_never_reached():
    """Brian2 takes an infinite constant, and so does a training."""
    set_device("eprop_cuda", backend="cpu", precision="float64")
    never = float("inf")
    group = NeuronGroup(
        2,
        "dv/dt = 1/ms : 1",
        threshold="v > never",
        reset="v = 0",
        namespace={"never": never},
        method="euler",
    )
    Network(group).run(3 * ms)
    np.testing.assert_allclose(group.v[:], 3)
