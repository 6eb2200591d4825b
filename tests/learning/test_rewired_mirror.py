"""What a training that rewires asks of Brian2's side, and when."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms

import brian2eprop as b2e
from brian2eprop.device.device import eprop_device
from tests.learning.test_trained_rewiring import RULES, Model, fitted


class Look(b2e.Callback):
    """Does something after every batch."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def on_batch_end(self, trainer: Any, batch: int, values: dict[str, Any]) -> None:
        """See :class:`Callback`."""
        self.act()


def test_updates_neither_capture_the_network_anew_nor_read_its_synapses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, rewritten = Model(), []
    trainer = model.trainer(RULES["DeepR"])
    rewrite = eprop_device.rewrite
    monkeypatch.setattr(eprop_device, "rewrite", lambda *a: (rewritten.append(1), rewrite(*a)))
    monkeypatch.setattr(eprop_device, "capture_program", lambda *_: pytest.fail("captured"))
    before = model.places()
    for fits in (1, 2):
        fitted(model, trainer)
        assert len(rewritten) == fits
    assert not np.isin(model.places(), before).all()


def test_who_looks_at_synapses_sees_those_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = Model(), []
    trainer = model.trainer(RULES["DeepR"])
    monkeypatch.setattr(eprop_device, "capture_program", lambda *_: pytest.fail("captured"))
    fitted(model, trainer, callbacks=[Look(lambda: seen.append(model.places()))])
    assert sum((one != other).any() for one, other in pairwise(seen)) > 3


@pytest.mark.parametrize("looks", [False, True])
def test_a_change_of_other_delays_is_refused_whoever_looks_at_synapses(looks: bool) -> None:
    """Also where the training has just written those of its own."""
    model = Model()
    trainer = model.trainer(RULES["DeepR"])

    def change() -> None:
        model.w_out.delay = 3 * ms
        if looks:
            model.places()

    with pytest.raises(ValueError, match=r"'w_out.*' is not what it was when the Trainer was made"):
        fitted(model, trainer, callbacks=[Look(change)])


def test_a_simulations_rewiring_is_refused_after_the_trainer_was_made() -> None:
    model = Model()
    trainer = model.trainer(RULES["DeepR"])
    b2e.rewire(model.w_out, b2e.Rewire("w < 0"), dt=5 * ms)
    with pytest.raises(b2e.Unsupported, match="'w_out' is rewired by rewire"):
        fitted(model, trainer)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_what_samples_start_from_is_given_to_formed_synapses(backend: str) -> None:
    """Also where a run changes the variable, of which each sample has a copy."""
    model = Model(backend, acts="v_post += w*share; share *= 0.9")
    model.w_rec.share = 1
    given = b2e.Rewire("-abs(w)", fraction=0.3, initial={"share": "0.5"})
    fitted(model, model.trainer(given, b2e.SurrogateBPTT()))
    shares = np.array(model.w_rec.share[:])
    assert set(np.round(shares, 6)) == {0.5, 1.0}


def test_a_file_of_rewired_synapses_needs_their_rewiring(tmp_path: Path) -> None:
    path, model = tmp_path / "kept.npz", Model()
    trainer = model.trainer(RULES["DeepR"])
    fitted(model, trainer)
    trainer.save(path)
    with pytest.raises(b2e.CheckpointError, match="'w_rec' are rewired there only"):
        Model().trainer(RULES["DeepR"], rewiring={}).load(path)
