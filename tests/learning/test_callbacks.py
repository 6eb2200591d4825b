"""Callbacks on made-up histories."""

from types import SimpleNamespace

import pytest

import brian2eprop as b2e
from brian2eprop.learning.training.callbacks import Callback, EarlyStopping, ModelCheckpoint
from brian2eprop.learning.training.history import History


class Trainer:
    """Keeps what callbacks do to it."""

    def __init__(self, *metrics):
        self.epoch = 0
        self.metrics = ("loss", *metrics)
        self.stop_training = self.cut = False
        self.saved = []
        self.parameters = {"w": 0}

    def save(self, path):
        self.saved.append((self.epoch, path.name))

    def parameter_values(self):
        return dict(self.parameters)

    def set_parameter_values(self, values):
        self.parameters = dict(values)


def go_through(callback, name, values):
    """Epochs with those values of one metric, until told to stop."""
    trainer = Trainer(name)
    callback.on_train_begin(trainer)
    for epoch, value in enumerate(values, 1):
        trainer.epoch = epoch
        trainer.parameters = {"w": epoch}
        callback.on_epoch_end(trainer, epoch, {"loss": 0.0, name: value})
        if trainer.stop_training:
            break
    callback.on_train_end(trainer, History())
    return trainer


STOPS = [
    ({}, "val_loss", [3.0, 2.0, 2.5, 1.0], 3),
    ({}, "val_loss", [3.0, 2.0, 2.0], 3),
    ({"patience": 1}, "val_loss", [3.0, 2.0, 2.5, 1.0], 3),
    ({"patience": 2}, "val_loss", [3.0, 2.0, 2.5, 1.0, 1.5, 1.5, 0.0], 6),
    ({"patience": 3}, "val_loss", [3.0, 3.1, 3.2, 3.3, 0.0], 4),
    ({"min_delta": 0.5}, "val_loss", [3.0, 2.0, 1.6, 0.0], 3),
    ({"monitor": "val_accuracy"}, "val_accuracy", [0.1, 0.5, 0.7, 0.6, 0.9], 4),
    ({"monitor": "accuracy", "patience": 2}, "accuracy", [0.5, 0.4, 0.6, 0.5, 0.5], 5),
    ({}, "val_loss", [3.0, float("nan"), 1.0], 2),
]


@pytest.mark.parametrize(("options", "name", "values", "last"), STOPS)
def test_early_stopping(options, name, values, last):
    trainer = go_through(EarlyStopping(**options), name, values)
    assert (trainer.stop_training, trainer.epoch) == (True, last)


def test_no_stop_while_it_improves():
    assert not go_through(EarlyStopping(), "val_loss", [3.0, 2.0, 1.0]).stop_training


def test_the_best_epoch():
    callback = EarlyStopping(patience=5, restore_best=True)
    assert go_through(callback, "val_loss", [3.0, 1.0, 2.0, 1.5]).parameters == {"w": 2}
    assert callback.best_epoch == 2
    callback = EarlyStopping(patience=5)
    assert go_through(callback, "val_loss", [3.0, 1.0, 2.0, 1.5]).parameters == {"w": 4}


def test_early_stopping_forgets_an_earlier_training():
    callback = EarlyStopping()
    go_through(callback, "val_loss", [1.0, 2.0])
    assert not go_through(callback, "val_loss", [9.0, 8.0]).stop_training


def test_early_stopping_counts_on_from_earlier_epochs():
    callback, trainer = EarlyStopping(patience=2), Trainer("val_loss")
    trainer.epoch = 40
    callback.on_train_begin(trainer)
    callback.on_epoch_end(trainer, 41, {"val_loss": float("nan")})
    assert not trainer.stop_training


def test_a_checkpoint_every_epoch():
    trainer = go_through(ModelCheckpoint("run-{epoch:03}.npz"), "val_loss", [2.0, 3.0])
    assert trainer.saved == [(1, "run-001.npz"), (2, "run-002.npz")]


def test_a_checkpoint_of_the_best_epochs():
    losses = go_through(ModelCheckpoint("run.npz", "val_loss"), "val_loss", [2.0, 3.0, 1.0])
    assert [epoch for epoch, _ in losses.saved] == [1, 3]
    callback = ModelCheckpoint("run.npz", "val_accuracy")
    rising = go_through(callback, "val_accuracy", [0.2, 0.1, 0.3])
    assert [epoch for epoch, _ in rising.saved] == [1, 3]


def test_the_base_class_does_nothing():
    callback, trainer = Callback(), SimpleNamespace()
    callback.on_train_begin(trainer)
    callback.on_epoch_begin(trainer, 1)
    callback.on_batch_end(trainer, 1, {})
    callback.on_epoch_end(trainer, 1, {})
    callback.on_train_end(trainer, History())
    assert vars(trainer) == {}


def test_a_method_that_no_training_calls():
    with pytest.raises(
        TypeError, match=r"Mine has a method 'on_train_batch_end', which no trainin"
    ):

        class Mine(Callback):
            def on_train_batch_end(self, batch, logs):
                pass


def test_arguments_that_other_packages_have():
    with pytest.raises(TypeError, match=r"no argument 'restore_best_weights'; it is called restor"):
        EarlyStopping(restore_best_weights=True)
    with pytest.raises(TypeError, match=r"no argument 'save_best_only'; give monitor='val_loss'"):
        ModelCheckpoint("run.npz", save_best_only=True)


def test_sentences():
    with pytest.raises(ValueError, match="EarlyStopping: patience is -1; give a finite number"):
        EarlyStopping(patience=-1)
    with pytest.raises(
        ValueError, match=r"'{step}.npz' has a placeholder that is not {epoch}; use"
    ):
        ModelCheckpoint("{step}.npz")
    with pytest.raises(TypeError, match=r"ModelCheckpoint: the path is 3; give the name of a file"):
        ModelCheckpoint(3)
    with pytest.raises(ValueError, match=r"ModelCheckpoint: the path is ''; give the name of a fi"):
        ModelCheckpoint("")


LATE = [
    (EarlyStopping(), "EarlyStopping: there is no 'val_loss' to monitor, only loss, accuracy"),
    (ModelCheckpoint("run.npz", "f1"), "ModelCheckpoint: there is no 'f1' to monitor, only loss"),
]


@pytest.mark.parametrize(("callback", "sentence"), LATE)
def test_what_will_not_be_there_is_refused_before_the_first_epoch(callback, sentence):
    remedy = "; choose one of these, or give fit validation_data."
    with pytest.raises(ValueError, match=sentence + ".*" + remedy):
        callback.on_train_begin(Trainer("accuracy"))


def test_a_missing_folder_is_refused_before_the_first_epoch(tmp_path):
    trainer = Trainer()
    trainer.epoch = 3
    ModelCheckpoint(tmp_path / "{epoch}.npz").on_train_begin(trainer)
    (tmp_path / "4").mkdir()
    ModelCheckpoint(tmp_path / "{epoch}" / "run.npz").on_train_begin(trainer)
    with pytest.raises(FileNotFoundError) as caught:
        ModelCheckpoint(tmp_path / "no" / "run.npz").on_train_begin(trainer)
    assert str(caught.value) == (
        f"ModelCheckpoint: there is no folder '{tmp_path}/no' to save into; make it before the "
        "training."
    )


def test_callbacks_say_what_they_are():
    assert repr(EarlyStopping(patience=2)) == (
        "EarlyStopping(monitor='val_loss', patience=2, min_delta=0.0, restore_best=False)"
    )
    assert repr(ModelCheckpoint("a.npz")) == "ModelCheckpoint(path='a.npz', monitor=None)"
    assert len({EarlyStopping(), EarlyStopping()}) == 2


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: b2e.EarlyStopping(3),
            "EarlyStopping: monitor is 3; give a name, such as 'val_loss'.",
        ),
        (
            lambda: b2e.LearningRateSchedule(0.1),
            "LearningRateSchedule: schedule is 0.1; give a function of the epoch.",
        ),
        (
            lambda: b2e.EProp(surrogate="tri"),
            "EProp's surrogate is 'tri'. Give one, such as Triangular(0.3).",
        ),
        (lambda: b2e.EProp(detach=3), "EProp's detach is 3. Give a tuple of names."),
    ],
)
def test_arguments_of_another_kind(make, sentence):
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == sentence


def logged(path, epochs, **options):
    """Epochs of a loss by a logger."""
    logger, trainer = b2e.CSVLogger(path, **options), Trainer()
    logger.on_train_begin(trainer)
    for epoch in epochs:
        logger.on_epoch_begin(trainer, epoch)
        logger.on_epoch_end(trainer, epoch, {"loss": 0.5 * epoch})


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_table_goes_on_after_a_line_without_an_end(tmp_path, end):
    path = tmp_path / "run.csv"
    path.write_text("epoch,loss\n1,0.5" + end, newline="")
    logged(path, [2, 3], append=True)
    assert path.read_text().split() == ["epoch,loss", "1,0.5", "2,1.0", "3,1.5"]


@pytest.mark.parametrize("before", [None, ""])
def test_a_table_begins_where_there_is_nothing_to_go_on_with(tmp_path, before):
    path = tmp_path / "run.csv"
    if before is not None:
        path.write_text(before)
    logged(path, [1], append=True, separator=";")
    assert path.read_text().split() == ["epoch;loss", "1;0.5"]


def test_a_table_is_emptied_by_its_first_epoch_only(tmp_path):
    path = tmp_path / "run.csv"
    path.write_bytes(b"\xff\xfe of before")
    logged(path, [])
    assert path.read_bytes() == b"\xff\xfe of before"
    logged(path, [1])
    assert path.read_text().split() == ["epoch,loss", "1,0.5"]


@pytest.mark.parametrize(
    ("separator", "error"),
    [("", ValueError), (";;", ValueError), ("\n", ValueError), ('"', ValueError), (3, TypeError)],
)
def test_a_separator_that_is_none(separator, error):
    with pytest.raises(error, match=r"CSVLogger: the separator is .*; give one character, as ';'"):
        b2e.CSVLogger("run.csv", separator=separator)


def test_a_table_that_cannot_be_written_is_refused_before_the_first_epoch(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file in it"):
        logged(tmp_path, [])
    with pytest.raises(FileNotFoundError, match=r"no folder '.*/no' to write into; make it before"):
        logged(tmp_path / "no" / "run.csv", [])
    path = tmp_path / "run.csv"
    path.write_bytes(b"epoch,\xff\n")
    with pytest.raises(ValueError, match=r"the file '.*run.csv' is no table \(.*\); choose anothe"):
        logged(path, [], append=True)
    assert path.read_bytes() == b"epoch,\xff\n"
