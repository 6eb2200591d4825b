"""The example of a network that grows: its fixed point is the target, whatever the drive."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.example_scripts import example


@pytest.fixture(name="example")
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    return example("homeostatic_rewiring", monkeypatch)


def test_neurons_come_to_their_target_and_seek_it_anew(example: Any) -> None:
    """Growth is zero where the calcium is at the target, by the equations; nothing else is set."""
    found = example.simulate(30, 80.0, backend="cpu")
    before, last = example.RUNS // 2 - 1, example.RUNS - 1
    assert found.calcium[before - 3 : before + 1].mean() == pytest.approx(example.TARGET, rel=0.1)
    assert found.calcium[0].mean() < 0.9 * example.TARGET
    lesioned, others = found.lesioned, ~found.lesioned
    assert found.calcium[before + 1, lesioned].mean() < 0.7 * found.calcium[before, lesioned].mean()
    assert found.calcium[last, lesioned].mean() > found.calcium[before + 1, lesioned].mean()
    assert found.axonal[last, lesioned].mean() > found.axonal[before, lesioned].mean()
    assert found.calcium[last, others].mean() == pytest.approx(example.TARGET, rel=0.15)
    assert 30 < found.synapses[before] < found.synapses[last]
    assert np.isfinite(found.axonal).all()
