"""Constraints: the unconstrained update in NumPy, and then the nearest value allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, defaultclock, ms, mV, set_device

import brian2eprop as b2e

SIGNS = np.array([1, -1, -1, 1])
START = np.array([0.1, 0.2, 0.4, 0.3])  # by source, times its sign where that matters
SPIKES = b2e.Spikes.from_dense(np.random.default_rng(1).random((5, 20, 4)) < 0.4)
PATHS = np.random.default_rng(3).normal(0, 3, (5, 20, 3))
MADE = {
    "non-negative": (b2e.NonNegative, lambda w, s: np.maximum(w, 0)),
    "clip": (lambda: b2e.Clip(-0.5, 0.45), lambda w, s: np.clip(w, -0.5, 0.45)),
    "dale": (lambda: b2e.Dale(SIGNS), lambda w, s: np.where(w * s > 0, w, 0)),
}


class Case:
    """Linear outputs of 4 inputs, whose synapses lie in another order than they are made."""

    def __init__(
        self, made: Any = None, backend: str = "cpu", optimiser: Any = None, signed: bool = True
    ) -> None:
        set_device("eprop_cuda", backend=backend, precision="float64")
        defaultclock.dt = 1 * ms
        source = b2e.SpikeSource(4, name="source")
        readout = NeuronGroup(3, "dy/dt = -y/(15*ms) : 1", method="exact", name="readout")
        self.w = w = Synapses(source, readout, "w : 1", on_pre="y_post += w", name="w")
        w.connect(i=[3, 0, 2, 1, 0, 3, 2, 1, 1], j=[0, 0, 1, 1, 2, 2, 0, 2, 0])
        w.w = (START * SIGNS if signed else START)[w.i[:]]
        self.trainer = b2e.Trainer(
            Network(source, readout, w), output=readout.y, loss=b2e.MeanSquaredError(),
            rule=b2e.EProp(), parameters=[w.w], optimiser=optimiser or b2e.SGD(0.3), seed=1,
            constraints={} if made is None else {w.w: made},
        )  # fmt: skip

    def fit(self, epochs: int = 1) -> Any:
        self.trainer.fit(SPIKES, PATHS, epochs=epochs, batch_size=5, verbose=False)
        return np.array(self.w.w[:])


@pytest.mark.parametrize("backend", ["cpu", "emulated", "reference"])
@pytest.mark.parametrize("kind", MADE)
def test_every_update_is_put_back(kind: str, backend: str) -> None:
    make, nearest = MADE[kind]
    case = Case(make(), backend, signed=kind != "non-negative")
    signs = SIGNS[case.w.i[:]]
    moved = False
    for _ in range(4):
        before = np.array(case.w.w[:])
        free = before - 0.3 * case.trainer.gradients(SPIKES, PATHS)["w_w"]
        found, wanted = case.fit(), nearest(free, signs)
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-14)
        moved = moved or np.abs(wanted - free).max() > 0.01
    assert moved


@pytest.mark.parametrize("kind", MADE)
def test_a_checkpoint_goes_on_exactly(kind: str, tmp_path: Path) -> None:
    make, _ = MADE[kind]
    signed = kind != "non-negative"
    whole = Case(make(), optimiser=b2e.Adam(0.2), signed=signed).fit(5)
    first = Case(make(), optimiser=b2e.Adam(0.2), signed=signed)
    first.fit(2)
    first.trainer.save(tmp_path / "file.npz")
    second = Case(make(), optimiser=b2e.Adam(0.2), signed=signed)
    second.trainer.load(tmp_path / "file.npz")
    np.testing.assert_array_equal(second.fit(3), whole)


def test_a_checkpoint_with_weight_decay_goes_on_exactly(tmp_path: Path) -> None:
    whole = Case(optimiser=b2e.AdamW(0.2, weight_decay=0.5)).fit(5)
    first = Case(optimiser=b2e.AdamW(0.2, weight_decay=0.5))
    first.fit(2)
    first.trainer.save(tmp_path / "file.npz")
    second = Case(optimiser=b2e.AdamW(0.1))
    second.trainer.load(tmp_path / "file.npz")
    np.testing.assert_array_equal(second.fit(3), whole)


@pytest.mark.parametrize("other", [None, b2e.Clip(-0.5, 0.6), b2e.Dale(SIGNS)], ids=repr)
def test_a_checkpoint_of_other_constraints_is_refused(other: Any, tmp_path: Path) -> None:
    Case(b2e.Clip(-0.5, 0.5)).trainer.save(tmp_path / "file.npz")
    with pytest.raises(b2e.CheckpointError, match="constraints"):
        Case(other).trainer.load(tmp_path / "file.npz")


@pytest.mark.parametrize("kind", MADE)
def test_what_lies_outside_at_the_start_is_refused(kind: str) -> None:
    make, _ = MADE[kind]
    case = Case(make())
    case.w.w = [-0.6 * (1 if k else SIGNS[case.w.i[0]]) for k in range(9)]
    with pytest.raises(ValueError, match=r"'w\.w' holds -0\.6, which its constraint"):
        case.fit()


def test_bounds_are_compared_in_the_precision_of_the_training() -> None:
    values = np.array([0.1, -0.1], np.float32)
    assert b2e.Clip(-0.1, 0.1).allows(values, None).all()


@pytest.mark.parametrize(
    ("made", "error", "sentence"),
    [
        (b2e.NonNegative, TypeError, "the constraint of 'w.w' is <class"),
        (1.0, TypeError, "is 1.0; give one, such as NonNegative"),
        (b2e.Dale([1, -1]), ValueError, "there are 2 signs but 4 presynaptic neurons"),
        (b2e.Clip(-1 * mV, 1 * mV), ValueError, "do not have the unit of the parameter"),
    ],
    ids=str,
)
def test_what_is_no_constraint_is_refused(made: Any, error: Any, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        Case(made)


@pytest.mark.parametrize("bounds", [(1, 0), (0, np.inf), (np.nan, 1), ("a", 1), (0, 1 * mV)])
def test_bad_bounds_are_refused(bounds: Any) -> None:
    with pytest.raises(ValueError, match="Clip: the bounds"):
        b2e.Clip(*bounds)


@pytest.mark.parametrize("signs", [[1, 0], [[1, -1]], 1, ["a"], [2]])
def test_bad_signs_are_refused(signs: Any) -> None:
    with pytest.raises(ValueError, match="Dale: give a list with 1 or -1"):
        b2e.Dale(signs)
