"""Random numbers in NumPy; ``templates/draws.h`` has the same in C++."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from brian2eprop.device.program.draws import WORDS, Distribution

Words = npt.NDArray[np.uint32]
Reals = npt.NDArray[np.float64]

_LOW = np.uint64(0xFFFFFFFF)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_WORD, _MANTISSA = 2.0**-32, 2.0**-53
_BELOW_ONE = np.float32(1 - 2**-24)
# Probabilities below do not matter.
_NEGLIGIBLE = 1e-20


def philox(counter: tuple[Words, ...], key: tuple[int, int]) -> tuple[Words, ...]:
    """Four random words by Philox 4x32-10 (Salmon et al. 2011, doi:10.1145/2063384.2063405).

    Parameters
    ----------
    counter : tuple of four uint32 arrays, shape (n,)
        What is to be scrambled.
    key : tuple of two int
        The words of the key.

    Returns
    -------
    tuple of four uint32 arrays, shape (n,)
        The words.
    """
    a, b, c, d = (word.astype(np.uint64) for word in counter)
    for number in range(_ROUNDS):
        key_0, key_1 = (
            np.uint64((word + number * step) % 2**32)
            for word, step in zip(key, _KEY_STEPS, strict=True)
        )
        first, second = _MULTIPLIERS[0] * a, _MULTIPLIERS[1] * c
        a, b = (second >> np.uint64(32)) ^ b ^ key_0, second & _LOW
        c, d = (first >> np.uint64(32)) ^ d ^ key_1, first & _LOW
    return tuple(word.astype(np.uint32) for word in (a, b, c, d))


def draw(
    distribution: Distribution,
    dtype: npt.DTypeLike,
    key: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int64],
    step: int,
    instance: int,
) -> npt.NDArray[Any]:
    """The random numbers of some elements.

    Parameters
    ----------
    distribution : Distribution
        What is drawn.
    dtype : dtype
        float32 or float64.
    key : int32 array, shape (4,)
        See :func:`brian2eprop.device.program.draws.draw_keys`.
    elements : int array, shape (n,)
        The elements.
    step, instance : int
        The step and the instance.

    Returns
    -------
    array, shape (n,)
        The numbers.
    """
    assert len(key) == WORDS
    low_key, high_key, *_ = (int(word) for word in key.view(np.uint32))
    now = (step + int(key[2:].view(np.int64)[0])) % 2**64
    block = (elements // 128 * 32 + elements % 32).astype(np.uint32)
    word = elements // 32 % 4

    def words(step_high: int) -> tuple[Words, ...]:
        rest = (np.full_like(block, part) for part in (now % 2**32, step_high, instance))
        return philox((block, *rest), (low_key, high_key))

    # What makes the same numbers finer are the words of a step that there is not.
    high, low = words(now >> 32), words(now >> 32 ^ 0x80000000)
    single = np.dtype(dtype) == np.float32
    if distribution is Distribution.UNIFORM:
        return _uniform(single, np.choose(word, high), np.choose(word, low))
    # Of four words two points, by Box and Muller, of whose coordinates each is a number.
    first, second = word // 2 * 2, word // 2 * 2 + 1
    radius = _radius(single, np.choose(first, high), np.choose(first, low))
    turn = _uniform(single, np.choose(second, high), np.choose(second, low))
    return radius * _coordinate(turn, word % 2)


def draw_of_row(key: npt.NDArray[np.int32], row: int, first: int, n: int) -> Reals:
    """Some of the uniform numbers of a row of synapses, above 0 and up to 1.

    Parameters
    ----------
    key : int32 array, shape (4,)
        As for :func:`draw`.
    row : int
        The row.
    first, n : int
        The numbers ``first .. first + n - 1``.
    """
    low_key, high_key, *_ = (int(word) for word in key.view(np.uint32))
    now = int(key[2:].view(np.int64)[0]) % 2**64
    numbers = np.arange(first, first + n)
    rest = (np.full(n, part).astype(np.uint32) for part in (now % 2**32, now >> 32, row))
    a, b, c, d = philox(((numbers // 2).astype(np.uint32), *rest), (low_key, high_key))
    even = numbers % 2 == 0
    return np.asarray(_uniform(False, np.where(even, a, c), np.where(even, b, d)) + _MANTISSA)


def _coordinate(turn: Reals, axis: npt.NDArray[np.int64]) -> Reals:
    """The cosine (of axis 0) or sine (of axis 1) of some turns, whose quarters are exact."""
    quarters = np.floor(turn * 4 + turn.dtype.type(0.5))
    angle = turn.dtype.type(2 * np.pi) * (turn - quarters / 4)
    quarter = quarters.astype(np.int64)
    value = np.where((quarter + axis) % 2 == 0, np.cos(angle), np.sin(angle))
    return np.where((quarter + 1 - axis) & 2, -value, value)


def _uniform(single: bool, high: Words, low: Words) -> npt.NDArray[Any]:
    if single:
        return np.asarray(np.minimum(high.astype(np.float32) * np.float32(_WORD), _BELOW_ONE))
    return np.asarray(high * _WORD + (low >> np.uint32(11)) * _MANTISSA)


def _radius(single: bool, high: Words, low: Words) -> npt.NDArray[Any]:
    if single:
        above_zero = (high.astype(np.float32) + np.float32(0.5)) * np.float32(_WORD)
        return np.asarray(np.sqrt(np.float32(-2) * np.log(above_zero)))
    return np.asarray(np.sqrt(-2 * np.log(_uniform(single, high, low) + _MANTISSA)))


def hashed(seed: Any, i: Any, j: Any) -> Reals:
    """A uniform number that belongs to a seed and two whole numbers, from 0 up to 1."""
    i, j = (word.astype(np.uint32) for word in np.broadcast_arrays(*map(np.atleast_1d, (i, j))))
    none = np.zeros_like(i)
    high, low, *_ = philox((i, j, none, none), (int(np.ravel(seed)[0]) % 2**32, 0))
    return np.asarray(_uniform(False, high, low))


def poisson(mean: Any, u: Any) -> npt.NDArray[np.int32]:
    """The Poisson distribution's number that a uniform number stands for.

    Parameters
    ----------
    mean : array
        The mean; the number is 0 if there is no such distribution, the least integer if the
        mean fits into none.
    u : array
        A uniform number, from 0 up to 1.
    """
    mean, u = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(u, np.float64))
    least = np.iinfo(np.int32).min
    there = (mean > 0) & (mean < np.iinfo(np.int32).max)
    safe = np.where(there, mean, 1.0)
    mode = np.floor(safe)
    probability = np.exp(mode * np.log(safe) - safe - special.gammaln(mode + 1))
    found = _from_mode(mode, probability, u, np.inf, lambda k: safe / (k + 1))
    return np.where(there, found, np.where(mean > 0, least, 0)).astype(np.int32)


def binomial(n: Any, p: Any, u: Any) -> npt.NDArray[np.int32]:
    """The same of the binomial distribution of ``n`` trials of probability ``p``."""
    n, p, u = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in (n, p, u)))
    there = (n > 0) & (p > 0) & (p < 1)
    trials, chance = np.where(there, n, 1.0), np.where(there, p, 0.5)
    mode = np.minimum(np.floor((trials + 1) * chance), trials)
    probability = np.exp(
        special.gammaln(trials + 1)
        - special.gammaln(mode + 1)
        - special.gammaln(trials - mode + 1)
        + mode * np.log(chance)
        + (trials - mode) * np.log1p(-chance)
    )
    odds = chance / (1 - chance)
    found = _from_mode(mode, probability, u, trials, lambda k: (trials - k) / (k + 1) * odds)
    return np.where(there, found, np.where((n > 0) & (p >= 1), n, 0)).astype(np.int32)


def _from_mode(
    mode: Reals, probability: Reals, u: Reals, most: Any, ratio: Callable[[Reals], Reals]
) -> Reals:
    """Where ``u`` falls if probabilities are laid side by side, from the mode on."""
    found, rest = mode.copy(), u - probability
    above, below = probability.copy(), probability.copy()
    away = 0
    open_ = rest >= 0
    while np.any(open_ & ((above > _NEGLIGIBLE) | (below > _NEGLIGIBLE))):
        above = np.where(mode + away < most, above * ratio(mode + away), 0.0)
        # Below the least number there is none; no ratio is taken there.
        below = np.where(mode > away, below / ratio(np.maximum(mode - away - 1, 0)), 0.0)
        for part, number in ((above, mode + away + 1), (below, mode - away - 1)):
            rest = rest - part
            found = np.where(open_ & (rest < 0), number, found)
            open_ = open_ & (rest >= 0)
        away += 1
    return found
