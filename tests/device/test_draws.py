"""Draws of a Program: a number depends on its key, element, step and instance only."""

from __future__ import annotations

import operator
import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from brian2.utils.stringtools import get_identifiers
from programs import CASES, DT, PER_INSTANCE, elements, real
from scipy import stats

from brian2eprop.device.backends import cpu, registry
from brian2eprop.device.backends.base import Call, Memory
from brian2eprop.device.backends.cpu import CpuBackend
from brian2eprop.device.backends.draws import binomial, philox, poisson
from brian2eprop.device.codegen.draws import only_compared
from brian2eprop.device.codegen.storage import count_of, index_of
from brian2eprop.device.program import (
    Array,
    Body,
    Detect,
    Direction,
    Distribution,
    Draw,
    DType,
    Events,
    ForEach,
    Phase,
    Precision,
    Program,
    Slots,
    Sweep,
)
from brian2eprop.device.program.verify import ProgramError, Stage, verify

SIZE, STEPS = 150, 100
KINDS = [Distribution.UNIFORM, Distribution.NORMAL]
# From the Random123 library (Salmon et al. 2011), kat_vectors.
KNOWN = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([2**32 - 1] * 4, [2**32 - 1] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


def drawing(*kinds: Distribution, owner: str = "a", size: int = SIZE) -> Program:
    """Each draw is kept in every step, in an array of its own."""
    names = [f"x{call}" for call in range(len(kinds))]
    code = "\n".join(f"{name} = draw_{name}" for name in names)
    draws = {
        f"draw_{name}": Draw(kind, owner, call)
        for call, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }
    phases = (ForEach("draw", size, Body(code, elements(*names), draws=draws)),)
    arrays = tuple(real(name, size, PER_INSTANCE, Slots(kept=True)) for name in names)
    return Program("drawing", DT, arrays, (Sweep(Direction.FORWARD, phases),))


def run(
    backend: Any,
    program: Program,
    instances: int = 3,
    seed: int = 1,
    shift: int = 0,
    calls: tuple[int, ...] = (STEPS,),
) -> Memory:
    memory: Memory = backend.memory(instances)
    memory.reserve(program, sum(calls))
    memory.write_keys(program, seed, shift)
    kernel, step = backend.compile(program), 0
    for n_steps in calls:
        kernel.run(memory, Call(step, n_steps))
        step += n_steps
    return memory


def drawn(
    kind: Distribution, backend: Any = None, size: int = SIZE, **how: Any
) -> npt.NDArray[Any]:
    """Of shape (instances, steps, elements)."""
    backend = backend or CpuBackend(Precision.FLOAT64)
    return run(backend, drawing(kind, size=size), **how).read("x0")


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_is_that_of_its_authors(
    counter: list[int], key: list[int], words: list[int]
) -> None:
    a, b, c, d = (np.array([word], np.uint32) for word in counter)
    found = philox((a, b, c, d), (key[0], key[1]))
    assert [int(word[0]) for word in found] == words


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_on_every_backend(
    backend: str, kind: Distribution, precision: Precision
) -> None:
    # More elements than are drawn at once, and not a whole number of groups.
    found = drawn(kind, registry.create(backend, precision), size=300, calls=(4,))
    expected = drawn(kind, registry.create("reference", precision), size=300, calls=(4,))
    if kind is Distribution.UNIFORM:
        np.testing.assert_array_equal(found, expected)
    else:
        accuracy = 8 * np.finfo(precision.dtype).eps  # of a logarithm, a root and a cosine
        np.testing.assert_allclose(found, expected, rtol=accuracy, atol=accuracy)


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_rounds(kind: Distribution) -> None:
    single = drawn(kind, CpuBackend(Precision.FLOAT32))
    # -2 log(u) is off by 2**-24 where u is just below 1, its root by that of it.
    np.testing.assert_allclose(single, drawn(kind), rtol=1e-5, atol=3e-4)
    close = np.isclose(single, drawn(kind), rtol=1e-5, atol=1e-6)
    assert close.mean() > 0.999
    assert single.dtype == np.float32


@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="other machines have one kind of vectors"
)
@pytest.mark.parametrize("kind", KINDS)
def test_older_processors_draw_the_same(
    kind: Distribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, program = CpuBackend(Precision.FLOAT64), drawing(kind)
    here = run(backend, program).read("x0")
    flags = tuple("-march=x86-64" if flag == "-march=native" else flag for flag in cpu.FLAGS)
    assert flags != cpu.FLAGS
    monkeypatch.setattr(cpu, "FLAGS", flags)
    np.testing.assert_allclose(run(backend, program).read("x0"), here, rtol=1e-12)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_number_of_threads_does_not_matter(workers: int) -> None:
    one = drawn(Distribution.NORMAL, CpuBackend(Precision.FLOAT64, 1), instances=5)
    more = drawn(Distribution.NORMAL, CpuBackend(Precision.FLOAT64, workers), instances=5)
    np.testing.assert_array_equal(one, more)


def test_the_number_of_instances_and_the_division_into_calls_do_not_matter() -> None:
    whole = drawn(Distribution.UNIFORM, instances=4)
    program = drawing(Distribution.UNIFORM)
    few = run(CpuBackend(Precision.FLOAT64), program, 2, calls=(40, 1, 59)).read("x0")
    np.testing.assert_array_equal(few, whole[:2])


def test_a_shift_goes_on_in_the_same_numbers() -> None:
    whole = drawn(Distribution.UNIFORM)
    np.testing.assert_array_equal(
        drawn(Distribution.UNIFORM, shift=40, calls=(50,)), whole[:, 40:90]
    )


def test_steps_have_more_than_32_bits() -> None:
    here, far = (drawn(Distribution.UNIFORM, shift=shift) for shift in (0, 2**32))
    assert not (here == far).any()


def test_a_seed_an_owner_and_a_call_have_numbers_of_their_own() -> None:
    backend = CpuBackend(Precision.FLOAT64)
    several = run(backend, drawing(Distribution.UNIFORM, Distribution.UNIFORM))
    first, second = several.read("x0"), several.read("x1")
    other_seed = drawn(Distribution.UNIFORM, seed=2)
    other_owner = run(backend, drawing(Distribution.UNIFORM, owner="b")).read("x0")
    np.testing.assert_array_equal(first, drawn(Distribution.UNIFORM))
    for other in (second, other_seed, other_owner):
        assert not (first == other).any()
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(first.size)


ORDERS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "below": ("u < p", operator.lt),
    "most": ("p >= u", operator.le),
    "above": ("u > p", operator.gt),
    "least": ("p == p and not (u < p)", operator.ge),
}
# What half of a number's bits tell, what they do not, and what is no number.
APART = np.array([0.1, -0.1, 2.0**-33, -(2.0**-33), 2.0**-53, -(2.0**-53), 0, np.nan])


@pytest.mark.parametrize("precision", Precision)
def test_a_comparison_goes_by_every_bit(backend: str, precision: Precision) -> None:
    draws = {"u": Draw(Distribution.UNIFORM, "a", 0)}
    phases: list[Phase] = [ForEach("draw", SIZE, Body("x = u", elements("x"), draws=draws))]
    for name, (code, _) in ORDERS.items():
        body = Body(f"_cond = {code}", elements("p"), draws=draws)
        phases.append(Detect(name, SIZE, name, body))
    events = tuple(Events(name, SIZE, PER_INSTANCE, Slots(0)) for name in ORDERS)
    sweep = Sweep(Direction.FORWARD, tuple(phases))
    program = Program("p", DT, (real("x", SIZE), real("p", SIZE)), (sweep,), events=events)
    memory = run(registry.create(backend, precision), program, 2, calls=(1,))
    u = memory.read("x")
    p = (u + np.resize(APART, SIZE)).astype(precision.dtype)
    memory.write("p", p)
    registry.create(backend, precision).compile(program).run(memory, Call(0, 1))
    for event in events:
        count, index = (memory.read(part(event).name)[:, 0] for part in (count_of, index_of))
        for instance, expected in enumerate(ORDERS[event.name][1](u, p)):
            found = index[instance, : count[instance, 0]]
            np.testing.assert_array_equal(found, np.flatnonzero(expected))


@pytest.mark.parametrize(
    ("code", "rough"),
    [
        ("u < p", True),
        ("p*p >= u and p > 0.1 or not u > 0.5", True),
        ("u + 0 < p", False),
        ("u < p*u", False),
        ("u < v", False),
        ("(u < 0.5) == (v < 0.5) or u == p", False),
        ("n > p", False),
    ],
)
def test_which_draws_are_only_compared(code: str, rough: bool) -> None:
    drawn = {"u": Distribution.UNIFORM, "v": Distribution.UNIFORM, "n": Distribution.NORMAL}
    draws = {name: Draw(kind, "a", call) for call, (name, kind) in enumerate(drawn.items())}
    used = {name: draw for name, draw in draws.items() if name in get_identifiers(code)}
    assert only_compared(Body(f"_cond = {code}", elements("p"), draws=used)) is rough


@pytest.mark.parametrize(("kind", "law"), list(zip(KINDS, ["uniform", "norm"], strict=True)))
@pytest.mark.parametrize("precision", Precision)
def test_distribution(kind: Distribution, law: str, precision: Precision) -> None:
    found = drawn(kind, CpuBackend(precision)).astype(float)
    assert stats.kstest(found.ravel(), law).pvalue > 1e-3
    assert len(np.unique(found)) > 0.99 * found.size
    if kind is Distribution.UNIFORM:
        assert found.min() >= 0
        assert found.max() < 1
    else:
        assert abs(stats.kurtosis(found.ravel())) < 5 * np.sqrt(24 / found.size)
        assert np.abs(found).max() > 3.5


@pytest.mark.parametrize("kind", KINDS)
def test_instances_steps_and_elements_are_independent(kind: Distribution) -> None:
    x = drawn(kind, instances=4)
    x = (x - x.mean()) / x.std()
    for axis in range(3):
        for lag in (1, 2, *(32, 64, 96) * (axis == 2)):  # the elements of a block
            ahead, behind = (
                np.delete(x, np.s_[:lag], axis),
                np.delete(x, np.s_[x.shape[axis] - lag :], axis),
            )
            assert abs((ahead * behind).mean()) < 5 / np.sqrt(ahead.size)
            squares = (ahead**2 - 1) * (behind**2 - 1)
            assert abs(squares.mean()) < 5 * squares.std() / np.sqrt(ahead.size)


UNIFORM = (np.arange(20000) + 0.5) / 20000


@pytest.mark.parametrize("mean", [1e-3, 0.4, 1.0, 3.7, 12.0, 300.0, 2.5e4])
def test_poisson_numbers_have_their_probabilities(mean: float) -> None:
    """Equally spaced uniform numbers give each count its share, to within two of them."""
    found = poisson(mean, UNIFORM)
    numbers, times = np.unique(found, return_counts=True)
    np.testing.assert_allclose(times, UNIFORM.size * stats.poisson.pmf(numbers, mean), atol=2)


@pytest.mark.parametrize("p", [0.001, 0.3, 0.5, 0.97])
@pytest.mark.parametrize("n", [1, 2, 17, 1000])
def test_binomial_numbers_have_their_probabilities(n: int, p: float) -> None:
    found = binomial(n, p, UNIFORM)
    numbers, times = np.unique(found, return_counts=True)
    np.testing.assert_allclose(times, UNIFORM.size * stats.binom.pmf(numbers, n, p), atol=2)


def counting(code: str, values: npt.NDArray[Any], dtype: DType = DType.DOUBLE) -> Program:
    draw = {"u": Draw(Distribution.UNIFORM, "a", 0, DType.DOUBLE)}
    body = Body(code, elements("n", "x"), draws=draw)
    whole = Array("n", DType.INT, len(values), PER_INSTANCE, Slots(kept=True))
    given = Array("x", dtype, len(values), PER_INSTANCE)
    sweep = Sweep(Direction.FORWARD, (ForEach("count", len(values), body),))
    return Program("counting", DT, (whole, given), (sweep,))


MEANS = np.array([-1, 0, np.nan, np.inf, 1e10, 1e-30, 0.5, 1, 9.99, 700, 800, 1e6])
CHANCES = np.array([-1, 0, np.nan, 1, 1.5, 1e-30, 0.1, 0.5, 0.999, 1e-3])


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("n = _poisson(x, u)", MEANS),
        ("n = _binomial(12, x, u)", CHANCES),
        ("n = _binomial(100000, x, u)", CHANCES),
        ("n = _binomial(x, 0.3, u)", np.array([-1, 0, 1, 2, 77])),
    ],
)
def test_counts_are_the_same_on_every_backend(
    backend: str, code: str, values: npt.NDArray[Any]
) -> None:
    dtype = DType.INT if values.dtype.kind == "i" else DType.DOUBLE
    program = counting(code, values, dtype)
    found = []
    for name in (backend, "reference"):
        for precision in Precision:
            made = registry.create(name, precision)
            memory = made.memory(2)
            memory.reserve(program, 30)
            memory.write("x", values)
            memory.write_keys(program, 1)
            made.compile(program).run(memory, Call(0, 30))
            found.append(memory.read("n"))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_what_has_no_distribution() -> None:
    half, least = 0.5, np.iinfo(np.int32).min
    assert poisson(MEANS[:5], half).tolist() == [0, 0, 0, least, least]
    assert binomial(12, CHANCES[:5], half).tolist() == [0, 0, 0, 12, 12]
    assert binomial(np.array([-1, 0]), 0.5, half).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (Body("x0 = d", draws={"d": Draw(Distribution.UNIFORM, "a", 0, DType.INT)}),
         r"draw 'd' is int32; make it REAL or DOUBLE"),
        (Body("x0 = d + e", draws={n: Draw(Distribution.UNIFORM, "a", 0) for n in "de"}),
         r"draw 'e' has the numbers of draw 'd'; give it a call of its own"),
        (Body("x0 = d", constants={"d": 1.0}, draws={"d": Draw(Distribution.UNIFORM, "a", 0)}),
         r"'d' is a draw and a ref or constant; rename one"),
        (Body("x0 = t", draws={"t": Draw(Distribution.UNIFORM, "a", 0)}),
         r"'t' is a name of every body; rename the ref, constant, draw or time"),
        (Body("d = 1", draws={"d": Draw(Distribution.UNIFORM, "a", 0)}),
         r"'d' is assigned and is no ref or local; rename it"),
    ],
)  # fmt: skip
def test_what_is_no_legal_draw(body: Body, message: str) -> None:
    phase = ForEach("draw", SIZE, body)
    sweep = Sweep(Direction.FORWARD, (phase,))
    with pytest.raises(ProgramError, match=f"Program 'wrong', phase 'draw': {message}."):
        verify(Program("wrong", DT, (), (sweep,)), Stage.GENERATION)


def test_what_draws_nothing_has_no_keys() -> None:
    backend = registry.create("reference", Precision.FLOAT64)
    memory = backend.memory(1)
    memory.reserve(CASES["lif"].program, 1)
    memory.write_keys(CASES["lif"].program, 1)
    assert "draws:keys" not in memory.arrays
