"""Callbacks that write what the history gets, for other programs to read."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np

from brian2eprop.archives import check_path
from brian2eprop.learning.training.arguments import explains_arguments
from brian2eprop.learning.training.callbacks import Callback, Trained
from brian2eprop.learning.training.history import History

# What csv cannot tell from its own marks, as a separator.
_NOT_BETWEEN = '\r\n"'

WRITERS = ("tensorboardX", "torch.utils.tensorboard")


def numbers_of(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of an epoch by name, those of groups as ``rates_hidden``; no lists."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}_{group}", float(number)) for group, number in value.items())
        elif isinstance(value, int | float | np.number):
            yield name, float(value)


@explains_arguments({"filename": "path"})
@dataclass(eq=False)
class CSVLogger(Callback):
    """Writes the numbers of every epoch as a line of a table.

    Parameters
    ----------
    path : path
        The file.
    separator : str
        What stands between two numbers: one character.
    append : bool
        Whether lines are added to a file that is there, for a training that goes on. Otherwise
        it is emptied when the first epoch begins.

    Raises
    ------
    TypeError, ValueError
        If path or separator cannot be one; when a training begins, if a file that is there is no
        such table; at its first epoch, if the lines of that have other names.
    OSError
        When a training begins, if the file cannot be written.
    """

    path: str | os.PathLike[str]
    separator: str = ","
    append: bool = False

    def __post_init__(self) -> None:
        self.path = check_path("CSVLogger", self.path)
        sentence = f"CSVLogger: the separator is {self.separator!r}; give one character, as ';'."
        if not isinstance(self.separator, str):
            raise TypeError(sentence)
        if len(self.separator) != 1 or self.separator in _NOT_BETWEEN:
            raise ValueError(sentence)
        self._names: list[str] | None = None
        self._begun = False

    def on_train_begin(self, trainer: Trained) -> None:
        """Refuse what could not be written after hours of training; look at what is there."""
        self._check_place()
        self._begun = self.append
        self._names = next(iter(self._lines()), None)
        if self._names is not None:
            self._end_last_line()

    def state(self) -> dict[str, Any]:
        """See :class:`Callback`."""
        return {"lines": len(self._lines()), "begun": self._begun}

    def on_train_resume(self, trainer: Trained, state: Mapping[str, Any]) -> None:
        """Go on with the file, without lines of epochs that are still to come."""
        self.on_train_begin(trainer)
        self._begun = self.append or state["begun"]
        lines = self._lines()
        self._names = lines[0] if lines else None
        if not lines:
            return
        kept, later = lines[: state["lines"]], lines[state["lines"] :]
        kept += [row for row in later if row[:1] == ["epoch"] or int(row[0]) <= trainer.epoch]
        with self._open("w") as file:
            csv.writer(file, delimiter=self.separator).writerows(kept)

    def on_epoch_begin(self, trainer: Trained, epoch: int) -> None:
        """Begin anew, once no callback has refused the training."""
        if not self._begun:
            self._open("w").close()
        self._begun = True

    def on_epoch_end(self, trainer: Trained, epoch: int, values: Mapping[str, Any]) -> None:
        """Add the epoch's line."""
        row = {"epoch": epoch, **dict(numbers_of(values))}
        if self._names is not None and list(row) != self._names:
            raise ValueError(
                f"CSVLogger: the lines of '{self.path}' are of {', '.join(self._names)}, but "
                f"this training has {', '.join(row)}; choose another file."
            )
        with self._open("a") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if self._names is None:
                self._names = list(row)
                writer.writerow(self._names)
            writer.writerow(row.values())

    def _lines(self) -> list[list[str]]:
        """Those that are there, of this training or of those that it goes on with."""
        if not self._begun or not self._place().exists():
            return []
        try:
            with self._open("r") as file:
                return [row for row in csv.reader(file, delimiter=self.separator) if row]
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(
                f"CSVLogger: the file '{self.path}' is no table ({error}); choose another file."
            ) from error

    def _end_last_line(self) -> None:
        """A file that was cut, or written by hand, may lack what ends its last line."""
        with self._place().open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read() not in (b"\n", b"\r"):
                file.write(b"\r\n")

    def _check_place(self) -> None:
        place = self._place()
        if place.is_dir():
            raise IsADirectoryError(
                f"CSVLogger: '{self.path}' is a folder; give the name of a file in it."
            )
        if not place.parent.is_dir():
            raise FileNotFoundError(
                f"CSVLogger: there is no folder '{place.parent}' to write into; make it before "
                "the training."
            )
        self._open("a").close()

    def _open(self, mode: str) -> IO[str]:
        return self._place().open(mode, newline="", encoding="utf-8")

    def _place(self) -> Path:
        return Path(self.path).expanduser()


@dataclass(eq=False)
class TensorBoard(Callback):
    """Writes the numbers of every epoch for TensorBoard.

    Parameters
    ----------
    log_dir : path
        The folder.

    Raises
    ------
    ImportError
        If neither tensorboardX nor torch's TensorBoard is installed.
    """

    log_dir: str | os.PathLike[str] = "logs"
    _writer: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.log_dir = check_path("TensorBoard", self.log_dir)
        self._kind = _writer_class()

    def on_train_begin(self, trainer: Trained) -> None:
        """Open the folder."""
        self._writer = self._kind(str(Path(self.log_dir).expanduser()))

    def on_epoch_end(self, trainer: Trained, epoch: int, values: Mapping[str, Any]) -> None:
        """Write the epoch's numbers."""
        for name, value in numbers_of(values):
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def on_train_end(self, trainer: Trained, history: History) -> None:
        """Close it."""
        self._writer.close()


def _writer_class() -> Any:
    for name in WRITERS:
        try:
            return import_module(name).SummaryWriter
        except ImportError:
            continue
    raise ImportError(
        "TensorBoard: there is nothing that writes its files; pip install tensorboardX."
    )
