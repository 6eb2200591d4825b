"""Augmentation, by what dense arrays say of it, and its place in a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import brian2eprop as b2e
from brian2eprop.augmentation import Blend, Drop, Jitter, Shift
from tests.learning.classes import LABELS, SPIKES, At, Classes, assert_same

RNG = np.random.default_rng(2)
DENSE = RNG.random((40, 12, 9)) < 0.2
DENSE[5] = False
MANY = b2e.Spikes.from_dense(DENSE)
CLASSES = np.arange(40) % 4


def moved(dense: Any, steps: int, neurons: int) -> Any:
    """A sample moved, written out."""
    found = np.zeros_like(dense)
    for step, neuron in np.argwhere(dense):
        if 0 <= step + steps < dense.shape[0] and 0 <= neuron + neurons < dense.shape[1]:
            found[step + steps, neuron + neurons] = True
    return found


def test_shift_moves_each_sample_as_a_whole() -> None:
    found = Shift(neurons=2, steps=1)(MANY, CLASSES, np.random.default_rng(0)).to_dense()
    met = set()
    for before, after in zip(DENSE, found, strict=True):
        ways = [
            (s, n) for s in range(-1, 2) for n in range(-2, 3)
            if np.array_equal(moved(before, s, n), after)
        ]  # fmt: skip
        assert ways
        met |= set(ways) if len(ways) == 1 else set()
    assert len(met) > 9


def test_drop_leaves_a_share() -> None:
    many = b2e.Spikes.from_dense(np.ones((20, 50, 10), bool))
    found = Drop(0.3)(many, np.zeros(20), np.random.default_rng(1))
    assert abs(found.index.size / 10_000 - 0.7) < 4 * np.sqrt(0.21 / 10_000)
    some = Drop(0.5)(MANY, CLASSES, np.random.default_rng(1)).to_dense()
    assert not (some & ~DENSE).any() and some.any()
    assert not Drop(1)(MANY, CLASSES, np.random.default_rng(1)).index.size
    np.testing.assert_array_equal(Drop(0)(MANY, CLASSES, RNG).to_dense(), DENSE)


def test_jitter_is_normal() -> None:
    one = np.zeros((4000, 41, 1), bool)
    one[:, 20] = True
    found = Jitter(3.0)(b2e.Spikes.from_dense(one), np.zeros(4000), np.random.default_rng(1))
    _, steps, _ = np.nonzero(found.to_dense())
    assert steps.size == 4000
    assert abs(steps.mean() - 20) < 4 * 3 / np.sqrt(4000)
    assert steps.std() == pytest.approx(np.sqrt(9 + 1 / 12), rel=0.05)  # rounding adds 1/12
    edge = np.zeros((1000, 2, 1), bool)
    edge[:, 0] = True
    left = Jitter(3.0)(b2e.Spikes.from_dense(edge), np.zeros(1000), np.random.default_rng(1))
    assert 0 < left.index.size < 400


def test_blend_takes_of_both_after_moving_them_halfway() -> None:
    dense = np.zeros((2, 30, 20), bool)
    dense[0, 4:14:2, 5] = True  # mean step 8, neuron 5
    dense[1, 10:20:2, 9] = True  # mean step 14, neuron 9
    spikes = b2e.Spikes.from_dense(dense)
    own = moved(dense[0], 3, 2)
    assert np.array_equal(own, moved(dense[1], -3, -2))
    counts = []
    for seed in range(400):
        found = Blend()(spikes, [3, 3], np.random.default_rng(seed)).to_dense()
        assert not (found[0] & ~(own | dense[0])).any()
        mixed = found[0] & own
        counts.append(mixed.sum() if mixed.any() else np.nan)
    # Where two spikes meet, either is taken: three in four; five of these, never with none.
    mean = 5 * 0.75 / (1 - 0.25**5)
    assert abs(np.nanmean(counts) - mean) < 4 * 1 / np.sqrt(np.isfinite(counts).sum())


def test_blend_keeps_to_its_class() -> None:
    dense = np.zeros((40, 12, 40), bool)
    dense[np.arange(40), 5, np.arange(40)] = True
    spikes = b2e.Spikes.from_dense(dense)
    seen = set()
    for seed in range(60):
        found = Blend()(spikes, CLASSES, np.random.default_rng(seed))
        for host, _, neuron in np.argwhere(found.to_dense()):
            # A spike lies halfway between the host's neuron and that of its partner.
            partner = 2 * neuron - host
            assert any(abs(partner - other) <= 1 for other in range(host % 4, 40, 4))
            seen.add((int(host), int(partner)))
    assert len({partner for host, partner in seen if host == 20}) > 4
    same = Blend(0)(spikes, CLASSES, np.random.default_rng(0))
    np.testing.assert_array_equal(same.to_dense(), dense)
    half = Blend(0.5)(MANY, np.arange(40), np.random.default_rng(0))
    kept = (half.to_dense() == DENSE).all(axis=(1, 2))
    assert 8 < kept.sum() < 32


def test_a_batch_is_a_function_of_its_seed(backend: str) -> None:
    """The training's batches are those made by hand."""
    case, by_hand = Classes(backend), Classes(backend)
    steps = (Shift(1, 2), Blend(0.5), Jitter(1.0), Drop(0.2))
    case.fit(2, shuffle=False, augmentation=steps)
    rng = np.random.default_rng(1)  # the seed of the trainer

    def batches() -> Any:
        seed = int(rng.integers(2**62))
        for k in range(4):
            rows = slice(5 * k, 5 * k + 5)
            spikes, own = SPIKES[rows], np.random.default_rng([seed, k, 0])
            for step in steps:
                spikes = step(spikes, LABELS[rows], own)
            yield spikes, LABELS[rows]

    first = list(batches())
    by_hand.fit(1, first, shuffle=False)
    by_hand.fit(1, list(batches()), shuffle=False)
    assert_same(case, by_hand)


def test_a_cut_training_goes_on_with_the_same_spikes(tmp_path: Path) -> None:
    steps = [Shift(1, 2), Blend(), Drop(0.1)]
    whole, first, second = Classes(), Classes(), Classes(seed=8)
    whole.fit(3, augmentation=steps)

    def save(trainer: Any) -> None:
        trainer.save(tmp_path / "file.npz")

    first.fit(2, augmentation=steps, callbacks=[At(2, 2, save)])
    second.trainer.load(tmp_path / "file.npz")
    second.fit(2, augmentation=steps)
    assert_same(second, whole)
    plain = Classes()
    plain.fit(3)
    assert plain.trainer.history != whole.trainer.history


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Shift(-1), "Shift: neurons is -1; give a whole number from 0 to 1000000000"),
        (lambda: Shift(1, 0.5), "Shift: steps is 0.5; give a whole number"),
        (lambda: Jitter(float("nan")), "Jitter: steps is nan; give a number from 0 to 1e"),
        (lambda: Drop(1.5), "Drop: probability is 1.5; give a number from 0 to 1"),
        (lambda: Blend(True), "Blend: probability is True"),
        (lambda: Blend()(MANY, DENSE, RNG), "Blend needs one class a sample"),
    ],
)
def test_sentences(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


def test_what_is_no_augmentation_is_refused() -> None:
    with pytest.raises(TypeError, match="fit: augmentation holds the class Drop; give a list"):
        Classes().fit(1, augmentation=[Drop])
