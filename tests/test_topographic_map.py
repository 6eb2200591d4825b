"""The example of a topographic map: where synapses come to be, beside the rule's own chances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import ms
from scipy import stats

from tests.example_scripts import example


@pytest.fixture(name="example")
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    return example("topographic_map", monkeypatch)


def in_numpy(matrix: Any, rewirings: int, sigma: float, seed: int) -> Any:
    """The distances after the same rule in NumPy, all synapses being weak."""
    rng, n = np.random.default_rng(seed), len(matrix)
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    apart = np.minimum(apart, n - apart)
    form, there = np.exp(-(apart**2) / (2 * sigma**2)).ravel(), ~np.isnan(matrix).ravel()
    for _ in range(rewirings):
        gone = there & (rng.random(n * n) < 0.02)
        there &= ~gone
        chance = np.where(there, 0, form)
        new = rng.choice(n * n, gone.sum(), replace=False, p=chance / chance.sum())
        there[new] = True
    return apart.ravel()[there]


def test_synapses_come_near(example: Any) -> None:
    n, duration = 32, 1000
    result = example.simulate(n, duration * ms, stdp=False, backend="cpu")
    before, after = (example.distances(each) for each in (result.before, result.after))
    assert len(before) == len(after)
    assert after.mean() < 0.6 * before.mean()
    expected = np.concatenate(
        [in_numpy(result.before, duration // 10, n / 20, seed) for seed in range(20)]
    )
    counts = np.array([np.bincount(each, minlength=n // 2 + 1) for each in (after, expected)])
    merged = np.add.reduceat(counts, [0, 1, 2, 3, 4, 6, 9, 13], axis=1)
    assert stats.chi2_contingency(merged).pvalue > 1e-3


def test_weights_move(example: Any) -> None:
    result = example.simulate(32, 500 * ms, backend="cpu")
    weights = result.after[~np.isnan(result.after)]
    assert len(weights) == (~np.isnan(result.before)).sum()
    assert weights.std() > 0.05
