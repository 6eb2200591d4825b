"""How far what two runs of a script found is apart: number by number, or by distributions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import ttest_ind

Found = Mapping[str, np.ndarray]

# Differences of rounding grow along a run of many thousand steps; where a model is about to spike
# or to fall back, the runtime's own code generation targets differ by more.
TOLERANCE, LOOSE = 1e-6, 1e-4
# Below this the difference of a mean is taken for one of the distributions.
SIGNIFICANCE = 1e-4
# Numbers that do not depend on the seed are equal up to the rounding of a mean.
CONSTANT = 1e-9
NOT_FINITE = "values that are not finite in "


def distance(found: np.ndarray | None, expected: np.ndarray) -> float:
    """The largest difference as a part of the largest value expected.

    It is infinite where there is nothing to subtract: what is missing, another number of values,
    or a value that is finite in one of the two only.
    """
    if found is None or found.shape != expected.shape:
        return np.inf
    ours, theirs = found.astype(float), expected.astype(float)
    finite = np.isfinite(theirs)
    if not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True):
        return np.inf
    if np.array_equal(ours[finite], theirs[finite]):
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(ours[finite] - theirs[finite]).max() / np.abs(theirs[finite]).max()
    return np.inf if np.isnan(apart) else float(apart)


def distances(found: Found, expected: Found) -> dict[str, float]:
    """How far apart everything is that was expected, the furthest first."""
    apart = {name: distance(found.get(name), wanted) for name, wanted in expected.items()}
    return dict(sorted(apart.items(), key=lambda item: -item[1]))


def difference(found: np.ndarray | None, expected: np.ndarray) -> str:
    """How far apart two arrays are, in words."""
    if found is None:
        return "missing"
    if found.shape != expected.shape:
        return f"{found.size} values for {expected.size}"
    return f"by {distance(found, expected):.1g}"


def numbers(found: Found) -> dict[str, float]:
    """What is compared of a random run: of each array its size, its mean, what is not finite."""
    result = {}
    for name, values in found.items():
        finite = values[np.isfinite(values)]
        result[f"size of {name}"] = float(values.size)
        result[f"mean of {name}"] = float(finite.mean()) if finite.size else 0.0
        result[NOT_FINITE + name] = float(values.size - finite.size)
    return result


def other_distribution(ours: Sequence[Found], theirs: Sequence[Found]) -> str | None:
    """The first number whose distribution over several seeds is another one; None if there is none.

    What is the same for all seeds in both is compared as it is, all else by Welch's t-test. Where
    one has values that are not finite and the other never has, no number of seeds makes it equal.
    """
    found, expected = [numbers(each) for each in ours], [numbers(each) for each in theirs]
    names = set().union(*found, *expected)
    for name in sorted(names):
        if not all(name in each for each in (*found, *expected)):
            return f"{name}, which is not there for every seed"
        one, other = (np.array([each[name] for each in them]) for them in (found, expected))
        if np.allclose([*one, *other], other.mean(), rtol=CONSTANT):
            continue
        chance = _chance(name, one, other)
        if not chance >= SIGNIFICANCE:  # nor where the test has no answer
            return f"{name}: {one.mean():.6g} for {other.mean():.6g}, p = {chance:.1g}"
    return None


def _chance(name: str, one: np.ndarray, other: np.ndarray) -> float:
    """The probability of means as different as these if there were one distribution."""
    if name.startswith(NOT_FINITE) and one.any() != other.any():
        return 0.0
    with warnings.catch_warnings(action="ignore"):  # where one of the two is constant
        return float(ttest_ind(one, other, equal_var=False).pvalue)
