"""Data sets that give batches: the same bits as samples that are all in memory."""

from __future__ import annotations

import os
import signal
import threading
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import brian2eprop as b2e
from tests.learning.classes import LABELS, SPIKES, At, Classes, assert_same

HELD_OUT = SPIKES[:6], LABELS[:6]


class Sequence:
    """Batches by index, as Keras' PyDataset, which notes what it was asked for."""

    def __init__(self, fault: Any = None) -> None:
        self.asked: list[int] = []
        self.threads: set[int] = set()
        self.fault = fault

    def __len__(self) -> int:
        return 4

    def __getitem__(self, k: int) -> Any:
        self.asked.append(k)
        self.threads.add(threading.get_ident())
        if self.fault is not None and len(self.asked) > 3:
            self.fault()
        return SPIKES[5 * k : 5 * k + 5], LABELS[5 * k : 5 * k + 5]


def generator() -> Any:
    dataset = Sequence()
    return (dataset[k] for k in range(4))


class Loader:
    """Can be gone through again and again, and knows nothing else."""

    def __iter__(self) -> Any:
        return generator()


@pytest.mark.parametrize("backend", ["cpu", "emulated", "reference"])
@pytest.mark.parametrize("made", [Sequence, lambda: generator, Loader], ids=["index", "call", "it"])
def test_batches_are_those_of_samples_in_memory(backend: str, made: Any) -> None:
    whole, case = Classes(backend), Classes(backend)
    whole.fit(3, shuffle=False, validation_data=HELD_OUT)
    case.fit(3, made(), shuffle=False, validation_data=HELD_OUT)
    assert_same(case, whole)
    assert threading.active_count() < 20


def test_the_order_of_batches_is_shuffled_and_taken_up(tmp_path: Path) -> None:
    whole, cut, again = Classes(), Classes(), Classes(seed=7)
    dataset = Sequence()
    whole.fit(3, dataset)
    first, *asked = dataset.asked
    assert first == 0 and len(asked) == 12
    epochs = [asked[k : k + 4] for k in (0, 4, 8)]
    assert all(sorted(epoch) == [0, 1, 2, 3] for epoch in epochs)
    assert any(epoch != [0, 1, 2, 3] for epoch in epochs)
    assert len(dataset.threads) > 1

    def save(trainer: Any) -> None:
        trainer.save(tmp_path / "file.npz")
        trainer.stop_training = True

    cut.fit(3, Sequence(), callbacks=[At(2, 3, save)])
    again.trainer.load(tmp_path / "file.npz")
    rest = Sequence()
    again.fit(2, rest)
    assert rest.asked[1:] == [*epochs[1][3:], *epochs[2]]
    assert_same(again, whole)


@pytest.mark.parametrize("batch", [2, 4])
def test_a_generator_is_taken_up(batch: int) -> None:
    whole, cut = Classes(), Classes()
    whole.fit(2, generator)

    def stop(trainer: Any) -> None:
        trainer.stop_training = True

    cut.fit(2, generator, callbacks=[At(1, batch, stop)])
    assert cut.trainer.epoch == 0
    cut.fit(2, generator)
    assert_same(cut, whole)


def test_an_error_in_a_data_set_is_raised_by_fit() -> None:
    case, whole = Classes(), Classes()

    def fail() -> None:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        case.fit(1, Sequence(fail), shuffle=False)
    assert case.trainer._progress.position.batch == 2  # after the peek, two were given
    case.fit(1, Sequence(), shuffle=False)
    whole.fit(1, Sequence(), shuffle=False)
    assert_same(case, whole)


def test_ctrl_c_ends_the_waiting_for_a_batch() -> None:
    case, never = Classes(), threading.Event()

    def wait() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        never.wait(timeout=60)

    before = threading.active_count()
    case.fit(2, Sequence(wait), shuffle=False)
    never.set()
    assert case.trainer.epoch == 0
    for thread in threading.enumerate():
        if thread.daemon and thread is not threading.current_thread():
            thread.join(timeout=10)
    assert threading.active_count() <= before + 1


def test_what_each_sample_counts_goes_with_its_batch() -> None:
    weights = np.linspace(0.5, 2, 18)
    case, whole = Classes(), Classes()

    def batches() -> Any:
        for k in range(0, 18, 5):
            rows = slice(k, k + 5)
            yield {
                "spikes": SPIKES[rows], "labels": LABELS[rows], "sample_weight": weights[rows]
            }  # fmt: skip

    case.fit(2, batches)
    whole.fit(2, SPIKES, LABELS, sample_weight=weights, shuffle=False)
    assert_same(case, whole)


SOURCES = {"index": Sequence, "call": lambda: generator, "it": Loader}


@pytest.mark.parametrize("made", SOURCES.values(), ids=SOURCES)
def test_what_judges_takes_what_fit_takes(made: Any) -> None:
    case, whole = Classes(), Classes()
    for _ in range(2):
        kept, options = made(), {"batch_size": 5, "metrics": [b2e.ConfusionMatrix()]}
        wanted = whole.trainer.evaluate(SPIKES, LABELS, **options)
        assert case.trainer.evaluate(kept, metrics=options["metrics"]) == wanted
        found = case.trainer.predict(kept)
        np.testing.assert_array_equal(found, whole.trainer.predict(SPIKES, 5))
        gradients = whole.trainer.gradients(SPIKES, LABELS, 5)
        for name, values in case.trainer.gradients(kept).items():
            np.testing.assert_array_equal(values, gradients[name])
        case.fit(1, shuffle=False)
        whole.fit(1, shuffle=False)


@pytest.mark.parametrize("made", SOURCES.values(), ids=SOURCES)
def test_validation_data_of_batches(made: Any) -> None:
    case, whole = Classes(), Classes()
    case.fit(3, validation_data=made())
    whole.fit(3, validation_data=(SPIKES, LABELS))
    assert_same(case, whole)
    assert len(case.trainer.history["val_loss"]) == 3


def test_lists_are_batches_or_a_pair() -> None:
    rows = [slice(0, 12), slice(12, 18)]
    batches = [(SPIKES[r], LABELS[r]) for r in rows]
    named = [{"spikes": SPIKES[r], "labels": LABELS[r]} for r in rows]
    histories = []
    for held_out in (batches, named, [SPIKES, LABELS], [{"source": SPIKES}, LABELS]):
        case = Classes()
        histories.append(case.fit(1, validation_data=held_out, batch_size=12)["val_loss"])
    assert histories == 4 * histories[:1]
    wanted = Classes().trainer.predict(SPIKES, 12)
    for given in ([SPIKES[r] for r in rows], batches, [{"spikes": SPIKES[r]} for r in rows]):
        np.testing.assert_array_equal(Classes().trainer.predict(given), wanted)


def test_lengths_come_with_their_batch() -> None:
    lengths = np.arange(18) % 7 + 5
    case = Classes()
    wanted = case.trainer.evaluate(SPIKES, LABELS, 9, lengths=lengths)
    rows = [slice(0, 9), slice(9, 18)]
    batches = [{"spikes": SPIKES[r], "labels": LABELS[r], "lengths": lengths[r]} for r in rows]
    assert case.trainer.evaluate(batches) == wanted
    found = case.trainer.predict(SPIKES, 9, lengths=lengths)
    np.testing.assert_array_equal(case.trainer.predict(batches), found)


def test_ctrl_c_while_validation_waits_goes_on_with_the_epoch() -> None:
    never = threading.Event()

    def wait() -> Any:
        yield SPIKES[:9], LABELS[:9]
        if not never.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            never.wait(timeout=60)
        yield SPIKES[9:], LABELS[9:]

    case, whole = Classes(), Classes()
    case.fit(2, validation_data=wait)
    assert case.trainer.epoch == 0
    never.set()
    case.fit(2, validation_data=wait)
    whole.fit(2, validation_data=(SPIKES, LABELS))
    for name, values in case.values().items():
        np.testing.assert_array_equal(values, whole.values()[name])
    np.testing.assert_allclose(case.trainer.history["val_loss"], whole.trainer.history["val_loss"])


@pytest.mark.parametrize(
    ("judge", "sentence"),
    [
        (lambda t: t.evaluate(3), "^evaluate: there are no labels, and of type int"),
        (lambda t: t.evaluate([SPIKES]), "^evaluate: batch 1 of the data set is a Spikes; give"),
        (lambda t: t.gradients([]), "^gradients: the data set gives no batch"),
        (lambda t: t.evaluate(generator()), "^evaluate: of type generator is what can be gone .*"),
        (lambda t: t.evaluate(Sequence(), batch_size=4), "^evaluate: batch_size is given beside"),
        (lambda t: t.gradients(Sequence(), LABELS), "^gradients: labels are given beside what is"),
        (lambda t: t.predict(Sequence), "^predict: the class Sequence is no data set; give an i"),
        (lambda t: t.predict([SPIKES], 4), "^predict: batch_size is given beside a data set"),
        (lambda t: t.predict(3), "^The spikes are of type int"),
        (lambda t: t.predict([3]), "^predict: batch 1 of the data set is a int; give a pair"),
        (lambda t: t.predict([{"labels": 3}]), "^predict: batch 1 of the data set has 'labels'"),
        (lambda t: t.predict([SPIKES], lengths=[3]), "^predict: lengths is given beside a data"),
        (lambda t: t.fit(SPIKES, LABELS, validation_data=[]), "^validation_data: the data set g"),
    ],
)
def test_what_judges_refuses(judge: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        judge(Classes().trainer)


BAD = [
    (generator(), {}, TypeError, "fit: of type generator is what can be gone through only once"),
    (
        Sequence,
        {},
        TypeError,
        r"the class Sequence is no data set; give an .* Sequence\(\)",
    ),
    ((SPIKES, LABELS), {}, TypeError, r"as one tuple; give them as two arguments: fit\(spikes, l"),
    ([SPIKES, LABELS], {}, TypeError, r"as one list; give them as two arguments"),
    (lambda: None, {}, TypeError, "of type NoneType, which the function gives, is nothing that"),
    (lambda: Sequence(), {}, TypeError, "of type Sequence, which the function gives, is nothing"),
    (Sequence(), {"labels": LABELS}, TypeError, "of type Sequence and gives batches; leave them o"),
    (Sequence(), {"batch_size": 4}, TypeError, "batch_size is given beside .*; leave it out, for"),
    (3, {}, TypeError, "of type int is nothing that can be gone through"),
    ([], {}, ValueError, "the data set gives no batch"),
    ([SPIKES], {}, TypeError, "batch 1 of the data set is a Spikes; give a pair"),
    (Sequence(), {"lengths": [1]}, TypeError, "lengths is given beside a data set"),
    ([(SPIKES, LABELS), (SPIKES, LABELS[:3])], {}, ValueError, "18 samples of spikes but 3 labels"),
    (SPIKES, {}, ValueError, "18 samples of spikes but 0 labels"),
]


@pytest.mark.parametrize(("given", "options", "error", "sentence"), BAD)
def test_what_is_no_data_set_is_refused(
    given: Any, options: Any, error: Any, sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        Classes().fit(1, given, shuffle=False, **options)


def test_a_spikes_by_name_is_still_no_data_set() -> None:
    with pytest.raises(TypeError, match="The spikes are of type ndarray"):
        Classes().fit(1, SPIKES.to_dense(), LABELS)
    assert isinstance(SPIKES, b2e.Spikes)


def refilled() -> Any:
    """Batches in the same arrays each time, with others in them at the end."""
    weights = np.linspace(0.5, 2, 18)
    lengths = np.arange(18) % 7 + 12
    kept = [np.empty(6, each.dtype) for each in (LABELS, weights, lengths)]
    for k in range(3):
        rows = slice(6 * k, 6 * k + 6)
        for buffer, values in zip(kept, (LABELS, weights, lengths), strict=True):
            buffer[:] = values[rows]
        names = ("labels", "sample_weight", "lengths")
        yield {"spikes": SPIKES[rows], **dict(zip(names, kept, strict=True))}
    for buffer in kept:
        buffer[:] = 1


def test_arrays_that_are_filled_again_may_be_given() -> None:
    case, whole = Classes(), Classes()
    copied = [{name: copy(values) for name, values in batch.items()} for batch in refilled()]
    case.fit(3, refilled, validation_data=refilled)
    whole.fit(3, lambda: iter(copied), validation_data=copied)
    assert_same(case, whole)


def used_up() -> Any:
    """A function that gives the same iterator each time."""
    once = generator()
    return lambda: once


ONCE_MORE = "the data set gives no batch when it is gone through once more; give one that gives"


@pytest.mark.parametrize("owner", ["fit", "validation_data"])
def test_a_data_set_that_is_empty_in_a_later_epoch(owner: str) -> None:
    case, whole = Classes(), Classes()
    validated = owner != "fit"
    data = (SPIKES, LABELS) if validated else (used_up(),)
    held_out = used_up() if validated else None
    with pytest.raises(ValueError, match=f"^{owner}: {ONCE_MORE}"):
        case.fit(3, *data, shuffle=False, validation_data=held_out)
    whole.fit(2 if validated else 1, shuffle=False)
    assert case.trainer.epoch == whole.trainer.epoch
    assert case.trainer._progress.position is None
    history = case.trainer.history
    assert history["loss"] == whole.trainer.history["loss"]
    if validated:
        assert np.isnan(history["val_loss"]).tolist() == [False, True]
    for one in (case, whole):
        one.fit(1, shuffle=False)
    for name, values in case.values().items():
        np.testing.assert_array_equal(values, whole.values()[name])


def test_other_batches_begin_the_epoch_anew(caplog: Any) -> None:
    def batches(labels: Any) -> Any:
        return [(SPIKES[k : k + 6], labels[k : k + 6]) for k in (0, 6, 12)]

    def stop(trainer: Any) -> None:
        trainer.stop_training = True

    case = Classes()
    case.fit(1, batches(LABELS), callbacks=[At(1, 2, stop)])
    watch = At(0, 0, stop)
    case.fit(1, batches((LABELS + 1) % 3), callbacks=[watch])
    assert watch.seen[0] == (1, 1)
    assert "of the same form now, but the samples are others, so it begins anew" in caplog.text
