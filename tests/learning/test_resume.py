"""A training that is cut at any batch goes on as if it had not been: every bit is the same."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import brian2eprop as b2e
from brian2eprop.learning.training.position import Position
from tests.learning.classes import LABELS, SPIKES, At, Classes, assert_same
from tests.samples import sampled

EPOCHS = 3
HELD_OUT = SPIKES[:6], LABELS[:6]


def whole(**options: Any) -> Classes:
    case = Classes(**options)
    case.fit(EPOCHS, validation_data=HELD_OUT)
    return case


def save(path: Path, trainer: Any) -> None:
    trainer.save(path)


def stop(trainer: Any) -> None:
    trainer.stop_training = True


def press_ctrl_c(trainer: Any) -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("backend", "precision"),
    sampled(
        product(["cpu", "emulated", "reference"], ["float32", "float64"]),
        lambda case: case in {("cpu", "float64"), ("emulated", "float32")},
    ),
)
def test_a_checkpoint_within_an_epoch(backend: str, precision: str, tmp_path: Path) -> None:
    options = {"backend": backend, "precision": precision}
    uncut = whole(**options)
    for batch in (1, 2, 4) if backend == "cpu" else (2,):
        path = tmp_path / f"{batch}.npz"
        first = Classes(**options)
        first.fit(EPOCHS, validation_data=HELD_OUT, callbacks=[At(2, batch, partial(save, path))])
        assert_same(first, uncut)
        second = Classes(**options, seed=99)
        second.trainer.load(path)
        assert second.trainer.epoch == 1
        watch = At(0, 0, stop)
        second.fit(EPOCHS - 1, validation_data=HELD_OUT, callbacks=[watch])
        left = [(2, k) for k in range(batch + 1, 5)]
        assert watch.seen == [*left, *((3, k) for k in range(1, 5))]
        assert_same(second, uncut)


@pytest.mark.parametrize("cut", [stop, press_ctrl_c])
def test_a_training_that_is_stopped_goes_on(cut: Any, tmp_path: Path) -> None:
    case, loaded = Classes(), Classes(seed=5)
    case.fit(9, validation_data=HELD_OUT, callbacks=[At(2, 3, cut)])
    case.trainer.save(tmp_path / "file.npz")
    loaded.trainer.load(tmp_path / "file.npz")
    for one in (case, loaded):
        one.fit(EPOCHS - 1, validation_data=HELD_OUT)
        assert_same(one, whole())


@pytest.mark.parametrize("cut", [stop, press_ctrl_c])
def test_a_training_that_is_cut_keeps_the_parameters_it_has_reached(cut: Any) -> None:
    """Those of the best epoch, here the first one, are put back when it is over."""

    def best() -> b2e.EarlyStopping:
        return b2e.EarlyStopping("val_loss", patience=99, min_delta=1e9, restore_best=True)

    uncut, case, first = Classes(), Classes(), Classes()
    uncut.fit(3, validation_data=HELD_OUT, callbacks=[best()])
    case.fit(9, validation_data=HELD_OUT, callbacks=[best(), At(2, 3, cut)])
    case.fit(2, validation_data=HELD_OUT, callbacks=[best()])
    assert_same(case, uncut)
    first.fit(1)
    for name, values in first.values().items():
        np.testing.assert_array_equal(case.values()[name], values)


def test_an_error_in_a_callback_loses_nothing() -> None:
    case = Classes()
    with pytest.raises(ZeroDivisionError):
        case.fit(EPOCHS, validation_data=HELD_OUT, callbacks=[At(2, 3, lambda trainer: 1 / 0)])
    case.fit(EPOCHS - 1, validation_data=HELD_OUT)
    assert_same(case, whole())


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_order_of_samples_is_taken_up(shuffle: bool) -> None:
    uncut, case = Classes(), Classes()
    uncut.fit(2, shuffle=shuffle)
    case.fit(2, shuffle=shuffle, callbacks=[At(1, 2, stop)])
    case.fit(2, shuffle=shuffle)
    assert_same(case, uncut)


OTHERS: list[dict[str, Any]] = [
    {"batch_size": 6},
    {"shuffle": False},
    {"data": (SPIKES[:9], LABELS[:9])},
    {"data": (SPIKES[::-1], LABELS)},
    {"data": (SPIKES, (LABELS + 1) % 3)},
    {"class_weight": {1: 2.0}},
    {"sample_weight": np.linspace(1, 2, 18)},
    {"lengths": np.full(18, 19)},
]


@pytest.mark.parametrize("options", OTHERS, ids=[next(iter(each)) for each in OTHERS])
def test_with_other_samples_the_epoch_begins_anew(options: dict[str, Any], caplog: Any) -> None:
    case, watch = Classes(), At(0, 0, stop)
    case.fit(1, callbacks=[At(1, 2, stop)])
    given = dict(options)
    case.fit(1, *given.pop("data", ()), **given, callbacks=[watch])
    assert watch.seen[0] == (1, 1)
    assert case.trainer.epoch == 1
    assert "an epoch was cut after 2 batches" in caplog.text


def test_the_same_samples_in_other_types_are_the_same() -> None:
    case, uncut = Classes(), Classes()
    weights = np.linspace(1, 2, 18)
    uncut.fit(1, sample_weight=weights)
    case.fit(1, sample_weight=weights, callbacks=[At(1, 2, stop)])
    again = b2e.Spikes.from_dense(SPIKES.to_dense()), LABELS.astype(np.int16).tolist()
    case.fit(1, *again, sample_weight=weights.tolist())
    assert_same(case, uncut)


def position_of(path: Path) -> dict[str, Any]:
    case = Classes()
    case.fit(1, callbacks=[At(1, 2, partial(save, path))], metrics=[b2e.ConfusionMatrix()])
    with np.load(path) as file:
        found: dict[str, Any] = json.loads(file["state"].tobytes())["position"]
    return found


def damaged(position: dict[str, Any], keys: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(position))
    place: Any = changed
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return changed


DAMAGE: list[tuple[tuple[Any, ...], Any]] = [
    (("batch",), 9),
    (("batch",), 3),
    (("batch",), 0),
    (("sums", 0), 11),
    (("sums", 1), 3),
    (("sums", 2), []),
    (("sums", 2, 0, 2), float("nan")),
    (("sums", 2, 0, 2), [1.0, 2.0]),
    (("order",), None),
    (("source", "shuffle"), False),
    (("source", "batch_size"), 0),
    (("source", "n_samples"), 7),
    (("seed",), 3),
    (("samples",), None),
]


def test_a_position_that_cannot_be_is_refused(tmp_path: Path) -> None:
    found = position_of(tmp_path / "file.npz")
    assert Position.from_json(found).to_json() == found
    for keys, value in DAMAGE:
        with pytest.raises((KeyError, TypeError, ValueError)):
            Position.from_json(damaged(found, keys, value))
    shaped = Position.from_json(damaged(found, ("sums", 2, -1, 2), [[1.0]]))
    with pytest.raises(b2e.CheckpointError, match=r"'confusion_matrix' of shape \(1, 1\), but a b"):
        shaped.sums.add(5, 100, {("confusion_matrix", "readout.y"): np.ones((3, 3))})


def test_parameters_that_overflow_go_back_to_where_the_epoch_went_on() -> None:
    case, again = Classes(optimiser=b2e.SGD(0.1)), Classes(optimiser=b2e.SGD(0.1))
    for one in (case, again):
        one.fit(1, callbacks=[At(1, 2, stop)])
    before = case.values()

    def overflow(trainer: Any) -> None:
        trainer._engine.store.write("w_out.w", np.full(24, np.inf))

    with pytest.raises(FloatingPointError, match="is not finite"):
        case.fit(1, callbacks=[At(1, 3, overflow)])
    for name, values in before.items():
        np.testing.assert_array_equal(case.values()[name], values)
    for one in (case, again):
        one.fit(2)
    assert_same(case, again)


def watchers(folder: Path, first: int) -> tuple[b2e.EarlyStopping, list[b2e.Callback]]:
    stopping = b2e.EarlyStopping("val_loss", patience=2, min_delta=0.01, restore_best=True)
    made = [
        b2e.ModelCheckpoint(folder / "{epoch}.npz"),
        b2e.ModelCheckpoint(folder / "best.npz", "val_loss"),
        b2e.CSVLogger(folder / "run.csv"),
        stopping,
    ]
    return stopping, [*made[first:], *made[:first]]


@pytest.mark.parametrize("first", [0, 2])
def test_callbacks_go_on(first: int, tmp_path: Path) -> None:
    """Whatever their order, from files that were saved at the end of any epoch."""
    options = {"validation_data": HELD_OUT}
    uncut = Classes(optimiser=b2e.Adam(0.05))
    stopping, callbacks = watchers(tmp_path, first)
    uncut.fit(12, callbacks=callbacks, **options)
    last = uncut.trainer.epoch
    assert 3 < last < 12 and stopping.best_epoch == last - 2
    table = (tmp_path / "run.csv").read_text()
    for epoch in range(1, last):
        case = Classes(optimiser=b2e.Adam(0.05), seed=9)
        case.trainer.load(tmp_path / f"{epoch}.npz")
        found, callbacks = watchers(tmp_path, first)
        case.fit(12 - epoch, callbacks=callbacks, **options)
        assert_same(case, uncut)
        assert found.best_epoch == stopping.best_epoch
        assert (tmp_path / "run.csv").read_text() == table


def test_a_training_that_was_over_begins_anew(tmp_path: Path) -> None:
    case, (stopping, callbacks) = Classes(), watchers(tmp_path, 0)
    case.fit(2, callbacks=callbacks, validation_data=HELD_OUT)
    case.trainer.save(tmp_path / "over.npz")
    case.trainer.load(tmp_path / "over.npz")
    case.fit(1, callbacks=callbacks, validation_data=HELD_OUT)
    assert stopping._since == 2
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 2


def test_what_is_no_state_of_a_callback_is_refused(tmp_path: Path) -> None:
    case, (_, callbacks) = Classes(), watchers(tmp_path, 0)
    for state in ({}, {"since": 7}, {"since": "a"}):
        case.trainer._progress.kept = [("EarlyStopping", state)]
        with pytest.raises(b2e.CheckpointError, match="kept of EarlyStopping is no state of it"):
            case.fit(1, callbacks=callbacks, validation_data=HELD_OUT)
