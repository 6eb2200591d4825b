"""What is drawn has the distribution that it is said to have: fixed seeds, fixed significance."""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import (
    BinomialFunction,
    Network,
    NeuronGroup,
    Synapses,
    defaultclock,
    ms,
    seed,
    set_device,
)
from scipy import stats

# Of a right sampler one seed in a thousand fails; those here do not.
SIGNIFICANCE = 1e-3


def use(batch_size: int | None = None, precision: str = "float64") -> None:
    set_device("eprop_cuda", backend="cpu", precision=precision, batch_size=batch_size, seed=11)
    defaultclock.dt = 1 * ms


def drawn(expression: str, batch_size: int | None = None, **namespace: object) -> np.ndarray:
    """What 20000 neurons draw in each of 3 steps, shape (3, neurons) or (3, instances, neurons)."""
    group = NeuronGroup(20000, "v : 1", threshold="True", reset=f"v = {expression}")
    group.namespace.update(namespace)
    network, found = Network(group), []
    for _ in range(3):
        network.run(1 * ms)
        found.append(np.array(group.v[:]))
    return np.array(found)


def require_continuous(found: np.ndarray, law: stats.rv_continuous) -> None:
    """One law at all places, and none of them knows of another."""
    assert stats.kstest(found.ravel(), law.cdf).pvalue > SIGNIFICANCE
    # A width that is off by one in a hundred is seen here, and hardly in the whole.
    squares = np.sum(stats.norm.ppf(law.cdf(found.astype(float))) ** 2)
    assert SIGNIFICANCE < stats.chi2(found.size).cdf(squares) < 1 - SIGNIFICANCE
    uniform = law.cdf(found).reshape(-1, found.shape[-1])
    for one, other in ((uniform[0], uniform[1]), (uniform[0, :-1], uniform[0, 1:])):
        cells = np.histogram2d(one, other, bins=4, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(cells.ravel()).pvalue > SIGNIFICANCE


def require_counts(found: np.ndarray, law: stats.rv_discrete) -> None:
    """Chi-square over values of which at least five are expected; the rest is one of them."""
    numbers = np.arange(int(found.max()) + 2)
    expected = found.size * law.pmf(numbers)
    usual = expected >= 5
    counts = np.bincount(found.ravel().astype(int), minlength=len(numbers))[usual]
    rest = found.size - counts.sum(), found.size - expected[usual].sum()
    observed, wanted = np.append(counts, rest[0]), np.append(expected[usual], rest[1])
    if wanted[-1] < 5:
        observed, wanted = observed[:-1], wanted[:-1] * counts.sum() / wanted[:-1].sum()
        assert rest[0] < 25
    assert stats.chisquare(observed, wanted, sum_check=False).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize(
    ("expression", "law"), [("rand()", stats.uniform()), ("randn()", stats.norm())]
)
def test_rand_and_randn(
    expression: str, law: object, batch_size: int | None, precision: str
) -> None:
    use(batch_size, precision)
    require_continuous(drawn(expression), law)


@pytest.mark.parametrize("mean", [0.01, 0.7, 9, 45, 2000])
def test_poisson_of_small_and_large_means(mean: float) -> None:
    use()
    require_counts(drawn(f"poisson({mean})"), stats.poisson(mean))


@pytest.mark.parametrize(
    ("n", "p"), [(1, 0.5), (3, 0.001), (40, 0.999), (10000, 0.0003), (500, 0.5)]
)
def test_binomial_of_extreme_n_and_p(n: int, p: float) -> None:
    use()
    function = BinomialFunction(n, p, approximate=False)
    require_counts(drawn("sample()", sample=function), stats.binom(n, p))


def test_strings_draw_anew_for_each_instance() -> None:
    use(batch_size=4)
    group = NeuronGroup(2000, "u : 1\nn : 1")
    seed(3)
    group.u = "rand()"
    group.n = "2 + 3*randn()"
    require_continuous(np.array(group.u), stats.uniform())
    require_continuous(np.array(group.n), stats.norm(2, 3))


@pytest.mark.parametrize("p", [0.02, 0.5, 0.97])
def test_connections_by_probability(p: float) -> None:
    use()
    seed(5)
    one, other = NeuronGroup(100, "v : 1"), NeuronGroup(100, "v : 1")
    links = Synapses(one, other)
    links.connect(p=p)
    there = np.zeros((100, 100), int)
    np.add.at(there, (links.i[:], links.j[:]), 1)
    assert there.max() == 1
    for axis in (0, 1):
        law = stats.norm(100 * p, np.sqrt(100 * p * (1 - p)))
        spread = ((there.sum(axis) - law.mean()) / law.std()) ** 2
        assert SIGNIFICANCE < stats.chi2(100).cdf(spread.sum()) < 1 - SIGNIFICANCE
