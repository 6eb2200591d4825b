"""Rows of synapses that are drawn by a rule: the same everywhere, and distributed as they must."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from brian2eprop.device.backends import registry
from brian2eprop.device.expansion.definition import EVERYWHERE, Seed
from brian2eprop.device.expansion.rows import Rows, share_out
from brian2eprop.device.program import Precision
from brian2eprop.device.program.rules import (
    OneToOne,
    Places,
    Range,
    Rule,
    WithoutReplacement,
    WithReplacement,
    exponentials,
)

# No test of a hypothesis is to fail by chance; the seeds are fixed.
RARE = 1e-4
WHOLE, PART, OTHER = Range(0, 41), Range(3, 30), Range(2, 35)
NUMBERS = np.arange(30) % 11 + 1


def rows(backend: str, rule: Rule, precision: str = "float64", seed: int = 1, **given: Any) -> Rows:
    found = registry.create(backend, Precision(precision))
    sizes = (rule.sources.first + rule.sources.size, rule.targets.first + rule.targets.size)
    sizes = sizes[::-1] if given.get("turned") else sizes
    machines = SimpleNamespace(backend=found, fine_backend=found)
    return Rows(machines, "s", "s", rule, *sizes, Seed(seed, 0), EVERYWHERE, **given)


RULES: list[tuple[Rule, dict[str, Any]]] = [
    (Places(PART, OTHER, 0.15), {}),
    (Places(PART, WHOLE, 1.0), {}),
    (OneToOne(PART, OTHER), {}),
    (WithReplacement(PART, OTHER, False), {"number": NUMBERS}),
    (WithoutReplacement(PART, OTHER, False), {"number": NUMBERS, "turned": True}),
]


@pytest.mark.parametrize(("rule", "given"), RULES, ids=lambda case: getattr(case, "kind", ""))
def test_rows_are_the_same_everywhere(backend: str, rule: Rule, given: dict[str, Any]) -> None:
    precision = "float32" if backend == "emulated" else "float64"
    ours, theirs = rows(backend, rule, precision, **given), rows("reference", rule, **given)
    assert ours.n_synapses == theirs.n_synapses > 0
    for mine, wanted in zip(ours.pairs(), theirs.pairs(), strict=True):
        np.testing.assert_array_equal(mine, wanted)
    for mine, neurons in zip(ours.numbers(), theirs.pairs(), strict=True):
        np.testing.assert_array_equal(mine, np.bincount(neurons, minlength=len(mine)))


def test_threads_change_no_row() -> None:
    omp = ctypes.CDLL("libgomp.so.1")
    before = omp.omp_get_max_threads()
    found = []
    for threads in (1, 3):
        omp.omp_set_num_threads(threads)
        found.append(rows("cpu", Places(Range(0, 300), Range(0, 200), 0.2)).pairs())
    omp.omp_set_num_threads(before)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_logarithms_are_those_of_numpy() -> None:
    given = np.concatenate([2.0 ** -np.arange(54), np.random.default_rng(0).random(10**5) + 2**-53])
    given = np.append(given, 1 - np.arange(1, 9) * 2.0**-53)
    np.testing.assert_allclose(exponentials(given), -np.log(given), rtol=5e-16, atol=0)


def test_of_tiny_and_all_but_certain_chances() -> None:
    """A row is passed over at once, however rare its synapses, and none of it is left out."""
    wide = Range(0, 2**31 - 1)
    assert rows("cpu", Places(Range(0, 50), wide, 1e-300)).n_synapses == 0
    found = rows("cpu", Places(Range(0, 200), wide, 1e-8))
    assert abs(found.n_synapses - 200 * 21.47) < 5 * np.sqrt(200 * 21.47)
    nearly = rows("cpu", Places(Range(0, 30), Range(0, 1000), 1 - 1e-4))
    assert 0 < 30000 - nearly.n_synapses < 15


def matrix(rule: Rule, seed: int = 1, **given: Any) -> np.ndarray:
    """How many synapses each pair has."""
    found = rows("cpu", rule, seed=seed, **given)
    source, target = found.pairs()
    assert (np.diff(source) >= 0).all()
    assert (np.diff(target)[np.diff(source) == 0] >= (0 if rule.repeats else 1)).all()
    number = np.zeros((found.n_source, found.n_target), int)
    np.add.at(number, (source, target), 1)
    return number


def spread(counts: np.ndarray, mean: Any, variance: Any) -> float:
    """The probability of numbers as far from their means, on either side; they are independent."""
    score = float(((counts - mean) ** 2 / variance).sum())
    below = stats.chi2.cdf(score, counts.size)
    return 2 * min(below, 1 - below)


@pytest.mark.parametrize("chance", [0.004, 0.3, 0.95])
def test_places_are_independent(chance: float) -> None:
    n = 600
    found = matrix(Places(Range(0, n), Range(0, n), chance), seed=5)
    assert found.max() == 1
    variance = chance * (1 - chance)
    assert spread(found.sum(0), n * chance, n * variance) > RARE
    assert spread(found.sum(1), n * chance, n * variance) > RARE
    # What a place is tells nothing of its neighbours, in its row or its column.
    for pairs in (
        found[:, 1:] * found[:, :-1],
        found[1:] * found[:-1],
        found[:, 2:] * found[:, :-2],
    ):
        wide = pairs.size * chance**2 * (1 - chance) * (1 + 3 * chance)
        assert abs(pairs.sum() - pairs.size * chance**2) < 4 * np.sqrt(wide)
    # How far the next synapse is, is a geometric number.
    gaps = np.concatenate([np.diff(np.flatnonzero(row)) for row in found[:, : n // 2]])
    if chance == 0.3:
        seen = np.bincount(gaps, minlength=12)[1:12]
        wanted = gaps.size * stats.geom.pmf(np.arange(1, 12), chance)
        assert spread(seen, wanted, wanted) > RARE


def test_rows_with_replacement_are_multinomial() -> None:
    n, per = 300, 240
    found = matrix(WithReplacement(Range(0, n), Range(0, n), True), seed=2, number=np.full(n, per))
    assert (found.sum(1) == per).all()
    mean = per / n
    assert spread(found.sum(0), per, per * (1 - 1 / n)) > RARE
    seen = np.bincount(found.ravel(), minlength=7)[:7]
    wanted = n * n * stats.binom.pmf(np.arange(7), per, 1 / n)
    assert spread(seen, wanted, wanted * (1 - wanted / n**2)) > RARE
    # Of two places of a row the numbers are correlated as those of a multinomial distribution.
    product = ((found[:, 1:] - mean) * (found[:, :-1] - mean)).mean()
    assert abs(product + per / n**2) < 4 * mean / n


def test_rows_without_replacement_are_uniform_sets() -> None:
    n, per = 40, 14
    rule = WithoutReplacement(Range(0, 20000), Range(0, n), True)
    found = matrix(rule, seed=3, number=np.full(20000, per))
    assert found.max() == 1
    assert (found.sum(1) == per).all()
    # Sums of all columns are fixed, which takes a degree of freedom.
    share = per / n
    scores = (found.sum(0) - 20000 * share) ** 2 / (20000 * share * (1 - share)) * (n - 1) / n
    assert RARE < stats.chi2.sf(scores.sum(), n - 1) < 1 - RARE
    both = share * (per - 1) / (n - 1)
    for apart in (1, 2, 7):
        seen = (found[:, apart:] * found[:, :-apart]).mean()
        assert abs(seen - both) < 5 * np.sqrt(both / 20000 / 10)
    first = found.argmax(1)
    wanted = 20000 * stats.nhypergeom.pmf(np.arange(12), n, n - per, 1)
    assert spread(np.bincount(first, minlength=12)[:12], wanted, wanted) > RARE


@pytest.mark.parametrize("kind", [WithReplacement, WithoutReplacement])
def test_nobody_is_its_own_target(kind: Any) -> None:
    rule = kind(Range(5, 30), Range(20, 40), False)
    counts = np.full(30, 12)
    found = sum(matrix(rule, seed=seed, number=counts) for seed in range(20))[5:, 20:]
    own = np.zeros((30, 40), bool)
    own[np.arange(15, 30), np.arange(15)] = True
    assert found[own].sum() == 0
    share = 12 / (40 - own.sum(1))[:, None] * ~own
    scatter = 20 * share * (1 - share / (12 if kind is WithReplacement else 1))
    assert spread(found[~own], 20 * share[~own], scatter[~own]) > RARE


@pytest.mark.parametrize("repeats", [True, False])
def test_totals_are_shared_out_among_places(repeats: bool) -> None:
    choices = np.array([30, 10, 0, 60])
    seeds = range(4000)
    found = np.array([share_out(40, choices, repeats, "s", Seed(seed, 7)) for seed in seeds])
    assert (found.sum(1) == 40).all()
    assert (found[:, 2] == 0).all()
    share = choices / 100
    variance = 40 * share * (1 - share) * (1 if repeats else 60 / 99)
    np.testing.assert_allclose(found.mean(0), 40 * share, atol=0.15)
    np.testing.assert_allclose(found.var(0), variance, rtol=0.08, atol=0.01)
    again = share_out(40, choices, repeats, "s", Seed(0, 8))
    assert (again != found[0]).any()


def test_other_seeds_and_owners_draw_others() -> None:
    rule = Places(Range(0, 60), Range(0, 60), 0.5)
    first, other = matrix(rule, seed=1), matrix(rule, seed=2)
    assert 0.4 < (first != other).mean() < 0.6
    assert 0.4 < (first[1:] != first[:-1]).mean() < 0.6
