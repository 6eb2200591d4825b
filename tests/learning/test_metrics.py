"""Metrics of classes, counted by hand and as scikit-learn's and Keras' documents say."""

from __future__ import annotations

import csv
import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import brian2eprop as b2e
from tests.learning.classes import LABELS, SPIKES, At, Classes, assert_same

ALL = [b2e.TopKAccuracy(2), b2e.ConfusionMatrix(), b2e.ClassAccuracy()]
PREDICTION = np.array([[0.1, 0.5, 0.4], [0.3, 0.3, 0.4], [0.2, 0.2, 0.6], [0.5, 0.25, 0.25]])
TRUE = np.array([2, 0, 2, 1])


def test_by_hand() -> None:
    def of(metric: Any) -> Any:
        return metric.result(metric.count(PREDICTION, TRUE), 4)

    assert of(b2e.ConfusionMatrix()) == [[0, 0, 1], [1, 0, 0], [0, 1, 1]]
    found = of(b2e.ClassAccuracy())
    assert found == [0.0, 0.0, 0.5]
    assert of(b2e.TopKAccuracy(1)) == 0.25
    # The second and the last tie with another for the second place, which none of these has.
    assert of(b2e.TopKAccuracy(2)) == 0.5
    assert of(b2e.TopKAccuracy(3)) == 1.0
    lost = np.full((1, 3), np.nan)
    assert b2e.TopKAccuracy(3).count(lost, np.array([1])) == 0
    none = b2e.ClassAccuracy()
    assert np.isnan(none.result(none.count(PREDICTION[:1], TRUE[:1]), 1)[0])


NEVER = np.inf
TIED = np.array([[3.0, 3, 1], [1, 3, 3], [2, 2, 2], [3, 1, 0], [0, 0, 0], [0, 4, np.nan]])
TIES = [
    (b2e.CrossEntropy(), TIED, [0, 0, 0, 1, 0, 0]),
    (b2e.TrialCrossEntropy(), TIED, [0, 0, 0, 1, 0, 0]),
    (b2e.SpikeCount(), TIED, [0, 0, 0, 1, 0, 0]),
    (b2e.SpikeCount(), np.array([[0.0], [2.0]]), [0, 1]),
    (
        b2e.FirstSpikeTime(),
        np.array([[0.1, 0.1, 0.2], [NEVER] * 3, [0.1, NEVER, 0.2], [0.0, 0.3, NEVER]]),
        [0, 0, 1, 1],
    ),
]


@pytest.mark.parametrize(("loss", "prediction", "right"), TIES)
def test_a_tie_is_no_answer(loss: Any, prediction: Any, right: list[int]) -> None:
    """Neither the first of those that tie nor any other; all that counts classes agrees."""
    n_samples, n_classes = prediction.shape
    scores = loss.scores(prediction)
    for order in itertools.permutations(range(n_classes)):
        labels = np.full(n_samples, order.index(0))
        moved = prediction[:, order]
        assert loss.accuracy(moved, labels) == np.mean(right)
        for metric in (b2e.TopKAccuracy(1), b2e.ClassAccuracy(), b2e.ConfusionMatrix()):
            found = metric.result(metric.count(scores[:, order], labels), n_samples)
            share = {
                "top_1_accuracy": found,
                "class_accuracy": np.ravel(found)[order.index(0) % np.size(found)],
                "confusion_matrix": np.trace(np.atleast_2d(found)) / n_samples,
            }[metric.name]
            assert share == pytest.approx(np.mean(right)), metric


def test_a_tie_stands_in_no_column() -> None:
    matrix = b2e.ConfusionMatrix()
    assert matrix.result(matrix.count(TIED[:4], np.array([0, 0, 2, 1])), 4) == [
        [0, 0, 0],
        [1, 0, 0],
        [0, 0, 0],
    ]


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_evaluate_counts_what_predict_says(backend: str, precision: str) -> None:
    case = Classes(backend, precision)
    found = case.trainer.evaluate(SPIKES, LABELS, batch_size=5, metrics=ALL)
    prediction = case.trainer.predict(SPIKES)
    matrix = np.zeros((3, 3), int)
    top = 0
    for row, label in zip(prediction, LABELS, strict=True):
        matrix[label, row.argmax()] += 1
        top += label in np.argsort(-row)[:2]
    assert found.extra["confusion_matrix"] == matrix.tolist()
    assert found.extra["top_2_accuracy"] == top / 18
    np.testing.assert_allclose(
        found.extra["class_accuracy"], matrix.diagonal() / matrix.sum(axis=1)
    )
    assert found.accuracy == matrix.trace() / 18


def test_the_history_has_them(tmp_path: Path) -> None:
    whole, case, again = Classes(), Classes(), Classes(seed=5)
    held_out = SPIKES[:7], LABELS[:7]
    options: dict[str, Any] = {"validation_data": held_out, "metrics": ALL}
    stopping = b2e.EarlyStopping("val_top_2_accuracy", patience=9)
    history = whole.fit(3, **options, callbacks=[stopping])
    for name, count in (("", 18), ("val_", 7)):
        assert len(history[f"{name}top_2_accuracy"]) == 3
        for matrix, accuracy in zip(
            history[f"{name}confusion_matrix"], history[f"{name}accuracy"], strict=True
        ):
            assert np.sum(matrix) == count
            assert np.trace(matrix) / count == pytest.approx(accuracy, rel=1e-12)
    now = whole.trainer.evaluate(*held_out, metrics=ALL)
    assert history["val_confusion_matrix"][-1] == now.extra["confusion_matrix"]

    def save(trainer: Any) -> None:
        trainer.save(tmp_path / "file.npz")

    case.fit(2, **options, callbacks=[At(2, 3, save)])
    again.trainer.load(tmp_path / "file.npz")
    again.fit(2, **options)
    assert_same(again, whole)


def test_a_data_set_of_batches_has_them_too() -> None:
    whole, case = Classes(), Classes()
    batches = [(SPIKES[k : k + 5], LABELS[k : k + 5]) for k in range(0, 18, 5)]
    whole.fit(2, shuffle=False, metrics=ALL)
    case.fit(2, batches, shuffle=False, metrics=ALL)
    assert_same(case, whole)


@pytest.mark.parametrize(
    ("metrics", "error", "sentence"),
    [
        ([b2e.TopKAccuracy], TypeError, "fit: metrics holds the class TopKAccuracy; give a list"),
        (["accuracy"], TypeError, r"give a list of such as ConfusionMatrix\(\)"),
        ([b2e.ConfusionMatrix()] * 2, ValueError, "metrics has 'confusion_matrix' twice"),
    ],
)
def test_what_is_no_metric_is_refused(metrics: Any, error: Any, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        Classes().fit(1, metrics=metrics)


def test_k_must_be_a_number() -> None:
    with pytest.raises(ValueError, match="TopKAccuracy: k is 0; give a whole number from 1 up"):
        b2e.TopKAccuracy(0)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_of_the_epochs(tmp_path: Path) -> None:
    path, case = tmp_path / "run.csv", Classes()
    path.write_text("from before")
    options: dict[str, Any] = {"validation_data": (SPIKES[:7], LABELS[:7]), "metrics": ALL}
    case.fit(2, **options, callbacks=[b2e.CSVLogger(path)])
    case.fit(1, **options, callbacks=[b2e.CSVLogger(path, append=True)])
    rows, history = read(path), case.trainer.history
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for name in ("loss", "accuracy", "top_2_accuracy", "val_loss"):
        assert [float(row[name]) for row in rows] == history[name]
    rates = [each["hidden"] for each in history["rates"]]
    assert [float(row["rates_hidden"]) for row in rows] == rates
    assert not any("matrix" in name for name in rows[0])
    with pytest.raises(ValueError, match=r"but this training has epoch, loss, accuracy, rates_hi"):
        case.fit(1, callbacks=[b2e.CSVLogger(path, append=True)])
    with pytest.raises(TypeError, match="no argument 'filename'; it is called path here"):
        b2e.CSVLogger(filename="x")


class Writer:
    """Keeps what a TensorBoard would show."""

    made: list[Writer] = []  # noqa: RUF012

    def __init__(self, folder: str) -> None:
        self.folder, self.shown, self.closed = folder, [], False  # type: ignore[var-annotated]
        Writer.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.shown.append((name, value, step))

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("name", ["tensorboardX", "torch.utils.tensorboard"])
def test_tensorboard(name: str, monkeypatch: Any, tmp_path: Path) -> None:
    for known in ("tensorboardX", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, known, None)
    module = ModuleType(name)
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    parts = name.split(".")
    for k in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:k]), ModuleType(parts[k - 1]))
    monkeypatch.setitem(sys.modules, name, module)
    case = Classes()
    case.fit(2, callbacks=[b2e.TensorBoard(tmp_path)])
    writer = Writer.made[-1]
    assert writer.folder == str(tmp_path) and writer.closed
    losses = [(value, step) for what, value, step in writer.shown if what == "loss"]
    assert losses == [(value, k + 1) for k, value in enumerate(case.trainer.history["loss"])]
    assert ("rates_hidden", case.trainer.history["rates"][0]["hidden"], 1) in writer.shown


def test_tensorboard_that_is_not_installed(monkeypatch: Any) -> None:
    for known in ("tensorboardX", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, known, None)
    with pytest.raises(ImportError, match="that writes its files; pip install tensorboardX"):
        b2e.TensorBoard("logs")
