"""Clipping of gradients against the formulas of Keras' documentation, in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import brian2eprop as b2e
from brian2eprop.device.backends import registry
from brian2eprop.device.codegen.parts import parts as launches
from brian2eprop.device.program import Access, Array, DType, Precision
from tests.learning.test_constraints import PATHS, SPIKES, Case

PARAMETERS = (
    Array("w", DType.REAL, 300, Access.SHARED),
    Array("b", DType.REAL, 1, Access.SHARED),
)
GRADIENTS = {"w": "gradient:w", "b": "gradient:b"}
TOLERANCE = {Precision.FLOAT64: 1e-12, Precision.FLOAT32: 2e-6}
Parts = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def norm(*parts: Any) -> float:
    """In extended range, so that the oracle itself never overflows."""
    return float(np.sqrt(sum((np.asarray(part, np.longdouble) ** 2).sum() for part in parts)))


def each(w: Any, b: Any, limit: float) -> Parts:
    return w * (limit / max(norm(w), limit)), b * (limit / max(norm(b), limit))


def all_together(w: Any, b: Any, limit: float) -> Parts:
    factor = limit / max(norm(w, b), limit)
    return w * factor, b * factor


def element(w: Any, b: Any, limit: float) -> Parts:
    return np.clip(w, -limit, limit), np.clip(b, -limit, limit)


KINDS: dict[str, Callable[[Any, Any, float], Parts]] = {
    "clipnorm": each,
    "global_clipnorm": all_together,
    "clipvalue": element,
}


def moved(backend: str, precision: Precision, optimiser: Any, w: Any, b: Any) -> Parts:
    """Minus what an update with the rate 1 adds to parameters of zero."""
    made = registry.create(backend, precision)
    memory = made.memory(1)
    program = optimiser.update(PARAMETERS, GRADIENTS).program
    memory.reserve(program, 0)
    memory.write("gradient:w", w)
    memory.write("gradient:b", b)
    optimiser.prepare(memory, 1)
    made.compile(program).run(memory)
    return -memory.read("w"), -memory.read("b")


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e25])
def test_gradients_are_clipped(backend: str, precision: Precision, kind: str, scale: float) -> None:
    rng = np.random.default_rng(5)
    w, b = (scale * rng.normal(size=300)).astype(precision.dtype), np.array([-1.5 * scale])
    b = b.astype(precision.dtype)
    for limit in (0.1 * scale, scale, 16 * scale, 30 * scale):
        found = moved(backend, precision, b2e.SGD(1.0, **{kind: limit}), w, b)
        wanted = KINDS[kind](w.astype(float), b.astype(float), limit)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=TOLERANCE[precision])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_within_the_limit_keeps_every_bit(backend: str, kind: str) -> None:
    w, b = np.random.default_rng(2).normal(size=300), np.array([0.3])
    for precision in Precision:
        optimiser = b2e.SGD(1.0, **{kind: 30})
        found = moved(backend, precision, optimiser, w, b)
        for one, other in zip(found, (w, b), strict=True):
            np.testing.assert_array_equal(one, other.astype(precision.dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_zero(backend: str, kind: str) -> None:
    found = moved(
        backend, Precision.FLOAT32, b2e.SGD(1.0, **{kind: 1e-3}), np.zeros(300), np.zeros(1)
    )
    assert not found[0].any() and not found[1].any()


def test_single_precision_at_the_end_of_its_range(backend: str) -> None:
    w, b = np.full(300, 3e38, np.float32), np.array([-3e38], np.float32)
    found = moved(backend, Precision.FLOAT32, b2e.SGD(1.0, global_clipnorm=1.0), w, b)
    np.testing.assert_allclose(found[0], 1 / math.sqrt(301), rtol=2e-6)
    np.testing.assert_allclose(found[1], -1 / math.sqrt(301), rtol=2e-6)


def test_the_largest_element_may_be_in_any_parameter(backend: str) -> None:
    w, b = np.linspace(-1, 1, 300), np.array([-40.0])
    for parts in ((w, b), (40 * w, b / 40)):
        found = moved(backend, Precision.FLOAT64, b2e.SGD(1.0, global_clipnorm=2.0), *parts)
        for one, other in zip(found, all_together(*parts, 2.0), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("backend", ["cpu", "emulated", "reference"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_clips_before_its_update(backend: str, kind: str) -> None:
    limit = 0.1 if kind == "clipvalue" else 0.3
    case = Case(backend=backend, optimiser=b2e.SGD(0.3, **{kind: limit}))
    clipped = False
    for _ in range(3):
        before = np.array(case.w.w[:])
        gradient = case.trainer.gradients(SPIKES, PATHS)["w_w"]
        wanted, _ = KINDS[kind](gradient, np.zeros(1), limit)
        clipped = clipped or np.abs(wanted - gradient).max() > 0.01
        np.testing.assert_allclose(case.fit(), before - 0.3 * wanted, rtol=1e-10, atol=1e-14)
    assert clipped


def test_a_gradient_that_is_not_finite_stays_an_error() -> None:
    case = Case(optimiser=b2e.SGD(0.3, global_clipnorm=1.0))
    case.w.w = 1e308
    before = np.array(case.w.w[:])
    with pytest.raises(FloatingPointError, match=r"not finite|NaN"):
        case.trainer.fit(SPIKES, PATHS, batch_size=5, verbose=False)
    np.testing.assert_array_equal(case.w.w[:], before)


def test_a_checkpoint_goes_on_exactly(tmp_path: Path) -> None:
    whole = Case(optimiser=b2e.Adam(0.2, global_clipnorm=0.1)).fit(5)
    first = Case(optimiser=b2e.Adam(0.2, global_clipnorm=0.1))
    first.fit(2)
    first.trainer.save(tmp_path / "file.npz")
    second = Case(optimiser=b2e.Adam(0.1))
    second.trainer.load(tmp_path / "file.npz")
    assert second.trainer.optimiser == b2e.Adam(0.2, global_clipnorm=0.1)
    np.testing.assert_array_equal(second.fit(3), whole)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "clipnorm and clipvalue are given; give one of them"),
        ({"global_clipnorm": 0}, "global_clipnorm is 0; give a number above zero"),
        ({"clipvalue": -1.0}, "clipvalue is -1.0; give a finite number"),
        ({"clipnorm": math.nan}, "clipnorm is nan; give a finite number"),
        ({"clipnorm": True}, "clipnorm is True; give a finite number"),
        ({"clipnorm": "1"}, "clipnorm is '1'; give a finite number"),
    ],
)
def test_limits_that_make_no_sense(limits: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^Adam: {sentence}"):
        b2e.Adam(**limits)
    optimiser = b2e.SGD()
    vars(optimiser).update(limits)
    with pytest.raises(ValueError, match=f"^SGD: {sentence}"):
        optimiser.update(PARAMETERS, GRADIENTS)


@pytest.mark.parametrize("kind", KINDS)
def test_one_program_for_all_limits(kind: str) -> None:
    one, other = (b2e.Adam(**{kind: limit}).update(PARAMETERS, GRADIENTS) for limit in (1, 2))
    assert one == other


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_is_launched_as_often_for_many_parameters_as_for_two(kind: str) -> None:
    """Norms by one block in one launch, then what is done to every element in another."""
    many = [Array(f"w{k}", DType.REAL, 300 + k, Access.SHARED) for k in range(9)]
    for parameters in (PARAMETERS, many):
        gradients = {array.name: f"gradient:{array.name}" for array in parameters}
        program = b2e.SGD(1.0, **{kind: 1.0}).update(parameters, gradients).program
        assert len(launches(program)) == (1 if kind == "clipvalue" else 2)
