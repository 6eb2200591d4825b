"""Learning rates by update and by parameter, and frozen parameters, against NumPy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, set_device

import brian2eprop as b2e

SPIKES = b2e.Spikes.from_dense(np.random.default_rng(1).random((5, 20, 4)) < 0.4)
PATHS = np.random.default_rng(3).normal(0, 3, (5, 20, 3))


class Case:
    """A hidden layer and an output with a bias; four parameters."""

    def __init__(
        self, optimiser: Any, backend: str = "cpu", precision: str = "float64", rule: Any = None,
        rates: Any = (), rec: float = 0.3,
    ) -> None:  # fmt: skip
        set_device("eprop_cuda", backend=backend, precision=precision)
        defaultclock.dt = 1 * ms
        source = b2e.SpikeSource(4, name="source")
        hidden = NeuronGroup(
            6, "dv/dt = (current - v)/(10*ms) : 1\ndcurrent/dt = -current/(5*ms) : 1",
            threshold="v > 1", reset="v = 0", method="exact", name="hidden",
        )  # fmt: skip
        out = NeuronGroup(
            3,
            "dy/dt = (b + x - y)/(15*ms) : 1\ndx/dt = -x/(5*ms) : 1\nb : 1",
            method="exact",
            name="readout",
        )
        w_in = Synapses(source, hidden, "w : 1", on_pre="current_post += w", name="w_in")
        w_rec = Synapses(hidden, hidden, "w : 1", on_pre="current_post += w", name="w_rec")
        w_out = Synapses(hidden, out, "w : 1", on_pre="x_post += w", name="w_out")
        for synapses, scale in ((w_in, 4.0), (w_rec, rec), (w_out, 0.5)):
            synapses.connect()
            rng = np.random.default_rng(len(synapses))
            synapses.w = scale * rng.normal(size=len(synapses)) + scale / 2
        self.views = {"w_in": w_in.w, "w_rec": w_rec.w, "w_out": w_out.w, "b": out.b}
        self.trainer = b2e.Trainer(
            Network(source, hidden, out, w_in, w_rec, w_out), output=out.y,
            loss=b2e.MeanSquaredError(), rule=rule or b2e.EProp(),
            parameters=list(self.views.values()), optimiser=optimiser, seed=1,
            learning_rates={self.views[name]: rate for name, rate in dict(rates).items()},
        )  # fmt: skip

    def fit(self, epochs: int = 1) -> None:
        self.trainer.fit(SPIKES, PATHS, epochs=epochs, batch_size=5, verbose=False)

    def values(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: np.array(view[:]) for name, view in self.views.items()}

    def gradients(self) -> dict[str, np.ndarray[Any, Any]]:
        found = self.trainer.gradients(SPIKES, PATHS)
        known = {"w_in_w": "w_in", "w_rec_w": "w_rec", "w_out_w": "w_out", "readout_b": "b"}
        return {known[name]: values for name, values in found.items()}


def test_schedules_are_those_of_keras() -> None:
    decay = b2e.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.9)
    stairs = b2e.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.9, staircase=True)
    for step in (0, 1, 99, 100, 250):
        assert decay(step) == pytest.approx(0.1 * 0.9 ** (step / 100), rel=1e-15)
        assert stairs(step) == pytest.approx(0.1 * 0.9 ** (step // 100), rel=1e-15)
    cosine = b2e.CosineDecay(0.1, 100, alpha=0.2)
    assert [cosine(k) for k in (0, 50, 100, 1000)] == pytest.approx([0.1, 0.06, 0.02, 0.02])
    assert cosine(25) == pytest.approx(0.1 * (0.8 * 0.5 * (1 + math.sqrt(0.5)) + 0.2), rel=1e-14)
    warm = b2e.CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=10)
    assert [warm(k) for k in (0, 5, 10, 60, 110)] == pytest.approx([0, 0.05, 0.1, 0.05, 0])
    pieces = b2e.PiecewiseConstantDecay([3, 5], [1.0, 0.5, 0.1])
    assert [pieces(k) for k in range(8)] == [1.0] * 4 + [0.5] * 2 + [0.1] * 2


@pytest.mark.parametrize("backend", ["cpu", "emulated", "reference"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rates_by_update_and_by_parameter(backend: str, precision: str) -> None:
    schedule = b2e.ExponentialDecay(0.05, 2, 0.25)
    rates = {"w_in": 0.02, "b": lambda step: 0.3 / (1 + step)}
    case = Case(b2e.SGD(schedule), backend, precision, rates=rates)
    for step in range(3):
        before, gradient = case.values(), case.gradients()
        case.fit()
        usual = 0.05 * 0.25 ** (step / 2)
        wanted = {"w_in": 0.02, "w_rec": usual, "w_out": usual, "b": 0.3 / (1 + step)}
        for name, found in case.values().items():
            moved = before[name] - wanted[name] * gradient[name]
            tolerance = 1e-12 if precision == "float64" else 3e-6
            np.testing.assert_allclose(found, moved, rtol=tolerance, atol=tolerance)
            assert np.abs(moved - before[name]).max() > 1e-4


@pytest.mark.parametrize("optimiser", [b2e.Adam, b2e.AdamW])
def test_a_rate_of_its_own_is_that_of_an_optimiser_with_it(optimiser: Any) -> None:
    """Adam's updates are apart for each parameter, so the first one tells them all."""
    one, other, both = (
        Case(optimiser(rate), rates=rates)
        for rate, rates in ((0.1, {}), (0.01, {}), (0.1, {"w_rec": 0.01, "b": 0.01}))
    )
    for case in (one, other, both):
        case.fit()
    for name, found in both.values().items():
        like = other if name in ("w_rec", "b") else one
        np.testing.assert_array_equal(found, like.values()[name])


@pytest.mark.parametrize(
    "rule",
    [
        b2e.EProp(),
        b2e.EProp(feedback="random"),
        b2e.EProp(form="forward"),
        b2e.SurrogateBPTT(),
        b2e.EventProp(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("names", [("w_in",), ("w_out",), ("w_rec", "w_out", "b")], ids=str)
def test_frozen_parameters_stay(rule: Any, names: tuple[str, ...]) -> None:
    case, free = Case(b2e.Adam(0.05), rule=rule), Case(b2e.Adam(0.05), rule=rule)
    case.fit()
    free.fit()
    before, whole = case.values(), case.gradients()
    case.trainer.freeze(*(case.views[name] for name in names))
    gradients = case.gradients()
    assert set(gradients) == set(whole) - set(names)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, whole[name], rtol=1e-11, atol=1e-13)
    case.fit()
    free.fit()
    moved = free.values()
    for name, found in case.values().items():
        if name in names:
            np.testing.assert_array_equal(found, before[name])
        else:
            np.testing.assert_allclose(found, moved[name], rtol=1e-9)
            assert np.abs(found - before[name]).max() > 1e-3


@pytest.mark.parametrize("backend", ["cpu", "emulated", "reference"])
def test_frozen_parameters_keep_their_moments(backend: str) -> None:
    """With a gradient that does not depend on the parameters, Adam in NumPy."""
    case = Case(b2e.SGD(0.1, momentum=0.9), backend, rec=0.0)
    start, first = case.values()["b"], case.gradients()["b"]
    case.fit()
    once = case.values()["b"]
    np.testing.assert_allclose(once, start - 0.1 * first, rtol=1e-12)
    case.trainer.freeze(case.views["b"])
    assert case.trainer.frozen == ("readout_b",)
    case.fit(2)
    np.testing.assert_array_equal(case.values()["b"], once)
    case.trainer.unfreeze(case.views["b"])
    assert case.trainer.frozen == ()
    later = case.gradients()["b"]
    case.fit()
    wanted = start - 0.1 * first + (0.9 * -0.1 * first - 0.1 * later)
    np.testing.assert_allclose(case.values()["b"], wanted, rtol=1e-11)


def test_the_norm_of_all_gradients_does_not_count_frozen_ones() -> None:
    case = Case(b2e.SGD(1.0, global_clipnorm=1e-3))
    case.trainer.freeze(case.views["w_in"], case.views["b"])
    before = case.values()
    case.fit()
    moved = np.concatenate([case.values()[name] - before[name] for name in before])
    assert np.linalg.norm(moved) == pytest.approx(1e-3, rel=1e-9)


def test_a_checkpoint_goes_on_with_schedules_and_what_is_frozen(tmp_path: Path) -> None:
    made = b2e.CosineDecay(0.1, 6, alpha=0.1)
    rates = {"w_in": b2e.PiecewiseConstantDecay([1, 3], [0.1, 0.2, 0.01])}
    whole = Case(b2e.Adam(made), rates=rates)
    first = Case(b2e.Adam(made), rates=rates)
    second = Case(b2e.Adam(0.5), rates=rates)
    for case in (whole, first):
        case.fit()
        case.trainer.freeze(case.views["w_out"])
        case.fit()
    first.trainer.save(tmp_path / "file.npz")
    second.trainer.load(tmp_path / "file.npz")
    assert second.trainer.optimiser.learning_rate == made
    assert second.trainer.frozen == ("w_out_w",)
    whole.fit(3)
    second.fit(3)
    for name, found in second.values().items():
        np.testing.assert_array_equal(found, whole.values()[name])
    with pytest.raises(b2e.CheckpointError, match=r"learning_rates\.w_in\.w is"):
        Case(b2e.Adam(made), rates={"w_in": 0.1}).trainer.load(tmp_path / "file.npz")


def halved(step: int) -> float:
    return 0.1 / 2**step


def test_a_function_must_be_there_again(tmp_path: Path) -> None:
    case = Case(b2e.SGD(halved))
    case.fit()
    case.trainer.save(tmp_path / "file.npz")
    same = Case(b2e.SGD(halved))
    same.trainer.load(tmp_path / "file.npz")
    assert same.trainer.optimiser.learning_rate is halved
    with pytest.raises(
        b2e.CheckpointError, match=r"learning_rate is halved\(\) in the file but 0\."
    ):
        Case(b2e.SGD(0.1)).trainer.load(tmp_path / "file.npz")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: b2e.ExponentialDecay(-1, 10, 0.5), "initial_learning_rate is -1; give a finite"),
        (lambda: b2e.ExponentialDecay(1, 0, 0.5), "decay_steps is 0; give a finite number, not be"),
        (lambda: b2e.CosineDecay(1, 10, warmup_steps=5), "warmup_steps is 5; give both or none"),
        (lambda: b2e.CosineDecay(1, math.nan), "decay_steps is nan"),
        (lambda: b2e.PiecewiseConstantDecay([2, 1], [1, 2, 3]), "give ascending numbers"),
        (lambda: b2e.PiecewiseConstantDecay([1], [1]), "give ascending numbers of updates, and"),
        (lambda: b2e.PiecewiseConstantDecay(1, [1]), "the boundaries are 1 and the values"),
        (lambda: b2e.Adam("fast"), "learning_rate is 'fast'; give a finite number"),
        (lambda: b2e.Adam(b2e.CosineDecay), "learning_rate is <class"),
    ],
)
def test_what_is_no_schedule_is_refused(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_schedule_that_gives_nonsense() -> None:
    case = Case(b2e.SGD(lambda step: -1.0))
    before = case.values()
    with pytest.raises(ValueError, match=r"gives -1\.0 for update 0; let it give finite numbers"):
        case.fit()
    np.testing.assert_array_equal(case.values()["w_in"], before["w_in"])


def test_sentences() -> None:
    case = Case(b2e.SGD(b2e.CosineDecay(0.1, 10)))
    trainer, views = case.trainer, case.views
    with pytest.raises(ValueError, match="with all of its parameters frozen"):
        trainer.freeze(*views.values())
    with pytest.raises(ValueError, match=r"'hidden\.v' is not among the parameters"):
        trainer.freeze(views["w_in"].group.target.v)
    with pytest.raises(TypeError, match="no variable of a group"):
        trainer.freeze("w_in")
    with pytest.raises(ValueError, match="the optimiser has a schedule already"):
        trainer.fit(SPIKES, PATHS, callbacks=[b2e.LearningRateSchedule(halved)], verbose=False)
    with pytest.raises(ValueError, match=r"the learning rate of 'w_in\.w' is -1; give a finite"):
        Case(b2e.SGD(), rates={"w_in": -1})

    class Freezes(b2e.Callback):
        def on_epoch_begin(self, trainer: Any, epoch: int) -> None:
            trainer.freeze(views["w_in"])

    with pytest.raises(RuntimeError, match="within fit no parameter can be frozen"):
        trainer.fit(SPIKES, PATHS, callbacks=[Freezes()], verbose=False)
