"""Callbacks that write what the history gets, for other programs to read."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from brian2eprop.learning.training.arguments import explains_arguments
from brian2eprop.learning.training.callbacks import Callback, Trained
from brian2eprop.learning.training.checkpoint import check_path
from brian2eprop.learning.training.history import History

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
        What stands between two numbers.
    append : bool
        Whether lines are added to a file that is there, for a training that goes on.

    Raises
    ------
    ValueError
        At the first epoch, if the lines of a file that is there have other names.
    OSError
        If the file cannot be written.
    """

    path: str | os.PathLike[str]
    separator: str = ","
    append: bool = False

    def __post_init__(self) -> None:
        self.path = check_path("CSVLogger", self.path)
        self._names: list[str] | None = None

    def on_train_begin(self, trainer: Trained) -> None:
        """Begin anew, or look at what is there."""
        self._names, place = None, self._place()
        if self.append and place.exists():
            with place.open(newline="") as file:
                self._names = next(csv.reader(file, delimiter=self.separator), None)
        else:
            place.write_text("")

    def state(self) -> dict[str, Any]:
        """See :class:`Callback`."""
        return {"lines": len(self._lines())}

    def on_train_resume(self, trainer: Trained, state: Mapping[str, Any]) -> None:
        """Go on with the file, without lines of epochs that are still to come."""
        lines, place = self._lines(), self._place()
        if not lines:
            self.on_train_begin(trainer)
            return
        kept, later = lines[: state["lines"]], lines[state["lines"] :]
        kept += [row for row in later if row[:1] == ["epoch"] or int(row[0]) <= trainer.epoch]
        with place.open("w", newline="") as file:
            csv.writer(file, delimiter=self.separator).writerows(kept)
        self._names = kept[0] if kept else None

    def _lines(self) -> list[list[str]]:
        place = self._place()
        if not place.exists():
            return []
        with place.open(newline="") as file:
            return [row for row in csv.reader(file, delimiter=self.separator) if row]

    def on_epoch_end(self, trainer: Trained, epoch: int, values: Mapping[str, Any]) -> None:
        """Add the epoch's line."""
        row = {"epoch": epoch, **dict(numbers_of(values))}
        with self._place().open("a", newline="") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if self._names is None:
                self._names = list(row)
                writer.writerow(self._names)
            if list(row) != self._names:
                raise ValueError(
                    f"CSVLogger: the lines of '{self.path}' are of {', '.join(self._names)}, but "
                    f"this training has {', '.join(row)}; choose another file."
                )
            writer.writerow(row.values())

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
