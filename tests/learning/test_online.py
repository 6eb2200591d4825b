"""E-prop's forward form with updates within a sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e
from tests.learning.test_chunked_form import check_same
from tests.learning.test_forward_mode import N_HIDDEN, N_IN, N_OUT, Case, Way, trainer_of
from tests.oracles import online

STEPS, RATE = 20, 0.05

# What the second batch begins with has been through some ten updates, each of some thousand
# operations, relative to the largest change.
TOLERANCE = 1e-9

GIVEN = np.random.default_rng(5).normal(0, 1, (N_HIDDEN, N_OUT))

# Models, after how many steps there is an update, and the feedback.
CASES: dict[str, tuple[Case, int, Any]] = {
    "every step": (Case(), 1, None),
    "delays": (Case("driven adaptation", delays=(1, 2, 3), seed=2), 7, None),
    "given feedback": (
        Case("rational", adds=("w*w", "0.5*w + w*w", "w*g_pre"), width=0.7, seed=4),
        6,
        GIVEN,
    ),
    "once": (
        Case("shunted", "v/th > 1 + 0.2*a", "v *= 0.2; a += 1 + 0.1*v", density=0.6),
        STEPS,
        None,
    ),
}


def batch(seed: int, n: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.random((n, STEPS, N_IN)) < 0.4, rng.normal(0, 1, (n, STEPS, N_OUT))


def learner(
    case: Case, backend: str, every: int | None, feedback: Any = None, **further: Any
) -> b2e.Trainer:
    kind = "symmetric" if feedback is None else {"s_out": feedback}
    way = Way(lambda surrogate: b2e.EProp(kind, surrogate, form="forward", update_every=every))
    options = {"optimiser": b2e.SGD(RATE), **further}
    return trainer_of(case, case.network(), way, backend, **options)


def check_trained(trainer: b2e.Trainer, expected: dict[str, Any], before: Any) -> None:
    """The parameters are those, and have changed by much more than rounding."""
    found = trainer.parameter_values().values()
    pairs = zip(expected.values(), before.values(), strict=True)
    changes = [np.abs(new - old).max() for new, old in pairs]
    assert changes[0] > 1e-5
    for (name, reference), values in zip(expected.items(), found, strict=True):
        assert np.abs(values - reference).max() < TOLERANCE * max(changes), name


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("on", ["reference", "cpu"])
def test_parameters_change_within_a_sample(case: str, on: str) -> None:
    """Two batches, by forward differentiation with parameters that change on the way."""
    model, every, feedback = CASES[case]
    trainer = learner(model, on, every, feedback)
    net = model.network()
    for seed in (1, 2):
        before = trainer.parameter_values()
        sent, target = batch(seed)
        expected = online.online(net, sent, target, every, RATE, feedback)
        trainer.fit(b2e.Spikes.from_dense(sent), target, verbose=False)
        check_trained(trainer, expected, before)
        paths = {
            name: replace(getattr(net, name), weights=expected[name])
            for name in ("s_in", "s_rec", "s_out")
        }
        net = replace(net, **paths, own={name: expected[name] for name in net.own})


@pytest.mark.parametrize("lengths", [[17, 5, 12], [STEPS, 1, STEPS]])
def test_samples_end_where_they_do_and_rates_so_far_are_regularised(
    lengths: list[int], backend: str
) -> None:
    """There is no update after the longest sample's end."""
    model, every, _ = CASES["delays"]
    pull = b2e.FiringRate(20 * Hz, 3.0)
    trainer = learner(model, backend, every, regularisers=[pull])
    before, (sent, target) = trainer.parameter_values(), batch(3)
    expected = online.online(model.network(), sent, target, every, RATE, None, lengths, (3.0, 0.02))
    trainer.fit(b2e.Spikes.from_dense(sent), target, lengths=lengths, verbose=False)
    check_trained(trainer, expected, before)
    assert trainer._engine.iteration == -(-max(lengths) // every)


def test_what_does_not_count_brings_no_update() -> None:
    """An optimiser with momentum would go on without a gradient."""
    loss = {"loss": b2e.MeanSquaredError(window=(8 * ms, 13 * ms))}
    trainer = learner(Case(), "reference", 4, **loss)
    sent, target = batch(4)
    samples = b2e.Spikes.from_dense(sent)
    trainer.fit(samples, target, verbose=False)
    assert trainer._engine.iteration == 2  # of steps 8 to 11 and 12 to 15
    pulled = learner(Case(), "reference", 4, **loss, regularisers=[b2e.FiringRate()])
    pulled.fit(samples, target, verbose=False)
    assert pulled._engine.iteration == 5


def test_steps_count_where_any_output_is_judged() -> None:
    set_device("eprop_cuda", backend="reference", precision="float64")
    defaultclock.dt = 1 * ms
    inputs = b2e.SpikeSource(2, name="inputs")
    readouts = [
        NeuronGroup(1, "dy/dt = -y/(10*ms) : 1", method="exact", name=name) for name in ("a", "b")
    ]
    made = [Synapses(inputs, readout, "w : 1", on_pre="y_post += w") for readout in readouts]
    for synapses in made:
        synapses.connect()
        synapses.w = 0.5
    windows = (0 * ms, 4 * ms), (8 * ms, 13 * ms)
    trainer = b2e.Trainer(
        Network(inputs, *readouts, *made),
        output=[readout.y for readout in readouts],
        loss=[b2e.MeanSquaredError(window=window) for window in windows],
        rule=b2e.EProp(form="forward", update_every=4),
        parameters=[synapses.w for synapses in made],
        optimiser=b2e.SGD(0.1),
    )
    spikes, target = b2e.Spikes.from_dense(np.ones((1, STEPS, 2), bool)), np.zeros((1, STEPS, 1))
    trainer.fit(spikes, [target, target], verbose=False)
    assert trainer._engine.iteration == 3  # of steps 0 to 3, 8 to 11 and 12 to 15


def test_the_parts_of_a_sample_add_up_to_its_gradient() -> None:
    """Without an update between them, and where there is one at the end alone."""
    sent, target = batch(5)
    samples, found = b2e.Spikes.from_dense(sent), []
    for every in (None, 3, STEPS, 100):
        trainer = learner(CASES["delays"][0], "cpu", every, optimiser=b2e.Adam(clipnorm=0.1))
        gradients = trainer.gradients(samples, target)
        if every != 3:
            trainer.fit(samples, target, verbose=False)
            found.append((gradients, trainer.parameter_values(), trainer.evaluate(samples, target)))
        check_same(gradients, found[0][0], 1e-12)
    for _, values, metrics in found[1:]:
        check_same(values, found[0][1], 1e-12)
        assert metrics.loss == pytest.approx(found[0][2].loss, rel=1e-12)


def test_the_history_has_each_sample_once() -> None:
    """Its loss is that of all its steps, each at the parameters of its time."""
    sent, target = batch(6)
    samples = b2e.Spikes.from_dense(sent)
    trainer = learner(Case(), "cpu", 3, optimiser=b2e.SGD(1e-14))
    expected = trainer.evaluate(samples, target)
    history = trainer.fit(samples, target, verbose=False)
    assert history["loss"] == pytest.approx([expected.loss], rel=1e-10)
    assert history["rates"] == [dict(expected.rates)]


def test_every_update_counts_for_schedules() -> None:
    seen = []

    def rate(update: int) -> float:
        seen.append(update)
        return RATE

    trainer = learner(CASES["delays"][0], "cpu", 6, optimiser=b2e.SGD(rate, momentum=0.5))
    sent, target = batch(7)
    trainer.fit(b2e.Spikes.from_dense(sent), target, epochs=2, verbose=False)
    assert sorted(set(seen)) == list(range(8))
    assert trainer._engine.iteration == 8


@pytest.mark.parametrize("optimiser", [b2e.Adam(1e-2), b2e.SGD(RATE, momentum=0.9)])
def test_a_training_goes_on_with_the_next_batch(optimiser: Any, tmp_path: Path) -> None:
    """Every bit is that of a training that was not cut."""

    class Save(b2e.Callback):
        def on_batch_end(self, trainer: Any, batch: int, values: Any) -> None:
            if batch == 2:
                trainer.save(tmp_path / "middle.npz")

    sent, target = batch(8, 6)
    samples = b2e.Spikes.from_dense(sent)
    found = []
    for cut in (False, True):
        trainer = learner(CASES["delays"][0], "cpu", 6, optimiser=optimiser)
        if cut:
            trainer.load(tmp_path / "middle.npz")
        calls = [] if cut else [Save()]
        trainer.fit(samples, target, batch_size=2, callbacks=calls, verbose=False)
        found.append(trainer.parameter_values())
    for name, values in found[0].items():
        assert np.array_equal(values, found[1][name]), name


def test_it_ends_before_an_update_that_cannot_be_made() -> None:
    trainer = learner(Case(), "cpu", 6, optimiser=b2e.SGD(1e200))
    sent, target = batch(9)
    with pytest.raises(FloatingPointError, match="Training stopped in epoch 1, batch 1: "):
        trainer.fit(b2e.Spikes.from_dense(sent), target, verbose=False)
    for name, values in trainer.parameter_values().items():
        assert np.isfinite(values).all(), name


@pytest.mark.parametrize("form", ["adjoint", "chunked", "auto"])
def test_only_the_forward_form_knows_gradients_early(form: Any) -> None:
    with pytest.raises(ValueError) as caught:
        b2e.EProp(form=form, update_every=10)
    assert str(caught.value) == (
        f"EProp's update_every is given with form='{form}', but only the forward form knows "
        "gradients before a sample is over. Use form='forward'."
    )


@pytest.mark.parametrize("every", [0, -1, 2.5, True, "all"])
def test_updates_are_whole_numbers_of_steps_apart(every: Any) -> None:
    with pytest.raises(ValueError) as caught:
        b2e.EProp(form="forward", update_every=every)
    assert str(caught.value) == f"EProp's update_every is {every!r}. Give a whole number from 1 up."
