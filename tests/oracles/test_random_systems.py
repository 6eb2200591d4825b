"""The rules on a fixed sample of networks from the grammar; ``make oracles`` takes more of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import brian2eprop as b2e
from tests.oracles import beside_jax, in_brian2, random_events, random_systems
from tests.oracles.random_systems import TOLERANCE, error, errors, expected, some_ways
from tests.oracles.systems import System
from tests.samples import sampled

JAX = Path(__file__).parents[2] / ".venv-jax" / "bin" / "python"
SAMPLE, WITHOUT_GRID = 20, 4


@cache
def sample() -> list[System]:
    """The first systems of the grammar."""
    found: list[System] = []
    random_systems.each_system(SAMPLE, 0, found.append)
    return found


@cache
def spiking() -> list[System]:
    """The first systems that EventProp follows."""
    found: list[System] = []
    random_events.each_system(WITHOUT_GRID, 0, found.append)
    return found


@pytest.mark.parametrize("number", sampled(range(SAMPLE), lambda number: number < 2))
def test_gradients_are_those_of_the_map(number: int) -> None:
    """Compiled for the CPU by one rule and as the emulated GPU runs it by another one."""
    system = sample()[number]
    ways = some_ways(system, number)
    on = ("cpu", "emulated") if number % 2 else ("emulated", "cpu")
    for way, backend in zip(ways, on, strict=False):
        for rule, value in errors(system, [way], backend).items():
            assert value < TOLERANCE, f"{rule} on {backend} is off by {value:.1e}"


@pytest.mark.parametrize("number", sampled(range(WITHOUT_GRID), lambda number: number < 1))
def test_event_times_are_differentiated_exactly(number: int) -> None:
    """Without a grid the derived adjoint equals central differences."""
    found = random_events.errors(spiking()[number])
    assert not all(map(np.isnan, found.values()))
    for kind, value in found.items():
        assert np.isnan(value) or value < random_events.TOLERANCE, f"by {kind} off by {value:.1e}"


@pytest.mark.parametrize("on", ["cpu", "emulated"])
def test_eventprop_is_the_same_on_all_backends(on: str) -> None:
    system = spiking()[0]
    reference, compiled = (
        in_brian2.gradients(system, b2e.EventProp(), backend) for backend in ("reference", on)
    )
    assert max(np.abs(values).max() for values in reference.values()) > 0
    assert error(compiled, reference) < TOLERANCE


@pytest.mark.skipif(not JAX.exists(), reason="no JAX: make oracles installs it")
def test_jax_finds_the_same() -> None:
    """Backpropagation through time is JAX's gradient of the same map."""
    few = sample()[:2]
    for system, answers in zip(few, beside_jax.by_jax(JAX, few), strict=True):
        for way, theirs in answers.items():
            assert (
                error(random_systems.found(system, way, "reference"), theirs) < beside_jax.TOLERANCE
            )
            assert error(expected(system, way), theirs) < beside_jax.TOLERANCE
