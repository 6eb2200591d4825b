"""RigL: gradients of places without a synapse, and the synapses that are formed by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import brian2eprop as b2e
from brian2eprop.device.backends.cuda import CudaBackend
from brian2eprop.device.program import Precision
from brian2eprop.learning.training.rewiring import RewiredInTraining
from tests.device.fake_cupy import installed
from tests.learning.test_gradients import labels_of, random_spikes, relative, trainer_of
from tests.learning.test_trained_rewiring import MATRIX, Model, N, fitted, refused, samples
from tests.oracles.eprop_in_brian2 import gradients as oracle
from tests.oracles.test_eprop_in_brian2 import CASES
from tests.samples import sampled

Values = npt.NDArray[Any]
LEARNING: dict[str, Callable[[], Any]] = {
    "adjoint": lambda: b2e.EProp(form="adjoint"),
    "chunked": lambda: b2e.EProp(form="chunked", chunk=7),
    "bptt": lambda: b2e.SurrogateBPTT(),
    "eventprop": lambda: b2e.EventProp(),
}
ALWAYS = b2e.RigL(0.3, every=1, allowed="i != j")


def of_places(trainer: b2e.Trainer, spikes: b2e.Spikes, labels: Any) -> Values:
    """The gradient of every place of the recurrent matrix, in a batch that asks for it."""
    session = trainer._engine.training
    advance = session.advance
    session.advance = lambda batch, steps: advance(batch, steps, True)  # type: ignore[method-assign]
    try:
        trainer.gradients(spikes, labels)
    finally:
        del session.advance  # type: ignore[method-assign]
    store = trainer._engine.store
    found = store.read("w_rec:rewire:gradient")
    store.write("w_rec:rewire:gradient", 0)
    return found


@pytest.mark.parametrize(
    ("backend", "precision", "learning", "more"),
    [
        *(("cpu", "float64", learning, {}) for learning in LEARNING),
        ("cpu", "float32", "bptt", {"late": 3}),
        ("cpu", "float64", "eventprop", {"late": 2}),
        ("cpu", "float64", "bptt", {"acts": "v_post += w*(2 - x_post) + 0.01*w**2"}),
        ("reference", "float32", "adjoint", {"late": 2}),
        ("reference", "float64", "eventprop", {}),
        ("emulated", "float64", "chunked", {"late": 2}),
        ("emulated", "float32", "bptt", {}),
    ],
)
def test_places_have_the_gradients_of_synapses_of_weight_zero(
    backend: str, precision: str, learning: str, more: dict[str, Any]
) -> None:
    options = {"backend": backend, "precision": precision, "current": learning == "eventprop"}
    model = Model(**options, **more)
    found = of_places(model.trainer(ALWAYS, LEARNING[learning]()), *samples())
    dense = Model(**options, **more, matrix=np.ones((N, N), bool))
    trainer = dense.trainer(None, LEARNING[learning](), rewiring={})
    wanted = trainer.gradients(*samples())["w_rec_w"]
    assert np.count_nonzero(wanted) > 40
    tolerance = 1e-11 if precision == "float64" else 1e-4
    difference = np.abs(found - wanted)
    # What is not linear in the weight has another slope where that is not zero.
    empty = ~MATRIX.ravel() if "acts" in more else slice(None)
    assert difference[empty].max() < tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("form", ["adjoint", "chunked"])
@pytest.mark.parametrize("case", ["current", "delays", "rates"])
def test_places_have_the_gradients_of_brian2_equations(case: str, form: str) -> None:
    """E-prop as plain Brian2 equations, of a network that is dense."""
    model, goal = CASES[case]
    exists = model.w_rec.mask & (np.random.default_rng(1).random(model.w_rec.mask.shape) < 0.5)
    weights = np.where(exists, model.w_rec.weights, 0)
    sparse = replace(model, w_rec=replace(model.w_rec, weights=weights, exists=exists))
    dense = replace(model, w_rec=replace(model.w_rec, weights=weights, exists=None))
    sent = random_spikes(3)
    trainer = trainer_of(sparse, goal, form, "cpu", "float64", rewiring=b2e.RigL())
    found = of_places(trainer, b2e.Spikes.from_dense(sent), labels_of(goal))
    wanted = oracle(dense, sent[0], goal).w_rec
    assert relative(found, wanted.ravel()) < 1e-10


@pytest.mark.parametrize("backend", sampled(["cpu", "reference"], "cpu".__eq__))
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_synapses_are_formed_where_gradients_are_greatest(backend: str, precision: str) -> None:
    """Each update beside a plain one: who goes, who comes, and what they weigh."""
    model = Model(backend, precision=precision)
    rule = b2e.RigL(b2e.CosineDecay(0.5, 6), every=2, allowed="i != j")
    trainer = model.trainer(rule, optimiser=b2e.SGD(0.05))
    spikes, labels = samples()
    everything = np.arange(N * N)
    allowed = everything // N != everything % N
    churn = []
    for step in range(1, 9):
        weights = np.full(N * N, np.nan, model.w_rec.w[:].dtype)
        weights[model.places()] = model.w_rec.w[:]
        gradient = of_places(trainer, spikes, labels)
        trainer.fit(spikes, labels, batch_size=12, verbose=False)
        moved = weights - 0.05 * gradient
        there = np.flatnonzero(~np.isnan(moved))
        fraction = 0.25 * (1 + np.cos(np.pi * min(step, 6) / 6))
        n = round(fraction * there.size) if step % 2 == 0 else 0
        kept = there[np.argsort(np.abs(moved[there]), kind="stable")][n:]
        empty = np.setdiff1d(everything[allowed], kept)
        order = np.argsort(-np.abs(gradient[empty]), kind="stable")
        formed = empty[order[:n]]
        found = dict(zip(model.places().tolist(), model.w_rec.w[:].tolist(), strict=True))
        assert found.keys() == {*kept.tolist(), *formed.tolist()}
        for place in found:
            wanted = 0 if place in formed else moved[place]
            assert found[place] == pytest.approx(wanted, abs=1e-6)
        churn.append(n)
    assert churn[1] > churn[3] > 0 == churn[5] == churn[7]
    assert [round(epoch["w_rec"] * MATRIX.sum()) for epoch in trainer.history["churn"]] == churn


@pytest.mark.parametrize("backend", ["emulated", "reference"])
def test_every_backend_makes_the_same_network(backend: str) -> None:
    found = []
    for each in ("cpu", backend):
        model = Model(each)
        fitted(model, model.trainer(ALWAYS), epochs=2)
        found.append((model.places(), np.array(model.w_rec.w[:])))
    assert (found[0][0] == found[1][0]).all()
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-5)


def test_a_training_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    path, rule = tmp_path / "run.npz", b2e.RigL(b2e.CosineDecay(0.4, 10), every=2, allowed="i != j")
    whole = Model()
    fitted(whole, whole.trainer(rule), epochs=4)
    first = Model()
    trainer = first.trainer(rule)
    fitted(first, trainer, epochs=2)
    trainer.save(path)
    second = Model()
    again = second.trainer(rule)
    again.load(path)
    fitted(second, again, epochs=2)
    assert (second.places() == whole.places()).all()
    assert np.array_equal(second.w_rec.w[:], whole.w_rec.w[:])
    other = Model()
    with pytest.raises(b2e.CheckpointError, match="rewiring"):
        other.trainer(b2e.RigL(0.4, every=2, allowed="i != j")).load(path)


def test_neurons_keep_their_signs() -> None:
    model = Model()
    signs = np.where(np.arange(N) % 3 == 0, -1, 1)
    model.w_rec.w = np.abs(model.w_rec.w[:]) * signs[model.w_rec.i[:]]
    trainer = model.trainer(ALWAYS, constraints={model.w_rec.w: b2e.Dale(signs)})
    before = model.places()
    fitted(model, trainer, epochs=2)
    assert not np.isin(model.places(), before).all()
    assert (model.w_rec.w[:] * signs[model.w_rec.i[:]]).min() >= 0


def test_a_fraction_of_zero_asks_for_nothing() -> None:
    model = Model()
    before = model.places()
    trainer = model.trainer(b2e.RigL(lambda updates: 0.0, every=1, allowed="i != j"))
    history = fitted(model, trainer, epochs=1)
    assert history["churn"] == [{"w_rec": 0}]
    assert (model.places() == before).all()
    assert not trainer._engine.store.read("w_rec:rewire:gradient").any()


def test_set_takes_a_schedule() -> None:
    model = Model()
    rule = b2e.SET(b2e.PiecewiseConstantDecay([3], [0.5, 0]), every=1, allowed="i != j")
    history = fitted(model, model.trainer(rule), epochs=2)
    share = round(0.5 * MATRIX.sum()) / MATRIX.sum()
    assert [epoch["w_rec"] for epoch in history["churn"]] == pytest.approx([3 * share, 0])


@pytest.mark.parametrize("of", [b2e.RigL, b2e.SET])
def test_schedules_are_asked_once_for_an_update(of: Any) -> None:
    asked: dict[str, list[int]] = {"fraction": [], "rate": []}

    def share(updates: int) -> float:
        asked["fraction"].append(updates)
        return 0.3

    def rate(updates: int) -> float:
        asked["rate"].append(updates)
        return 0.02

    model = Model()
    rule = of(share, every=2, allowed="i != j")
    fitted(model, model.trainer(rule, optimiser=b2e.Adam(rate)), epochs=2)
    assert asked == {"fraction": [0, 2, 4, 6], "rate": [0, 1, 2, 3, 4, 5]}


def test_what_is_frozen_is_not_rewired() -> None:
    model = Model()
    trainer = model.trainer(ALWAYS)
    trainer.freeze(model.w_rec.w)
    before = model.places()
    fitted(model, trainer, epochs=1)
    assert (model.places() == before).all()


def test_what_has_no_gradient_of_places() -> None:
    asks = "RigL asks for the gradient of places of 'w_rec' without a synapse, and "
    forward = b2e.EProp(form="forward")
    refused(b2e.LearningError, asks + "the forward form", rule=ALWAYS, learning=forward)
    refused(b2e.LearningError, asks + "each of them has a delay", rule=ALWAYS, delays=True)
    own = asks + "what a spike adds depends on 'w_rec.age', which only a synapse has"
    refused(b2e.LearningError, own, rule=ALWAYS, acts="v_post += w*age")
    order = asks + "what a spike adds depends on what others of the same step have added"
    refused(b2e.LearningError, order, rule=ALWAYS, acts="v_post += w*(2 - v_post)")


def test_schedules_that_give_no_share() -> None:
    model = Model()
    with pytest.raises(ValueError, match="'w_rec' that goes is nan after 0 updates"):
        model.trainer(b2e.RigL(lambda updates: np.nan))
    rule = b2e.RigL(lambda updates: 2.0 if updates else 0.3, every=2, allowed="i != j")
    trainer = model.trainer(rule)
    with pytest.raises(
        ValueError, match=r"'w_rec' that goes is 2.0 after 2 updates; let <function"
    ):
        fitted(model, trainer, epochs=1)
    assert trainer._engine.iteration == 1


def test_places_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()
    monkeypatch.setattr("brian2eprop.device.backends.base.free_bytes", lambda: 100)
    with pytest.raises(MemoryError, match="for each of the 12 x 12 places of 'w_rec'"):
        model.trainer(ALWAYS)


@pytest.mark.parametrize("rule", [b2e.DeepR(l1=1.0), b2e.SET(0.3, every=1), ALWAYS])
def test_no_synapses_come_to_the_host(
    rule: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a device of its own, beside the same on the CPU."""
    model = Model()
    trainer = model.trainer(rule, optimiser=b2e.SGD(0.1))
    here = trainer._engine
    fitted(model, trainer, epochs=1)
    with installed(monkeypatch, tmp_path) as cupy:
        backend = CudaBackend(Precision.FLOAT32)
        store = backend.memory(1)
        there = RewiredInTraining(backend, here.rewirings.found, here.constraints, 1)
        again = RewiredInTraining(here.backend, here.rewirings.found, here.constraints, 1)
        follows = here._update.follows
        arrays = {**here.programs.train.all_arrays(), **here._update.program.all_arrays()}
        rates = dict.fromkeys(here.parameters, 0.1)
        there.reserve(store, arrays, follows)
        again.reserve(here.store, arrays, follows)
        for name in store.arrays.keys() & here.store.arrays.keys():
            store.write(name, here.store.read(name))
        moved: list[int] = []
        monkeypatch.setattr(cupy, "asnumpy", noting(moved, cupy.asnumpy))
        there.run(store, 1, rates)
        assert not moved
        again.run(here.store, 1, rates)
        for name in (*here.rewirings.rows, *here.rewirings.beside):
            np.testing.assert_array_equal(store.read(name), here.store.read(name))
        assert max(moved) == MATRIX.sum()


def noting(sizes: list[int], transfer: Callable[..., Any]) -> Callable[..., Any]:
    """A transfer that notes how much it moves."""

    def moving(values: Any, *arguments: Any) -> Any:
        sizes.append(np.size(values))
        return transfer(values, *arguments)

    return moving


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: b2e.RigL(1.0), "RigL: fraction is 1.0; give a number below 1"),
        (lambda: b2e.RigL(0), "fraction is 0; give a number above zero"),
        (
            lambda: b2e.RigL(b2e.CosineDecay),
            r"fraction is <class .*CosineDecay'>; give a number below 1",
        ),
        (lambda: b2e.RigL(every=0), "every is 0; give a whole number"),
        (lambda: b2e.RigL(allowed=1), "allowed is 1; give a Brian2 expression as text"),
    ],
)
def test_what_is_no_rule(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=sentence):
        make()
